"""PyTensor graphs (Theano's successor) as source models: a Python file and the function in it that makes the graph.

The factory returns ``(inputs, outputs)``: variables, or lists of them; outputs may be a dict by name. Trained values
are in its shared variables.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytensor
import torch
from pytensor.compile.mode import Mode, get_mode
from pytensor.compile.sharedvalue import SharedVariable
from pytensor.graph.basic import Constant, Variable
from pytensor.graph.fg import FunctionGraph
from pytensor.graph.replace import clone_replace
from pytensor.graph.traversal import ancestors
from pytensor.link.pytorch.dispatch import pytorch_funcify

from edgekit.errors import ConversionError, UsageError
from edgekit.names import distinct, tensor_name
from edgekit.pipeline.sources import SourceSpec
from edgekit.pipeline.sources.drawn import drawn_once
from edgekit.pipeline.sources.identity import Identity, digest, weights_digest
from edgekit.pipeline.sources.matching import Parameters, match
from edgekit.pipeline.sources.rounding import next_floats
from edgekit.pipeline.sources.samples import apart, check_shapes, does_not_run, example_of, first_line, stacked
from edgekit.pipeline.sources.torch import TELL
from edgekit.pipeline.work.python_file import load_callable
from edgekit.runtime.samples import Stack
from edgekit.tensors import DTYPES, Signature, TensorSpec

_RETURNS = "return (inputs, outputs): variables of PyTensor, or lists of them"
#: Python alone computes the reference: neither a compiler nor PyTorch has a hand in it.
_PYTHON = Mode(linker="py", optimizer="fast_compile")


class PyTensorSource:
    """A graph of PyTensor in float32; see `edgekit.pipeline.sources.Source`."""

    framework = "pytensor"

    def __init__(self, inputs: Sequence[Any], outputs: Mapping[str, Any], spec: SourceSpec, what: str):
        self._what = what
        specs, self.data_names, order = _inputs(inputs, spec, what)
        self.example = example_of(specs, self.data_names, spec.read_sample())
        fixed = {
            inputs[position]: pytensor.tensor.tensor(each.name, shape=each.shape, dtype=each.dtype)
            for position, each in zip(order, specs, strict=True)
        }
        try:
            self.outputs = clone_replace(list(outputs.values()), fixed, rebuild_strict=False)
        except Exception as error:  # each operator raises what it likes
            shown = ", ".join(f"{each.name}: {each.dtype}{list(each.shape)}" for each in specs)
            message = f"{what} does not take {shown}: {first_line(error)}"
            raise UsageError("EK-SOURCE", message, "give the shapes that the graph was written for") from error
        self._inputs = list(fixed.values())
        found = list(ancestors(self.outputs))
        self.shared = [each for each in found if isinstance(each, SharedVariable)]
        self.constants = [each for each in found if isinstance(each, Constant)]
        _check(found, self._inputs, what)
        self._function = pytensor.function(self._inputs, self.outputs, mode=_PYTHON)
        self.signature = Signature(specs, tuple(map(_spec, distinct(outputs), self._call(self.example))))
        self.parameter_count = sum(each.get_value(borrow=True).size for each in self.shared)
        if spec.made is not None:
            kept = drawn_once([each.get_value() for each in self.shared], Path(spec.made), what)
            for each, array in zip(self.shared, kept, strict=True):
                each.set_value(array)

    def predict(self, inputs: Mapping[str, Stack]) -> dict[str, np.ndarray]:
        return stacked(self.signature, map(self._run, apart(self.signature, inputs)))

    def check(self, inputs: Mapping[str, Stack]) -> None:
        """A graph without updates has no state, and one with random variables was refused."""

    def takes_batches(self, inputs: Mapping[str, Stack]) -> bool:
        return False  # its shapes are those of one sample

    def nudge(self, random: np.random.Generator) -> None:
        for each in self.shared:
            values = each.get_value()
            if values.dtype == np.float32:
                each.set_value(next_floats(values, random))

    def torch_module(self) -> torch.nn.Module:
        graph = FunctionGraph([*self._inputs, *self.shared], self.outputs, clone=True)
        try:
            # Its checks of shapes, which hold, are no operators of PyTorch, and fail while it is traced.
            get_mode("PYTORCH").including("local_remove_all_assert").optimizer.rewrite(graph)
            function = pytorch_funcify(graph)
        except NotImplementedError as error:
            message = f"{self._what}: PyTensor {pytensor.__version__} has no PyTorch form of it: {first_line(error)}"
            hint = "write that part of the graph with other operators, or the model in PyTorch"
            raise ConversionError("EK-UNSUPPORTED", message, hint) from error
        return _Module(function, [np.array(each.get_value()) for each in self.shared])

    def _call(self, arrays: Sequence[np.ndarray]) -> list[np.ndarray]:
        try:
            return [np.asarray(value) for value in self._function(*arrays)]
        except Exception as error:  # each operator raises what it likes
            raise does_not_run(self._what, error) from error

    def _run(self, arrays: Sequence[np.ndarray]) -> list[np.ndarray]:
        """One sample: an array per input, batch axis of 1 included, in; the same per output."""
        given = [
            np.ascontiguousarray(each, spec.dtype) for each, spec in zip(arrays, self.signature.inputs, strict=True)
        ]
        outputs = self._call(given)
        check_shapes(self.signature, outputs)
        return outputs


class _Module(torch.nn.Module):
    """What PyTensor makes of a graph for PyTorch: a function of inputs and trained values."""

    def __init__(self, function: Callable[..., Any], values: Sequence[np.ndarray]):
        super().__init__()
        self._function = function
        self._count = len(values)
        for index, value in enumerate(values):
            tensor = torch.from_numpy(value)
            if tensor.is_floating_point():
                self.register_parameter(f"value_{index}", torch.nn.Parameter(tensor, requires_grad=False))
            else:
                self.register_buffer(f"value_{index}", tensor)

    def forward(self, *tensors: torch.Tensor) -> torch.Tensor | tuple[torch.Tensor, ...]:
        results = self._function(*tensors, *(getattr(self, f"value_{index}") for index in range(self._count)))
        return results[0] if len(results) == 1 else tuple(results)


def open_source(spec: SourceSpec) -> PyTensorSource:
    """Open a ``pytensor`` source.

    Raises:
        UsageError: ``EK-CODE`` (the project's Python failed, or made no graph), ``EK-SOURCE`` (it does not take the
            inputs, or draws random numbers) or ``EK-DATA`` (the data name other inputs).
    """
    path = Path(spec.path)
    what = f"{path.name}:{spec.factory}"
    if spec.factory is None:
        raise UsageError("EK-CODE", f"{path.name} names no function", "write it as model.py:build")
    made = load_callable(path, spec.factory)()
    if not isinstance(made, tuple) or len(made) != 2:
        raise UsageError("EK-CODE", f"{what}() returned {type(made).__name__}", _RETURNS)
    inputs, outputs = (list(each) if isinstance(each, (list, tuple)) else each for each in made)
    listed = inputs if isinstance(inputs, list) else [inputs]
    if isinstance(outputs, Mapping):
        named = {tensor_name(str(name), "output"): each for name, each in outputs.items()}
    else:
        several = outputs if isinstance(outputs, list) else [outputs]
        names = ["output"] if len(several) == 1 else [f"output_{index}" for index in range(len(several))]
        named = {each.name or name if isinstance(each, Variable) else name: each
                 for name, each in zip(names, several, strict=True)}  # fmt: skip
    for each in (*listed, *named.values()):
        if not isinstance(each, Variable) or not hasattr(each.type, "dtype"):
            raise UsageError("EK-CODE", f"{what}() returned {type(each).__name__} among its variables", _RETURNS)
    return PyTensorSource(listed, named, spec, what)


def identity(spec: SourceSpec, seed: int | None) -> Identity:
    """The identity of the graph that the factory of *spec* makes. Raises `UsageError`, as `open_source`."""

    def opened() -> PyTensorSource:
        if seed is not None:
            np.random.seed(seed % 2**32)
        return open_source(spec)

    source = opened()
    shown = str(pytensor.dprint(source.outputs, file="str", print_type=True))
    arrays = [each.data for each in source.constants if isinstance(each.data, np.ndarray)]
    structure = digest([shown, arrays])
    return Identity(_weights(source), structure, _weights(opened()) == _weights(source))


def _weights(source: PyTensorSource) -> str:
    return weights_digest(np.asarray(each.get_value()) for each in source.shared)


def _check(variables: Sequence[Any], inputs: Sequence[Any], what: str) -> None:
    """Refuse what no file can do, or nobody gave a value for."""
    for each in variables:
        operator = None if each.owner is None else each.owner.op
        kind = type(operator).__name__
        if operator is not None and any("RandomVariable" in base.__name__ for base in type(operator).__mro__):
            message = f"{what} draws random numbers ({operator}), which no exported file would draw alike"
            raise UsageError("EK-SOURCE", message, "return the mean, or what the network computes before it is drawn")
        if kind == "Scan":
            message = f"{what} has a loop (pytensor.scan), which PyTensor's PyTorch form does not have"
            raise UsageError("EK-SOURCE", message, "unroll it: a Python loop over a fixed number of steps")
        loose = operator is None and not isinstance(each, (SharedVariable, Constant)) and each not in inputs
        if loose:
            message = f"{what} needs the variable {each.name or each!s}, which is not among its inputs"
            raise UsageError("EK-SOURCE", message, _RETURNS)


def _inputs(
    variables: Sequence[Any], spec: SourceSpec, what: str
) -> tuple[tuple[TensorSpec, ...], tuple[str, ...], tuple[int, ...]]:
    """What goes in, in the order of *variables*, the data's names for it, and the variables' places."""
    names = distinct(tensor_name(each.name, "input") for each in variables)
    own = {
        name: TensorSpec(name, tuple(each.type.shape), each.type.dtype)
        for name, each in zip(names, variables, strict=True)
        if each.type.shape and None not in each.type.shape
    }
    by_name = {each.name: each for each in spec.inputs} or own
    if not spec.inputs and len(own) < len(names):
        raise UsageError("EK-SOURCE", f"{what} does not say what goes into it", TELL)
    targets = match(list(by_name), Parameters(tuple(names)), what)
    pairs = sorted(zip(targets, by_name.values(), strict=True), key=lambda pair: pair[0].position)
    specs = []
    for target, given in pairs:
        kind = variables[target.position].type
        if len(kind.shape) != len(given.shape):
            message = f"{what}'s input {target.name!r} has {len(kind.shape)} axes, {list(given.shape)} is given"
            raise UsageError("EK-SOURCE", message, "give the shape of one sample, with its axis of 1")
        if kind.dtype == "float64":
            hint = "make it float32: pytensor.config.floatX is that here, and arrays take .astype('float32')"
            raise UsageError("EK-SOURCE", f"{what}'s input {target.name!r} is float64", hint)
        kept = given.name if len(pairs) == 1 and spec.inputs else str(target.name)
        specs.append(TensorSpec(kept, given.shape, kind.dtype))
    return tuple(specs), tuple(given.name for _, given in pairs), tuple(target.position for target, _ in pairs)


def _spec(name: str, value: np.ndarray) -> TensorSpec:
    if value.dtype.name not in DTYPES or value.dtype == np.float64:
        hint = "keep to float32: shared(array.astype('float32')), .astype('float32')"
        raise UsageError("EK-SOURCE", f"the model's output {name!r} is {value.dtype}", hint)
    if not value.ndim or value.shape[0] != 1 or not value.size:
        message = (
            f"the model's output {name!r} has the shape {list(value.shape)}: its first axis is not that of one sample"
        )
        raise UsageError("EK-SOURCE", message, "keep the axis of samples first to the end")
    return TensorSpec(name, value.shape, value.dtype.name)
