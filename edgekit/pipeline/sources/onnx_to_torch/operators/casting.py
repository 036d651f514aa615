"""Element types: changing them, and reading the same bits as another."""

from __future__ import annotations

import torch

from edgekit.pipeline.sources.onnx_to_torch.nodes import Node, Value, operator
from edgekit.pipeline.sources.onnx_to_torch.operators.elementwise import as_dtype
from edgekit.pipeline.sources.onnx_to_torch.tensors import Narrow, dtype_of, marked, type_named, type_of

_EIGHT_BITS = (torch.float8_e4m3fn, torch.float8_e4m3fnuz, torch.float8_e5m2, torch.float8_e5m2fnuz)
_SHORT = (torch.uint8, torch.int8, torch.uint16, torch.int16, torch.uint32)


def cast(node: Node, x: Value, wanted: torch.dtype | Narrow) -> Value:
    """*x* as ONNX casts it: floats to whole numbers towards 0, which wrap around; to eight bits with saturation."""
    if type_of(x) == wanted:
        return x
    if isinstance(wanted, Narrow):
        whole = torch.remainder(x.to(torch.float32).to(torch.int64) - wanted.low, 2**wanted.bits) + wanted.low
        return marked(whole.to(wanted.dtype), wanted)
    if wanted in _EIGHT_BITS:
        return to_eight_bits(node, x, wanted)
    if x.is_floating_point() and wanted in _SHORT:
        return x.to(torch.float32).to(torch.int64).to(wanted)  # what is out of range wraps, on every processor
    return as_dtype(x, wanted)


def to_eight_bits(node: Node, x: Value, dtype: torch.dtype) -> Value:
    """Floats of eight bits. What is too large becomes the largest, or what the type has for that."""
    if node.get("round_mode", "up") != "up":
        node.refuse("rounds in a way that PyTorch does not")
    wide = as_dtype(x, torch.float32)
    if not node.get("saturate", 1) and dtype == torch.float8_e4m3fn:
        node.refuse("gives no number for what is too large, where PyTorch gives another")
    if not node.get("saturate", 1):
        return wide.to(dtype)
    largest = torch.finfo(dtype).max
    return torch.where(torch.isnan(wide), wide, torch.clamp(wide, -largest, largest)).to(dtype)


@operator("Cast")
def cast_to(node: Node, x: Value) -> Value:
    return cast(node, x, type_named(node.get("to"), f"what {node} gives"))


@operator("CastLike")
def cast_like(node: Node, x: Value, other: Value) -> Value:
    return cast(node, x, type_of(other))


@operator("BitCast")
def bit_cast(node: Node, x: Value) -> Value:
    return x.view(dtype_of(node.get("to"), f"what {node} gives"))
