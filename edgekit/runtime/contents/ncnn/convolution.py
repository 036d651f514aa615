"""Layers whose windows go over pictures and signals, and those that make pictures larger."""

from __future__ import annotations

import math
from collections.abc import Sequence

from edgekit.runtime.contents.ncnn.rules import (
    MOST,
    MOST_OUTPUTS,
    MOST_WHOLE,
    NONE,
    Numbers,
    Result,
    Rules,
    Shape,
    Weight,
    activation,
    fits,
    one,
    require,
    window,
)

RULES = Rules()


@RULES.of("Convolution", "ConvolutionDepthWise")
def _convolution(numbers: Numbers, inputs: Sequence[Shape], count: int) -> Result:
    channels, height, width = one(inputs, 3)
    (kernel_w, kernel_h), (dilation_w, dilation_h), (stride_w, stride_h) = _windows(numbers)
    left = numbers.whole(4, least=NONE - 1)
    top = numbers.whole(14, left, NONE - 1)
    right, bottom = numbers.whole(15, left, NONE - 1), numbers.whole(16, top, NONE - 1)
    pads = {left, right, top, bottom}
    numbers.real(18)
    outputs, weights = _weights(numbers, channels, kernel_w * kernel_h)
    if pads in ({NONE}, {NONE - 1}):  # as many as the stride leaves
        down = _same(height, kernel_h, stride_h, dilation_h)
        return [(outputs, down, _same(width, kernel_w, stride_w, dilation_w))], weights
    require(min(pads) >= 0, "its pads are below 0")
    fits(channels, height + top + bottom, width + left + right)
    down = window(height, kernel_h, stride_h, top + bottom, dilation_h)
    return [(outputs, down, window(width, kernel_w, stride_w, left + right, dilation_w))], weights


def _windows(numbers: Numbers) -> list[tuple[int, int]]:
    """Kernel, dilation and stride, across and down; what is not said of down is as across."""
    across = _window(numbers)
    return [(size, numbers.whole(key, size, 1)) for key, size in zip((11, 12, 13), across, strict=True)]


def _window(numbers: Numbers) -> tuple[int, int, int]:
    """Kernel, dilation and stride across."""
    kernel, dilation, stride = (numbers.whole(key, default, 1) for key, default in ((1, 0), (2, 1), (3, 1)))
    require(kernel > 0, "its kernel has no size")
    return kernel, dilation, stride


