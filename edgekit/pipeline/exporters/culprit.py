"""Which operator of a graph it is that a converter cannot take, where the converter does not say."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch.fx import Graph, GraphModule, Node

#: Converts a graph module, or raises what the converter raises.
Attempt = Callable[[GraphModule], Any]


def culprit(graph_module: GraphModule, attempt: Attempt) -> Node | None:
    """The first node with which *attempt* fails: halves what is in question again and again.

    Returns:
        The node; None where the parts are all taken, or where there is nothing to look for.
    """
    nodes = [node for node in graph_module.graph.nodes if node.op == "call_function"]
    if not nodes or not _fails(graph_module, nodes[-1], attempt):
        return None
    works, fails = -1, len(nodes) - 1
    while fails - works > 1:
        middle = (works + fails) // 2
        if _fails(graph_module, nodes[middle], attempt):
            fails = middle
        else:
            works = middle
    return nodes[fails]


def _fails(graph_module: GraphModule, last: Node, attempt: Attempt) -> bool:
    try:
        attempt(_until(graph_module, last))
    except Exception:  # whatever a converter raises
        return True
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
