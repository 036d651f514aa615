"""Graphs of TensorFlow 1 as source models: frozen ones (``.pb``), and those of checkpoints (``.meta``)."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from google.protobuf.message import DecodeError
from tensorflow.python.framework import op_def_registry

from edgekit.errors import UsageError
from edgekit.pipeline.sources import SourceSpec, contents
from edgekit.pipeline.sources.rounding import next_floats
from edgekit.pipeline.sources.samples import first_line
from edgekit.pipeline.sources.tf_function import Function, FunctionSource
from edgekit.runtime.contents import tf_graph
from edgekit.runtime.contents.refusal import Refused

#: How ``--signature`` names tensors of a graph: ``images, flags -> scores``.
_NAMED = re.compile(r"\s*(?P<inputs>[^>]+?)\s*->\s*(?P<outputs>[^>]+?)\s*")
_HINT = "name its tensors: --signature 'INPUT, INPUT -> OUTPUT'"
#: Nodes that end in themselves: what trains, saves, checks and prints.
_NO_RESULT = re.compile(
    r"NoOp|Shape|ZerosLike|OnesLike|ReadVariableOp|Assert|Save|Restore|Merge.*Checkpoints|Assign|Apply|.*Summary|"
    r"Print.*|.*Initialize"
)
_PLACEHOLDERS = ("Placeholder", "PlaceholderV2")
_MOST_NAMED = 6
_FAULTS = (DecodeError, ValueError, KeyError, TypeError, tf.errors.OpError)


def open_frozen(spec: SourceSpec) -> FunctionSource:
    """Open a ``tf-graph`` source.

    Raises:
        UsageError: ``EK-SOURCE``: no such file, a damaged one, or one whose inputs, outputs or shapes are not clear;
            ``EK-ARGUMENT``: it has no such tensors; ``EK-CONTENTS``: it holds more than data.
    """
    path = _file(spec)
    data = path.read_bytes()
    contents.checked(path, lambda: tf_graph.read(data), spec.trust)
    definition = tf.compat.v1.GraphDef()
    try:
        definition.ParseFromString(data)
    except _FAULTS as error:
        raise _damaged(path, error) from error
    inputs, outputs = _tensors(definition, path.name, spec.signature)
    return _source(_cut(definition, inputs, outputs, path, spec, lambda: tf_graph.read(data)), inputs, outputs, spec)


def open_checkpoint(spec: SourceSpec) -> FunctionSource:
    """Open a ``tf-checkpoint`` source: the graph in ``NAME.meta``, with the variables in ``NAME.index`` and its data.

    Raises:
        UsageError: As `open_frozen`; ``EK-CHECKPOINT``: the variables do not fit.
    """
    path = _file(spec)
    data = path.read_bytes()
    contents.checked(path, lambda: tf_graph.read_checkpoint(path), spec.trust)
    prefix = path.with_suffix("")
    meta = tf.compat.v1.MetaGraphDef()
    try:
        meta.ParseFromString(data)
    except _FAULTS as error:
        raise _damaged(path, error) from error
    read = tf_graph.read_meta(data)

    def computes(inputs: Sequence[str], node: str) -> bool:
        """Training is in the graph, too."""
        try:
            read.check(inputs, [node])
        except Refused:
            return False
        return True

    inputs, outputs = _tensors(meta.graph_def, path.name, spec.signature, computes)
    graph = _cut(meta.graph_def, inputs, outputs, path, spec, lambda: tf_graph.read_meta(data))
    return _source(_frozen(graph, prefix, path), inputs, outputs, spec)


def _file(spec: SourceSpec) -> Path:
    path = Path(spec.path)
    if not path.is_file():
        raise UsageError("EK-SOURCE", f"{path} is not a file", "name a graph that TensorFlow wrote")
    return path


def _damaged(path: Path, error: Exception) -> UsageError:
    return UsageError("EK-SOURCE", f"{path.name} cannot be loaded: {first_line(error)}", "write it again")


def _cut(
    definition: Any,
    inputs: Sequence[str],
    outputs: Sequence[str],
    path: Path,
    spec: SourceSpec,
    read: Callable[[], tf_graph.Graph],
) -> Any:
    """The part of a graph that computes *outputs* from *inputs*, which are placeholders in it; checked by what *read*
    gives. The rest never gets to TensorFlow.

    Raises:
        UsageError: ``EK-CONTENTS``; ``EK-ARGUMENT``: another placeholder is needed.
    """
    given = list(map(_node, inputs))
    contents.checked(path, lambda: read().check(given, map(_node, outputs)), spec.trust)
    nodes = {node.name: node for node in definition.node}
    kept = _reached(nodes, outputs, set(given))
    cut = tf.compat.v1.GraphDef(versions=definition.versions, library=definition.library)
    for node in definition.node:
        if node.name not in kept:
            continue
        if node.op in _PLACEHOLDERS and node.name not in given:
            message = f"the outputs of {path.name} depend on {node.name!r}, which is none of its inputs"
            raise UsageError(
                "EK-ARGUMENT", message, "name it among the inputs, or freeze the graph with a value for it"
            )
        cut.node.append(_placeholder(node) if node.name in given and node.op not in _PLACEHOLDERS else node)
    for node in cut.node:
        node.device = ""
    return cut


def _placeholder(node: Any) -> Any:
    """One in the place of *node*, of its first output's type."""
    operator = op_def_registry.get(node.op)
    if operator is None or not operator.output_arg:
        message = f"{node.name!r} is a call of {node.op!r}, which cannot be an input"
        raise UsageError("EK-ARGUMENT", message, "name what it is computed from")
    output = operator.output_arg[0]
    placed = tf.compat.v1.NodeDef(name=node.name, op="Placeholder")
    placed.attr["dtype"].type = output.type or node.attr[output.type_attr].type
    placed.attr["shape"].shape.unknown_rank = True
    return placed


