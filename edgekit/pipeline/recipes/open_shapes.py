"""Shapes with more than one open size, spelled so that XNNPACK leaves their changes alone."""

from __future__ import annotations

from typing import Any

import torch
from torch.fx import GraphModule, Node

from edgekit.pipeline.recipes.fold_pads import arguments_of
from edgekit.pipeline.recipes.nodes import call, input_of, is_shape, respell, view
from edgekit.pipeline.rewrites.constants import fold_constants

_ATEN = torch.ops.aten
_PLANES = (_ATEN.conv1d.default, _ATEN.conv_transpose1d.default, _ATEN.batch_norm.default)
_AXES = (_ATEN.unsqueeze.default, _ATEN.squeeze.dim, _ATEN.squeeze.dims)


def rewrite_open_shapes(graph_module: GraphModule) -> int:
    """Rewrite what adds or drops an axis of tensors with more than one open size, in place and exactly.

    executorch 1.5.1 hands these to XNNPACK as reshapes, which take one open size, and does so around each 1-D
    convolution and 1-D batch norm inside the delegate. Symptom: "XNNPACK reshape only supports 1 dynamic dimension" for
    one with batch and length open. Here they are views outside of the delegate, and the convolutions and norms those of
    planes of width 1, whose weights are the same bytes. A norm stays right behind its convolution, which takes it in.

    Args:
        graph_module: ``torch.export.export(...).module()``; nodes carry ``meta["val"]``.

    Returns:
        The number of operators rewritten.
    """
    if rewritten := respell(graph_module, filter(_is_open, graph_module.graph.nodes), _rewritten):
        fold_constants(graph_module)
    return rewritten


def read_by(convolution: Node) -> Node:
    """What *convolution* reads; where that is a plane made here, what it was made of."""
    source = input_of(convolution)
    made = source.target is _ATEN.reshape.default and _open_sizes(source) > 1
    return input_of(source) if made else source


def _rewritten(node: Node) -> Node:
    if node.target in _AXES:
        return view(node.graph, input_of(node), node.meta["val"].shape)
    if node.target is _ATEN.batch_norm.default:
        return _of_planes(node, node.target, _plane(input_of(node)), *node.args[1:])
    return _convolved(node) if node.target is _ATEN.conv1d.default else _transposed(node)


def _plane(source: Node) -> Node:
    """*source* with a width of 1; what a view took that from, if it is one."""
    shape = (*source.meta["val"].shape, 1)
    if source.target is _ATEN.reshape.default and is_shape(input_of(source), shape):
        return input_of(source)
    return view(source.graph, source, shape)


def _convolved(node: Node) -> Node:
    source, weight, bias, stride, padding, dilation, groups = arguments_of(node)
    kernel = call(node.graph, _ATEN.unsqueeze.default, weight, 3)
    window: list[Any] = [[*stride, 1], [*padding, 0], [*dilation, 1]]
    return _of_planes(node, _ATEN.conv2d.default, _plane(source), kernel, bias, *window, groups)


def _transposed(node: Node) -> Node:
    given: list[Any] = [*node.args, *[None, [1], [0], [0], 1, [1]][len(node.args) - 2 :]]
    source, weight, bias, stride, padding, output_padding, groups, dilation = given
    kernel = call(node.graph, _ATEN.unsqueeze.default, weight, 3)
    window = [[*stride, 1], [*padding, 0], [*output_padding, 0], groups, [*dilation, 1]]
    return _of_planes(node, _ATEN.conv_transpose2d.input, _plane(source), kernel, bias, *window)


def _of_planes(node: Node, target: Any, *arguments: Any) -> Node:
    """What *node* gives, by *target* on planes."""
    result = call(node.graph, target, *arguments)
    result.meta = {**node.meta, **result.meta}
    return view(node.graph, result, node.meta["val"].shape)


def _is_open(node: Node) -> bool:
    if node.target not in (*_AXES, *_PLANES) or _open_sizes(input_of(node)) < 2:
        return False
    return node.target in _AXES or len(input_of(node).meta["val"].shape) == 3


def _open_sizes(node: Node) -> int:
    return sum(not isinstance(size, int) for size in node.meta["val"].shape)
