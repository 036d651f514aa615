"""Normalization: by statistics of training, or of the sample itself."""

from __future__ import annotations

from typing import Any

import torch
from torch.nn import functional as F

from edgekit.pipeline.sources.onnx_to_torch.nodes import Node, Value, operator
from edgekit.pipeline.sources.onnx_to_torch.operators.elementwise import as_dtype

_BATCH: dict[int, Any] = {
    2: torch.nn.BatchNorm1d, 3: torch.nn.BatchNorm1d, 4: torch.nn.BatchNorm2d, 5: torch.nn.BatchNorm3d
}  # fmt: skip


@operator("BatchNormalization")
def batch_norm(node: Node, x: Value, scale: Value, bias: Value, mean: Value, variance: Value) -> Value:
    if node.get("training_mode", 0) or (node.opset >= 14 and node.wants(1)):
        node.refuse("computes batch norm from the batch itself", "export the model in evaluation mode")
    epsilon = node.get("epsilon", 1e-5)
    weights = (scale, bias, mean, variance)
    if x.ndim not in _BATCH or not all(isinstance(each, torch.Tensor) for each in weights):
        return F.batch_norm(x, mean, variance, scale, bias, False, 0.0, epsilon)
    module = _BATCH[x.ndim](x.shape[1], eps=epsilon, device="meta")
    module.weight, module.bias = node.recorder.parameter(scale), node.recorder.parameter(bias)
    module.running_mean, module.running_var, module.num_batches_tracked = mean.clone(), variance.clone(), None
    return node.call(module, x)


@operator("InstanceNormalization")
def instance_norm(node: Node, x: Value, scale: Value, bias: Value) -> Value:
    return F.instance_norm(x, weight=scale, bias=bias, eps=node.get("epsilon", 1e-5))


@operator("LayerNormalization")
def layer_norm(node: Node, x: Value, scale: Value, bias: Value = None) -> Value:
    axis, epsilon = node.get("axis", -1) % x.ndim, node.get("epsilon", 1e-5)
    shape = tuple(x.shape[axis:])
    constant = isinstance(scale, torch.Tensor) and (bias is None or isinstance(bias, torch.Tensor))
    fits = scale.shape == shape and (bias is None or bias.shape == shape)
    if node.wants(1) or node.wants(2):
        return NotImplemented
    if constant and fits and x.dtype == torch.float32:
        module = torch.nn.LayerNorm(shape, eps=epsilon, bias=bias is not None, device="meta")
        module.weight = node.recorder.parameter(scale)
        if bias is not None:
            module.bias = node.recorder.parameter(bias)
        return node.call(module, x)
    result = F.layer_norm(x, shape, None, None, epsilon) * scale
    return result if bias is None else result + bias


@operator("RMSNormalization", "SimplifiedLayerNormalization")
@operator("SimplifiedLayerNormalization", domain="com.microsoft")
def rms_norm(node: Node, x: Value, scale: Value) -> Value:
    axis, epsilon = node.get("axis", -1) % x.ndim, node.get("epsilon", 1e-5)
    if node.wants(1):
        node.refuse("gives its inverse deviation as well")
    wide = x.to(torch.float32) if x.dtype in (torch.float16, torch.bfloat16) else x
    size = torch.mean(wide * wide, list(range(axis, x.ndim)), keepdim=True)
    return as_dtype(wide * torch.rsqrt(size + epsilon), x.dtype) * scale


@operator("GroupNormalization")
def group_norm(node: Node, x: Value, scale: Value, bias: Value) -> Value:
    groups, epsilon = node.get("num_groups"), node.get("epsilon", 1e-5)
    if node.opset < 21:  # one number for each group
        scale, bias = (each.repeat_interleave(x.shape[1] // groups) for each in (scale, bias))
    return F.group_norm(x, groups, scale, bias, epsilon)


@operator("SkipLayerNormalization", domain="com.microsoft")
def skip_layer_norm(node: Node, x: Value, skip: Value, scale: Value, shift: Value = None, bias: Value = None) -> Value:
    if node.wants(1) or node.wants(2):
        node.refuse("gives its mean and deviation as well")
    summed = x + skip if bias is None else x + skip + bias
    normal = F.layer_norm(summed, (x.shape[-1],), scale, shift, node.get("epsilon", 1e-12))
    return (normal, None, None, summed) if node.wants(3) else normal


@operator("LRN")
def local_response_norm(node: Node, x: Value) -> Value:
    size, alpha = node.get("size"), node.get("alpha", 1e-4)
    beta, bias = node.get("beta", 0.75), node.get("bias", 1.0)
    if size % 2:
        return F.local_response_norm(x, size, alpha, beta, bias)
    before, after = (size - 1) // 2, size - 1 - (size - 1) // 2
    square = F.pad(x * x, [0, 0] * (x.ndim - 2) + [before, after])
    total = square.narrow(1, 0, x.shape[1])
    for at in range(1, size):
        total = total + square.narrow(1, at, x.shape[1])
    return x / torch.pow(total * (alpha / size) + bias, beta)


@operator("MeanVarianceNormalization")
def mean_variance_norm(node: Node, x: Value) -> Value:
    axes = node.get("axes") or [0, 2, 3]
    centred = x - torch.mean(x, axes, keepdim=True)
    return centred / (torch.sqrt(torch.mean(centred * centred, axes, keepdim=True)) + 1e-9)


@operator("LpNormalization")
def lp_norm(node: Node, x: Value) -> Value:
    axis, order = node.get("axis", -1), node.get("p", 2)
    size = torch.sum(torch.abs(x), axis, keepdim=True)
    if order == 2:
        size = torch.sqrt(torch.sum(x * x, axis, keepdim=True))
    return torch.where(
        size == 0, torch.zeros((), dtype=x.dtype), x / torch.where(size == 0, torch.ones((), dtype=x.dtype), size)
    )
