"""Pools: of the windows over an image, the largest number, the mean, or a norm."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch.nn import functional as F

from edgekit.pipeline.sources.onnx_to_torch.nodes import Node, Value, operator
from edgekit.pipeline.sources.onnx_to_torch.operators.elementwise import as_dtype
from edgekit.pipeline.sources.onnx_to_torch.operators.windows import Windows, padded, windows

_MAX: dict[int, Any] = {1: F.max_pool1d, 2: F.max_pool2d, 3: F.max_pool3d}
_MEAN: dict[int, Any] = {1: F.avg_pool1d, 2: F.avg_pool2d, 3: F.avg_pool3d}
_CONVOLVE: dict[int, Any] = {1: F.conv1d, 2: F.conv2d, 3: F.conv3d}
_TO_ONE: dict[int, Any] = {1: F.adaptive_avg_pool1d, 2: F.adaptive_avg_pool2d, 3: F.adaptive_avg_pool3d}


@operator("MaxPool")
def max_pool(node: Node, x: Value) -> Value:
    found = windows(node, x, node.get("kernel_shape"), pool=True)
    dtype = x.dtype
    if not x.is_floating_point():  # of at most eight bits, which float32 holds
        x = x.to(torch.float32)
    fits = found.even and all(2 * pad <= size for pad, size in zip(found.before, found.kernel, strict=True))
    pads = found.before if fits else (0,) * found.rank
    source = x if fits else padded(x, found, -math.inf)
    arguments = (source, found.kernel, found.strides, pads, found.dilations)
    if not node.wants(1):
        return as_dtype(_MAX[found.rank](*arguments), dtype)
    values, positions = _MAX[found.rank](*arguments, return_indices=True)
    return as_dtype(values, dtype), _of_whole(node, x, source, positions, (0,) * found.rank if fits else found.before)


def _of_whole(node: Node, x: Value, source: Value, positions: Value, before: tuple[int, ...]) -> Value:
    """*positions*, which count within one channel of *source*, as counted in all of *x*."""
    sizes, spatial = source.shape[2:], x.shape[2:]
    rest, coordinates = positions, list[Value]()
    for size in reversed(sizes):
        coordinates.insert(0, torch.remainder(rest, size))
        rest = torch.div(rest, size, rounding_mode="floor")
    coordinates = [each - pad for each, pad in zip(coordinates, before, strict=True)]
    order = list(range(len(spatial)))
    flat = None
    for at in reversed(order) if node.get("storage_order", 0) else order:
        flat = coordinates[at] if flat is None else flat * spatial[at] + coordinates[at]
    channels = torch.arange(x.shape[0] * x.shape[1]) * math.prod(spatial)
    return flat + channels.reshape(x.shape[0], x.shape[1], *[1] * len(spatial))


@operator("AveragePool")
def average_pool(node: Node, x: Value) -> Value:
    found = windows(node, x, node.get("kernel_shape"), pool=True)
    counted = bool(node.get("count_include_pad", 0))
    plain = all(each == 1 for each in found.dilations)
    fits = all(2 * pad <= size for pad, size in zip(found.before, found.kernel, strict=True))
    if plain and found.even and fits:
        return _MEAN[found.rank](x, found.kernel, found.strides, found.before, False, counted or not any(found.before))
    ones = torch.ones(1, 1, *x.shape[2:], dtype=x.dtype)
    if counted:
        inner = Windows(**{**vars(found), "beyond": (0,) * found.rank})
        ones = F.pad(padded(ones, inner, 1.0), around_beyond(found))
    else:
        ones = padded(ones, found)
    return _summed(padded(x, found), found) / _summed(ones, found)


def around_beyond(found: Windows) -> list[int]:
    return [side for each in reversed(found.beyond) for side in (0, each)]


def _summed(x: Value, found: Windows) -> Value:
    """The sum of each window over *x*, which has its pads."""
    if all(each == 1 for each in found.dilations):
        return _MEAN[found.rank](x, found.kernel, found.strides) * float(math.prod(found.kernel))
    channels = x.shape[1]
    kernel = torch.ones(channels, 1, *found.kernel, dtype=x.dtype)
    return _CONVOLVE[found.rank](x, kernel, None, found.strides, 0, found.dilations, channels)


@operator("LpPool")
def norm_pool(node: Node, x: Value) -> Value:
    found, order = windows(node, x, node.get("kernel_shape"), pool=True), node.get("p", 2)
    return torch.pow(_summed(padded(torch.pow(torch.abs(x), order), found), found), 1 / order)


@operator("GlobalAveragePool")
def global_average_pool(node: Node, x: Value) -> Value:
    rank = x.ndim - 2
    return _TO_ONE[rank](x, 1) if rank in _TO_ONE else torch.mean(x, list(range(2, x.ndim)), keepdim=True)


@operator("GlobalMaxPool")
def global_max_pool(node: Node, x: Value) -> Value:
    return torch.amax(x, list(range(2, x.ndim)), keepdim=True)


@operator("GlobalLpPool")
def global_norm_pool(node: Node, x: Value) -> Value:
    order = node.get("p", 2)
    return torch.pow(torch.sum(torch.pow(torch.abs(x), order), list(range(2, x.ndim)), keepdim=True), 1 / order)


@operator("MaxUnpool")
def max_unpool(node: Node, x: Value, positions: Value, shape: Value = None) -> Value:
    kernel = node.get("kernel_shape")
    rank = len(kernel)
    strides, pads = node.get("strides") or [1] * rank, node.get("pads") or [0] * 2 * rank
    own = list(x.shape[:2]) + [
        (size - 1) * strides[at] - pads[at] - pads[at + rank] + kernel[at] for at, size in enumerate(x.shape[2:])
    ]
    wanted = own if shape is None else node.ints(shape, "output_shape")
    flat = torch.zeros(math.prod(own), dtype=x.dtype)
    result = torch.scatter(flat, 0, positions.reshape(-1), x.reshape(-1)).reshape(own)
    grown = [side for have, size in zip(reversed(own), reversed(wanted), strict=True) for side in (0, size - have)]
    return F.pad(result, grown) if any(grown) else result
