"""The TensorFlow Lite `Interpreter` interface, which LiteRT and tflite-runtime share."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from edgekit.errors import UsageError
from edgekit.runtime.contents.tflite import main_key
from edgekit.runtime.engines.base import (
    SteppedSession,
    Steps,
    WrongShape,
    check_shapes,
    failure,
    misfit,
    missing_method,
)
from edgekit.tensors import Signature, TensorSpec

_NUMBERED = re.compile(r"(?:args|output)_(\d+)")


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
            inputs, _, subgraph = _tensors(engine, interpreter, method)
            self._inputs = locate(engine, signature.inputs, inputs)
            for tensor in self._inputs:
                if tensor.is_open:
                    interpreter._interpreter.ResizeInputTensor(
                        tensor.index, np.array(tensor.spec.shape, np.int32), False, subgraph
                    )
            interpreter.allocate_tensors()
            if subgraph:
                interpreter._interpreter.AllocateTensors(subgraph)
            outputs = _tensors(engine, interpreter, method)[1]
            is_resized = any(tensor.is_open for tensor in self._inputs)
            self._outputs = locate(engine, signature.outputs or _whatever(outputs), outputs, is_open=is_resized)
        except (ValueError, RuntimeError) as error:
            raise failure(engine, "load the model", error) from error
        self._is_open = bool(signature.outputs) and any(tensor.is_open for tensor in self._outputs)
        self._subgraph = subgraph
        self._interpreter = interpreter  # owns the file's bytes, which the wrapper only points to
        self._wrapper = interpreter._interpreter
        tensors = (*self._inputs, *self._outputs)
        plain = len(tensors) == 2 and not any(each.narrowed or each.is_open for each in self._outputs)
        plain = plain and not self._inputs[0].narrowed and self._outputs[0].spec.shape != ()
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
        outputs = [np.asarray(get_tensor(tensor.index, subgraph), tensor.spec.dtype) for tensor in self._outputs]
        if self._is_open:
            check_shapes(self._engine, [tensor.spec for tensor in self._outputs], outputs)
        return outputs

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
        is_open: Of an input: the file leaves open how large an axis is, and has another size there. Of an output: its
            shape is known when it has been computed.
    """

    index: int
    spec: TensorSpec
    narrowed: bool
    is_open: bool = False


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
    """Which of a file's signatures is *method*; with None, its only or unnamed one, or the first."""
    if method is None:
        return main_key(keys)
    if method not in keys:
        raise missing_method(engine, method, keys)
    return method


def locate(
    engine: str, specs: Sequence[TensorSpec], tensors: Tensors, *, is_open: bool = False
) -> tuple[FileTensor, ...]:
    """The tensors in the order of *specs*: by name, else by litert-torch's numbering, else by position.

    Args:
        is_open: They may have other shapes, which are not known yet.
    """
    named = {name: facts for name, facts in tensors if name is not None}
    if all(spec.name in named for spec in specs):
        found = [named[spec.name] for spec in specs]
    elif named and all(_NUMBERED.fullmatch(name) for name in named):
        found = [named[name] for name in sorted(named, key=lambda name: int(name.rsplit("_", 1)[1]))]
    else:
        found = [facts for _, facts in tensors]
    if len(found) != len(specs):
        raise misfit(engine, f"it has {len(found)} tensors where the signature has {len(specs)}")
    return tuple(_file_tensor(engine, spec, facts, is_open) for spec, facts in zip(specs, found, strict=True))


def _file_tensor(engine: str, spec: TensorSpec, facts: Mapping[str, Any], is_open: bool) -> FileTensor:
    shape, dtype = tuple(int(size) for size in facts["shape"]), np.dtype(facts["dtype"]).name
    narrowed = (spec.dtype, dtype) == ("int64", "int32")
    open_shape = tuple(int(size) for size in facts["shape_signature"])
    fits = shape == spec.shape or is_open or _may_be(open_shape, spec.shape)
    if not fits or not (dtype == spec.dtype or narrowed):
        raise misfit(engine, f"{spec.name!r} is {dtype}{list(shape)}, not {spec.dtype}{list(spec.shape)}")
    return FileTensor(int(facts["index"]), spec, narrowed, shape != spec.shape)


def _may_be(open_shape: tuple[int, ...], shape: tuple[int, ...]) -> bool:
    """Whether a tensor with this signature, -1 for what is open, may have *shape*."""
    return len(open_shape) == len(shape) and all(
        wanted in (-1, size) for wanted, size in zip(open_shape, shape, strict=True)
    )


def _whatever(tensors: Tensors) -> list[TensorSpec]:
    """The tensors as the file has them."""
    return [
        TensorSpec(name or f"{number}", tuple(map(int, facts["shape"])), np.dtype(facts["dtype"]).name)
        for number, (name, facts) in enumerate(tensors)
    ]
