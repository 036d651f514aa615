"""Attention, as transformers have it."""

from __future__ import annotations

import torch
from torch.nn import functional as F

from edgekit.pipeline.sources.onnx_to_torch.nodes import Node, Value, operator

#: Attributes of the plain one; `torch` has the others by ONNX's own definition.
_PLAIN = frozenset(("q_num_heads", "kv_num_heads", "scale"))


@operator("Attention")
def attention(node: Node, query: Value, key: Value, value: Value, mask: Value = None, *more: Value) -> Value:
    """The plain one, of [batch, heads, length, size] or [batch, length, heads x size]; ONNX defines the others."""
    odd = any(each is not None for each in more) or node.wants(1) or node.wants(2) or node.wants(3)
    if odd or set(node.attributes) - _PLAIN:
        return NotImplemented
    if query.dtype != torch.float32:
        return NotImplemented
    merged = query.ndim == 3
    heads, shared = node.get("q_num_heads", 0), node.get("kv_num_heads", 0)
    if merged:
        query, key, value = (_parted(each, count) for each, count in ((query, heads), (key, shared), (value, shared)))
    if query.shape[1] != key.shape[1]:
        return NotImplemented
    if mask is not None and mask.shape[-1] != key.shape[-2]:
        return NotImplemented
    result = F.scaled_dot_product_attention(query, key, value, mask, scale=node.get("scale"))
    return result.transpose(1, 2).flatten(2) if merged else result


def _parted(x: Value, heads: int) -> Value:
    return x.reshape(x.shape[0], x.shape[1], heads, -1).transpose(1, 2)
