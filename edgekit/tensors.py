"""Tensor specs and signatures."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from edgekit.errors import UsageError
from edgekit.schema import conform

#: Element types that a tensor may have.
DTYPES = frozenset(
    {"bool", "float16", "float32", "float64"} | {f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)}
)


@dataclass(frozen=True)
class TensorSpec:
    """One input or output: name, shape (batch first) and numpy dtype name."""

    name: str
    shape: tuple[int, ...]
    dtype: str

    @property
    def size_bytes(self) -> int:
        return math.prod(self.shape) * np.dtype(self.dtype).itemsize

    def check(self, array: np.ndarray) -> None:
        """Raise `UsageError` unless *array* has exactly this shape and dtype."""
        if array.shape != self.shape or array.dtype != np.dtype(self.dtype):
            raise UsageError(
                "EK-INPUT",
                f"input {self.name!r} is {array.dtype.name}{list(array.shape)}, "
                f"the model takes {self.dtype}{list(self.shape)}",
                "model.signature.inputs lists what goes in; model.prepare(sample) applies the preprocessing",
            )

    def to_json(self) -> dict[str, Any]:
        return {"name": self.name, "shape": list(self.shape), "dtype": self.dtype}


@dataclass(frozen=True)
class Signature:
    """What goes into a model and what comes out, in order."""

    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]

    def batched(self, count: int) -> Signature:
        """The signature of a file that takes *count* samples per inference, where this one takes one."""
        if count == 1:
            return self
        sides = (self.inputs, self.outputs)
        return Signature(*(tuple(replace(spec, shape=(count, *spec.shape[1:])) for spec in side) for side in sides))

    def to_json(self) -> dict[str, Any]:
        return {
            "inputs": [spec.to_json() for spec in self.inputs],
            "outputs": [spec.to_json() for spec in self.outputs],
        }

    @classmethod
    def from_json(cls, value: object) -> Signature:
        """What `to_json` described. Raises `ValueError`: *value* is something else."""
        signature: Signature = conform(cls, value)
        return signature


def rows_of(spec: TensorSpec) -> int:
    """How many rows one sample takes where samples are stacked: one, but for a file whose first axis is no batch."""
    return spec.shape[0] if spec.shape else 1


def first_sample(specs: Sequence[TensorSpec], stacked: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The first sample of *stacked* arrays, by name."""
    return {spec.name: stacked[spec.name][: rows_of(spec)] for spec in specs}


def grouped(samples: Sequence[Sequence[np.ndarray]], count: int) -> Iterator[list[np.ndarray]]:
    """*samples* for a file that takes *count* of them per inference.

    Args:
        samples: Of each, one array per input, with a batch axis of 1.

    Returns:
        For each inference one array per input; the last one is filled up with its last sample again and again.
    """
    for start in range(0, len(samples), count):
        group = list(samples[start : start + count])
        group += [group[-1]] * (count - len(group))
        # A number has no axis to put several of them together by.
        yield list(group[0]) if count == 1 else [np.concatenate(column) for column in zip(*group, strict=True)]
