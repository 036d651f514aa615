"""Layers that move a window over an image or a sequence: convolution, pooling, padding, cropping, upsampling."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import torch
from torch import nn

from edgekit.pipeline.sources.keras_to_torch.activations import activate
from edgekit.pipeline.sources.keras_to_torch.builder import Builder, NoEquivalent, Value, handles
from edgekit.pipeline.sources.keras_to_torch.modules import (
    AveragePool,
    GlobalAverage,
    Pair,
    RepeatEdge,
    same_padding,
    torch_pad,
)


def numbers(variable: Any) -> torch.Tensor:
    """A Keras variable's values."""
    return torch.from_numpy(np.array(keras.ops.convert_to_numpy(variable), np.float32))


def filled(module: nn.Module, **parameters: Any) -> nn.Module:
    """*module* with these parameters, tensors or Keras variables; without those that are None."""
    for name, value in parameters.items():
        if value is not None:
            tensor = value if isinstance(value, torch.Tensor) else numbers(value)
            setattr(module, name, nn.Parameter(tensor.contiguous()))
    return module


def _pair(setting: Any, x: Value, neutral: Any = 1) -> tuple[Any, Any]:
    """A setting for height and width; what a sequence has for its one dimension becomes that of the width."""
    values = tuple(setting) if isinstance(setting, (list, tuple)) else (setting,) * (x.rank - 2)
    return (neutral, values[0]) if x.rank == 3 else (values[0], values[1])


def _kernel(variable: Any, x: Value) -> torch.Tensor:
    """A kernel as ``[height, width, a, b]``; that of a sequence gets the height of one."""
    kernel = numbers(variable)
    return kernel.unsqueeze(0) if x.rank == 3 else kernel


def _by_channel(kernel: torch.Tensor) -> torch.Tensor:
    """A depthwise kernel ``[height, width, channels, multiplier]`` as ``[channels * multiplier, 1, height, width]``."""
    return kernel.permute(2, 3, 0, 1).reshape(-1, 1, *kernel.shape[:2])


def _convolve(build: Builder, layer: Any, part: str, x: Value, kernel: torch.Tensor, groups: int, bias: Any) -> Value:
    """*x* convolved with *kernel* ``[out, in / groups, height, width]``, with the padding and strides of *layer*."""
    strides, dilation = _pair(layer.strides, x), _pair(layer.dilation_rate, x)
    size: Pair = (kernel.shape[2], kernel.shape[3])
    pads = [(0, 0), (0, 0)]
    if layer.padding == "same":
        pads = [same_padding(*window) for window in zip(x.extent, size, strides, dilation, strict=True)]
    elif layer.padding == "causal":
        pads = [(0, 0), ((size[1] - 1) * dilation[1], 0)]
    if any(before != after for before, after in pads):
        x = build.module(layer, "pad", lambda: nn.ZeroPad2d(torch_pad(pads)), x)
        pads = [(0, 0), (0, 0)]
    padding = (pads[0][0], pads[1][0])
    channels = (kernel.shape[1] * groups, kernel.shape[0])

    def make() -> nn.Module:
        module = nn.Conv2d(*channels, size, strides, padding, dilation, groups, bias is not None)
        return filled(module, weight=kernel, bias=bias)

    return build.module(layer, part, make, x)


@handles(keras.layers.Conv1D, keras.layers.Conv2D)
def _convolution(build: Builder, layer: Any, x: Value) -> Value:
    x = build.channels_first(x)
    kernel = _kernel(layer.kernel, x).permute(3, 2, 0, 1)
    x = _convolve(build, layer, "", x, kernel, layer.groups, layer.bias)
    return activate(build, layer, "activation", layer.activation, x)


@handles(keras.layers.DepthwiseConv1D, keras.layers.DepthwiseConv2D)
def _depthwise_convolution(build: Builder, layer: Any, x: Value) -> Value:
    x = build.channels_first(x)
    kernel = _by_channel(_kernel(layer.kernel, x))
    x = _convolve(build, layer, "", x, kernel, x.sample.shape[1], layer.bias)
    return activate(build, layer, "activation", layer.activation, x)


@handles(keras.layers.SeparableConv1D, keras.layers.SeparableConv2D)
def _separable_convolution(build: Builder, layer: Any, x: Value) -> Value:
    x = build.channels_first(x)
    kernel = _by_channel(_kernel(layer.depthwise_kernel, x))
    x = _convolve(build, layer, "depthwise", x, kernel, x.sample.shape[1], None)
    point = _kernel(layer.pointwise_kernel, x).permute(3, 2, 0, 1)
    bias = layer.bias

    def make() -> nn.Module:
        module = nn.Conv2d(point.shape[1], point.shape[0], 1, bias=bias is not None)
        return filled(module, weight=point, bias=bias)

    x = build.module(layer, "pointwise", make, x)
    return activate(build, layer, "activation", layer.activation, x)


