"""Activations: what a layer's numbers go through."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch.nn import functional as F

from edgekit.pipeline.sources.onnx_to_torch.nodes import Node, Value, operator, simple

simple(
    {
        "HardSwish": F.hardswish,
        "Mish": F.mish,
        "Relu": torch.relu,
        "Sigmoid": torch.sigmoid,
        "Softplus": F.softplus,
        "Softsign": F.softsign,
    }
)


@operator("LeakyRelu")
def leaky_relu(node: Node, x: Value) -> Value:
    return F.leaky_relu(x, node.get("alpha", 0.01))


@operator("Elu")
def elu(node: Node, x: Value) -> Value:
    return F.elu(x, node.get("alpha", 1.0))


@operator("Celu")
def celu(node: Node, x: Value) -> Value:
    return F.celu(x, node.get("alpha", 1.0))


@operator("Selu")
def selu(node: Node, x: Value) -> Value:
    alpha, gamma = node.get("alpha", 1.6732632423543772), node.get("gamma", 1.0507009873554805)
    return gamma * F.elu(x, alpha)


@operator("ThresholdedRelu")
def thresholded_relu(node: Node, x: Value) -> Value:
    return F.threshold(x, node.get("alpha", 1.0), 0.0)


@operator("HardSigmoid")
def hard_sigmoid(node: Node, x: Value) -> Value:
    alpha, beta = node.get("alpha", 0.2), node.get("beta", 0.5)
    if math.isclose(alpha, 1 / 6, rel_tol=1e-6) and beta == 0.5:
        return F.hardsigmoid(x)
    return torch.clamp(alpha * x + beta, 0.0, 1.0)


@operator("PRelu")
def prelu(node: Node, x: Value, slope: Value) -> Value:
    """*slope* is broadcast to *x*: one number, one for each channel, or any shape."""
    channels = x.shape[1] if x.ndim > 1 else 1
    lone = isinstance(slope, torch.Tensor) and slope.is_floating_point()
    per_channel = lone and slope.ndim >= x.ndim - 1 and slope.numel() == channels == slope.shape[1 - x.ndim]
    if x.ndim > 1 and lone and (slope.numel() == 1 or per_channel):
        module = torch.nn.PReLU(slope.numel())
        module.weight.data = slope.reshape(-1).clone()
        return node.call(module, x)
    return torch.where(x < 0, x * slope, x)


@operator("Gelu")
def gelu(node: Node, x: Value) -> Value:
    return F.gelu(x, approximate=node.get("approximate", "none"))


@operator("Gelu", domain="com.microsoft")
def microsoft_gelu(node: Node, x: Value) -> Value:
    return F.gelu(x)


@operator("BiasGelu", domain="com.microsoft")
def bias_gelu(node: Node, x: Value, bias: Value) -> Value:
    return F.gelu(x + bias)


@operator("FastGelu", domain="com.microsoft")
def fast_gelu(node: Node, x: Value, bias: Value = None) -> Value:
    return F.gelu(x if bias is None else x + bias, approximate="tanh")


@operator("QuickGelu", domain="com.microsoft")
def quick_gelu(node: Node, x: Value) -> Value:
    return x * torch.sigmoid(node.get("alpha", 1.702) * x)


@operator("Swish")
def swish(node: Node, x: Value) -> Value:
    alpha = node.get("alpha", 1.0)
    return F.silu(x) if alpha == 1.0 else x * torch.sigmoid(alpha * x)


@operator("Shrink")
def shrink(node: Node, x: Value) -> Value:
    bias, limit = node.get("bias", 0.0), node.get("lambd", 0.5)
    zero = torch.zeros((), dtype=x.dtype)
    bound = torch.where(x > limit, (x - bias).to(x.dtype), zero)
    return torch.where(x < -limit, (x + bias).to(x.dtype), bound)


@operator("Softmax")
def softmax(node: Node, x: Value) -> Value:
    return _along_axis(node, torch.softmax, x)


@operator("LogSoftmax")
def log_softmax(node: Node, x: Value) -> Value:
    return _along_axis(node, torch.log_softmax, x)


@operator("Hardmax")
def hardmax(node: Node, x: Value) -> Value:
    return _along_axis(node, _one_at_largest, x)


def _one_at_largest(x: Value, axis: int) -> Value:
    positions = torch.arange(x.shape[axis]).reshape([-1 if at == axis % x.ndim else 1 for at in range(x.ndim)])
    return (torch.argmax(x, axis, keepdim=True) == positions).to(x.dtype)


def _along_axis(node: Node, function: Callable[..., Any], x: Value) -> Value:
    """Before opset 13, over all axes from ``axis`` on; since then over that one."""
    if node.opset >= 13:
        return function(x, node.get("axis", -1))
    axis = node.get("axis", 1) % x.ndim
    if axis == x.ndim - 1:
        return function(x, -1)
    return function(x.flatten(axis), -1).reshape(x.shape)
