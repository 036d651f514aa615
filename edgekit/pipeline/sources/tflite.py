"""``.tflite`` files of others as source models, by LiteRT alone: what LiteRT makes of one is the reference."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from ai_edge_litert.interpreter import Interpreter

from edgekit.errors import EdgekitError, UsageError
from edgekit.names import distinct, tensor_name
from edgekit.pipeline.sources import SourceSpec, contents
from edgekit.pipeline.sources.determinism import check_repeatable
from edgekit.pipeline.sources.matching import match_file
from edgekit.pipeline.sources.open_axes import closed
from edgekit.pipeline.sources.samples import (
    apart,
    check_shapes,
    does_not_run,
    example_of,
    first_line,
    probes,
    stacked,
)
from edgekit.pipeline.sources.signatures import choose
from edgekit.pipeline.sources.tflite_graph import nudged, only, shaped
from edgekit.pipeline.sources.tflite_state import handed
from edgekit.recipes import RECIPES
from edgekit.runtime.contents import tflite
from edgekit.runtime.contents.refusal import Malformed, shown
from edgekit.runtime.contents.tflite import ON_VARIABLES, TYPES, TfliteModel
from edgekit.runtime.engines.litert import ENGINE
from edgekit.runtime.given.tflite import describe
from edgekit.runtime.samples import Stack
from edgekit.tensors import DTYPES, Signature, TensorSpec

#: What keeps something from one call to the next; tables are filled by a first call.
_KEEPING = ON_VARIABLES | {"CALL_ONCE", "HASHTABLE"}
_DRAWING = frozenset({"RANDOM_STANDARD_NORMAL", "RANDOM_UNIFORM", "MULTINOMIAL"})

#: A name, and what the interpreter says of the tensor.
_Tensor = tuple[str, Mapping[str, Any]]


class TfliteSource:
    """One signature of a ``.tflite``; see `edgekit.pipeline.sources.Source`.

    Attributes:
        data: A file with that signature alone, for inputs of the signature's shapes.
        tensors: What the signature's inputs and outputs are called in its graph.
        recipe: What it is in.
        warnings: What the user should know of a file that is made of it.
    """

    framework = "litert"

    def __init__(self, data: bytes, spec: SourceSpec, warnings: tuple[str, ...] = ()):
        name = Path(spec.path).name
        inputs, outputs = _tensors(data, name)
        found = closed(name, {label: _sizes(details) for label, details in inputs}, spec.shapes)
        own = [_spec(label, found[label], details, name) for label, details in inputs]
        if any(tuple(details["shape"]) != found[label] for label, details in inputs):
            data = _shaped(data, {details["name"]: found[label] for label, details in inputs}, name)
            _, outputs = _tensors(data, name)
        self.tensors = tuple([str(details["name"]) for _, details in side] for side in (inputs, outputs))
        specs, self.data_names = match_file(own, [entry.name for entry in spec.inputs], name)
        shapes = (_spec(label, tuple(map(int, details["shape"])), details, name) for label, details in outputs)
        self.signature = Signature(specs, tuple(shapes))
        self.example = example_of(specs, self.data_names, spec.read_sample())
        self.data, self.recipe, self._what = data, RECIPES[describe(data).recipe], name
        self.parameter_count, self.warnings = _weights(data), warnings
        self._open()

    def _open(self) -> None:
        try:
            self._session = ENGINE.open(self.data, self.signature, 1)
        except EdgekitError as error:
            raise UsageError("EK-SOURCE", f"{self._what} does not load: {error.message}", _RUN_IT) from error

    def predict(self, inputs: Mapping[str, Stack]) -> dict[str, np.ndarray]:
        return stacked(self.signature, map(self._run, apart(self.signature, inputs)))

    def check(self, inputs: Mapping[str, Stack]) -> None:
        drawing = sorted({name for name in tflite.read(self.data).operators if name in _DRAWING})
        samples = probes(self.signature, inputs)
        check_repeatable(self._what, self._run, samples, _NoState(), None, lambda: drawing)

    def takes_batches(self, inputs: Mapping[str, Stack]) -> bool:
        return False  # no file of several samples is made of it

    def nudge(self, random: np.random.Generator) -> None:
        self.data = nudged(self.data, random)
        self._open()

    def _run(self, arrays: Sequence[np.ndarray]) -> list[np.ndarray]:
        """One sample: an array per input, batch axis of 1 included, in; the same per output."""
        pairs = zip(arrays, self.signature.inputs, strict=True)
        try:
            outputs = self._session.run([np.ascontiguousarray(array, spec.dtype) for array, spec in pairs])
        except EdgekitError as error:
            raise does_not_run(self._what, error) from error
        check_shapes(self.signature, outputs)
        return outputs


def open_source(spec: SourceSpec) -> TfliteSource:
    """Open a ``tflite`` source.

    Raises:
        UsageError: ``EK-SOURCE``: no such file, a damaged one, one that keeps a state, or whose inputs have no axis
            for samples or other open axes; ``EK-ARGUMENT``: no such signature; ``EK-CONTENTS``: it holds more than
            LiteRT's own operators.
    """
    path = Path(spec.path)
    if not path.is_file():
        raise UsageError("EK-SOURCE", f"{path} is not a file", "name a .tflite file")
    data = contents.lite_model(path, spec.trust)
    try:
        found = tflite.read(data)
    except Malformed as error:  # it is trusted, and may run; what is in it is not known
        message = f"{path.name} cannot be read: {error}"
        raise UsageError("EK-SOURCE", message, _RUN_IT) from error
    names = tuple(each["signature_key"] for each in found.model["signature_defs"])
    data = only(data, choose(path.name, names, spec.signature) if names else None)
    stateless = handed(data)
    if stateless is not None:
        data = stateless.data
    _check_stateless(tflite.read(data), path.name)
    return TfliteSource(data, spec, stateless.said if stateless else ())


_RUN_IT = "edgekit run FILE.tflite runs it as it is"


def _check_stateless(found: TfliteModel, name: str) -> None:
    kept = found.variables
    kept = [f"the variable {shown(kept[0])}"] if kept else sorted(_KEEPING.intersection(found.operators))
    if not kept:
        return
    message = f"{name} keeps a state from call to call ({kept[0]}), and a file of edgekit build remembers nothing"
    hint = f"{_RUN_IT}; to convert it, write it with its state as an input and an output"
    raise UsageError("EK-SOURCE", message, hint)


def _tensors(data: bytes, name: str) -> tuple[list[_Tensor], list[_Tensor]]:
    """Inputs and outputs in the order of the file's graph, by the names of its signature, or else of its tensors."""
    try:
        interpreter = Interpreter(model_content=data, num_threads=1)
        listed = interpreter.get_signature_list()
        sides: list[list[Mapping[str, Any]]] = [interpreter.get_input_details(), interpreter.get_output_details()]
        if not listed:
            return tuple(  # type: ignore[return-value]
                list(zip(distinct(tensor_name(each["name"], default) for each in side), side, strict=True))
                for side, default in zip(sides, ("input", "output"), strict=True)
            )
        runner = interpreter.get_signature_runner(next(iter(listed)))
        named = (runner.get_input_details(), runner.get_output_details())
    except (ValueError, RuntimeError) as error:
        raise UsageError("EK-SOURCE", f"{name} does not load: {first_line(error)}", _RUN_IT) from error
    return tuple(_in_order(found, side) for found, side in zip(named, sides, strict=True))  # type: ignore[return-value]


