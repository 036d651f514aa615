"""Which operator of a graph it is that a converter cannot take, where the converter does not say."""

from __future__ import annotations

import operator
from collections.abc import Callable
from time import monotonic
from typing import Any

import torch
from torch.fx import Graph, GraphModule, Node

from edgekit.pipeline.work.events import Step, emit

#: Converts a graph module, or raises what the converter raises.
Attempt = Callable[[GraphModule], Any]
#: A search that takes longer ends without a result.
_MOST_SECONDS = 120.0


def culprit(graph_module: GraphModule, attempt: Attempt, alike: Callable[[Exception], bool]) -> Node | None:
    """The first node with which *attempt* fails: halves what is in question again and again.

    Args:
        alike: Whether what a part raises is what the whole did.

    Returns:
        The node; None where the parts are all taken, where there is nothing to look for, or where it takes too long.
    """
    emit(Step("looking for the operator that is not taken"))
    until = monotonic() + _MOST_SECONDS
    nodes = [node for node in graph_module.graph.nodes if node.op == "call_function"]
    if not nodes or not _fails(graph_module, nodes[-1], attempt, alike):
        return None
    works, fails = -1, len(nodes) - 1
    while fails - works > 1:
        if monotonic() > until:
            return None
        middle = (works + fails) // 2
        if _fails(graph_module, nodes[middle], attempt, alike):
            fails = middle
        else:
            works = middle
    found = nodes[fails]
    return found.all_input_nodes[0] if found.target is operator.getitem else found


def _fails(graph_module: GraphModule, last: Node, attempt: Attempt, alike: Callable[[Exception], bool]) -> bool:
    try:
        attempt(_until(graph_module, last))
    except Exception as error:  # whatever a converter raises
        return alike(error)
    return False


def _until(graph_module: GraphModule, last: Node) -> GraphModule:
    """What *graph_module* computes up to *last*: all of its inputs, and the tensors that later nodes read."""
    graph, copies = Graph(), dict[Node, Node]()
    nodes = list(graph_module.graph.nodes)
    before = nodes[: nodes.index(last) + 1]
    for node in nodes:
        if node in before or node.op == "placeholder":
            copies[node] = graph.node_copy(node, lambda each: copies[each])
    kept = [
        copies[node]
        for node in before
        if node.op == "call_function"
        and isinstance(node.meta.get("val"), torch.Tensor)
        and (node is last or any(user not in copies or user.op == "output" for user in node.users))
    ]
    graph.output(tuple(kept))
    return GraphModule(graph_module, graph)
