"""The TensorFlow Lite `Interpreter` interface, which LiteRT and tflite-runtime share."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from edgekit.errors import EdgekitError
from edgekit.runtime.engines.base import failure, misfit, missing_method
from edgekit.tensors import Signature, TensorSpec

_NUMBERED = re.compile(r"(?:args|output)_(\d+)")


class InterpreterSession:
    """A `Session` on an ``Interpreter`` object of either library.

    Inputs and outputs go through the wrapper's ``SetTensor`` and ``GetTensor``, which copy, with the number of
    the signature's subgraph: the interpreter's own ``set_tensor`` and ``invoke`` know the first subgraph alone,
    and its signature runner sizes and allocates all inputs anew for every call.
    """

    run_one: Callable[[np.ndarray], np.ndarray] | None

    def __init__(
        self, engine: str, interpreter_type: Any, data: bytes, signature: Signature, threads: int, method: str | None
    ):
        self.threads = threads
        self._engine = engine
        try:
            interpreter = interpreter_type(model_content=data, num_threads=threads)
            interpreter.allocate_tensors()
            inputs, outputs, subgraph = _tensors(engine, interpreter, method)
            if subgraph:
                interpreter._interpreter.AllocateTensors(subgraph)
        except (ValueError, RuntimeError) as error:
            raise failure(engine, "load the model", error) from error
        self._inputs = _indices(engine, signature.inputs, inputs)
        self._outputs = _indices(engine, signature.outputs, outputs)
        self._subgraph = subgraph
        self._interpreter = interpreter  # owns the file's bytes, which the wrapper only points to
        self._wrapper = interpreter._interpreter
        self.run_one = self._run_one() if len(self._inputs) == len(self._outputs) == 1 else None

    def run(self, inputs: Sequence[np.ndarray]) -> list[np.ndarray]:
        wrapper, subgraph = self._wrapper, self._subgraph
        if wrapper is None:
            raise EdgekitError("EK-RUN", f"{self._engine} failed to run the model: the session is closed")
        try:
            for index, array in zip(self._inputs, inputs, strict=True):
                wrapper.SetTensor(index, array, subgraph)
            wrapper.Invoke(subgraph)
            return [wrapper.GetTensor(index, subgraph) for index in self._outputs]
        except (ValueError, RuntimeError) as error:
            raise failure(self._engine, "run the model", error) from error

    def close(self) -> None:
        self._interpreter = self._wrapper = self.run_one = None

    def _run_one(self) -> Callable[[np.ndarray], np.ndarray]:
        """`run` for one array, with everything it needs at hand: each look-up costs more than a small layer."""
        set_tensor, invoke, get_tensor = self._wrapper.SetTensor, self._wrapper.Invoke, self._wrapper.GetTensor
        inward, outward, subgraph, engine = self._inputs[0], self._outputs[0], self._subgraph, self._engine

        def run_one(array: np.ndarray) -> np.ndarray:
            try:
                set_tensor(inward, array, subgraph)
                invoke(subgraph)
                output: np.ndarray = get_tensor(outward, subgraph)
                return output
            except (ValueError, RuntimeError) as error:
                raise failure(engine, "run the model", error) from error

        return run_one


#: Facts of an input or output, with its name in the signature, or without one.
_Tensors = list[tuple[str | None, Mapping[str, Any]]]


def _tensors(engine: str, interpreter: Any, method: str | None) -> tuple[_Tensors, _Tensors, int]:
    """Inputs and outputs of the signature called *method*, and the number of its subgraph.

    With None: of the file's only signature; or of its first subgraph, in file order and without names, when the
    file has no signature or several.
    """
    keys = list(interpreter.get_signature_list())
    if method is None and len(keys) != 1:
        return (
            [(None, facts) for facts in interpreter.get_input_details()],
            [(None, facts) for facts in interpreter.get_output_details()],
            0,
        )
    if method not in (None, *keys):
        raise missing_method(engine, method, keys)
    runner = interpreter.get_signature_runner(method or keys[0])
    return list(runner.get_input_details().items()), list(runner.get_output_details().items()), runner._subgraph_index


def _indices(engine: str, specs: Sequence[TensorSpec], tensors: _Tensors) -> tuple[int, ...]:
    """Tensor indices in the order of *specs*: by name, else by litert-torch's numbering, else by position."""
    named = {name: facts for name, facts in tensors if name is not None}
    if all(spec.name in named for spec in specs):
        found = [named[spec.name] for spec in specs]
    elif named and all(_NUMBERED.fullmatch(name) for name in named):
        found = [named[name] for name in sorted(named, key=lambda name: int(name.rsplit("_", 1)[1]))]
    else:
        found = [facts for _, facts in tensors]
    if len(found) != len(specs):
        raise misfit(engine, f"it has {len(found)} tensors where the signature has {len(specs)}")
    for spec, facts in zip(specs, found, strict=True):
        shape, dtype = tuple(int(size) for size in facts["shape"]), np.dtype(facts["dtype"])
        if shape != spec.shape or dtype != np.dtype(spec.dtype):
            raise misfit(engine, f"{spec.name!r} is {dtype}{list(shape)}, not {spec.dtype}{list(spec.shape)}")
    return tuple(int(facts["index"]) for facts in found)
