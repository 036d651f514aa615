"""How exporters apply recipes to a model."""
