"""Resizing to the nearest value, as a choice of rows and columns by torch's own numbers; and smoothed, as products with
torch's own weights, one axis after the other.

litert-torch 0.10.0 resizes by factors of its own. Symptom: ``interpolate(x, size=(16, 25))`` of 11 by 9 values takes
other neighbours, 0 dB. By a whole factor both are the same. Neither converter has smoothed resizing ("Lowering not
found: aten._upsample_bilinear2d_aa", "is not in Core ATen opset"), and both look at sizes alone where the model gives a
factor (symptom: -3 dB for ``scale_factor=1.3`` of 9 by 7 values).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch

_ATEN = torch.ops.aten


def _nearest(axes: int, *, exact: bool) -> Callable[..., Any]:
    """The rule for so many spatial *axes*; *exact* measures from the middle of a value, else from its edge."""

    def rule(value: torch.Tensor, size: Sequence[int] | None, factors: Any = None, *more: float | None) -> Any:
        # The overload of operators gives one factor per argument, that of Python all of them in a list.
        given = list(factors) if isinstance(factors, (list, tuple)) else [factors, *more]
        scales = (given + [None] * axes)[:axes]
        before = [int(count) for count in value.shape[2:]]
        after = size or [int(count * scale) for count, scale in zip(before, scales, strict=True)]
        chosen = [_indices(*each, exact=exact) for each in zip(before, after, scales, strict=True)]
        if all(
            indices == _repeated(*each) for indices, each in zip(chosen, zip(before, after, strict=True), strict=True)
        ):
            return NotImplemented
        for axis, (indices, count) in enumerate(zip(chosen, before, strict=True), 2):
            if indices != list(range(count)):
                value = torch.index_select(value, axis, torch.tensor(indices))
        return value

    return rule


def _indices(before: int, after: int, scale: float | None, *, exact: bool) -> list[int]:
    """Which of *before* values each of *after* is, in single precision, as torch computes it."""
    step = np.float32(1 / scale) if scale else np.float32(before) / np.float32(after)
    numbers = np.arange(after, dtype=np.float32) + np.float32(0.5 if exact else 0)
    return np.minimum((numbers * step).astype(np.int64), before - 1).tolist()


def _repeated(before: int, after: int) -> list[int] | None:
    """The same by a whole factor."""
    return [index for index in range(before) for _ in range(after // before)] if after % before == 0 else None


def _by_weights(name: str, axes: int, *, always: bool) -> Callable[..., Any]:
    """The rule for an operator that is linear in each of its *axes*, as the one over two axes called *name* is.

    Args:
        always: Whether converters lack it; else they compute it by sizes, and wrong where a factor is none of sizes.
    """

    def rule(
        value: torch.Tensor, size: Sequence[int] | None, align_corners: bool, factors: Any = None, *more: float | None
    ) -> Any:
        given = list(factors) if isinstance(factors, (list, tuple)) else [factors, *more]
        scales = (given + [None] * axes)[:axes]
        before = [int(count) for count in value.shape[2:]]
        after = size or [int(count * scale) for count, scale in zip(before, scales, strict=True)]
        each = list(zip(before, after, scales, strict=True))
        plain = align_corners or all(scale is None or count * scale == other for count, other, scale in each)
        if plain and not always:
            return NotImplemented
        for axis, (count, other, scale) in enumerate(each, 2):
            weights = _weights(name, count, other, scale, align_corners)
            value = (value.movedim(axis, -1) @ weights.T).movedim(-1, axis)
        return value

    return rule


def _weights(name: str, before: int, after: int, scale: float | None, align_corners: bool) -> torch.Tensor:
    """[*after*, *before*]: what each of *before* values counts in each of *after*."""
    units = torch.eye(before).reshape(1, 1, before, before)
    found: torch.Tensor = getattr(_ATEN, name).default(units, [before, after], align_corners, None, scale)
    return found.reshape(before, after).T


COMMON: dict[Any, Callable[..., Any]] = {
    getattr(getattr(_ATEN, name), overload): _by_weights(over_two, axes, always=over_two.endswith("_aa"))
    for name, over_two, axes in (
        ("_upsample_bilinear2d_aa", "_upsample_bilinear2d_aa", 2),
        ("_upsample_bicubic2d_aa", "_upsample_bicubic2d_aa", 2),
        ("upsample_linear1d", "upsample_bilinear2d", 1),
        ("upsample_bilinear2d", "upsample_bilinear2d", 2),
        ("upsample_bicubic2d", "upsample_bicubic2d", 2),
        ("upsample_trilinear3d", "upsample_bilinear2d", 3),
    )
    for overload in ("default", "vec")
}
RULES: dict[Any, Callable[..., Any]] = {
    getattr(getattr(_ATEN, name), overload): _nearest(axes, exact=exact)
    for axes in (1, 2, 3)
    for name, exact in ((f"upsample_nearest{axes}d", False), (f"_upsample_nearest_exact{axes}d", True))
    for overload in ("default", "vec")
}
