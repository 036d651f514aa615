"""Measuring on a device: what is there, in what state, and how long inferences take. Standard library and numpy."""
