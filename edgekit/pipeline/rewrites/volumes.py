"""Convolutions and pools over three axes by those over two: the first axis is unrolled into channels, or pooled apart.

executorch 1.5.1 convolves over one and two axes alone ("Expect input tensor to be 3-D or 4-D") and has no kernel that
pools over three; litert-torch 0.10.0 makes groups and transposed convolutions operators of TensorFlow ("TF Select ops:
Conv3D"), and LiteRT 2.3.0 hands none of what it has to XNNPACK.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch.nn import functional as F

from edgekit.pipeline.rewrites.padding import same

_ATEN = torch.ops.aten
_Plane = Callable[..., torch.Tensor]


def _three(given: Sequence[int]) -> list[int]:
    return [*given] * 3 if len(given) == 1 else [*given]


def _planes(value: torch.Tensor) -> torch.Tensor:
    """[N, C, D, H, W] as [N D, C, H, W].

    Height and width are one axis meanwhile: litert-torch 0.10.0 mixes up five that are all of one size.
    """
    return value.flatten(3).transpose(1, 2).flatten(0, 1).unflatten(2, value.shape[3:])


def _volume(planes: torch.Tensor, samples: int) -> torch.Tensor:
    """The reverse of `_planes` for so many *samples*."""
    return planes.flatten(2).unflatten(0, (samples, -1)).transpose(1, 2).unflatten(3, planes.shape[2:])


def _windows(value: torch.Tensor, axis: int, count: int, size: int, stride: int, step: int) -> list[torch.Tensor]:
    """For each position in a window of *size* along *axis*, what *count* windows have there."""
    reach = (count - 1) * stride + 1
    return [
        torch.ops.aten.slice.Tensor(value, axis, position * step, position * step + reach, stride)
        for position in range(size)
    ]


def _convolution(
    value: torch.Tensor,
    weight: torch.Tensor,
    bias: torch.Tensor | None = None,
    stride: Sequence[int] = (1,),
    padding: Sequence[int] = (0,),
    dilation: Sequence[int] = (1,),
    groups: int = 1,
) -> torch.Tensor:
    if value.dim() == 4:
        return _convolution(value.unsqueeze(0), weight, bias, stride, padding, dilation, groups).squeeze(0)
    strides, pads, steps = map(_three, (stride, padding, dilation))
    depth = int(weight.shape[2])
    if {*weight.shape[2:], *strides} == {1} and not any(pads):  # of each value by itself
        return F.conv2d(value.flatten(2, 3), weight.flatten(2, 3), bias, groups=groups).unflatten(2, value.shape[2:4])
    if pads[0]:
        value = F.pad(value, (0, 0, 0, 0, pads[0], pads[0]))
    count = (int(value.shape[2]) - steps[0] * (depth - 1) - 1) // strides[0] + 1
    windows = _windows(value, 2, count, depth, strides[0], steps[0])
    unrolled = torch.stack(windows, 2).flatten(1, 2) if depth > 1 else windows[0]
    planes = F.conv2d(_planes(unrolled), weight.flatten(1, 2), bias, strides[1:], pads[1:], steps[1:], groups)
    return _volume(planes, int(value.shape[0]))


def _transposed(plane: _Plane) -> Callable[..., torch.Tensor]:
    """The rule, with *plane* for the same over two axes."""

    def rule(
        value: torch.Tensor,
        weight: torch.Tensor,
        bias: torch.Tensor | None = None,
        stride: Sequence[int] = (1,),
        padding: Sequence[int] = (0,),
        output_padding: Sequence[int] = (0,),
        groups: int = 1,
        dilation: Sequence[int] = (1,),
    ) -> torch.Tensor:
        if value.dim() == 4:
            return rule(value.unsqueeze(0), weight, bias, stride, padding, output_padding, groups, dilation).squeeze(0)
        strides, pads, more, steps = map(_three, (stride, padding, output_padding, dilation))
        samples, before, depth = int(value.shape[0]), int(value.shape[2]), int(weight.shape[2])
        after = (before - 1) * strides[0] - 2 * pads[0] + steps[0] * (depth - 1) + more[0] + 1
        planes = plane(_planes(value), weight.flatten(1, 2), None, strides[1:], pads[1:], more[1:], groups, steps[1:])
        parts = _volume(planes, samples).unflatten(1, (-1, depth)).unbind(2)
        whole = None
        for position, part in enumerate(parts):
            apart = _apart(part, strides[0])
            begin = position * steps[0] - pads[0]
            shifted = F.pad(apart, (0, 0, 0, 0, max(0, begin), 0)).narrow(
                2, max(0, -begin), int(apart.shape[2]) - max(0, -begin) + max(0, begin)
            )
            missing = after - int(shifted.shape[2])
            shifted = F.pad(shifted, (0, 0, 0, 0, 0, missing)) if missing > 0 else shifted.narrow(2, 0, after)
            whole = shifted if whole is None else whole + shifted
        assert whole is not None
        return whole if bias is None else whole + bias.reshape(-1, 1, 1, 1)

    return rule


def _apart(value: torch.Tensor, stride: int) -> torch.Tensor:
    """*value* with zeros between what is along its axis of depth."""
    if stride == 1:
        return value
    wide = torch.stack([value, *[torch.zeros_like(value)] * (stride - 1)], 3).flatten(2, 3)
    return wide.narrow(2, 0, int(value.shape[2] - 1) * stride + 1)


def _in_turn(pool: Callable[[torch.Tensor, Sequence[list[int]]], torch.Tensor], value: torch.Tensor, given: Any) -> Any:
    """Pool height and width, then depth; *given* are kernel, stride, padding and so on, three of each."""
    lead = value.shape[:-3]
    flat = value.flatten(0, -4) if len(lead) > 1 else value
    flat = pool(flat, [each[1:] for each in given])
    height, width = flat.shape[-2:]
    upright = [[each[0], neutral] for each, neutral in zip(given, (1, 1, 0, 1), strict=False)]
    flat = pool(flat.flatten(2).unsqueeze(0), upright).squeeze(0)
    return flat.unflatten(2, (height, width)).unflatten(0, lead)


def max_pool(
    value: torch.Tensor,
    kernel: Sequence[int],
    stride: Sequence[int] = (),
    padding: Sequence[int] = (0,),
    dilation: Sequence[int] = (1,),
    ceil_mode: bool = False,
) -> Any:
    def pool(planes: torch.Tensor, given: Sequence[list[int]]) -> torch.Tensor:
        found: torch.Tensor = F.max_pool2d(planes, given[0], given[1], given[2], given[3], ceil_mode)
        return found

    return _in_turn(pool, value, [_three(each) for each in (kernel, stride or kernel, padding, dilation)])


def _average_pool(
    value: torch.Tensor,
    kernel: Sequence[int],
    stride: Sequence[int] = (),
    padding: Sequence[int] = (0,),
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> Any:
    divisor = None if divisor_override is None else 1

    def pool(planes: torch.Tensor, given: Sequence[list[int]]) -> torch.Tensor:
        return F.avg_pool2d(planes, given[0], given[1], given[2], ceil_mode, count_include_pad, divisor)

    found = _in_turn(pool, value, [_three(each) for each in (kernel, stride or kernel, padding)])
    return found if divisor_override is None else found / divisor_override


def _shared(value: torch.Tensor, size: Sequence[int]) -> Any:
    """The averages of as many pieces of each axis as *size* has it, which may overlap."""
    if {*size} == {1}:
        return NotImplemented
    lead = value.shape[:-3]
    flat = F.adaptive_avg_pool2d(value.flatten(0, -4) if len(lead) > 1 else value, tuple(size[1:]))
    shallow = F.adaptive_avg_pool2d(flat.flatten(2).unsqueeze(0), (size[0], size[1] * size[2])).squeeze(0)
    return shallow.unflatten(2, (size[1], size[2])).unflatten(0, lead)


def rules(plane: _Plane = F.conv_transpose2d) -> dict[Any, Callable[..., Any]]:
    """The rules, with *plane* for transposed convolutions over two axes."""
    return {
        _ATEN.conv3d.default: _convolution,
        _ATEN.conv3d.padding: same(_convolution, 3),
        _ATEN.conv_transpose3d.input: _transposed(plane),
        _ATEN.max_pool3d.default: max_pool,
        _ATEN.adaptive_avg_pool3d.default: _shared,
        _ATEN.avg_pool3d.default: _average_pool,
    }
