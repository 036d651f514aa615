"""Element types: changing them, and reading the same bits as another."""

from __future__ import annotations

import torch

from edgekit.pipeline.sources.onnx_to_torch.nodes import Node, Value, operator
from edgekit.pipeline.sources.onnx_to_torch.tensors import dtype_of

_EIGHT_BITS = (torch.float8_e4m3fn, torch.float8_e4m3fnuz, torch.float8_e5m2, torch.float8_e5m2fnuz)


def cast(node: Node, x: Value, dtype: torch.dtype) -> Value:
    """*x* as *dtype*, as ONNX rounds: floats to whole numbers towards 0, to eight bits with saturation."""
    if x.dtype == dtype:
        return x
    if dtype in _EIGHT_BITS:
        return to_eight_bits(node, x, dtype)
    if x.is_floating_point() and dtype in (torch.uint8, torch.int8, torch.uint16, torch.int16, torch.uint32):
        return x.to(torch.float32).to(torch.int64).to(dtype)  # what is out of range wraps, on every processor
    return x.to(dtype)


def to_eight_bits(node: Node, x: Value, dtype: torch.dtype) -> Value:
    if not node.get("saturate", 1) or node.get("round_mode", "up") != "up":
        node.refuse("rounds to floats of eight bits in a way that PyTorch does not")
    largest = torch.finfo(dtype).max
    wide = x.to(torch.float32)
    clamped = torch.clamp(wide, -largest, largest)
    return torch.where(torch.isnan(wide), wide, clamped).to(dtype)


@operator("Cast")
def cast_to(node: Node, x: Value) -> Value:
    return cast(node, x, dtype_of(node.get("to"), f"what {node} gives"))


@operator("CastLike")
def cast_like(node: Node, x: Value, other: Value) -> Value:
    return cast(node, x, other.dtype)


@operator("BitCast")
def bit_cast(node: Node, x: Value) -> Value:
    return x.view(dtype_of(node.get("to"), f"what {node} gives"))
