"""Batch norms that ExecuTorch's passes cannot take into the convolution before them."""

from __future__ import annotations

import torch
from torch.fx import GraphModule, Node

from edgekit.pipeline.recipes.nodes import call, input_of, respell
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
    if folded := respell(graph_module, filter(_is_of_groups, graph_module.graph.nodes), _spelled_out):
        fold_constants(graph_module)
    return folded


def _is_of_groups(node: Node) -> bool:
    if node.target is not _ATEN.batch_norm.default or node.args[5]:
        return False
    source = input_of(node)
    return source.target in _TRANSPOSED and len(source.args) > _GROUPS and source.args[_GROUPS] != 1


def _spelled_out(norm: Node) -> Node:
    source, weight, bias, mean, variance = norm.args[:5]
    graph, epsilon = norm.graph, norm.args[7]
    factor = call(graph, _ATEN.rsqrt.default, call(graph, _ATEN.add.Scalar, variance, epsilon))
    if weight is not None:
        factor = call(graph, _ATEN.mul.Tensor, factor, weight)
    term = call(graph, _ATEN.neg.default, call(graph, _ATEN.mul.Tensor, mean, factor))
    if bias is not None:
        term = call(graph, _ATEN.add.Tensor, term, bias)
    shape = [1, -1, *[1] * (norm.meta["val"].dim() - 2)]
    factor, term = (call(graph, _ATEN.reshape.default, each, shape) for each in (factor, term))
    result = call(graph, _ATEN.add.Tensor, call(graph, _ATEN.mul.Tensor, source, factor), term)
    result.meta = dict(norm.meta)
    return result
