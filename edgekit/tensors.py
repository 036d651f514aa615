"""Tensor specs, signatures, and how far one set of outputs is from another."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from edgekit.errors import UsageError

#: Signal-to-noise ratios are capped here, so that identical outputs stay a number in JSON.
MAX_SNR_DB = 200.0


@dataclass(frozen=True)
class TensorSpec:
    """One input or output: name, shape (batch first) and numpy dtype name."""

    name: str
    shape: tuple[int, ...]
    dtype: str

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

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> TensorSpec:
        return cls(str(value["name"]), tuple(int(size) for size in value["shape"]), str(value["dtype"]))


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
    def from_json(cls, value: Mapping[str, Any]) -> Signature:
        return cls(
            tuple(TensorSpec.from_json(spec) for spec in value["inputs"]),
            tuple(TensorSpec.from_json(spec) for spec in value["outputs"]),
        )


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
        yield [np.concatenate(column) for column in zip(*group, strict=True)]


def snr_db(reference: np.ndarray, measured: np.ndarray) -> float:
    """Signal-to-noise ratio of *measured* against *reference* in dB, over all elements.

    ``10 log10(sum(reference^2) / sum((measured - reference)^2))``, capped at `MAX_SNR_DB`;
    ``-MAX_SNR_DB`` when *measured* holds a value that is not finite.
    """
    reference = np.asarray(reference, np.float64)
    measured = np.asarray(measured, np.float64)
    if not np.isfinite(measured).all():
        return -MAX_SNR_DB
    signal = float(np.square(reference).sum())
    noise = float(np.square(measured - reference).sum())
    if noise == 0.0:
        return MAX_SNR_DB
    if signal == 0.0:
        return -MAX_SNR_DB
    return max(-MAX_SNR_DB, min(MAX_SNR_DB, 10.0 * math.log10(signal / noise)))


def max_abs_diff(reference: np.ndarray, measured: np.ndarray) -> float:
    """The largest absolute difference between two arrays of one shape."""
    return float(np.abs(np.asarray(measured, np.float64) - np.asarray(reference, np.float64)).max())


def agreement(reference: np.ndarray, measured: np.ndarray) -> float:
    """Percent of samples (first axis) whose largest output is the same in both."""
    same = reference.reshape(len(reference), -1).argmax(1) == measured.reshape(len(measured), -1).argmax(1)
    return float(100.0 * same.mean())


def near_constant(outputs: np.ndarray) -> bool:
    """Whether *outputs* (samples first) hardly depend on the sample.

    True when the spread of each element across samples is below one part in a thousand of the outputs'
    own size, or the outputs are too small to mean anything, as those of an untrained network are.
    """
    outputs = np.asarray(outputs, np.float64).reshape(len(outputs), -1)
    size = float(np.abs(outputs).max(initial=0.0))
    if size < 1e-8 or len(outputs) < 2:
        return size < 1e-8
    return float(outputs.std(axis=0).max()) < 1e-3 * size
