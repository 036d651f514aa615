"""Inputs as converters take them: names that code can be written with, and calibration samples."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from keyword import iskeyword

import numpy as np

from edgekit.errors import UsageError
from edgekit.tensors import TensorSpec


def parameter_names(inputs: Sequence[TensorSpec]) -> list[str]:
    """The names of *inputs* where all are names of parameters in Python; else their places, ``args_0``, ``args_1``, ….

    litert-torch and TensorFlow write code with them, and the engine finds what is numbered so by its place.
    """
    names = [spec.name for spec in inputs]
    if all(name.isascii() and name.isidentifier() and not iskeyword(name) and name != "self" for name in names):
        return names
    return [f"args_{index}" for index in range(len(names))]


def calibration_samples(
    path: str | None, recipe: str, shapes: Mapping[str, tuple[int, ...]] | None = None
) -> Iterator[dict[str, np.ndarray]]:
    """Inputs by name, one sample at a time, batch size 1, from an ``.npz`` of inputs with samples first.

    Args:
        shapes: By name, with the size of a batch first, where it is not 1; longer samples are cut to them.

    Raises:
        UsageError: ``EK-DATA``: there are none.
    """
    if path is None:
        raise UsageError("EK-DATA", f"{recipe} needs calibration samples, there are none", "name them in edgekit.toml")
    with np.load(path, allow_pickle=False) as stored:
        arrays = {name: stored[name] for name in stored.files}
    count = len(next(iter(arrays.values())))
    wanted = {name: shape for name, shape in (shapes or {}).items() if shape and len(shape) == arrays[name].ndim}
    batch = max((shape[0] for shape in wanted.values()), default=1)
    for begin in range(0, count, batch):
        rows = np.minimum(np.arange(begin, begin + batch), count - 1)
        yield {
            name: np.ascontiguousarray(array[rows][(slice(None), *map(slice, wanted.get(name, ())[1:]))])
            for name, array in arrays.items()
        }
