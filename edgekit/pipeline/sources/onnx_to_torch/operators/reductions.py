"""Numbers of an axis, or of several, made one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from edgekit.pipeline.sources.onnx_to_torch.nodes import Node, Value, operator
from edgekit.pipeline.sources.onnx_to_torch.operators.elementwise import as_dtype, computable

#: Since which opset a reduction takes its axes as an input.
_AXES_AS_INPUT = {"ReduceSum": 13}


def _axes(node: Node, x: Value, axes: Value) -> list[int] | None:
    """The axes to reduce, not negative; None for nothing to be done."""
    as_input = node.opset >= _AXES_AS_INPUT.get(node.op, 18)
    given = (None if axes is None else node.ints(axes, "axes")) if as_input else node.get("axes")
    if not given:
        if node.get("noop_with_empty_axes", 0):
            return None
        return list(range(x.ndim))
    return sorted({axis % x.ndim for axis in given})


def _reduction(
    compute: Callable[[Value, list[int], bool], Any], prepare: Callable[[Value], Value] | None = None
) -> Callable[..., Value]:
    """An operator by *compute*, of a tensor, axes and whether to keep them."""

    def reduce(node: Node, x: Value, axes: Value = None) -> Value:
        found = _axes(node, x, axes)
        if found is None:
            return x if prepare is None else prepare(x)
        return as_dtype(compute(x, found, bool(node.get("keepdims", 1))), x.dtype)

    return reduce


def _each(function: Callable[..., Any]) -> Callable[[Value, list[int], bool], Value]:
    """A torch function that takes one axis at a time."""

    def compute(x: Value, axes: list[int], keep: bool) -> Value:
        for axis in reversed(axes):
            x = function(x, axis, keepdim=keep)
        return x

    return compute


def _sum(x: Value, axes: list[int], keep: bool) -> Value:
    return torch.sum(x, axes, keepdim=keep) if axes else x


def _mean(x: Value, axes: list[int], keep: bool) -> Value:
    if not axes:
        return x
    if x.is_floating_point():
        return torch.mean(x, axes, keepdim=keep)
    count = 1
    for axis in axes:
        count *= x.shape[axis]
    return torch.div(torch.sum(x, axes, keepdim=keep), count, rounding_mode="trunc")


def _extreme(function: Callable[..., Any], empty: float) -> Callable[[Value, list[int], bool], Value]:
    def compute(x: Value, axes: list[int], keep: bool) -> Value:
        if not axes:
            return x
        if x.numel():
            return computable(function)(x.to(torch.uint8) if x.dtype == torch.bool else x, dim=axes, keepdim=keep)
        shape = [1 if at in axes else size for at, size in enumerate(x.shape)]
        if x.dtype == torch.bool:
            value: float = empty > 0
        elif x.is_floating_point():
            value = empty
        else:
            value = torch.iinfo(x.dtype).max if empty > 0 else torch.iinfo(x.dtype).min
        filled = torch.full(shape, value, dtype=x.dtype)
        return filled if keep else filled.reshape([size for at, size in enumerate(x.shape) if at not in axes])

    return compute


def _log_sum_exp(x: Value, axes: list[int], keep: bool) -> Value:
    if not x.numel():
        return torch.log(_sum(x, axes, keep))
    return torch.logsumexp(x, axes, keepdim=keep) if axes else x


_REDUCTIONS: dict[str, tuple[Callable[[Value, list[int], bool], Any], Callable[[Value], Value] | None]] = {
    "ReduceSum": (_sum, None),
    "ReduceMean": (_mean, None),
    "ReduceMax": (_extreme(torch.amax, -float("inf")), None),
    "ReduceMin": (_extreme(torch.amin, float("inf")), None),
    "ReduceProd": (_each(torch.prod), None),
    "ReduceL1": (lambda x, axes, keep: _sum(torch.abs(x), axes, keep), torch.abs),
    "ReduceL2": (lambda x, axes, keep: torch.sqrt(_sum(x * x, axes, keep).to(_real(x))), torch.abs),
    "ReduceSumSquare": (lambda x, axes, keep: _sum(x * x, axes, keep), lambda x: x * x),
    "ReduceLogSum": (lambda x, axes, keep: torch.log(_sum(x, axes, keep)), torch.log),
    "ReduceLogSumExp": (_log_sum_exp, None),
}
for _name, (_compute, _prepare) in _REDUCTIONS.items():
    operator(_name)(_reduction(_compute, _prepare))


def _real(x: Value) -> torch.dtype:
    return x.dtype if x.is_floating_point() else torch.float32


@operator("ArgMax")
def argmax(node: Node, x: Value) -> Value:
    return _position(node, torch.argmax, x)


@operator("ArgMin")
def argmin(node: Node, x: Value) -> Value:
    return _position(node, torch.argmin, x)


def _position(node: Node, function: Callable[..., Any], x: Value) -> Value:
    axis, keep = node.get("axis", 0) % x.ndim, bool(node.get("keepdims", 1))
    if not node.get("select_last_index", 0):
        return function(x, axis, keepdim=keep)
    return x.shape[axis] - 1 - function(torch.flip(x, [axis]), axis, keepdim=keep)


@operator("TopK")
def top_k(node: Node, x: Value, k: Value = None) -> Value:
    count = node.get("k") if k is None else node.number(k, "K")
    largest, axis = bool(node.get("largest", 1)), node.get("axis", -1)
    values, indices = computable_topk(x, int(count), axis, largest)
    return values, indices


def computable_topk(x: Value, count: int, axis: int, largest: bool) -> tuple[Value, Value]:
    """The *count* largest, or smallest, in order; of equal ones those that come first."""
    wide = x.to(torch.int64) if x.dtype in (torch.uint16, torch.uint32, torch.uint64) else x
    ordered = torch.sort(wide, dim=axis, descending=largest, stable=True)
    axis %= x.ndim
    return ordered[0].narrow(axis, 0, count).to(x.dtype), ordered[1].narrow(axis, 0, count)
