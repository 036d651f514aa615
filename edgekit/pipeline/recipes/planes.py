"""1-D convolutions as those of planes of width 1, where XNNPACK does not make them so by itself."""

from __future__ import annotations

from typing import Any

import torch
from torch.fx import GraphModule, Node

from edgekit.pipeline.recipes.fold_pads import arguments_of, input_of
from edgekit.pipeline.recipes.pooling import call, view
from edgekit.pipeline.rewrites.constants import fold_constants

_ATEN = torch.ops.aten


def rewrite_open_convolutions(graph_module: GraphModule) -> int:
    """Rewrite 1-D convolutions of tensors with more than one open size, in place and exactly.

    executorch 1.5.1 puts a width of 1 in and takes it out inside the delegate, by a reshape that takes one open size.
    Symptom: "XNNPACK reshape only supports 1 dynamic dimension" for one with batch and length open. Here both are
    outside of it, and the weights are the same bytes.

    Args:
        graph_module: ``torch.export.export(...).module()``; nodes carry ``meta["val"]``.

    Returns:
        The number of convolutions rewritten.
    """
    found = [node for node in graph_module.graph.nodes if _is_open(node)]
    for node in found:
        _, weight, bias, stride, padding, dilation, groups = arguments_of(node)
        graph = node.graph
        with graph.inserting_before(node):
            kernel = call(graph, _ATEN.unsqueeze.default, weight, 3)
            window: list[Any] = [[*stride, 1], [*padding, 0], [*dilation, 1]]
            source = input_of(node)
            plane = view(graph, source, (*source.meta["val"].shape, 1))
            convolved = graph.call_function(_ATEN.conv2d.default, (plane, kernel, bias, *window, groups))
            values = [each.meta["val"] if isinstance(each, Node) else each for each in convolved.args]
            convolved.meta = {**node.meta, "val": _ATEN.conv2d.default(*values)}
            result = view(graph, convolved, node.meta["val"].shape)
        node.replace_all_uses_with(result)
        graph.erase_node(node)
    if found:
        fold_constants(graph_module)
    return len(found)


def read_by(convolution: Node) -> Node:
    """What *convolution* reads; where that is a plane made here, what it was made of."""
    source = input_of(convolution)
    made = source.target is _ATEN.reshape.default and _open_sizes(source) > 1
    return input_of(source) if made else source


def _is_open(node: Node) -> bool:
    if node.target is not _ATEN.conv1d.default:
        return False
    return len(input_of(node).meta["val"].shape) == 3 and _open_sizes(input_of(node)) > 1


def _open_sizes(node: Node) -> int:
    return sum(not isinstance(size, int) for size in node.meta["val"].shape)
