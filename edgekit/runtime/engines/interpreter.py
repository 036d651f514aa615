"""The TensorFlow Lite `Interpreter` interface, which LiteRT and tflite-runtime share."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from edgekit.errors import UsageError
from edgekit.runtime.engines.base import SteppedSession, Steps, WrongShape, failure, misfit, missing_method
from edgekit.tensors import Signature, TensorSpec

_NUMBERED = re.compile(r"(?:args|output)_(\d+)")

#: What a file's signature is called when nobody named it: by TensorFlow and litert-torch, and by PyTorch.
_UNNAMED = ("serving_default", "forward")


class InterpreterSession(SteppedSession):
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
        self._inputs = locate(engine, signature.inputs, inputs)
        self._outputs = locate(engine, signature.outputs, outputs)
        self._subgraph = subgraph
        self._interpreter = interpreter  # owns the file's bytes, which the wrapper only points to
        self._wrapper = interpreter._interpreter
        tensors = (*self._inputs, *self._outputs)
        plain = len(tensors) == 2 and not any(each.narrowed for each in tensors) and signature.outputs[0].shape != ()
        self.run_one = self._run_one() if plain else None
        self.steps = Steps(self._write, self._invoke, self._read)

    def close(self) -> None:
        self._interpreter = self._wrapper = self.run_one = self.steps = None

    def _write(self, inputs: Sequence[np.ndarray]) -> None:
        set_tensor, subgraph = self._wrapper.SetTensor, self._subgraph
        try:
            for tensor, array in zip(self._inputs, inputs, strict=True):
                set_tensor(tensor.index, narrow(array, tensor.spec) if tensor.narrowed else array, subgraph)
        except (ValueError, RuntimeError) as error:
            raise failure(self._engine, "run the model", error) from error

    def _invoke(self) -> None:
        try:
            self._wrapper.Invoke(self._subgraph)
        except (ValueError, RuntimeError) as error:
            raise failure(self._engine, "run the model", error) from error

    def _read(self) -> list[np.ndarray]:
        get_tensor, subgraph = self._wrapper.GetTensor, self._subgraph
        # A tensor without axes comes as a number.
        return [np.asarray(get_tensor(tensor.index, subgraph), tensor.spec.dtype) for tensor in self._outputs]

    def _run_one(self) -> Callable[[np.ndarray], np.ndarray]:
        """`run` for one array, with everything it needs at hand: each look-up costs more than a small layer."""
        set_tensor, invoke, get_tensor = self._wrapper.SetTensor, self._wrapper.Invoke, self._wrapper.GetTensor
        inward, outward = self._inputs[0].index, self._outputs[0].index
        subgraph, engine, shape = self._subgraph, self._engine, self._inputs[0].spec.shape

        def run_one(array: np.ndarray) -> np.ndarray:
            try:
                set_tensor(inward, array, subgraph)
                invoke(subgraph)
                output: np.ndarray = get_tensor(outward, subgraph)
                return output
            except (ValueError, RuntimeError) as error:
                if array.shape != shape:  # which SetTensor has found out
                    raise WrongShape from error
                raise failure(engine, "run the model", error) from error

        return run_one


@dataclass(frozen=True)
class FileTensor:
    """An input or output of the signature as the file has it.

    Attributes:
        narrowed: It is int32 there and int64 in the signature: litert-torch 0.10 writes every int64 as int32.
    """

    index: int
    spec: TensorSpec
    narrowed: bool


def narrow(array: np.ndarray, spec: TensorSpec) -> np.ndarray:
    """*array* as int32. Raises `UsageError` ``EK-INPUT``: it holds values beyond that."""
    narrowed = array.astype(np.int32)
    if not np.array_equal(narrowed, array):
        raise UsageError("EK-INPUT", f"input {spec.name!r} holds values beyond int32, which the .tflite file takes")
    return narrowed


#: Facts of an input or output, with its name in the signature, or without one.
Tensors = list[tuple[str | None, Mapping[str, Any]]]


def _tensors(engine: str, interpreter: Any, method: str | None) -> tuple[Tensors, Tensors, int]:
    """Inputs and outputs of the signature called *method*, and the number of its subgraph.

    With None: of the file's only or unnamed signature; or, in file order and without names, of a file that has
    no signature.
    """
    keys = list(interpreter.get_signature_list())
    if method is None and not keys:
        return (
            [(None, facts) for facts in interpreter.get_input_details()],
            [(None, facts) for facts in interpreter.get_output_details()],
            0,
        )
    runner = interpreter.get_signature_runner(signature_key(engine, keys, method))
    return list(runner.get_input_details().items()), list(runner.get_output_details().items()), runner._subgraph_index


def signature_key(engine: str, keys: Sequence[str], method: str | None) -> str:
    """Which of a file's signatures is *method*; with None, its only or unnamed one."""
    if method is None:
        method = keys[0] if len(keys) == 1 else next((key for key in _UNNAMED if key in keys), None)
    if method is None or method not in keys:
        raise missing_method(engine, method, keys)
    return method


def locate(engine: str, specs: Sequence[TensorSpec], tensors: Tensors) -> tuple[FileTensor, ...]:
    """The tensors in the order of *specs*: by name, else by litert-torch's numbering, else by position."""
    named = {name: facts for name, facts in tensors if name is not None}
    if all(spec.name in named for spec in specs):
        found = [named[spec.name] for spec in specs]
    elif named and all(_NUMBERED.fullmatch(name) for name in named):
        found = [named[name] for name in sorted(named, key=lambda name: int(name.rsplit("_", 1)[1]))]
    else:
        found = [facts for _, facts in tensors]
    if len(found) != len(specs):
        raise misfit(engine, f"it has {len(found)} tensors where the signature has {len(specs)}")
    return tuple(_file_tensor(engine, spec, facts) for spec, facts in zip(specs, found, strict=True))


def _file_tensor(engine: str, spec: TensorSpec, facts: Mapping[str, Any]) -> FileTensor:
    shape, dtype = tuple(int(size) for size in facts["shape"]), np.dtype(facts["dtype"]).name
    narrowed = (spec.dtype, dtype) == ("int64", "int32")
    if shape != spec.shape or not (dtype == spec.dtype or narrowed):
        raise misfit(engine, f"{spec.name!r} is {dtype}{list(shape)}, not {spec.dtype}{list(spec.shape)}")
    return FileTensor(int(facts["index"]), spec, narrowed)
