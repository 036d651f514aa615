"""Sorting, and what is chosen from sorted values.

executorch 1.5.1 has ``topk``, which puts equal values in any order, and no ``sort``; litert-torch 0.10.0 makes a sort
of both, of which LiteRT 2.3.0 has no kernel ("Didn't find op for builtin opcode 'STABLEHLO_SORT'"), and does not
convert indices alone ("comparator block argument should be of type") or those of extreme whole numbers ("failed to
legalize operation 'tfl.arg_max'"); and neither has a median, a histogram, or searches sorted values ("Lowering not
found: aten.searchsorted").
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch

_ATEN = torch.ops.aten
_Sorted = tuple[torch.Tensor, torch.Tensor]
#: Gives the so many largest values of each row in falling order, and their indices.
_Choice = Callable[[torch.Tensor, int], _Sorted]
#: Rows are sorted by comparing all of their values, where these are no more comparisons than this.
_MOST_COMPARISONS = 1 << 20


def _by_comparing(rows: torch.Tensor, count: int) -> _Sorted:
    """A value's rank is how many others of its row are larger, or as large and in front of it."""
    size = int(rows.shape[1])
    if rows.numel() * size > _MOST_COMPARISONS:
        return torch.topk(rows, count)
    indices = torch.arange(size)
    each, others = rows.unsqueeze(2), rows.unsqueeze(1)
    before = (others > each) | ((others == each) & (indices < indices.unsqueeze(1)))
    chosen = before.to(torch.int64).sum(2).unsqueeze(1) == torch.arange(count).unsqueeze(1)
    return torch.where(chosen, others, torch.zeros_like(others)).sum(2, dtype=rows.dtype), (chosen * indices).sum(2)


def _in_order(rows: torch.Tensor, count: int) -> _Sorted:
    """All of each row by ``topk``, and indices of equal values put in order by another one."""
    found, indices = torch.topk(rows, count)
    changes = (found[:, 1:] != found[:, :-1]).to(torch.int64)
    before = torch.cat([torch.zeros_like(indices[:, :1]), changes.cumsum(1)], 1) * count  # of what is larger
    return found, -torch.topk(-(before + indices), count).values - before


