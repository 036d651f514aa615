"""Transposed convolutions, and the sum of overlapping windows that is one of them.

litert-torch 0.10.0 takes transposed convolutions without ``output_padding`` and ``dilation`` alone, and none that make
one value of one ("failed to legalize operation 'convolution'"), and LiteRT 2.3.0 does not run what it makes of ``fold``
("Only update, Add, Multiply, … operations are currently supported for stablehlo.scatter"). executorch 1.5.1 crops what
it makes of a padded ``fold`` in a kernel that fails ("Padding values must be non-negative").
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch.nn import functional as F

_ATEN = torch.ops.aten


def _transposed(convolve: Callable[..., torch.Tensor], axes: int) -> Callable[..., Any]:
    """The rule for *convolve* over so many spatial *axes*: all of its result, of which a piece is cut out."""

    def rule(
        value: torch.Tensor,
        weight: torch.Tensor,
        bias: torch.Tensor | None = None,
        stride: Sequence[int] = (1,),
        padding: Sequence[int] = (0,),
        output_padding: Sequence[int] = (0,),
        groups: int = 1,
        dilation: Sequence[int] = (1,),
    ) -> Any:
        strides, pads, more, steps = (
            [*each] * (axes // len(each)) for each in (stride, padding, output_padding, dilation)
        )
        sizes = zip(value.shape[-axes:], weight.shape[2:], pads, strict=True)
        one_left = any(size == 1 and kernel - 2 * pad == 1 and pad for size, kernel, pad in sizes)
        if not any(more) and set(steps) == {1} and not one_left:
            return NotImplemented
        for axis, step in enumerate(steps, 2):
            weight = _spread(weight, axis, step)
        # What lies behind the last window holds nothing but the bias.
        behind = [max(0, extra - pad) for pad, extra in zip(pads, more, strict=True)]
        late = bias is not None and any(behind)
        whole = convolve(value, weight, None if late else bias, strides, 0, 0, groups)
        whole = F.pad(whole, [amount for extra in reversed(behind) for amount in (0, extra)]) if any(behind) else whole
        for axis, (pad, extra, added) in enumerate(zip(pads, more, behind, strict=True), 2):
            whole = whole.narrow(axis, pad, int(whole.shape[axis]) - added - 2 * pad + extra)
        return whole + bias.reshape(-1, *[1] * axes) if late and bias is not None else whole

    return rule


def _spread(weight: torch.Tensor, axis: int, step: int) -> torch.Tensor:
    """*weight* with zeros between its values along *axis*."""
    if step == 1:
        return weight
    apart = torch.stack([weight, *[torch.zeros_like(weight)] * (step - 1)], axis + 1).flatten(axis, axis + 1)
    return apart.narrow(axis, 0, int(weight.shape[axis] - 1) * step + 1)


def transposed_plane(*given: Any) -> torch.Tensor:
    """A transposed convolution over two axes, as the converter takes it."""
    found = _RULE(*given)
    found = F.conv_transpose2d(*given) if found is NotImplemented else found
    assert isinstance(found, torch.Tensor)
    return found


def _fold(
    value: torch.Tensor,
    size: Sequence[int],
    kernel: Sequence[int],
    dilation: Sequence[int],
    padding: Sequence[int],
    stride: Sequence[int],
) -> torch.Tensor:
    """As a transposed convolution that puts each value where it belongs."""
    window = math.prod(kernel)
    channels = int(value.shape[-2]) // window
    given = list(zip(size, kernel, dilation, padding, stride, strict=True))
    reach = [after + 2 * pad - step * (width - 1) - 1 for after, width, step, pad, _ in given]
    counts = [left // far + 1 for left, (*_, far) in zip(reach, given, strict=True)]
    rest = [left % far for left, (*_, far) in zip(reach, given, strict=True)]
    windows = value.reshape(-1, channels * window, *counts)
    weight = torch.eye(window).reshape(window, 1, *kernel).repeat(channels, 1, 1, 1)
    arguments = (windows, weight, None, list(stride), list(padding), rest, channels, list(dilation))
    folded = transposed_plane(*arguments)
    return folded.reshape(*value.shape[:-2], channels, *size)


_RULE = _transposed(F.conv_transpose2d, 2)
COMMON: dict[Any, Callable[..., Any]] = {_ATEN.col2im.default: _fold}
LITERT: dict[Any, Callable[..., Any]] = {
    _ATEN.conv_transpose1d.default: _transposed(F.conv_transpose1d, 1),
    _ATEN.conv_transpose2d.input: _RULE,
}