@handles(keras.layers.Conv1DTranspose, keras.layers.Conv2DTranspose)
def _transposed_convolution(build: Builder, layer: Any, x: Value) -> Value:
    x = build.channels_first(x)
    strides, dilation = _pair(layer.strides, x), _pair(layer.dilation_rate, x)
    if dilation != (1, 1) or layer.output_padding is not None:
        raise NoEquivalent("dilation or output_padding")
    kernel = _kernel(layer.kernel, x).permute(3, 2, 0, 1)
    size: Pair = (kernel.shape[2], kernel.shape[3])
    # Between windows narrower than the stride, and after the last one, there is the bias alone.
    bare = (max(strides[0] - size[0], 0), max(strides[1] - size[1], 0))
    extent = x.extent

    def make() -> nn.Module:
        module = nn.ConvTranspose2d(
            kernel.shape[0], kernel.shape[1], size, strides, output_padding=bare, bias=layer.bias is not None
        )
        return filled(module, weight=kernel, bias=layer.bias)

    x = build.module(layer, "", make, x)
    if layer.padding == "same":
        for axis in (0, 1):
            surplus = max(size[axis] - strides[axis], 0)
            if surplus:
                x = build.function(torch.narrow, x, axis + 2, surplus // 2, extent[axis] * strides[axis], like=x)
    return activate(build, layer, "activation", layer.activation, x)


def _pool_pads(layer: Any, x: Value, size: Pair, strides: Pair) -> list[Pair]:
    if layer.padding == "valid":
        return [(0, 0), (0, 0)]
    return [same_padding(*window, 1) for window in zip(x.extent, size, strides, strict=True)]


@handles(keras.layers.MaxPooling1D, keras.layers.MaxPooling2D)
def _max_pooling(build: Builder, layer: Any, x: Value) -> Value:
    x = build.channels_first(x)
    size, strides = _pair(layer.pool_size, x), _pair(layer.strides, x)
    pads = _pool_pads(layer, x, size, strides)
    uneven = [axis for axis in (0, 1) if pads[axis][0] != pads[axis][1]]
    if any(strides[axis] == 1 for axis in uneven):
        edges = pads  # a copy of the edge never changes the maximum of a window that holds the edge
        x = build.module(layer, "pad", lambda: RepeatEdge(edges), x)
        pads, uneven = [(0, 0), (0, 0)], []
    # Where the stride is wider, rounding up lets the last window reach over the edge, as far as TensorFlow pads.
    padding, over = (pads[0][0], pads[1][0]), bool(uneven)
    return build.module(layer, "", lambda: nn.MaxPool2d(size, strides, padding, ceil_mode=over), x)


@handles(keras.layers.AveragePooling1D, keras.layers.AveragePooling2D)
def _average_pooling(build: Builder, layer: Any, x: Value) -> Value:
    x = build.channels_first(x)
    size, strides, extent = _pair(layer.pool_size, x), _pair(layer.strides, x), x.extent
    pads = _pool_pads(layer, x, size, strides)
    if pads == [(0, 0), (0, 0)]:
        return build.module(layer, "", lambda: nn.AvgPool2d(size, strides), x)
    return build.module(layer, "", lambda: AveragePool(size, strides, pads, extent), x)


@handles(
    keras.layers.GlobalAveragePooling1D,
    keras.layers.GlobalAveragePooling2D,
    keras.layers.GlobalMaxPooling1D,
    keras.layers.GlobalMaxPooling2D,
)
def _global_pooling(build: Builder, layer: Any, x: Value) -> Value:
    x = build.channels_first(x)
    extent, channels = x.extent, x.sample.shape[1]
    average = isinstance(layer, (keras.layers.GlobalAveragePooling1D, keras.layers.GlobalAveragePooling2D))
    x = build.module(layer, "", GlobalAverage if average else lambda: nn.MaxPool2d(extent), x)
    return x if layer.keepdims else build.reshape(x, (channels,))


@handles(keras.layers.ZeroPadding1D, keras.layers.ZeroPadding2D)
def _zero_padding(build: Builder, layer: Any, x: Value) -> Value:
    x = build.channels_first(x)
    given = [layer.padding] if x.rank == 3 else layer.padding
    pads = list(_pair([tuple(pair) for pair in given], x, (0, 0)))
    return build.module(layer, "", lambda: nn.ZeroPad2d(torch_pad(pads)), x)


@handles(keras.layers.Cropping1D, keras.layers.Cropping2D)
def _cropping(build: Builder, layer: Any, x: Value) -> Value:
    x = build.channels_first(x)
    given = [layer.cropping] if x.rank == 3 else layer.cropping
    for axis, (before, after) in enumerate(_pair([tuple(pair) for pair in given], x, (0, 0)), start=2):
        if before or after:
            x = build.function(torch.narrow, x, axis, before, x.sample.shape[axis] - before - after, like=x)
    return x


@handles(keras.layers.UpSampling1D, keras.layers.UpSampling2D)
def _upsampling(build: Builder, layer: Any, x: Value) -> Value:
    x = build.channels_first(x)
    method = getattr(layer, "interpolation", "nearest")
    if method not in ("nearest", "bilinear"):
        raise NoEquivalent(f"interpolation {method!r}")
    factors = tuple(float(factor) for factor in _pair(layer.size, x))
    return build.module(layer, "", lambda: nn.Upsample(scale_factor=factors, mode=method), x)
