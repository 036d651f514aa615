"""What model files may hold: the one table of it, a module for each kind.

An allow-list of what edgekit's own exporters and honest converters emit: data, and operators that compute tensors from
tensors. What is not here is refused by name, whatever it would do.
"""