def _frozen(graph: Any, prefix: Path, path: Path) -> Any:
    """*graph* with its variables as constants, as they are in the checkpoint *prefix*."""
    try:
        stored = tf.train.load_checkpoint(str(prefix))
        handles = {node.name: node for node in graph.node if node.op == "VarHandleOp"}
        frozen = tf.compat.v1.GraphDef(versions=graph.versions, library=graph.library)
        for node in graph.node:
            if node.op in ("Variable", "VariableV2"):
                _append_constant(frozen, node.name, stored.get_tensor(node.name))
            elif node.op == "ReadVariableOp":
                handle = handles[_node(node.input[0])]
                name = handle.attr["shared_name"].s.decode() or handle.name
                _append_constant(frozen, node.name, stored.get_tensor(name))
            elif node.op != "VarHandleOp":
                frozen.node.append(node)
    except _FAULTS as error:
        message = f"the variables beside {path.name} are not those of its graph: {first_line(error)}"
        raise UsageError("EK-CHECKPOINT", message, "keep the files of one checkpoint together") from error
    return frozen


def _append_constant(graph: Any, name: str, value: np.ndarray) -> None:
    constant = graph.node.add(name=name, op="Const")
    constant.attr["value"].tensor.CopyFrom(tf.make_tensor_proto(value))
    constant.attr["dtype"].type = constant.attr["value"].tensor.dtype


def _tensors(
    definition: Any, what: str, named: str | None, computes: Callable[[Sequence[str], str], bool] = lambda *_: True
) -> tuple[list[str], list[str]]:
    """What goes in and comes out, as ``--signature`` says, or else whatever nothing else reads, and what that needs.

    Args:
        computes: Whether a node only computes, from others that are given: it is no output where it does not.

    Raises:
        UsageError: As `open_frozen`.
    """
    nodes = {node.name: node for node in definition.node}
    if named is not None:
        found = _NAMED.fullmatch(named)
        if found is None:
            raise UsageError("EK-ARGUMENT", f"{what} has no signature {named!r}: it is a graph", _HINT)
        sides = tuple([name.strip() for name in found[side].split(",")] for side in ("inputs", "outputs"))
        for name in (*sides[0], *sides[1]):
            if _node(name) not in nodes:
                near = ", ".join(_ends(definition)[:_MOST_NAMED])
                raise UsageError("EK-ARGUMENT", f"{what} has no tensor {name!r}", f"its last ones are {near}")
        return sides[0], sides[1]
    fed = [node.name for node in definition.node if node.op in _PLACEHOLDERS]
    ends = [name for name in _ends(definition) if computes(fed, name)]
    needed = _reached(nodes, ends, set())
    inputs = [name for name in fed if name in needed]
    if not inputs or len(ends) > _MOST_NAMED:
        listed = f"{', '.join(ends[:_MOST_NAMED])}, …" if inputs else "none"
        raise UsageError("EK-SOURCE", f"it is not clear what {what} gives: {listed}", _HINT)
    return inputs, ends


