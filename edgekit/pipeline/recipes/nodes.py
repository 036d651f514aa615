"""Nodes of exported graphs, which carry what they give in ``meta["val"]``: read, made, and exchanged."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import torch
from torch.fx import Graph, GraphModule, Node
from torch.fx.experimental.symbolic_shapes import statically_known_true

_ATEN = torch.ops.aten


def respell(graph_module: GraphModule, nodes: Iterable[Node], spell: Callable[[Node], Node]) -> int:
    """Put what *spell* makes of each of *nodes* in its place, and give their number."""
    found = list(nodes)
    for node in found:
        with node.graph.inserting_before(node):
            result = spell(node)
        node.replace_all_uses_with(result)
        node.graph.erase_node(node)
    graph_module.graph.lint()
    graph_module.recompile()
    return len(found)


def input_of(node: Node) -> Node:
    """What an operator reads first."""
    source = node.args[0]
    assert isinstance(source, Node)
    return source


def call(graph: Graph, target: Any, *arguments: Any) -> Node:
    """A new node that calls *target*."""
    node = graph.call_function(target, arguments)
    node.meta["val"] = target(*(each.meta["val"] if isinstance(each, Node) else each for each in arguments))
    return node


def view(graph: Graph, source: Node, shape: Sequence[int]) -> Node:
    """*source* in *shape*, whose open sizes are all among its own."""
    if is_shape(source, shape):
        return source
    sizes = [size if isinstance(size, int) else _size(graph, source, size) for size in shape]
    node = graph.call_function(_ATEN.reshape.default, (source, sizes))
    node.meta["val"] = _ATEN.reshape.default(source.meta["val"], list(shape))
    return node


def is_shape(source: Node, shape: Sequence[int]) -> bool:
    """Whether *source* has *shape*, whatever its open sizes are."""
    own = source.meta["val"].shape
    return len(own) == len(shape) and all(map(statically_known_true, map(operator.eq, own, shape)))


def _size(graph: Graph, source: Node, size: torch.SymInt) -> Node:
    """The axis of *source* that is as long as *size*."""
    axis = next(axis for axis, own in enumerate(source.meta["val"].shape) if statically_known_true(own == size))
    node = graph.call_function(_ATEN.sym_size.int, (source, axis))
    node.meta["val"] = size
    return node