def _in_order(named: Mapping[str, Mapping[str, Any]], side: Sequence[Mapping[str, Any]]) -> list[_Tensor]:
    positions = {details["index"]: position for position, details in enumerate(side)}
    return sorted(named.items(), key=lambda pair: positions[pair[1]["index"]])


def _sizes(details: Mapping[str, Any]) -> list[int | None]:
    """An input's axes, None for one that is open."""
    sizes = details["shape_signature"] if len(details["shape_signature"]) else details["shape"]
    return [None if size < 0 else int(size) for size in sizes]


def _spec(label: str, shape: tuple[int, ...], details: Mapping[str, Any], name: str) -> TensorSpec:
    """An input or output for one sample; the file stays as it is, so that it has to have an axis for it."""
    if not shape or shape[0] != 1:
        message = f"{label!r} of {name} has shape {list(shape)}: its first axis is not that of one sample at a time"
        raise UsageError("EK-SOURCE", message, _RUN_IT)
    return TensorSpec(label, shape, _dtype(label, details, name))


def _dtype(label: str, details: Mapping[str, Any], name: str) -> str:
    dtype = np.dtype(details["dtype"]).name
    if dtype not in DTYPES:
        message = f"{name}'s {label!r} holds {'text' if np.dtype(details['dtype']).kind in 'SOU' else dtype}"
        raise UsageError("EK-SOURCE", message, "a bundle's inputs and outputs are numbers, or true and false")
    return dtype


def _shaped(data: bytes, shapes: Mapping[str, Sequence[int]], name: str) -> bytes:
    try:
        return shaped(data, shapes)
    except (ValueError, RuntimeError) as error:
        message = f"{name} does not take inputs of the shapes {', '.join(map(str, shapes.values()))}"
        raise UsageError(
            "EK-SOURCE", f"{message}: {first_line(error)}", "give it others, or fix them in the file"
        ) from error


def _weights(data: bytes) -> int:
    """Number of the values in constants with more than one axis, and in those of floats with one: biases."""
    found = tflite.read(data)
    tensors = {
        each["buffer"]: math.prod(each["shape"])
        for graph in found.model["subgraphs"]
        for each in graph["tensors"]
        if len(found.stored(each)) and (TYPES[each["type"]][0] != "int32" or len(each["shape"]) == 1)
    }
    return sum(tensors.values())


class _NoState:
    """The `edgekit.pipeline.sources.determinism.State` of what keeps none."""

    def take(self) -> None:
        return None

    def restore(self, taken: None) -> None:
        return None

    def differences(self, taken: None) -> Mapping[str, Sequence[str]]:
        return {}
