"""Whole numbers with a scale, and products of them."""

from __future__ import annotations

import math
from typing import Any

import torch

from edgekit.pipeline.sources.onnx_to_torch.nodes import Node, Value, operator
from edgekit.pipeline.sources.onnx_to_torch.operators.casting import to_eight_bits
from edgekit.pipeline.sources.onnx_to_torch.operators.convolution import convolved
from edgekit.pipeline.sources.onnx_to_torch.operators.elementwise import as_dtype
from edgekit.pipeline.sources.onnx_to_torch.operators.windows import windows
from edgekit.pipeline.sources.onnx_to_torch.tensors import Narrow, dtype_of, marked, type_named, type_of

#: Whole numbers up to this are exact in float32.
_EXACT = 2**24


def _spread(node: Node, x: Value, scale: Value) -> Value:
    """*scale*, or a zero point, by the axis or the blocks of *x* that it is for."""
    if scale.ndim == 0 or scale.numel() == 1:
        return scale.reshape(())
    axis, block = node.get("axis", 1) % x.ndim, node.get("block_size", 0)
    if scale.ndim == 1 and not block:
        return scale.reshape([-1 if at == axis else 1 for at in range(x.ndim)])
    return scale.repeat_interleave(block or x.shape[axis] // scale.shape[axis], axis).narrow(axis, 0, x.shape[axis])


@operator("QuantizeLinear")
@operator("QuantizeLinear", domain="com.microsoft")
def quantize(node: Node, x: Value, scale: Value, zero: Value = None) -> Value:
    wanted = node.get("output_dtype", 0)
    found = type_named(wanted, f"what {node} gives") if wanted else torch.uint8 if zero is None else type_of(zero)
    steps = as_dtype(x, torch.float32) / as_dtype(_spread(node, x, scale), torch.float32)
    if isinstance(found, torch.dtype) and found.is_floating_point:
        return to_eight_bits(node, steps if zero is None else steps + _spread(node, x, zero).to(torch.float32), found)
    offset = 0.0 if zero is None else _spread(node, x, zero).to(torch.float32)
    if isinstance(found, Narrow):
        return marked(torch.clamp(torch.round(steps) + offset, found.low, found.high).to(found.dtype), found)
    bounds = torch.iinfo(found)
    return torch.clamp(torch.round(steps) + offset, bounds.min, bounds.max).to(found)


@operator("DequantizeLinear")
@operator("DequantizeLinear", domain="com.microsoft")
def dequantize(node: Node, x: Value, scale: Value, zero: Value = None) -> Value:
    wanted = node.get("output_dtype", 0)
    dtype = dtype_of(wanted, f"what {node} gives") if wanted else scale.dtype
    steps = x.to(torch.float32)
    if zero is not None:
        steps = steps - _spread(node, x, zero).to(torch.float32)
    return as_dtype(steps * as_dtype(_spread(node, x, scale), torch.float32), dtype)


@operator("DynamicQuantizeLinear")
def quantize_by_range(node: Node, x: Value) -> Value:
    zero = torch.zeros(())
    low, high = torch.minimum(torch.amin(x), zero), torch.maximum(torch.amax(x), zero)
    scale = (high - low) / 255
    offset = torch.clamp(torch.round(0 - low / scale), 0, 255)
    return torch.clamp(torch.round(x / scale) + offset, 0, 255).to(torch.uint8), scale, offset.to(torch.uint8)


def _requantized(total: Value, scale: Value, zero: Value) -> Value:
    bounds = torch.iinfo(zero.dtype)
    return torch.clamp(
        torch.round(total / scale.to(torch.float32)) + zero.to(torch.float32), bounds.min, bounds.max
    ).to(zero.dtype)


def _exact_for(terms: int) -> torch.dtype:
    """The float type that holds sums of *terms* products of numbers of eight bits."""
    return torch.float32 if terms * 255 * 255 < _EXACT else torch.float64


@operator("QLinearMatMul")
def quantized_matmul(
    node: Node,
    a: Value,
    a_scale: Value,
    a_zero: Value,
    b: Value,
    b_scale: Value,
    b_zero: Value,
    scale: Value,
    zero: Value,
) -> Value:
    total = integer_matmul(node, a, b, a_zero, b_zero).to(torch.float32)
    return _requantized(total * _rows(a_scale, a).to(torch.float32) * b_scale.to(torch.float32), scale, zero)


def _rows(numbers: Value, a: Value) -> Value:
    return numbers.unsqueeze(-1) if numbers.ndim and numbers.numel() > 1 and numbers.ndim < a.ndim else numbers


@operator("MatMulInteger")
def integer_matmul(node: Node, a: Value, b: Value, a_zero: Value = None, b_zero: Value = None) -> Value:
    dtype: Any = _exact_for(a.shape[-1])
    left, right = a.to(dtype), b.to(dtype)
    left = left if a_zero is None else left - _rows(a_zero, a).to(dtype)
    right = right if b_zero is None else right - b_zero.to(dtype)
    return torch.matmul(left, right).to(torch.int32)


@operator("ConvInteger")
def integer_convolution(node: Node, x: Value, weight: Value, x_zero: Value = None, w_zero: Value = None) -> Value:
    dtype: Any = _exact_for(math.prod(weight.shape[1:]))
    left, right = x.to(dtype), weight.to(dtype)
    left = left if x_zero is None else left - x_zero.to(dtype)
    if w_zero is not None:
        right = right - w_zero.to(dtype).reshape([-1] + [1] * (weight.ndim - 1))
    return convolved(node, left, right, None, windows(node, x, weight.shape[2:])).to(torch.int32)


@operator("QLinearConv")
def quantized_convolution(
    node: Node, x: Value, x_scale: Value, x_zero: Value, weight: Value, w_scale: Value, w_zero: Value, scale: Value,
    zero: Value, bias: Value = None,
) -> Value:  # fmt: skip
    total = integer_convolution(node, x, weight, x_zero, w_zero).to(torch.float32)
    view = [1, -1] + [1] * (x.ndim - 2)
    if bias is not None:
        total = total + bias.to(torch.float32).reshape(view)
    by = x_scale * (w_scale.reshape(view) if w_scale.numel() > 1 else w_scale.reshape(()))
    return _requantized(total * by, scale, zero)
