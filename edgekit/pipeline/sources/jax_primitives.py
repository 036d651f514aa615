"""JAX's other primitives (``jax.lax``), by name, in operators of PyTorch.

Each takes values, the equation's parameters and the shapes of its results.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
import torch.nn.functional as F

from edgekit.pipeline.sources.jax_values import Results, Value, dtype_of, inverse, unsupported
from edgekit.pipeline.sources.jax_windows import convolve, dot, pool

# Shapes.


def _reshape(values: Any, params: Any, avals: Any) -> Results:
    tensor = values[0].whole()
    return [tensor if tensor.shape == tuple(avals[0].shape) else tensor.reshape(avals[0].shape)]


def _broadcast(values: Any, params: Any, avals: Any) -> Results:
    shape = tuple(avals[0].shape)
    if not isinstance(values[0], Value):
        return [Value(torch.full((1,) * len(shape), values[0], dtype=dtype_of(avals[0].dtype)), shape)]
    given = values[0].whole()
    sizes = [1] * len(shape)
    for axis, position in enumerate(params["broadcast_dimensions"]):
        sizes[position] = given.shape[axis]
    return [Value(given.reshape(sizes), shape)]


def _transpose(values: Any, params: Any, avals: Any) -> Results:
    order = tuple(params["permutation"])
    value = values[0]
    own = value.order or tuple(range(value.tensor.ndim))
    return [Value(value.tensor, tuple(avals[0].shape), tuple(own[axis] for axis in order))]


def _concatenate(values: Any, params: Any, avals: Any) -> Results:
    order = next((value.order for value in values if value.order is not None), None)
    axis = params["dimension"]
    laid = [value.whole() if order is None else value.whole().permute(inverse(order)) for value in values]
    return [Value(torch.cat(laid, axis if order is None else order[axis]), tuple(avals[0].shape), order)]


def _stack(values: Any, params: Any, avals: Any) -> Results:
    return [torch.stack([value.whole() for value in values], params["axis"])]


def _unstack(values: Any, params: Any, avals: Any) -> Results:
    return list(torch.unbind(values[0].whole(), params["axis"]))


def _tile(values: Any, params: Any, avals: Any) -> Results:
    return [values[0].whole().repeat(*params["reps"])]


def _pad(values: Any, params: Any, avals: Any) -> Results:
    filled = values[1]
    if isinstance(filled, Value):
        raise unsupported("pad with a computed value")
    if any(inner for _, _, inner in params["padding_config"]):
        raise unsupported("pad between values")
    sides = [side for low, high, _ in reversed(params["padding_config"]) for side in (low, high)]
    return [F.pad(values[0].whole(), sides, value=filled)]


def _slice(values: Any, params: Any, avals: Any) -> Results:
    result = values[0].whole()
    steps = params["strides"] or (1,) * result.ndim
    for axis, (begin, end, step) in enumerate(
        zip(params["start_indices"], params["limit_indices"], steps, strict=True)
    ):
        if (begin, end, step) != (0, result.shape[axis], 1):
            result = result.narrow(axis, begin, end - begin) if step == 1 else _stepped(result, axis, begin, end, step)
    return [result]


def _stepped(value: torch.Tensor, axis: int, begin: int, end: int, step: int) -> torch.Tensor:
    return value[(slice(None),) * axis + (slice(begin, end, step),)]


def _dynamic_slice(values: Any, params: Any, avals: Any) -> Results:
    result = values[0].whole()
    for axis, (begin, size) in enumerate(zip(_fixed(values[1:]), params["slice_sizes"], strict=True)):
        result = result.narrow(axis, max(0, min(begin, result.shape[axis] - size)), size)
    return [result]


def _dynamic_update_slice(values: Any, params: Any, avals: Any) -> Results:
    whole, part = values[0].whole(), values[1].whole()
    begins = [max(0, min(b, s - p)) for b, s, p in zip(_fixed(values[2:]), whole.shape, part.shape, strict=True)]
    result = part
    for axis in range(whole.ndim):
        # What is around the part along this axis, as the part is along those that are done.
        around = whole
        for other in range(axis + 1, whole.ndim):
            around = around.narrow(other, begins[other], part.shape[other])
        end = begins[axis] + part.shape[axis]
        before, after = around.narrow(axis, 0, begins[axis]), around.narrow(axis, end, whole.shape[axis] - end)
        pieces = [piece for piece in (before, result, after) if piece.shape[axis]]
        result = torch.cat(pieces, axis) if len(pieces) > 1 else pieces[0]
    return [result]


def _fixed(values: Sequence[Any]) -> list[int]:
    if any(isinstance(value, Value) for value in values):
        raise unsupported("slices whose place is computed (dynamic_slice)")
    return [int(value) for value in values]


def _split(values: Any, params: Any, avals: Any) -> Results:
    return list(torch.split(values[0].whole(), list(params["sizes"]), params["axis"]))


def _gather(values: Any, params: Any, avals: Any) -> Results:
    """Rows of a table along one axis, as embeddings take them."""
    numbers, sizes = params["dimension_numbers"], tuple(params["slice_sizes"])
    table, indices = values[0].whole(), values[1]
    axes = tuple(numbers.start_index_map)
    whole = tuple(1 if axis in axes else size for axis, size in enumerate(table.shape))
    batched = getattr(numbers, "operand_batching_dims", ())
    if batched or len(axes) != 1 or tuple(numbers.collapsed_slice_dims) != axes or sizes != whole:
        raise unsupported("gather of anything but whole rows along one axis")
    if not isinstance(indices, Value):
        raise unsupported("gather at a lone number")
    positions = indices.whole().squeeze(-1).clamp(0, table.shape[axes[0]] - 1)
    rows = table.movedim(axes[0], 0).index_select(0, positions.reshape(-1))
    rows = rows.reshape(*positions.shape, *rows.shape[1:])
    rank, offsets = len(avals[0].shape), tuple(numbers.offset_dims)
    targets = (*(axis for axis in range(rank) if axis not in offsets), *offsets)
    return [rows.permute(inverse(targets))]


def _iota(values: Any, params: Any, avals: Any) -> Results:
    shape, axis = tuple(params["shape"]), params["dimension"]
    sizes = [size if position == axis else 1 for position, size in enumerate(shape)]
    return [Value(torch.arange(shape[axis]).to(dtype_of(avals[0].dtype)).reshape(sizes), shape)]


# Along axes.


def _reduction(compute: Callable[[torch.Tensor, list[int]], torch.Tensor]) -> Callable[..., Results]:
    def reduce(values: Any, params: Any, avals: Any) -> Results:
        value, axes = values[0], list(params["axes"])
        tensor = value.whole() if value.order is None else value.whole().permute(inverse(value.order))
        laid = axes if value.order is None else [value.order[axis] for axis in axes]
        reduced = compute(tensor, laid)  # axes are kept, so that the order is
        own = reduced if value.order is None else reduced.permute(value.order)
        return [own.reshape(avals[0].shape)]

    return reduce


def _product(tensor: torch.Tensor, axes: list[int]) -> torch.Tensor:
    for axis in axes:
        tensor = torch.prod(tensor, axis, keepdim=True)
    return tensor


def _all(tensor: torch.Tensor, axes: list[int]) -> torch.Tensor:
    return torch.amin(tensor.to(torch.int32), axes, keepdim=True).bool()


def _any(tensor: torch.Tensor, axes: list[int]) -> torch.Tensor:
    return torch.amax(tensor.to(torch.int32), axes, keepdim=True).bool()


def _best(function: Callable[..., torch.Tensor]) -> Callable[..., Results]:
    def find(values: Any, params: Any, avals: Any) -> Results:
        return [function(values[0].whole(), params["axes"][0]).to(dtype_of(avals[0].dtype))]

    return find


def _cumulative(function: Callable[..., Any]) -> Callable[..., Results]:
    def run(values: Any, params: Any, avals: Any) -> Results:
        tensor, axis = values[0].whole(), params["axis"]
        result = function(tensor.flip(axis) if params["reverse"] else tensor, axis)
        return [(result.flip(axis) if params["reverse"] else result).to(dtype_of(avals[0].dtype))]

    return run


def _sort(values: Any, params: Any, avals: Any) -> Results:
    if len(values) > 1:
        raise unsupported("sort of several arrays (jnp.argsort)")
    return [torch.sort(values[0].whole(), params["dimension"]).values]


def _top(values: Any, params: Any, avals: Any) -> Results:
    axis = params.get("axis", -1)
    best, positions = torch.topk(values[0].whole(), params["k"], axis)
    return [best, positions.to(dtype_of(avals[1].dtype))]


PRIMITIVES: dict[str, Callable[..., Results]] = {
    "argmax": _best(torch.argmax),
    "argmin": _best(torch.argmin),
    "broadcast_in_dim": _broadcast,
    "concatenate": _concatenate,
    "conv_general_dilated": convolve,
    "cumlogsumexp": _cumulative(torch.logcumsumexp),
    "cummax": _cumulative(lambda tensor, axis: torch.cummax(tensor, axis).values),
    "cummin": _cumulative(lambda tensor, axis: torch.cummin(tensor, axis).values),
    "cumprod": _cumulative(torch.cumprod),
    "cumsum": _cumulative(torch.cumsum),
    "dot_general": dot,
    "dynamic_slice": _dynamic_slice,
    "dynamic_update_slice": _dynamic_update_slice,
    "gather": _gather,
    "iota": _iota,
    "pad": _pad,
    "reduce_and": _reduction(_all),
    "reduce_max": _reduction(lambda tensor, axes: torch.amax(tensor, axes, keepdim=True)),
    "reduce_min": _reduction(lambda tensor, axes: torch.amin(tensor, axes, keepdim=True)),
    "reduce_or": _reduction(_any),
    "reduce_prod": _reduction(_product),
    "reduce_sum": _reduction(lambda tensor, axes: torch.sum(tensor, axes, keepdim=True)),
    "reduce_window_max": pool("max"),
    "reduce_window_min": pool("min"),
    "reduce_window_sum": pool("sum"),
    "reshape": _reshape,
    "rev": lambda values, params, avals: [values[0].whole().flip(list(params["dimensions"]))],
    "slice": _slice,
    "sort": _sort,
    "split": _split,
    "squeeze": _reshape,
    "stack": _stack,
    "tile": _tile,
    "top_k": _top,
    "transpose": _transpose,
    "unstack": _unstack,
}
