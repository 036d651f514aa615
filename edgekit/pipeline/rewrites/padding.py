"""Pads as converters take them: zeros or another value, never less than nothing, or pieces of the tensor itself.

litert-torch 0.10.0 does not take ``padding="same"`` of an uneven amount ("Expected a value of type 'List[int]' for
argument 'padding'"). It takes every reflection of two axes for one of four, and ends at one of three: "perm tensor
elements size is not equal to input tensor rank"; one of one axis becomes an index of each number. executorch 1.5.1
crops by a negative amount in a kernel that fails when it runs, and pads by reflection outside of the delegate.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import torch
from torch.nn import functional as F

from edgekit.pipeline.rewrites.lines import conv1d

_ATEN = torch.ops.aten
#: Modes that take a piece per row or column; more of them than this are left to the converter.
_IN_PIECES = ("reflect", "replicate")
_MOST_PIECES = 8


def _pad(
    value: torch.Tensor,
    amounts: Sequence[int],
    mode: str = "constant",
    fill: float | None = None,
    *,
    as_picture: bool = False,
) -> Any:
    """Cut off first, then put around: ``amounts`` are pairs, for the last axis first.

    Args:
        as_picture: Reflect nothing of fewer than four axes in one.
    """
    if mode == "constant" and min(amounts, default=0) >= 0:
        return NotImplemented
    many = mode in _IN_PIECES and any(amount > _MOST_PIECES for amount in amounts)
    lifted = many and mode == "reflect" and as_picture and value.dim() < 4
    if many and min(amounts) >= 0 and not lifted:
        return NotImplemented
    pairs = list(zip(amounts[::2], amounts[1::2], strict=True))
    for axis, (before, after) in enumerate(pairs, 1):
        size = int(value.shape[-axis])
        begin, end = max(0, -before), size + min(0, after)
        if (begin, end) != (0, size):
            value = value.narrow(-axis, begin, end - begin)
    around = [max(0, amount) for amount in amounts]
    if many:
        return _reflected(value, around) if lifted else F.pad(value, around, mode=mode)
    if mode != "constant":
        for axis, (before, after) in enumerate(zip(around[::2], around[1::2], strict=True), 1):
            value = _extended(value, -axis, before, after, mode)
        return value
    return F.pad(value, around, value=fill) if any(around) else value


def _reflected(value: torch.Tensor, amounts: Sequence[int]) -> torch.Tensor:
    """*value*, of two or three axes, with reflections of its last one or two, as one of four axes."""
    axes = len(amounts) // 2
    last = value.shape[-axes:] if axes == 2 else (1, value.shape[-1])
    picture = value.reshape(1, -1, *last) if value.dim() < 3 or axes == 2 else value.unsqueeze(2)
    padded = F.pad(picture, [*amounts, 0, 0][:4], mode="reflect")
    return padded.reshape(*value.shape[:-axes], *padded.shape[-axes:])


def _extended(value: torch.Tensor, axis: int, before: int, after: int, mode: str) -> torch.Tensor:
    """*value* with pieces of itself in front and behind along *axis*."""
    if not before and not after:
        return value
    size = int(value.shape[axis])
    if mode == "circular":
        parts = [value.narrow(axis, size - before, before)] if before else []
        parts += [value, *([value.narrow(axis, 0, after)] if after else [])]
        return torch.cat(parts, axis)
    if mode == "replicate":
        sides = [0] * before, [size - 1] * after
    else:
        sides = [*range(before, 0, -1)], [size - 2 - step for step in range(after)]
    first, last = ([value.narrow(axis, index, 1) for index in side] for side in sides)
    return torch.cat([*first, value, *last], axis)


def same(convolve: Callable[..., torch.Tensor], axes: int) -> Callable[..., Any]:
    """The rule for *convolve* over so many *axes* with ``padding="same"``: an uneven amount has its odd one behind."""

    def rule(
        value: torch.Tensor,
        weight: torch.Tensor,
        bias: torch.Tensor | None = None,
        stride: Sequence[int] = (1,),
        padding: str = "valid",
        dilation: Sequence[int] = (1,),
        groups: int = 1,
    ) -> torch.Tensor:
        strides, steps = ([*each] * axes if len(each) == 1 else [*each] for each in (stride, dilation))
        around = [
            step * (int(size) - 1) if padding == "same" else 0
            for step, size in zip(steps, weight.shape[2:], strict=True)
        ]
        if any(amount % 2 for amount in around):
            value = F.pad(value, [extra for amount in reversed(around) for extra in (0, amount % 2)])
        return convolve(value, weight, bias, strides, [amount // 2 for amount in around], steps, groups)

    return rule


COMMON: dict[Any, Callable[..., Any]] = {
    _ATEN.pad.default: _pad,
    _ATEN.constant_pad_nd.default: lambda value, amounts, fill=0: _pad(value, amounts, "constant", fill),
    **{
        getattr(_ATEN, f"{name}_pad{axes}d").default: partial(_pad, mode=mode)
        for name, mode in (("reflection", "reflect"), ("replication", "replicate"))
        for axes in (1, 2, 3)
    },
    _ATEN.conv1d.padding: same(conv1d, 1),
    _ATEN.conv2d.padding: same(F.conv2d, 2),
}
LITERT: dict[Any, Callable[..., Any]] = {
    _ATEN.pad.default: partial(_pad, as_picture=True),
    _ATEN.reflection_pad1d.default: partial(_pad, mode="reflect", as_picture=True),
    _ATEN.reflection_pad2d.default: partial(_pad, mode="reflect", as_picture=True),
}
