"""The TensorFlow Lite `Interpreter` interface, which LiteRT and tflite-runtime share."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from edgekit.runtime.engines.base import failure, misfit
from edgekit.tensors import Signature, TensorSpec

_NUMBERED = re.compile(r"(?:args|output)_(\d+)")


class InterpreterSession:
    """A `Session` on an ``Interpreter`` object of either library.

    Inputs and outputs go through ``set_tensor`` and ``get_tensor``, which copy: a kept ``tensor()`` view or
    signature runner makes ``invoke()`` raise ("There is at least 1 reference to internal data").
    """

    def __init__(self, engine: str, interpreter_type: Any, data: bytes, signature: Signature, threads: int):
        self.threads = threads
        self._engine = engine
        try:
            interpreter = interpreter_type(model_content=data, num_threads=threads)
            interpreter.allocate_tensors()
            inputs, outputs = interpreter.get_input_details(), interpreter.get_output_details()
            named_inputs, named_outputs = _names(interpreter)
        except (ValueError, RuntimeError) as error:
            raise failure(engine, "load the model", error) from error
        self._inputs = _indices(engine, signature.inputs, named_inputs, inputs)
        self._outputs = _indices(engine, signature.outputs, named_outputs, outputs)
        single = len(self._inputs) == len(self._outputs) == 1
        self._single = (self._inputs[0], self._outputs[0]) if single else None
        self._set, self._invoke, self._get = interpreter.set_tensor, interpreter.invoke, interpreter.get_tensor

    def run(self, inputs: Sequence[np.ndarray]) -> list[np.ndarray]:
        try:
            if self._single is not None:  # most models; the general loop costs half a microsecond more
                inward, outward = self._single
                (array,) = inputs
                self._set(inward, array)
                self._invoke()
                return [self._get(outward)]
            for index, array in zip(self._inputs, inputs, strict=True):
                self._set(index, array)
            self._invoke()
            return [self._get(index) for index in self._outputs]
        except (ValueError, RuntimeError) as error:
            raise failure(self._engine, "run the model", error) from error

    def close(self) -> None:
        self._set = self._invoke = self._get = _closed


def _closed(*_: object) -> Any:
    raise RuntimeError("the session is closed")


def _names(interpreter: Any) -> tuple[dict[str, int], dict[str, int]]:
    """Tensor indices by the names of the file's only signature; empty when it has none, or several."""
    keys = list(interpreter.get_signature_list())
    if len(keys) != 1:
        return {}, {}
    runner = interpreter.get_signature_runner(keys[0])
    return (
        {name: facts["index"] for name, facts in runner.get_input_details().items()},
        {name: facts["index"] for name, facts in runner.get_output_details().items()},
    )


def _indices(
    engine: str, specs: Sequence[TensorSpec], named: Mapping[str, int], details: Sequence[Mapping[str, Any]]
) -> tuple[int, ...]:
    """Tensor indices in the order of *specs*: by name, else by litert-torch's numbering, else by position."""
    by_index = {facts["index"]: facts for facts in details}
    if all(spec.name in named for spec in specs):
        indices = [named[spec.name] for spec in specs]
    elif named and all(_NUMBERED.fullmatch(name) for name in named):
        indices = [named[name] for name in sorted(named, key=lambda name: int(name.rsplit("_", 1)[1]))]
    else:
        indices = [facts["index"] for facts in details]
    if len(indices) != len(specs):
        raise misfit(engine, f"it has {len(indices)} tensors where the signature has {len(specs)}")
    for spec, index in zip(specs, indices, strict=True):
        shape, dtype = tuple(int(size) for size in by_index[index]["shape"]), np.dtype(by_index[index]["dtype"])
        if shape != spec.shape or dtype != np.dtype(spec.dtype):
            raise misfit(engine, f"{spec.name!r} is {dtype}{list(shape)}, not {spec.dtype}{list(spec.shape)}")
    return tuple(indices)