def rules(choose: _Choice, order: _Choice) -> dict[Any, Callable[..., Any]]:
    """The rules that sort by *choose*, and by *order* where equal values stay in the order they come in."""

    def top(
        value: torch.Tensor, k: int, dim: int = -1, largest: bool = True, sorted: bool = True, by: _Choice = choose
    ) -> _Sorted:
        if value.dim() == 0:
            return value, torch.zeros((), dtype=torch.int64)
        lines = value.movedim(dim, -1)
        flat = lines.reshape(-1, lines.shape[-1])
        found, indices = (
            each.reshape(*lines.shape[:-1], k).movedim(-1, dim) for each in by(flat if largest else -flat, k)
        )
        return found if largest else -found, indices

    def sort(value: torch.Tensor, dim: int = -1, descending: bool = False, stable: bool | None = None) -> _Sorted:
        return top(value, int(value.shape[dim]) if value.dim() else 1, dim, descending, by=order)

    def nth(value: torch.Tensor, k: int, dim: int = -1, keepdim: bool = False) -> _Sorted:
        """The *k*-th smallest value, from 1, and its index."""
        found, indices = (each.select(dim, k - 1) for each in top(value, k, dim, largest=False))
        return (found.unsqueeze(dim), indices.unsqueeze(dim)) if keepdim else (found, indices)

    def median(value: torch.Tensor, dim: int, keepdim: bool = False) -> _Sorted:
        return nth(value, (int(value.shape[dim]) + 1) // 2, dim, keepdim)

    def quantile(
        value: torch.Tensor, q: float, dim: int | None = None, keepdim: bool = False, *, interpolation: str = "linear"
    ) -> Any:
        if dim is None:
            return NotImplemented
        position = q * (int(value.shape[dim]) - 1)
        if interpolation in ("lower", "higher", "nearest"):
            only = {"lower": math.floor(position), "higher": math.ceil(position)}.get(interpolation, round(position))
            return nth(value, only + 1, dim, keepdim)[0]
        lower, upper = (
            nth(value, round(each) + 1, dim, keepdim)[0] for each in (math.floor(position), math.ceil(position))
        )
        return lower + (upper - lower) * (position % 1 if interpolation == "linear" else 0.5)

    return {
        _ATEN.topk.default: top,
        _ATEN.sort.default: sort,
        _ATEN.sort.stable: lambda value, *, stable=None, dim=-1, descending=False: sort(value, dim, descending),
        _ATEN.argsort.default: lambda *given, **named: sort(*given, **named)[1],
        _ATEN.argsort.stable: lambda value, *, stable, dim=-1, descending=False: sort(value, dim, descending)[1],
        _ATEN.msort.default: lambda value: sort(value, 0)[0],
        _ATEN.kthvalue.default: nth,
        _ATEN.median.dim: median,
        _ATEN.median.default: lambda value: median(value.flatten(), 0)[0],
        _ATEN.quantile.scalar: quantile,
    }


def _bucket(value: Any, bounds: torch.Tensor, *, out_int32: bool = False, right: bool = False) -> torch.Tensor:
    """How many of *bounds*, along their last axis, lie below."""
    each, edges = torch.as_tensor(value).unsqueeze(-1), bounds.unsqueeze(-2) if bounds.dim() > 1 else bounds
    below = edges <= each if right else edges < each
    return below.to(torch.int32 if out_int32 else torch.int64).sum(-1, dtype=torch.int32 if out_int32 else torch.int64)


def _search(
    bounds: torch.Tensor,
    value: Any,
    *,
    out_int32: bool = False,
    right: bool = False,
    side: str | None = None,
    sorter: torch.Tensor | None = None,
) -> Any:
    if sorter is not None:
        bounds = bounds.gather(-1, sorter)
    return _bucket(value, bounds, out_int32=out_int32, right=right or side == "right")


def _histogram(value: torch.Tensor, bins: int = 100, min: float = 0, max: float = 0) -> Any:
    """How many values lie between each two of *bins* + 1 equally far bounds."""
    if min == max:  # the bounds are those of the values
        return NotImplemented
    flat = value.reshape(-1)
    position = torch.floor((flat - min) * (bins / (max - min))).clamp(max=bins - 1).to(torch.int64)
    inside = (flat >= min) & (flat <= max)
    hits = (position.unsqueeze(1) == torch.arange(bins)) & inside.unsqueeze(1)
    return hits.to(value.dtype).sum(0)


def _extreme(reduce: Callable[..., torch.Tensor]) -> Callable[..., Any]:
    """The rule for *reduce* of whole numbers that also says where: the first of equal ones."""

    def rule(value: torch.Tensor, dim: int, keepdim: bool = False) -> Any:
        if value.is_floating_point() or value.dim() == 0:
            return NotImplemented
        best, size = reduce(value, dim, keepdim=True), int(value.shape[dim])
        numbers = torch.arange(size).reshape(-1, *[1] * (value.dim() - dim % value.dim() - 1))
        index = torch.where(value == best, numbers, torch.full_like(numbers, size)).amin(dim, keepdim=True)
        return (best, index) if keepdim else (best.squeeze(dim), index.squeeze(dim))

    return rule


def _index(extreme: Callable[..., Any]) -> Callable[..., Any]:
    def rule(value: torch.Tensor, dim: int | None = None, keepdim: bool = False) -> Any:
        if dim is None and keepdim:
            return NotImplemented
        found = extreme(value.flatten() if dim is None else value, 0 if dim is None else dim, keepdim)
        return found if found is NotImplemented else found[1]

    return rule


_LARGEST, _SMALLEST = _extreme(torch.amax), _extreme(torch.amin)
_EXTREMES: dict[Any, Callable[..., Any]] = {
    _ATEN.max.dim: _LARGEST,
    _ATEN.min.dim: _SMALLEST,
    _ATEN.argmax.default: _index(_LARGEST),
    _ATEN.argmin.default: _index(_SMALLEST),
}
_SEARCHES: dict[Any, Callable[..., Any]] = {
    _ATEN.bucketize.Tensor: _bucket,
    _ATEN.bucketize.Scalar: _bucket,
    _ATEN.searchsorted.Tensor: _search,
    _ATEN.searchsorted.Scalar: _search,
    _ATEN.histc.default: _histogram,
}
COMMON = {**rules(torch.topk, _in_order), **_SEARCHES}
LITERT = {**rules(_by_comparing, _by_comparing), **_SEARCHES, **_EXTREMES}
