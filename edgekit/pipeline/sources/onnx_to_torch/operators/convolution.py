"""Convolutions. With constant weights they are ``nn.Conv2d`` and its kin."""

from __future__ import annotations

from typing import Any

import torch
from torch.nn import functional as F

from edgekit.pipeline.sources.onnx_to_torch.nodes import Node, Value, operator
from edgekit.pipeline.sources.onnx_to_torch.operators.windows import Windows, around, one_for_each, padded, windows

_CONVOLUTIONS: dict[int, tuple[Any, Any, Any, Any]] = {
    1: (torch.nn.Conv1d, F.conv1d, torch.nn.ConvTranspose1d, F.conv_transpose1d),
    2: (torch.nn.Conv2d, F.conv2d, torch.nn.ConvTranspose2d, F.conv_transpose2d),
    3: (torch.nn.Conv3d, F.conv3d, torch.nn.ConvTranspose3d, F.conv_transpose3d),
}


@operator("Conv")
def convolution(node: Node, x: Value, weight: Value, bias: Value = None) -> Value:
    return convolved(node, x, weight, bias, windows(node, x, weight.shape[2:]))


@operator("FusedConv", domain="com.microsoft")
def fused_convolution(node: Node, x: Value, weight: Value, bias: Value = None, more: Value = None) -> Value:
    result = convolution(node, x, weight, bias)
    result = result if more is None else result + more
    activation = {"": None, "Relu": torch.relu, "Sigmoid": torch.sigmoid, "Tanh": torch.tanh}
    if node.get("activation", "") not in activation:
        node.refuse(f"has the activation {node.get('activation')}")
    function = activation[node.get("activation", "")]
    return result if function is None else function(result)


def convolved(node: Node, x: Value, weight: Value, bias: Value, found: Windows) -> Value:
    group = node.get("group", 1)
    padding: tuple[int, ...] = found.before
    if not found.even:
        x, padding = padded(x, found), (0,) * found.rank
    module, function, _, _ = _CONVOLUTIONS[found.rank]
    if isinstance(weight, torch.Tensor) and (bias is None or isinstance(bias, torch.Tensor)):
        made = module(
            weight.shape[1] * group,
            weight.shape[0],
            found.kernel,
            stride=found.strides,
            padding=padding,
            dilation=found.dilations,
            groups=group,
            bias=bias is not None,
            device="meta",
        )
        return _with_weights(node, made, x, weight, bias)
    return function(x, weight, bias, found.strides, padding, found.dilations, group)


def _with_weights(node: Node, module: Any, x: Value, weight: torch.Tensor, bias: torch.Tensor | None) -> Value:
    module.weight = node.recorder.parameter(weight)
    if bias is not None:
        module.bias = node.recorder.parameter(bias)
    return node.call(module, x)


@operator("ConvTranspose")
def transposed_convolution(node: Node, x: Value, weight: Value, bias: Value = None) -> Value:
    rank, group = weight.ndim - 2, node.get("group", 1)
    if rank not in _CONVOLUTIONS:
        node.refuse(f"has {rank} spatial axes: PyTorch has transposed convolutions for one to three")
    strides, dilations = node.get("strides") or [1] * rank, node.get("dilations") or [1] * rank
    more = node.get("output_padding") or [0] * rank
    reach = [dilations[at] * (size - 1) + 1 for at, size in enumerate(weight.shape[2:])]
    before, after = _transposed_pads(node, x, strides, reach, more)
    module, function = _CONVOLUTIONS[rank][2:]
    if (
        before == after
        and all(0 <= extra < max(pair) for extra, *pair in zip(more, strides, dilations, strict=True))
        and min(before) >= 0
    ):
        if not isinstance(weight, torch.Tensor) or not (bias is None or isinstance(bias, torch.Tensor)):
            return function(x, weight, bias, strides, before, more, group, dilations)
        made = module(
            weight.shape[0],
            weight.shape[1] * group,
            tuple(weight.shape[2:]),
            stride=tuple(strides),
            padding=tuple(before),
            output_padding=tuple(more),
            groups=group,
            bias=bias is not None,
            dilation=tuple(dilations),
            device="meta",
        )
        return _with_weights(node, made, x, weight, bias)
    whole = function(x, weight, None, strides, 0, 0, group, dilations)
    result = F.pad(
        whole, around([-each for each in before], [extra - each for extra, each in zip(more, after, strict=True)])
    )
    return result if bias is None else result + one_for_each(bias, rank)


def _transposed_pads(
    node: Node, x: Value, strides: list[int], reach: list[int], more: list[int]
) -> tuple[list[int], list[int]]:
    """What is cut off before and after, for each spatial axis; less than 0 where something is added."""
    rank = len(strides)
    pads = node.get("pads") or [0] * 2 * rank
    mode, shape = node.get("auto_pad", "NOTSET"), node.get("output_shape")
    if shape is None and not mode.startswith("SAME"):
        return (pads[:rank], pads[rank:]) if mode == "NOTSET" else ([0] * rank, [0] * rank)
    before, after = [0] * rank, [0] * rank
    for at, size in enumerate(x.shape[2:]):
        wanted = size * strides[at] if shape is None else shape[-rank:][at]
        total = strides[at] * (size - 1) + more[at] + reach[at] - wanted
        if total < 0 and shape is None:
            node.refuse(
                f"has auto_pad {mode} and strides beyond its kernel: runtimes differ in what that is",
                "export the model with pads as numbers",
            )
        before[at] = total // 2 if mode == "SAME_UPPER" else total - total // 2
        if total < 0:
            before[at] = 0
        after[at] = total - before[at]
    return before, after


@operator("DeformConv")
def deformable_convolution(
    node: Node, x: Value, weight: Value, offset: Value, bias: Value = None, mask: Value = None
) -> Value:
    """Each window's positions moved by *offset*, read between the pixels, and weighted by *mask*."""
    found = windows(node, x, weight.shape[2:])
    if found.rank != 2:
        return node.refuse("is deformable in other than two spatial axes")
    group, groups = node.get("group", 1), node.get("offset_group", 1)
    count, channels, height, width = x.shape
    (rows, columns), (across, down) = found.counts, (found.kernel[0], found.kernel[1])
    taps = across * down
    moved = offset.reshape(count, groups, taps, 2, rows, columns)
    base = [
        (torch.arange(steps) * stride - before)
        for steps, stride, before in zip(found.counts, found.strides, found.before, strict=True)
    ]
    tap = torch.arange(taps)
    y = moved.select(3, 0) + ((tap // down) * found.dilations[0]).reshape(-1, 1, 1) + base[0].reshape(1, -1, 1)
    x_ = moved.select(3, 1) + ((tap % down) * found.dilations[1]).reshape(-1, 1, 1) + base[1].reshape(1, 1, -1)
    grid = torch.stack([(x_ + 0.5) * (2 / width) - 1, (y + 0.5) * (2 / height) - 1], -1)
    grid = grid.reshape(count * groups, taps * rows, columns, 2).to(x.dtype)
    each = x.reshape(count * groups, channels // groups, height, width)
    read = F.grid_sample(each, grid, align_corners=False).reshape(
        count, groups, channels // groups, taps, rows * columns
    )
    if mask is not None:
        read = read * mask.reshape(count, groups, 1, taps, rows * columns)
    gathered = read.reshape(count, group, channels // group * taps, rows * columns)
    kernel = weight.reshape(group, weight.shape[0] // group, channels // group * taps)
    result = torch.matmul(kernel, gathered).reshape(count, weight.shape[0], rows, columns)
    return result if bias is None else result + one_for_each(bias, 2)
