"""TensorFlow functions as source models: of a SavedModel, of a module, or made of a graph."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import tensorflow as tf

from edgekit.errors import UsageError
from edgekit.names import distinct, tensor_name
from edgekit.pipeline.sources import SourceSpec
from edgekit.pipeline.sources.determinism import check_repeatable, write_error
from edgekit.pipeline.sources.matching import match_file
from edgekit.pipeline.sources.open_axes import closed
from edgekit.pipeline.sources.samples import (
    apart,
    check_shapes,
    does_not_run,
    example_of,
    probes,
    stacked,
)
from edgekit.pipeline.sources.variables import VariableState, nudge
from edgekit.runtime.samples import Stack
from edgekit.tensors import DTYPES, Signature, TensorSpec

_FAULTS = (ValueError, TypeError, tf.errors.OpError)


@dataclass(frozen=True)
class Function:
    """One of them.

    Attributes:
        inputs, outputs: What goes in and comes out, by the names that it has for them.
        call: Takes TensorFlow tensors in the order of *inputs*, gives those of *outputs*.
        variables: What it reads and may write.
        constants: Number of floats in what it computes with besides.
        nudged: The same function with the floats in its constants moved, where they are its weights.
        keeps: What has to live as long as it.
    """

    inputs: Mapping[str, Any]
    outputs: Mapping[str, Any]
    call: Callable[[Sequence[Any]], Sequence[Any]]
    variables: Sequence[Any] = ()
    constants: int = 0
    nudged: Callable[[np.random.Generator], Function] | None = None
    keeps: Any = field(default=None, repr=False)


class FunctionSource:
    """See `edgekit.pipeline.sources.Source`."""

    framework = "tensorflow"

    def __init__(self, function: Function, what: str, spec: SourceSpec):
        """*what* is how messages call the model."""
        self._function, self._what = function, what
        own, self._bare_inputs = _inputs(function.inputs, what, spec.shapes)
        specs, self.data_names = match_file(own, [entry.name for entry in spec.inputs], what)
        self.example = example_of(specs, self.data_names, spec.read_sample())
        self.signature, self._bare_outputs = Signature(specs, ()), tuple(False for _ in function.outputs)
        self._trace()
        found = [tensor.shape for tensor in self._traced.outputs]
        if not all(shape.is_fully_defined() for shape in found):
            found = [tf.TensorShape(tensor.shape) for tensor in self._called(self.example)]
        named = zip(_named(function.outputs, "output"), found, self._traced.outputs, strict=True)
        given = [(name, tuple(shape.as_list()), _dtype(name, tensor.dtype, what)) for (_, name), shape, tensor in named]
        bare = tuple(not shape or shape[0] != 1 for _, shape, _ in given)
        outputs = (
            TensorSpec(name, (1, *shape) if alone else shape, dtype)
            for (name, shape, dtype), alone in zip(given, bare, strict=True)
        )
        self.signature = Signature(specs, tuple(outputs))
        if any(bare):
            self._bare_outputs = bare
            self._trace()
        self.parameter_count = function.constants + sum(
            int(np.prod(variable.shape))
            for variable in function.variables
            if not variable.name.rpartition("/")[2].startswith(("moving_mean", "moving_variance"))
        )

    def predict(self, inputs: Mapping[str, Stack]) -> dict[str, np.ndarray]:
        return stacked(self.signature, map(self._run, apart(self.signature, inputs)))

    def check(self, inputs: Mapping[str, Stack]) -> None:
        samples = probes(self.signature, inputs)
        state = VariableState(self._function.variables)
        if written := check_repeatable(self._what, self._run, samples, state, state.take()):
            raise write_error(self._what, written)

    def takes_batches(self, inputs: Mapping[str, Stack]) -> bool:
        return False  # no file of several samples is made of it

    def call(self, tensors: Sequence[Any]) -> list[Any]:
        """Outputs for TensorFlow tensors (batch first), both in signature order.

        What has no axis for samples in the function gets one, of 1, in front.
        """
        pairs = zip(tensors, self._bare_inputs, strict=True)
        outputs = self._function.call([tf.squeeze(each, 0) if bare else each for each, bare in pairs])
        pairs = zip(outputs, self._bare_outputs, strict=True)
        return [tf.expand_dims(each, 0) if bare else each for each, bare in pairs]

    def concrete(self) -> Any:
        """A concrete function of one sample, whose tensors are in signature order."""
        return self._traced

    def nudge(self, random: np.random.Generator) -> None:
        if self._function.nudged is None:
            nudge(self._function.variables, random)
            return
        self._function = self._function.nudged(random)
        self._trace()

    def _trace(self) -> None:
        try:
            self._traced = traced(self)
        except _FAULTS as error:
            raise does_not_run(self._what, error) from error

    def _called(self, arrays: Sequence[np.ndarray]) -> list[np.ndarray]:
        pairs = zip(arrays, self.signature.inputs, strict=True)
        try:
            results = self._traced(*(tf.constant(array, spec.dtype) for array, spec in pairs))
            return [tensor.numpy() for tensor in results]
        except _FAULTS as error:
            raise does_not_run(self._what, error) from error

    def _run(self, arrays: Sequence[np.ndarray]) -> list[np.ndarray]:
        """One sample: an array per input, batch axis of 1 included, in; the same per output."""
        outputs = self._called(arrays)
        check_shapes(self.signature, outputs)
        return outputs


def traced(opened: Any) -> Any:
    """A concrete function of *opened*, a source with ``call()``, for one sample; its tensors are in signature order."""
    given = [tf.TensorSpec(spec.shape, spec.dtype) for spec in opened.signature.inputs]

    def serve(*tensors: Any) -> list[Any]:
        return [tf.identity(tensor) for tensor in opened.call(tensors)]  # one that goes in may come out

    return tf.function(serve, input_signature=given).get_concrete_function()


def _named(tensors: Mapping[str, Any], default: str) -> list[tuple[str, str]]:
    """The keys of *tensors* with the names that they have in a bundle."""
    return list(zip(tensors, distinct(tensor_name(key, default) for key in tensors), strict=True))


def _inputs(
    tensors: Mapping[str, Any], what: str, shapes: Mapping[str, tuple[int, ...]]
) -> tuple[list[TensorSpec], tuple[bool, ...]]:
    """The inputs for one sample, and which of them have no axis for it in the function."""
    named = {name: tensors[key] for key, name in _named(tensors, "input")}
    declared = {name: None if each.shape.rank is None else each.shape.as_list() for name, each in named.items()}
    found = closed(what, declared, shapes)
    bare = tuple(not found[name] or found[name][0] != 1 for name in named)
    specs = [
        TensorSpec(name, (1, *found[name]) if alone else found[name], _dtype(name, each.dtype, what))
        for (name, each), alone in zip(named.items(), bare, strict=True)
    ]
    return specs, bare


def _dtype(name: str, dtype: Any, what: str) -> str:
    found = str(np.dtype(dtype.as_numpy_dtype).name)
    if found not in DTYPES:
        message = f"{name!r} of {what} is {dtype.name}"
        hint = "build a signature that takes and gives numbers, or true and false: leave text to the program around"
        raise UsageError("EK-SOURCE", message, hint)
    return found
