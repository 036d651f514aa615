"""Pooling, in the one spelling that ExecuTorch's XNNPACK partitioner takes."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import Any

import torch
from torch.fx import Graph, GraphModule, Node
from torch.fx.experimental.symbolic_shapes import statically_known_true

from edgekit.pipeline.recipes.fold_pads import input_of

_ATEN = torch.ops.aten


def rewrite_pools(graph_module: GraphModule) -> int:
    """Rewrite global averages and 1-D max pools so that XNNPACK takes them, in place and exactly.

    executorch 1.5.1 delegates ``mean.dim`` of 4-D tensors with ``keepdim=True`` and ``max_pool2d`` only. Symptoms:
    ``x.mean((2, 3))`` runs on a portable kernel between two delegates, so does the ``as_strided`` into which
    ``adaptive_avg_pool2d(x, 1)`` of a channels-last tensor decomposes, and a 1-D network comes apart at every pool.
    All become 4-D, between views where dimensions differ.

    Args:
        graph_module: ``torch.export.export(...).module()``; nodes carry ``meta["val"]``.

    Returns:
        The number of operators rewritten.
    """
    rewritten = 0
    for node in list(graph_module.graph.nodes):
        with graph_module.graph.inserting_before(node):
            result = _global_mean(node) if _is_global_mean(node) else _max_pool(node)
        if result is not None:
            node.replace_all_uses_with(result)
            graph_module.graph.erase_node(node)
            rewritten += 1
    graph_module.graph.lint()
    graph_module.recompile()
    return rewritten


def _is_global_mean(node: Node) -> bool:
    """Whether *node* averages over all spatial dimensions, in a way that XNNPACK does not take as it is."""
    if node.target in (_ATEN.adaptive_avg_pool2d.default, _ATEN.adaptive_avg_pool1d.default):
        return set(_list(node.args[1])) == {1} and input_of(node).meta["val"].dim() in (3, 4)
    if node.target is not _ATEN.mean.dim or node.kwargs:
        return False
    rank = input_of(node).meta["val"].dim()
    dims = sorted(dim % rank for dim in _list(node.args[1]))
    keeps = len(node.args) > 2 and bool(node.args[2])
    return (rank == 4 and dims == [2, 3] and not keeps) or (rank == 3 and dims == [2])


def _global_mean(node: Node) -> Node:
    source = image(node.graph, input_of(node))
    result = call(node.graph, _ATEN.mean.dim, source, [2, 3], True)
    return view(node.graph, result, node.meta["val"].shape)


def _max_pool(node: Node) -> Node | None:
    """A 1-D max pool as one over images of height 1; None for any other node."""
    if node.target is not _ATEN.max_pool1d.default or input_of(node).meta["val"].dim() != 3:
        return None
    given: list[Any] = [*node.args, *[[], [0], [1]][len(node.args) - 2 :]]
    source, kernel, stride, padding, dilation, *ceil_mode = given
    assert isinstance(source, Node)
    window = [[1, *_list(kernel)], [1, *(_list(stride) or _list(kernel))], [0, *_list(padding)], [1, *_list(dilation)]]
    result = call(node.graph, _ATEN.max_pool2d.default, image(node.graph, source), *window, *ceil_mode)
    return view(node.graph, result, node.meta["val"].shape)


def image(graph: Graph, source: Node) -> Node:
    """*source* with a height of 1 if it has none."""
    shape = source.meta["val"].shape
    return source if len(shape) == 4 else view(graph, source, (*shape[:2], 1, *shape[2:]))


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


def call(graph: Graph, target: Any, source: Node, *arguments: Any) -> Node:
    node = graph.call_function(target, (source, *arguments))
    node.meta["val"] = target(source.meta["val"], *arguments)
    return node


def _list(value: Any) -> list[int]:
    return list(value) if isinstance(value, (list, tuple)) else [value]
