"""Writing to positions that are only known at run time, as comparisons with every position there is.

litert-torch 0.10.0 makes ``stablehlo.scatter`` of all of it, of which LiteRT 2.3.0 takes few ("Only update, Add,
Multiply, Maximum and Minimum operations are currently supported for stablehlo.scatter").
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import torch

from edgekit.errors import ConversionError

_ATEN = torch.ops.aten
#: Comparisons of indices with positions.
_MOST_COMPARISONS = 1 << 24


def _hits(index: torch.Tensor, size: int) -> torch.Tensor:
    """Whether each of *index*, along its last axis, is each of *size* positions: one axis more, the last one."""
    if index.numel() * size > _MOST_COMPARISONS:
        message = (
            f"writing to {index.numel():,} of {size:,} positions takes {index.numel() * size:,} comparisons in LiteRT"
        )
        hint = "write to fewer positions, or to slices of a tensor; or build the other format"
        raise ConversionError("EK-UNSUPPORTED", message, hint)
    index = torch.where(index < 0, index + size, index)
    return index.unsqueeze(-1) == torch.arange(size)


def _over(target: torch.Tensor, hits: torch.Tensor, source: torch.Tensor) -> torch.Tensor:
    """*target* with *source* where something hits: the last of several.

    Args:
        target: [..., n].
        hits: [..., k, n].
        source: [..., k].
    """
    last = _last(hits)
    return torch.where(last > 0, torch.gather(source, -1, (last - 1).clamp(min=0)), target)


def _last(hits: torch.Tensor) -> torch.Tensor:
    """For each position, the number, from 1, of the last of *hits* [..., k, n] in it; 0 for none."""
    numbers = torch.arange(1, int(hits.shape[-2]) + 1).unsqueeze(-1)
    return torch.where(hits, numbers, torch.zeros_like(numbers)).amax(-2)


def _added(target: torch.Tensor, hits: torch.Tensor, source: torch.Tensor) -> torch.Tensor:
    return target + _sum(hits, source)


def _sum(hits: torch.Tensor, source: torch.Tensor) -> torch.Tensor:
    return torch.where(hits, source.unsqueeze(-1), torch.zeros_like(source.unsqueeze(-1))).sum(-2, dtype=source.dtype)


def _product(hits: torch.Tensor, source: torch.Tensor) -> torch.Tensor:
    return torch.where(hits, source.unsqueeze(-1), torch.ones_like(source.unsqueeze(-1))).prod(-2)


def _extreme(hits: torch.Tensor, source: torch.Tensor, *, largest: bool) -> torch.Tensor:
    bounds = torch.iinfo(source.dtype) if not source.is_floating_point() else torch.finfo(source.dtype)
    worst = torch.full_like(source.unsqueeze(-1), bounds.min if largest else bounds.max)
    found = torch.where(hits, source.unsqueeze(-1), worst)
    return found.amax(-2) if largest else found.amin(-2)


def _lines(
    target: torch.Tensor, dim: int, index: torch.Tensor, source: Any
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """*target*, *index* and *source* with *dim* as their last axis; where no index can reach, nothing hits."""
    if not isinstance(source, torch.Tensor):
        source = torch.full_like(index, source, dtype=target.dtype)
    if target.dim() == 0:
        target, index, source = target.reshape(1), index.reshape(1), source.reshape(1)
    lead = [size for axis, size in enumerate(index.shape) if axis != dim % target.dim()]
    cut = [slice(0, int(size)) for size in index.shape]
    return (
        target.movedim(dim, -1),
        index.movedim(dim, -1),
        source[tuple(cut)].movedim(dim, -1) if lead or source.shape != index.shape else source,
    )


def _scatter(combine: Callable[[torch.Tensor, torch.Tensor, torch.Tensor], torch.Tensor]) -> Callable[..., Any]:
    """The rule that gives the lines of the target by *combine*, from those before, hits and sources."""

    def rule(target: torch.Tensor, dim: int, index: torch.Tensor, source: Any) -> torch.Tensor:
        lines, positions, given = _lines(target, dim, index, source)
        reached = lines[tuple(slice(0, int(size)) for size in positions.shape[:-1])]
        found = combine(reached, _hits(positions, int(lines.shape[-1])), given)
        for axis in range(positions.dim() - 1):  # what no index reaches stays
            rest = int(lines.shape[axis]) - int(found.shape[axis])
            if rest:
                before = [slice(0, int(size)) for size in found.shape]
                before[axis] = slice(int(found.shape[axis]), None)
                found = torch.cat([found, lines[tuple(before)]], axis)
        return found.movedim(-1, dim).reshape(target.shape)

    return rule


def _reduce(
    target: torch.Tensor,
    dim: int,
    index: torch.Tensor,
    source: Any,
    reduce: str,
    *,
    include_self: bool = True,
) -> torch.Tensor:
    def combine(lines: torch.Tensor, hits: torch.Tensor, given: torch.Tensor) -> torch.Tensor:
        hit = hits.any(-2)
        if reduce == "sum" or reduce == "mean":
            found = _sum(hits, given) + (lines if include_self else torch.where(hit, torch.zeros_like(lines), lines))
            if reduce == "sum":
                return found
            counts = hits.to(lines.dtype).sum(-2) + (1.0 if include_self else 0.0)
            return torch.where(hit, found / counts.clamp(min=1.0), lines)
        if reduce == "prod":
            made, both = _product(hits, given), torch.mul
        else:
            made = _extreme(hits, given, largest=reduce == "amax")
            both = torch.maximum if reduce == "amax" else torch.minimum
        return torch.where(hit, both(made, lines) if include_self else made, lines)

    found: torch.Tensor = _scatter(combine)(target, dim, index, source)
    return found


def _combined(target: torch.Tensor, dim: int, index: torch.Tensor, source: Any, *, reduce: str) -> torch.Tensor:
    """By the names of sums and products that ``scatter`` has."""
    return _reduce(target, dim, index, source, {"add": "sum", "multiply": "prod"}[reduce])


def _slice(target: torch.Tensor, source: torch.Tensor, dim: int, index: int) -> torch.Tensor:
    """*source* written over a slice of *target*.

    litert-torch 0.10.0 expands it first, and loses an axis behind a convolution (see `broadcasts`).
    """
    axis, size = dim % target.dim(), int(target.shape[dim])
    hit = (torch.arange(size) == index % size).reshape(-1, *[1] * (target.dim() - axis - 1))
    return torch.where(hit, source.unsqueeze(axis), target)


def _index_rows(
    target: torch.Tensor, dim: int, index: torch.Tensor, source: torch.Tensor, *, add: bool, alpha: float = 1
) -> torch.Tensor:
    """Whole slices of *source* written over, or added to, those of *target* along *dim*."""
    rows = target.movedim(dim, 0)
    given = source.movedim(dim, 0).flatten(1) if rows.dim() > 1 else source.reshape(-1, 1)
    flat = rows.reshape(int(rows.shape[0]), -1)
    found = _rows(flat, index.reshape(-1), given * alpha if alpha != 1 else given, add=add)
    return found.reshape(rows.shape).movedim(0, dim)


def _rows(flat: torch.Tensor, index: torch.Tensor, given: torch.Tensor, *, add: bool) -> torch.Tensor:
    """*flat* [n, r] with the rows *given* [k, r] at *index* [k]."""
    size = int(flat.shape[0])
    hits = _hits(index, size)
    if add:
        if flat.is_floating_point():  # litert-torch 0.10.0 loses it where hits are transposed
            index = torch.where(index < 0, index + size, index)
            return flat + (torch.arange(size).unsqueeze(1) == index.unsqueeze(0)).to(flat.dtype) @ given
        return flat + torch.where(hits.unsqueeze(-1), given.unsqueeze(1), torch.zeros_like(given.unsqueeze(1))).sum(0)
    last = _last(hits)
    return torch.where((last > 0).unsqueeze(-1), given.index_select(0, (last - 1).clamp(min=0)), flat)


def _index_put(
    target: torch.Tensor, indices: Sequence[torch.Tensor | None], values: torch.Tensor, accumulate: bool = False
) -> Any:
    """By a mask of one value, or by numbers of positions along some axes."""
    if any(each is not None and each.dtype == torch.bool for each in indices):
        mask = indices[0]
        if len(indices) > 1 or mask is None or values.numel() != 1:
            return NotImplemented
        mask = mask.reshape(*mask.shape, *[1] * (target.dim() - mask.dim()))
        value = values.reshape([1] * target.dim()).to(target.dtype)
        return torch.where(mask, target + value if accumulate else value, target)
    axes = [axis for axis, each in enumerate(indices) if each is not None]
    chosen = torch.broadcast_tensors(*(each for each in indices if each is not None))
    moved = target.movedim(axes, list(range(len(axes))))
    sizes = [int(size) for size in moved.shape[: len(axes)]]
    position = torch.zeros_like(chosen[0])
    for size, each in zip(sizes, chosen, strict=True):
        position = position * size + torch.where(each < 0, each + size, each)
    rest = [int(size) for size in moved.shape[len(axes) :]]
    together = axes == list(range(axes[0], axes[0] + len(axes)))
    shape = [*chosen[0].shape]
    if together and axes[0]:  # the indices' axes stand where those of the target stood
        lead = rest[: axes[0]]
        whole = values.expand(*lead, *shape, *rest[axes[0] :])
        whole = whole.movedim(list(range(axes[0], axes[0] + len(shape))), list(range(len(shape))))
    else:
        whole = values.expand(*shape, *rest)
    count = math.prod(sizes)
    given = whole.reshape(position.numel(), -1)
    found = _rows(moved.reshape(count, -1), position.reshape(-1), given, add=accumulate)
    return found.reshape(moved.shape).movedim(list(range(len(axes))), axes)


def _filled(target: torch.Tensor, dim: int, index: torch.Tensor, value: float) -> torch.Tensor:
    hit = _hits(index.reshape(-1), int(target.shape[dim])).any(0)
    after = [1] * (target.dim() - dim % target.dim() - 1)
    return torch.where(hit.reshape(-1, *after), torch.full_like(target, value), target)


def _diagonal(
    target: torch.Tensor, source: torch.Tensor, offset: int = 0, dim1: int = 0, dim2: int = 1
) -> torch.Tensor:
    """*source*, along its last axis, on a diagonal of *target*."""
    planes = target.movedim((dim1, dim2), (-2, -1))
    rows, columns = (torch.arange(int(size)) for size in planes.shape[-2:])
    hit = rows.unsqueeze(1) + offset == columns
    position = torch.minimum(rows.unsqueeze(1), columns).clamp(max=int(source.shape[-1]) - 1)
    spread = source.index_select(-1, position.flatten()).unflatten(-1, position.shape)
    return torch.where(hit, spread, planes).movedim((-2, -1), (dim1, dim2))


def _masked(target: torch.Tensor, mask: torch.Tensor, source: torch.Tensor) -> torch.Tensor:
    """The values of *source* in turn where *mask* is."""
    target, mask = torch.broadcast_tensors(target, mask)
    turn = (mask.flatten().to(torch.int64).cumsum(0) - 1).clamp(min=0, max=source.numel() - 1)
    return torch.where(mask, source.flatten().index_select(0, turn).reshape(target.shape), target)


#: The runtime of ``.pte`` files has no kernel for them.
COMMON: dict[Any, Callable[..., Any]] = {
    _ATEN.scatter_reduce.two: _reduce,
    _ATEN.scatter.reduce: _combined,
    _ATEN.scatter.value_reduce: _combined,
    _ATEN.diagonal_scatter.default: _diagonal,
}
LITERT: dict[Any, Callable[..., Any]] = {
    _ATEN.scatter.src: _scatter(_over),
    _ATEN.scatter.value: _scatter(_over),
    _ATEN.scatter_add.default: _scatter(_added),
    **COMMON,
    _ATEN.index_add.default: partial(_index_rows, add=True),
    _ATEN.index_copy.default: partial(_index_rows, add=False),
    _ATEN.index_fill.int_Scalar: _filled,
    _ATEN.index_put.default: _index_put,
    _ATEN.masked_scatter.default: _masked,
    _ATEN.select_scatter.default: _slice,
}
