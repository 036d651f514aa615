"""Recurrent layers, whose steps a file has one by one: how many there are, and what that means for an export."""

from __future__ import annotations

from collections.abc import Iterator

from torch.fx import GraphModule, Node

from edgekit.pipeline.work.answers import QUICK_STEPS
from edgekit.pipeline.work.events import Step, emit

_NAMES = ("aten::lstm", "aten::gru", "aten::rnn_tanh", "aten::rnn_relu")


def steps_in(graph_module: GraphModule) -> int:
    """The steps that recurrent layers of *graph_module* take, in all layers and directions."""
    return sum(_steps(node) for node in _layers(graph_module))


def announce(graph_module: GraphModule) -> None:
    """Say that an export takes its time, where it does."""
    if (steps := steps_in(graph_module)) > QUICK_STEPS:
        emit(Step(f"exporting {steps:,} recurrent steps one by one, which takes minutes"))


def _layers(graph_module: GraphModule) -> Iterator[Node]:
    for node in graph_module.graph.nodes:
        schema = getattr(node.target, "_schema", None)
        if node.op == "call_function" and schema is not None and schema.name in _NAMES:
            yield node


def _steps(node: Node) -> int:
    arguments = dict(zip((each.name for each in node.target._schema.arguments), node.args, strict=False))
    arguments |= node.kwargs
    value = arguments["input"].meta["val"]
    length = value.shape[1 if arguments.get("batch_first") and value.dim() == 3 else 0]
    if not isinstance(length, int):
        return 0  # an open one, which nothing unrolls
    return length * int(arguments["num_layers"]) * (2 if arguments.get("bidirectional") else 1)
