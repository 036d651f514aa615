"""Max pooling that says where each maximum was, and that to a given size.

litert-torch 0.10.0 makes up the indices. Symptom: LiteRT 2.3.0 does not open the file ("BROADCAST_TO failed to
prepare"). executorch 1.5.1 has no kernel for those of three axes. Neither converter has adaptive max pooling
("Lowering not found", "is not in Core ATen opset"), nor pools without an axis of samples ("'tfl.transpose' op perm
tensor elements size is not equal", "ChannelsLastTaggedReshapePass"), and litert-torch pads by less than nothing where
no window is added ("Pad value has to be greater than equal to 0").
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch.nn import functional as F

from edgekit.pipeline.rewrites.volumes import max_pool

_ATEN = torch.ops.aten
#: Of one axis: for each result, the indices that it is the maximum of; as many for each, so that some are there twice.
_Windows = list[list[int]]


def _with_indices(pool: Callable[..., torch.Tensor], axes: int) -> Callable[..., Any]:
    """The rule for *pool* over so many spatial *axes*."""

    def rule(
        value: torch.Tensor,
        kernel: Sequence[int],
        stride: Sequence[int] = (),
        padding: Sequence[int] = (0,),
        dilation: Sequence[int] = (1,),
        ceil_mode: bool = False,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        given = (kernel, stride or kernel, padding, dilation)
        spread = [[*each] * axes if len(each) == 1 else [*each] for each in given]
        largest = pool(value, *spread, ceil_mode)
        sizes = zip(value.shape[-axes:], largest.shape[-axes:], *spread, strict=True)
        return largest, _pooled(value, [_stepping(*map(int, each)) for each in sizes])[1]

    return rule


def _adaptive(pool: Callable[..., torch.Tensor], axes: int) -> Callable[..., Any]:
    """The rule for *pool* to a given size."""

    def rule(value: torch.Tensor, size: Sequence[int]) -> tuple[torch.Tensor, torch.Tensor]:
        sizes = [(int(before), int(after)) for before, after in zip(value.shape[-axes:], size, strict=True)]
        largest, indices = _pooled(value, [_sharing(*each) for each in sizes])
        if all(before % after == 0 for before, after in sizes):
            largest = pool(value, [before // after for before, after in sizes])
        return largest, indices

    return rule


def _pooled(value: torch.Tensor, windows: Sequence[_Windows]) -> tuple[torch.Tensor, torch.Tensor]:
    """The maxima of *value* over *windows* of its last axes, and the index of each: the first of equal ones."""
    shape = value.shape[-len(windows) :]
    indices = torch.arange(shape.numel()).reshape(shape).expand(value.shape)
    for axis, rows in zip(range(-1, -len(windows) - 1, -1), reversed(windows), strict=True):
        number = torch.tensor(rows)
        value, indices = (
            each.index_select(axis, number.flatten()).unflatten(axis, number.shape) for each in (value, indices)
        )
        first = value.argmax(axis, keepdim=True)
        value, indices = value.amax(axis), indices.gather(axis, first).squeeze(axis)
    return value, indices


def _stepping(before: int, after: int, kernel: int, stride: int, padding: int, dilation: int) -> _Windows:
    """*after* windows over *before* indices; for what lies in the padding, the next index that does not."""

    def inside(index: int) -> int:
        while index < 0:
            index += dilation
        while index >= before:
            index -= dilation
        return index

    return [[inside(number * stride - padding + step * dilation) for step in range(kernel)] for number in range(after)]


def _sharing(before: int, after: int) -> _Windows:
    """*after* windows that share *before* indices."""
    bounds = [(number * before // after, -(-(number + 1) * before // after)) for number in range(after)]
    longest = max(end - begin for begin, end in bounds)
    return [[min(begin + step, end - 1) for step in range(longest)] for begin, end in bounds]


def _plain(pool: Callable[..., torch.Tensor], axes: int, *, dilated: bool) -> Callable[..., Any]:
    """The rule for *pool* of what has no axis of samples, and for sizes that are rounded up to what they are anyway.

    Args:
        dilated: Whether *pool* takes a dilation in front of how sizes are rounded.
    """

    def rule(value: torch.Tensor, kernel: Sequence[int], stride: Sequence[int] = (), *more: Any) -> Any:
        if value.dim() == axes + 1:
            return pool(value.unsqueeze(0), kernel, stride or kernel, *more).squeeze(0)
        given = [*more, *(([0], [1], False) if dilated else ([0], False))[len(more) :]]
        rounding = 2 if dilated else 1  # its index
        spread = [[*each] * (axes // len(each)) for each in (kernel, stride or kernel, *given[:rounding])]
        sizes = zip(value.shape[-axes:], *spread, *([] if dilated else [[1] * axes]), strict=True)
        if not given[rounding] or not all(_even(*map(int, each)) for each in sizes):
            return NotImplemented
        return pool(value, kernel, stride or kernel, *given[:rounding], False, *given[rounding + 1 :])

    return rule


def _even(size: int, kernel: int, stride: int, padding: int, dilation: int) -> bool:
    """Whether there are as many windows when their number is rounded up."""
    reach = size + 2 * padding - dilation * (kernel - 1) - 1
    return reach % stride == 0 or (reach // stride + 1) * stride >= size + padding


_POOLS = ((1, F.max_pool1d), (2, F.max_pool2d), (3, max_pool))
COMMON: dict[Any, Callable[..., Any]] = {
    **{getattr(_ATEN, f"adaptive_max_pool{axes}d").default: _adaptive(pool, axes) for axes, pool in _POOLS},
    _ATEN.max_pool3d_with_indices.default: _with_indices(max_pool, 3),
    **{getattr(_ATEN, f"max_pool{axes}d").default: _plain(pool, axes, dilated=True) for axes, pool in _POOLS[:2]},
    _ATEN.avg_pool1d.default: _plain(F.avg_pool1d, 1, dilated=False),
    _ATEN.avg_pool2d.default: _plain(F.avg_pool2d, 2, dilated=False),
}
LITERT: dict[Any, Callable[..., Any]] = {
    getattr(_ATEN, f"max_pool{axes}d_with_indices").default: _with_indices(pool, axes) for axes, pool in _POOLS
}
