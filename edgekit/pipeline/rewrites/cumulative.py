"""Running products, extremes and sums of exponentials: neither converter has an operator for any.

Each value is combined with the one before it, then with the one two before, four before, and so on.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch.nn import functional as F

_ATEN = torch.ops.aten
#: Whole numbers have 32 bits in a ``.tflite``.
_LARGEST = (1 << 31) - 1


def _running(combine: Callable[[torch.Tensor, torch.Tensor], torch.Tensor], neutral: float) -> Callable[..., Any]:
    def rule(value: torch.Tensor, dim: int, *, dtype: torch.dtype | None = None) -> torch.Tensor:
        found = (value if dtype is None else value.to(dtype)).movedim(dim, -1)
        size, step = int(found.shape[-1]), 1
        while step < size:
            found = combine(found, F.pad(found, (step, 0), value=neutral).narrow(-1, 0, size))
            step *= 2
        return found.movedim(-1, dim)

    return rule


def _extreme(sign: int) -> Callable[..., Any]:
    """The largest value so far, or with a negative *sign* the smallest, and where it is: the last one of equals."""

    def rule(value: torch.Tensor, dim: int) -> tuple[torch.Tensor, torch.Tensor]:
        worst = -sign * (_LARGEST if not value.is_floating_point() else torch.finfo(value.dtype).max)
        found = value.movedim(dim, -1)
        size, step = int(found.shape[-1]), 1
        positions = torch.arange(size).expand(found.shape)
        while step < size:
            before, position = (
                F.pad(each, (step, 0), value=fill).narrow(-1, 0, size)
                for each, fill in ((found, worst), (positions, 0))
            )
            better = before > found if sign > 0 else before < found
            found, positions = torch.where(better, before, found), torch.where(better, position, positions)
            step *= 2
        return found.movedim(-1, dim), positions.movedim(-1, dim)

    return rule


def _log_of_sum(left: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
    return torch.maximum(left, right) + torch.log1p(torch.exp(-(left - right).abs()))


def _powers(value: torch.Tensor, *, N: int | None = None) -> torch.Tensor:
    """The first *N* powers of each value, from 0, along a new last axis."""
    found = [torch.ones_like(value)]
    while len(found) < (int(value.shape[-1]) if N is None else N):
        found.append(found[-1] * value)
    return torch.stack(found, -1)


def _vander(value: torch.Tensor, N: int | None = None, increasing: bool = False) -> torch.Tensor:
    found = _powers(value, N=N)
    return found if increasing else found.flip(-1)


RULES: dict[Any, Callable[..., Any]] = {
    _ATEN.cumprod.default: _running(torch.mul, 1.0),
    _ATEN.logcumsumexp.default: _running(_log_of_sum, -1e30),
    _ATEN.linalg_vander.default: _powers,
    _ATEN.vander.default: _vander,
    _ATEN.cummax.default: _extreme(1),
    _ATEN.cummin.default: _extreme(-1),
}
