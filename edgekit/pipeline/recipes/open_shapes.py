"""Shapes with more than one open size, spelled so that XNNPACK leaves their changes alone."""

from __future__ import annotations

from typing import Any

import torch
from torch.fx import GraphModule, Node

from edgekit.pipeline.recipes.fold_pads import arguments_of, input_of
from edgekit.pipeline.recipes.pooling import call, view
from edgekit.pipeline.rewrites.constants import fold_constants

_ATEN = torch.ops.aten
_AXES = (_ATEN.unsqueeze.default, _ATEN.squeeze.dim, _ATEN.squeeze.dims)


def rewrite_open_shapes(graph_module: GraphModule) -> int:
    """Rewrite what adds or drops an axis of tensors with more than one open size, in place and exactly.

    executorch 1.5.1 hands these to XNNPACK as reshapes, which take one open size, and does so around each 1-D
    convolution inside the delegate. Symptom: "XNNPACK reshape only supports 1 dynamic dimension" for one with batch and
    length open. Here they are views outside of the delegate, and the convolutions those of planes of width 1, whose
    weights are the same bytes.

    Args:
        graph_module: ``torch.export.export(...).module()``; nodes carry ``meta["val"]``.

    Returns:
        The number of operators rewritten.
    """
    found = [node for node in graph_module.graph.nodes if _is_open(node)]
    for node in found:
        with node.graph.inserting_before(node):
            changed = node.target in _AXES
            result = view(node.graph, input_of(node), node.meta["val"].shape) if changed else _convolved(node)
        node.replace_all_uses_with(result)
        node.graph.erase_node(node)
    if found:
        fold_constants(graph_module)
    return len(found)


def read_by(convolution: Node) -> Node:
    """What *convolution* reads; where that is a plane made here, what it was made of."""
    source = input_of(convolution)
    made = source.target is _ATEN.reshape.default and _open_sizes(source) > 1
    return input_of(source) if made else source


def _convolved(node: Node) -> Node:
    source, weight, bias, stride, padding, dilation, groups = arguments_of(node)
    graph = node.graph
    kernel = call(graph, _ATEN.unsqueeze.default, weight, 3)
    window: list[Any] = [[*stride, 1], [*padding, 0], [*dilation, 1]]
    plane = view(graph, source, (*source.meta["val"].shape, 1))
    convolved = graph.call_function(_ATEN.conv2d.default, (plane, kernel, bias, *window, groups))
    values = [each.meta["val"] if isinstance(each, Node) else each for each in convolved.args]
    convolved.meta = {**node.meta, "val": _ATEN.conv2d.default(*values)}
    return view(graph, convolved, node.meta["val"].shape)


def _is_open(node: Node) -> bool:
    if node.target not in (*_AXES, _ATEN.conv1d.default) or _open_sizes(input_of(node)) < 2:
        return False
    return node.target in _AXES or len(input_of(node).meta["val"].shape) == 3


def _open_sizes(node: Node) -> int:
    return sum(not isinstance(size, int) for size in node.meta["val"].shape)
