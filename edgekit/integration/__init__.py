"""A starter for an app that runs a bundle: what `edgekit integrate` writes."""

from edgekit.integration.starter import Starter, integrate

__all__ = ["Starter", "integrate"]
