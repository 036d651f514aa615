"""Batch norms that ExecuTorch's passes cannot take into the convolution before them."""

from __future__ import annotations

from typing import Any

import torch
from torch.fx import GraphModule, Node

from edgekit.pipeline.recipes.fold_pads import input_of
from edgekit.pipeline.rewrites.constants import fold_constants

_ATEN = torch.ops.aten
#: Transposed convolutions, whose arguments are alike.
_TRANSPOSED = (_ATEN.conv_transpose1d.default, _ATEN.conv_transpose2d.input)
_GROUPS = 6


def fold_norms(graph_module: GraphModule) -> int:
    """Spell batch norms behind transposed convolutions in groups as a factor and a term, in place and exactly.

    torch 2.13 folds them as if there were one group, which executorch 1.5.1 asks for. Symptom: "An error occurred
    when running the 'FuseBatchNormPass'".

    Args:
        graph_module: ``torch.export.export(...).module()``; nodes carry ``meta["val"]``.

    Returns:
        The number of norms rewritten.
    """
    found = [node for node in graph_module.graph.nodes if _is_of_groups(node)]
    for node in found:
        with node.graph.inserting_before(node):
            result = _spelled_out(node)
        node.replace_all_uses_with(result)
        node.graph.erase_node(node)
    if found:
        fold_constants(graph_module)
    return len(found)


def _is_of_groups(node: Node) -> bool:
    if node.target is not _ATEN.batch_norm.default or node.args[5]:
        return False
    source = input_of(node)
    return source.target in _TRANSPOSED and len(source.args) > _GROUPS and source.args[_GROUPS] != 1


def _spelled_out(norm: Node) -> Node:
    source, weight, bias, mean, variance = norm.args[:5]
    graph, epsilon = norm.graph, norm.args[7]
    factor = _call(graph, _ATEN.rsqrt.default, _call(graph, _ATEN.add.Scalar, variance, epsilon))
    if weight is not None:
        factor = _call(graph, _ATEN.mul.Tensor, factor, weight)
    term = _call(graph, _ATEN.neg.default, _call(graph, _ATEN.mul.Tensor, mean, factor))
    if bias is not None:
        term = _call(graph, _ATEN.add.Tensor, term, bias)
    shape = [1, -1, *[1] * (norm.meta["val"].dim() - 2)]
    factor, term = (_call(graph, _ATEN.reshape.default, each, shape) for each in (factor, term))
    result = _call(graph, _ATEN.add.Tensor, _call(graph, _ATEN.mul.Tensor, source, factor), term)
    result.meta = dict(norm.meta)
    return result


def _call(graph: Any, target: Any, *arguments: Any) -> Node:
    node: Node = graph.call_function(target, arguments)
    node.meta["val"] = target(*(each.meta["val"] if isinstance(each, Node) else each for each in arguments))
    return node
