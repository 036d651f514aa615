"""Pooling, in the one spelling that ExecuTorch's XNNPACK partitioner takes."""

from __future__ import annotations

from typing import Any

import torch
from torch.fx import Graph, GraphModule, Node

from edgekit.pipeline.recipes.nodes import call, input_of, respell, view

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
    nodes = graph_module.graph.nodes
    means = respell(graph_module, filter(_is_global_mean, nodes), _global_mean)
    return means + respell(graph_module, filter(_is_line_max, nodes), _max_pool)


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
    source = _image(node.graph, input_of(node))
    result = call(node.graph, _ATEN.mean.dim, source, [2, 3], True)
    return view(node.graph, result, node.meta["val"].shape)


def _is_line_max(node: Node) -> bool:
    return node.target is _ATEN.max_pool1d.default and input_of(node).meta["val"].dim() == 3


def _max_pool(node: Node) -> Node:
    """A 1-D max pool as one over images of height 1."""
    given: list[Any] = [*node.args, *[[], [0], [1]][len(node.args) - 2 :]]
    source, kernel, stride, padding, dilation, *ceil_mode = given
    assert isinstance(source, Node)
    window = [[1, *_list(kernel)], [1, *(_list(stride) or _list(kernel))], [0, *_list(padding)], [1, *_list(dilation)]]
    result = call(node.graph, _ATEN.max_pool2d.default, _image(node.graph, source), *window, *ceil_mode)
    return view(node.graph, result, node.meta["val"].shape)


def _image(graph: Graph, source: Node) -> Node:
    """*source* with a height of 1 if it has none."""
    shape = source.meta["val"].shape
    return source if len(shape) == 4 else view(graph, source, (*shape[:2], 1, *shape[2:]))


def _list(value: Any) -> list[int]:
    return list(value) if isinstance(value, (list, tuple)) else [value]
