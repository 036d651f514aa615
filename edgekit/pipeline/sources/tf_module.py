"""TensorFlow modules, out of a factory, as source models: one of their functions that say what goes in."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from edgekit.errors import UsageError
from edgekit.pipeline.sources import SourceSpec
from edgekit.pipeline.sources.drawn import drawn_once
from edgekit.pipeline.sources.identity import Identity, digest, weights_digest
from edgekit.pipeline.sources.samples import first_line
from edgekit.pipeline.sources.signatures import choose
from edgekit.pipeline.sources.tf_function import Function, FunctionSource
from edgekit.pipeline.work.python_file import load_callable

_HINT = "return a tf.Module with a method under @tf.function(input_signature=[tf.TensorSpec([None, …], tf.float32)])"


def open_source(spec: SourceSpec) -> FunctionSource:
    """Open a ``tensorflow`` source.

    Raises:
        UsageError: ``EK-CODE``: the project's Python failed, or what it returned has no function that says what goes
            in; ``EK-ARGUMENT``: it has several, and none was chosen; ``EK-SOURCE``: shapes are open.
    """
    made, what = _made(spec)
    if spec.made is not None:
        variables = _variables(made)
        kept = drawn_once([variable.numpy() for variable in variables], Path(spec.made), f"{what}()")
        for variable, array in zip(variables, kept, strict=True):
            variable.assign(array)
    functions = _functions(made)
    if not functions:
        message = f"{what}() returned {type(made).__name__}, which has no tf.function with an input signature"
        raise UsageError("EK-CODE", message, _HINT)
    name = choose(what, sorted(functions), spec.signature)
    try:
        concrete = functions[name].get_concrete_function()
    except Exception as error:  # its own code runs
        raise UsageError("EK-CODE", f"{what}().{name} cannot be traced: {first_line(error)}", _HINT) from error
    return FunctionSource(_function(concrete, made), what, spec)


def identity(spec: SourceSpec, seed: int | None) -> Identity:
    """See `edgekit.pipeline.sources.identity`. Raises as `open_source`."""

    def make() -> Any:
        if seed is not None:
            tf.random.set_seed(seed)
        return _made(spec)[0]

    made = make()
    weights = _digest(made)
    structure = [(name, _structure(function)) for name, function in sorted(_functions(made).items())]
    return Identity(weights, digest([type(made), structure]), _digest(make()) == weights)


def _made(spec: SourceSpec) -> tuple[Any, str]:
    assert spec.factory is not None
    path = Path(spec.path)
    what = f"{path.name}:{spec.factory}"
    if spec.weights is not None:
        message = f"{what} is a TensorFlow module, which takes no file of weights"
        raise UsageError("EK-CHECKPOINT", message, "load them in the function, with tf.train.Checkpoint(…).read()")
    return load_callable(path, spec.factory)(), what


def _functions(made: Any) -> dict[str, Any]:
    """The functions of *made* that say what goes in, by name; of a function itself, that one."""
    if _says(made):
        return {"__call__": made}
    listed = ((name, getattr(made, name, None)) for name in dir(made) if name == "__call__" or name[:1] != "_")
    return {name: value for name, value in listed if _says(value)}


def _says(value: Any) -> bool:
    kinds = (tf.types.experimental.PolymorphicFunction, tf.types.experimental.ConcreteFunction)
    return isinstance(value, kinds) and getattr(value, "input_signature", None) is not None


def _function(concrete: Any, made: Any) -> Function:
    structure = concrete.structured_input_signature
    specs = [each for each in tf.nest.flatten(structure) if isinstance(each, tf.TensorSpec)]
    outputs = dict(_paths(concrete.structured_outputs, ""))

    def call(tensors: Any) -> list[Any]:
        args, kwargs = tf.nest.pack_sequence_as(structure, list(tensors))
        return list(tf.nest.flatten(concrete(*args, **kwargs)))

    inputs = {spec.name or f"input_{number}": spec for number, spec in enumerate(specs)}
    return Function(inputs, outputs, call, concrete.variables, _constants(concrete), keeps=made)


def _paths(value: Any, path: str) -> Iterator[tuple[str, Any]]:
    """Tensors with names after where they are: keys, or ``output_0``, as TensorFlow calls them in SavedModels."""
    if isinstance(value, Mapping):
        for key in sorted(value):
            yield from _paths(value[key], f"{path}.{key}".lstrip("."))
    elif isinstance(value, (tuple, list)):
        for number, each in enumerate(value):
            yield from _paths(each, f"{path or 'output'}_{number}")
    else:
        yield path or "output_0", value


def _constants(concrete: Any) -> int:
    return sum(int(np.prod(table.shape)) for table in concrete.captured_inputs if table.dtype == tf.float32)


def _variables(made: Any) -> list[Any]:
    if isinstance(made, tf.Module):
        return list(made.variables)
    found = (function.get_concrete_function().variables for function in _functions(made).values())
    return list({id(variable): variable for variables in found for variable in variables}.values())


def _digest(made: Any) -> str:
    return weights_digest(np.asarray(variable.numpy()) for variable in _variables(made))


def _structure(function: Any) -> str:
    """The graph of a function, as text without what differs from one time to the next."""
    graph = function.get_concrete_function().graph.as_graph_def()
    nodes = (*graph.node, *(node for part in graph.library.function for node in part.node_def))
    return "\n".join(f"{node.op} {len(node.input)} {_values(node)}" for node in nodes)


def _values(node: Any) -> str:
    return node.attr["value"].tensor.SerializeToString().hex() if node.op == "Const" else ""
