"""Sampling at positions of a grid that are reflected at the border.

litert-torch 0.10.0 does not convert how torch tells an even number of reflections ("failed to legalize operation
'tfl.equal'").
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

_ATEN = torch.ops.aten
_BILINEAR, _NEAREST = 0, 1
_BORDER, _REFLECTION = 1, 2


def _sample(value: torch.Tensor, grid: torch.Tensor, interpolation: int, padding: int, align_corners: bool) -> Any:
    if padding != _REFLECTION or interpolation not in (_BILINEAR, _NEAREST):
        return NotImplemented
    sizes = reversed([int(size) for size in value.shape[2:]])
    inside = [_reflected(grid[..., axis], size, align_corners) for axis, size in enumerate(sizes)]
    return _ATEN.grid_sampler(value, torch.stack(inside, -1), interpolation, _BORDER, align_corners)


def _reflected(position: torch.Tensor, size: int, align_corners: bool) -> torch.Tensor:
    """*position*, from -1 to 1 over an axis of *size*, brought there by reflections."""
    if align_corners and size == 1:
        return torch.zeros_like(position)
    # Over what is between the first and the last value, or also over half a value around.
    span = float(size - 1 if align_corners else size)
    distance = torch.remainder((position + 1) * (span / 2), 2 * span)
    return torch.minimum(distance, 2 * span - distance) * (2 / span) - 1


LITERT: dict[Any, Callable[..., Any]] = {_ATEN.grid_sampler.default: _sample}