def _reached(nodes: Mapping[str, Any], outputs: Iterable[str], given: set[str]) -> set[str]:
    """The names of the nodes that *outputs* are computed with, up to those that are *given*."""
    found, pending = set(given), list(map(_node, outputs))
    while pending:
        name = pending.pop()
        if name not in found and name in nodes:  # TensorFlow says which one is missing
            found.add(name)
            pending += map(_node, nodes[name].input)
    return found


def _ends(definition: Any) -> list[str]:
    """Nodes that nothing reads and that are computed from a placeholder, in order."""
    read = {_node(name) for node in definition.node for name in node.input}
    fed: set[str] = {node.name for node in definition.node if node.op in _PLACEHOLDERS}
    pending, followers = list(fed), dict[str, list[str]]()
    for node in definition.node:
        for name in node.input:
            followers.setdefault(_node(name), []).append(node.name)
    while pending:
        fresh = [name for name in followers.get(pending.pop(), ()) if name not in fed]
        fed.update(fresh)
        pending += fresh
    return [
        node.name
        for node in definition.node
        if node.name not in read and node.name in fed and not _NO_RESULT.fullmatch(node.op) and node.input
    ]


def _node(name: str) -> str:
    """``scope/node`` of ``^scope/node`` or ``scope/node:0``."""
    return name.lstrip("^").partition(":")[0]


def _tensor(name: str) -> str:
    return name if ":" in name else f"{name}:0"


def _source(graph: Any, inputs: Sequence[str], outputs: Sequence[str], spec: SourceSpec) -> FunctionSource:
    what = Path(spec.path).name
    try:
        sides = ({name.removesuffix(":0"): _tensor(name) for name in side} for side in (inputs, outputs))
        function = graph_function(graph, *sides)
    except _FAULTS as error:
        raise UsageError("EK-SOURCE", f"{what} cannot be loaded: {first_line(error)}", _HINT) from error
    return FunctionSource(function, what, spec)


def graph_function(graph: Any, inputs: Mapping[str, str], outputs: Mapping[str, str]) -> Function:
    """The function of some tensors of a graph whose weights are constants: by label, their names in the graph.

    Raises:
        ValueError, KeyError, tf.errors.OpError: The graph has no such tensors, or is damaged.
    """
    with tf.Graph().as_default() as own:
        tf.import_graph_def(graph, name="")
    taken, given = ({label: own.get_tensor_by_name(name) for label, name in side.items()} for side in (inputs, outputs))

    def call(tensors: Sequence[Any]) -> list[Any]:
        mapped = dict(zip(inputs.values(), tensors, strict=True))
        return list(
            tf.graph_util.import_graph_def(graph, input_map=mapped, return_elements=list(outputs.values()), name="")
        )

    return Function(
        taken,
        given,
        call,
        constants=sum(values.size for _, values in _weights(graph)),
        nudged=lambda random: graph_function(_moved(graph, random), inputs, outputs),
    )


def _weights(definition: Any) -> Iterable[tuple[Any, np.ndarray]]:
    """The constants of floats in a graph: the node of each, and its values."""
    for node in definition.node:
        if node.op == "Const" and node.attr["dtype"].type == tf.float32.as_datatype_enum:
            yield node, tf.make_ndarray(node.attr["value"].tensor)


def _moved(definition: Any, random: np.random.Generator) -> Any:
    moved = tf.compat.v1.GraphDef()
    moved.CopyFrom(definition)
    for node, values in _weights(moved):
        node.attr["value"].tensor.CopyFrom(tf.make_tensor_proto(next_floats(values, random), tf.float32, values.shape))
    return moved
