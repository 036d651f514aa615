"""Floats in and out of a file whose inputs and outputs are quantized whole numbers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np

from edgekit.errors import UsageError
from edgekit.manifest import Manifest, Quantization
from edgekit.runtime.engines.base import Session, Steps
from edgekit.tensors import Signature, TensorSpec


def quantized(array: np.ndarray, found: Quantization, dtype: str) -> np.ndarray:
    """The nearest whole numbers of *dtype* for *array*; what is beyond them becomes the least or the most."""
    bounds = np.iinfo(dtype)
    steps = np.round(np.asarray(array, np.float64) / found.scale) + found.zero_point
    return np.asarray(np.clip(np.nan_to_num(steps, nan=found.zero_point), bounds.min, bounds.max), dtype)


def dequantized(array: np.ndarray, found: Quantization) -> np.ndarray:
    """What the whole numbers in *array* stand for, in float32."""
    return np.asarray((np.asarray(array, np.float64) - found.zero_point) * found.scale, np.float32)


class Floats:
    """The inputs and outputs of a bundle's main method in floats.

    Attributes:
        signature: With float32 where the file has quantized whole numbers.

    Raises:
        UsageError: ``EK-ARGUMENT``: the bundle has none.
    """

    def __init__(self, manifest: Manifest, variant: str):
        given = manifest.variant(variant).given
        if given is None or not (given.inputs or given.outputs):
            message = f"nothing that {manifest.name} takes or gives is quantized"
            raise UsageError("EK-ARGUMENT", message, "leave out what asks for floats")
        self._file, self._inputs, self._outputs = manifest.signature, given.inputs, given.outputs
        self.signature = Signature(_floats(self._file.inputs, given.inputs), _floats(self._file.outputs, given.outputs))

    def inward(self, inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Arrays for the file, from those of `signature`, by name."""
        dtypes = {spec.name: spec.dtype for spec in self._file.inputs}
        return {
            name: quantized(array, self._inputs[name], dtypes[name]) if name in self._inputs else array
            for name, array in inputs.items()
        }

    def outward(self, outputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Arrays for `signature`, from the file's, by name."""
        return {
            name: dequantized(array, self._outputs[name]) if name in self._outputs else array
            for name, array in outputs.items()
        }


class FloatSession:
    """A `Session` of a file's own types, for floats."""

    run_one: Callable[[np.ndarray], np.ndarray] | None = None
    steps: Steps | None = None

    def __init__(self, session: Session, floats: Floats):
        self.threads = session.threads
        self._session, self._floats = session, floats

    def run(self, inputs: Sequence[np.ndarray]) -> list[np.ndarray]:
        names = (spec.name for spec in self._floats.signature.inputs)
        given = self._floats.inward(dict(zip(names, inputs, strict=True)))
        outputs = self._session.run(list(given.values()))
        named = (spec.name for spec in self._floats.signature.outputs)
        return list(self._floats.outward(dict(zip(named, outputs, strict=True))).values())

    def close(self) -> None:
        self._session.close()


def _floats(specs: tuple[TensorSpec, ...], found: Mapping[str, Quantization]) -> tuple[TensorSpec, ...]:
    return tuple(replace(spec, dtype="float32") if spec.name in found else spec for spec in specs)
