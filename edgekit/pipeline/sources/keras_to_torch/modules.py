"""Modules for what PyTorch has no layer of its own for, and TensorFlow's padding rule."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

Pair = tuple[int, int]


def same_padding(size: int, window: int, stride: int, dilation: int) -> Pair:
    """How much TensorFlow's ``same`` puts before and after one dimension; the odd one goes after.

    Source: https://www.tensorflow.org/api_docs/python/tf/nn#notes_on_padding_2
    """
    reach = (window - 1) * dilation + 1
    total = max((-(-size // stride) - 1) * stride + reach - size, 0)
    return total // 2, total - total // 2


class Affine(nn.Module):
    """``x * scale + offset``, with constants that broadcast against *x*."""

    scale: torch.Tensor
    offset: torch.Tensor

    def __init__(self, scale: torch.Tensor, offset: torch.Tensor):
        super().__init__()
        self.register_buffer("scale", scale)
        self.register_buffer("offset", offset)
        self._shifts = bool(offset.any())

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * self.scale + self.offset if self._shifts else x * self.scale


class GlobalAverage(nn.Module):
    """The mean over height and width, which stay as dimensions of one."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.mean((-1, -2), keepdim=True)


class AveragePool(nn.Module):
    """Average pooling that, as TensorFlow's, leaves padding out of the average.

    XNNPACK cannot do that with PyTorch's own ``count_include_pad=False``, so zeros are padded and the averages they
    lowered are scaled up again by constants.
    """

    scale: torch.Tensor

    def __init__(self, window: Pair, strides: Pair, pads: list[Pair], extent: tuple[int, ...]):
        super().__init__()
        self._window, self._strides, self._pad = window, strides, torch_pad(pads)
        ones = functional.pad(torch.ones(1, 1, *extent), self._pad)
        self.register_buffer("scale", 1.0 / functional.avg_pool2d(ones, window, strides))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        padded = functional.pad(x, self._pad)
        return functional.avg_pool2d(padded, self._window, self._strides) * self.scale


class RepeatEdge(nn.Module):
    """Pads by repeating the outermost row and column."""

    def __init__(self, pads: list[Pair]):
        super().__init__()
        self._pads = pads

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for axis, (before, after) in enumerate(self._pads, start=2):
            first, last = x.narrow(axis, 0, 1), x.narrow(axis, x.shape[axis] - 1, 1)
            if before or after:
                x = torch.cat([first] * before + [x] + [last] * after, axis)
        return x


def torch_pad(pads: list[Pair]) -> tuple[int, int, int, int]:
    """Padding of height and width in the order that `torch.nn.functional.pad` wants: last dimension first."""
    (top, bottom), (left, right) = pads
    return left, right, top, bottom
