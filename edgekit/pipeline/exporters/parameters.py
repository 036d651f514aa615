"""Names that converters can write code with, for the inputs of a file."""

from __future__ import annotations

from collections.abc import Sequence
from keyword import iskeyword

from edgekit.tensors import TensorSpec


def parameter_names(inputs: Sequence[TensorSpec]) -> list[str]:
    """The names of *inputs* where all are names of parameters in Python; else their places, ``args_0``, ``args_1``, ….

    litert-torch and TensorFlow write code with them, and the engine finds what is numbered so by its place.
    """
    names = [spec.name for spec in inputs]
    if all(name.isascii() and name.isidentifier() and not iskeyword(name) and name != "self" for name in names):
        return names
    return [f"args_{place}" for place in range(len(names))]
