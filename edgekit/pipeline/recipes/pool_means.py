"""Global average pooling, in the one spelling that ExecuTorch's XNNPACK partitioner takes."""

from __future__ import annotations

import torch
from torch.fx import GraphModule, Node

_ATEN = torch.ops.aten


def pool_means(graph_module: GraphModule) -> int:
    """Rewrite means over both spatial dimensions so that XNNPACK takes them, in place.

    executorch 1.5.1 delegates ``mean.dim`` only with ``keepdim=True``: ``x.mean((2, 3))`` stays on a portable
    kernel between two delegates, and so does the ``as_strided`` into which ``adaptive_avg_pool2d(x, 1)`` of a
    channels-last tensor decomposes. Both become a mean that keeps its dimensions, and a view where they were dropped.

    Args:
        graph_module: ``torch.export.export(...).module()``; nodes carry ``meta["val"]``.

    Returns:
        The number of means rewritten.
    """
    graph = graph_module.graph
    rewritten = 0
    for node in list(graph.nodes):
        if not _is_global_mean(node):
            continue
        source = node.args[0]
        value = node.meta["val"]
        with graph.inserting_before(node):
            result = graph.call_function(_ATEN.mean.dim, (source, [2, 3], True))
            result.meta["val"] = value.reshape(*source.meta["val"].shape[:2], 1, 1)
            if value.dim() == 2:
                result = graph.call_function(_ATEN.reshape.default, (result, list(value.shape)))
                result.meta["val"] = value
        node.replace_all_uses_with(result)
        graph.erase_node(node)
        rewritten += 1
    graph.lint()
    graph_module.recompile()
    return rewritten


def _is_global_mean(node: Node) -> bool:
    if node.target is _ATEN.adaptive_avg_pool2d.default:
        return list(node.args[1]) == [1, 1] and node.args[0].meta["val"].dim() == 4  # type: ignore[union-attr, arg-type]
    if node.target is not _ATEN.mean.dim or node.args[0].meta["val"].dim() != 4 or node.kwargs:  # type: ignore[union-attr]
        return False
    dims = node.args[1]
    keeps = len(node.args) > 2 and bool(node.args[2])
    return not keeps and isinstance(dims, (list, tuple)) and sorted(int(dim) % 4 for dim in dims) == [2, 3]  # type: ignore[arg-type]