def _same(size: int, kernel: int, stride: int, dilation: int = 1) -> int:
    reach = dilation * (kernel - 1) + 1
    return (max(size, reach + (size - 1) // stride * stride) - reach) // stride + 1


@RULES.of("Convolution1D", "ConvolutionDepthWise1D")
def _convolution_1d(numbers: Numbers, inputs: Sequence[Shape], count: int) -> Result:
    channels, width = one(inputs, 2)
    kernel, dilation, stride = _window(numbers)
    left = numbers.whole(4, least=NONE - 1)
    right = numbers.whole(15, left, NONE - 1)
    numbers.real(18)
    outputs, weights = _weights(numbers, channels, kernel)
    if {left, right} in ({NONE}, {NONE - 1}):
        return [(outputs, _same(width, kernel, stride, dilation))], weights
    require(min(left, right) >= 0, "its pads are below 0")
    fits(channels, width + left + right)
    return [(outputs, window(width, kernel, stride, left + right, dilation))], weights


@RULES.of("Deconvolution", "DeconvolutionDepthWise")
def _deconvolution(numbers: Numbers, inputs: Sequence[Shape], count: int) -> Result:
    channels, height, width = one(inputs, 3)
    (kernel_w, kernel_h), (dilation_w, dilation_h), (stride_w, stride_h) = _windows(numbers)
    left = numbers.whole(4)
    top = numbers.whole(14, left)
    right, bottom = numbers.whole(15, left), numbers.whole(16, top)
    more_w = numbers.whole(18)
    more_h = numbers.whole(19, more_w)
    outputs, weights = _weights(numbers, channels, kernel_w * kernel_h)
    fits(outputs, kernel_w, kernel_h, height, width)  # all windows, before they are summed up
    fits(outputs, height * stride_h + dilation_h * kernel_h, width * stride_w + dilation_w * kernel_w)
    down = (height - 1) * stride_h + dilation_h * (kernel_h - 1) + 1 + more_h - top - bottom
    across = (width - 1) * stride_w + dilation_w * (kernel_w - 1) + 1 + more_w - left - right
    return [(outputs, down, across)], weights


@RULES.of("Deconvolution1D", "DeconvolutionDepthWise1D")
def _deconvolution_1d(numbers: Numbers, inputs: Sequence[Shape], count: int) -> Result:
    channels, width = one(inputs, 2)
    kernel, dilation, stride = _window(numbers)
    left = numbers.whole(4)
    right, more = numbers.whole(15, left), numbers.whole(18)
    outputs, weights = _weights(numbers, channels, kernel)
    fits(outputs, kernel, width)
    return [(outputs, (width - 1) * stride + dilation * (kernel - 1) + 1 + more - left - right)], weights


def _weights(numbers: Numbers, channels: int, kernel: int) -> tuple[int, list[Weight]]:
    """Outputs and weights of a convolution whose kernel has so many values."""
    require(kernel >= 1, "it has no kernel")
    outputs, groups = numbers.whole(0, least=1, most=MOST_OUTPUTS), 1
    if "DepthWise" in numbers.type:
        groups = numbers.whole(7, 1, 1, MOST_OUTPUTS)
    require(outputs >= 1 and channels % groups == 0 and outputs % groups == 0, "its groups do not fit its channels")
    shape = (outputs, channels // groups, kernel)
    require(numbers.whole(6, most=MOST_WHOLE) == math.prod(shape), "its weights do not fit its channels")
    activation(numbers)
    return outputs, [Weight(shape, typed=True), *([Weight((outputs,))] if numbers.flag(5) else [])]


@RULES.of("Pooling")
def _pooling(numbers: Numbers, inputs: Sequence[Shape], count: int) -> Result:
    channels, height, width = one(inputs, 3)
    numbers.whole(0, most=1)
    numbers.whole(6, most=1)
    kernel_w, stride_w, left = numbers.whole(1), numbers.whole(2, 1, 1), numbers.whole(3)
    kernel_h, stride_h = numbers.whole(11, kernel_w), numbers.whole(12, stride_w, 1)
    top, right = numbers.whole(13, left), numbers.whole(14, left)
    bottom, mode = numbers.whole(15, top), numbers.whole(5, most=3)
    is_global, is_adaptive = numbers.flag(4), numbers.flag(7)
    out_w = numbers.whole(8, least=NONE)
    out_h = numbers.whole(18, out_w, NONE)
    if is_global:
        return [(channels,)], []
    if is_adaptive:
        return [(channels, _adapted(height, out_h), _adapted(width, out_w))], []
    fits(channels, height + top + bottom + stride_h, width + left + right + stride_w)
    down = _pooled(height, kernel_h, stride_h, top, bottom, mode)
    return [(channels, down, _pooled(width, kernel_w, stride_w, left, right, mode))], []


@RULES.of("Pooling1D")
def _pooling_1d(numbers: Numbers, inputs: Sequence[Shape], count: int) -> Result:
    channels, width = one(inputs, 2)
    numbers.whole(0, most=1)
    numbers.whole(6, most=1)
    kernel, stride, left = numbers.whole(1), numbers.whole(2, 1, 1), numbers.whole(3)
    right, mode = numbers.whole(14, left), numbers.whole(5, most=3)
    is_global, is_adaptive, out = numbers.flag(4), numbers.flag(7), numbers.whole(8, least=NONE)
    if is_global:
        return [(channels,)], []
    if is_adaptive:
        return [(channels, _adapted(width, out))], []
    return [(channels, _pooled(width, kernel, stride, left, right, mode))], []


def _adapted(size: int, wanted: int) -> int:
    require(wanted == NONE or wanted >= 1, "it gives nothing")
    return size if wanted == NONE else wanted


def _pooled(size: int, kernel: int, stride: int, before: int, behind: int, mode: int) -> int:
    require(kernel >= 1 and max(before, behind) < kernel, "its pads are larger than its window")
    if mode > 1:
        return _same(size, kernel, stride)
    pads = before + behind
    require(size + pads >= kernel, "its window is larger than its input")
    tail = (size + pads - kernel) % stride if mode == 0 else 0
    return window(size, kernel, stride, pads + (stride - tail if tail else 0))


@RULES.of("Interp")
def _interp(numbers: Numbers, inputs: Sequence[Shape], count: int) -> Result:
    shape = one(inputs, 2, 3)
    numbers.whole(0, least=1, most=3)
    numbers.whole(6, most=1)
    scales = numbers.factor(1), numbers.factor(2)
    given = numbers.whole(3, most=MOST), numbers.whole(4, most=MOST)
    sizes = list(shape[-2:])
    for axis, (scale, size) in enumerate(zip(scales, given, strict=True)):
        if len(shape) == 3 or axis == 1:
            sizes[axis] = size or int(sizes[axis] * scale)
    require(all(given) or not any(given) or len(shape) == 2, "it gives one size of two")
    return [(*shape[:-2], *sizes)], []


@RULES.of("PixelShuffle")
def _pixel_shuffle(numbers: Numbers, inputs: Sequence[Shape], count: int) -> Result:
    channels, height, width = one(inputs, 3)
    factor, _ = numbers.whole(0, 1, 1), numbers.whole(1, most=1)
    require(channels % factor**2 == 0, "its channels do not fit its factor")
    return [(channels // factor**2, height * factor, width * factor)], []


@RULES.of("ShuffleChannel")
def _shuffle_channel(numbers: Numbers, inputs: Sequence[Shape], count: int) -> Result:
    shape, groups = one(inputs, 3), numbers.whole(0, 1, 1)
    numbers.whole(1, most=1)
    require(shape[0] % groups == 0, "its channels do not fit its groups")
    return [shape], []
