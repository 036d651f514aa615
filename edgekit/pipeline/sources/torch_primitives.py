"""JAX's primitives (``jax.lax``), by name, in operators of PyTorch.

Each of `PRIMITIVES` takes values, the equation's parameters and the shapes of its results; each of `ELEMENTWISE`
parameters, and tensors or numbers.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
import torch.nn.functional as F

from edgekit.errors import ConversionError
from edgekit.pipeline.sources.jax_values import Value, dtype_of, inverse

Results = Sequence[Value | torch.Tensor]


def _unsupported(what: str) -> ConversionError:
    hint = "build --format tflite, which has another way, or write that part of the function otherwise"
    return ConversionError("EK-UNSUPPORTED", f"JAX's {what} has no equivalent in PyTorch here", hint)


# Element by element.


def _maximum(_: Any, one: Any, other: Any) -> torch.Tensor:
    if not isinstance(one, torch.Tensor):
        one, other = other, one
    if isinstance(other, torch.Tensor):
        return torch.maximum(one, other)
    return torch.relu(one) if other == 0 else torch.clamp(one, min=other)


def _minimum(_: Any, one: Any, other: Any) -> torch.Tensor:
    if not isinstance(one, torch.Tensor):
        one, other = other, one
    return torch.minimum(one, other) if isinstance(other, torch.Tensor) else torch.clamp(one, max=other)


def _clamp(_: Any, low: Any, value: torch.Tensor, high: Any) -> torch.Tensor:
    return torch.clamp(value, low, high)


def _divide(_: Any, one: Any, other: Any) -> torch.Tensor:
    if not any(isinstance(each, float) or _is_float(each) for each in (one, other)):
        return torch.div(_tensor(one, other), other, rounding_mode="trunc")
    return torch.div(one, other) if isinstance(one, torch.Tensor) else torch.reciprocal(other) * one


def _is_float(value: Any) -> bool:
    return isinstance(value, torch.Tensor) and value.is_floating_point()


def _subtract(_: Any, one: Any, other: Any) -> torch.Tensor:
    return torch.sub(one, other) if isinstance(one, torch.Tensor) else torch.neg(other) + one


def _select(_: Any, which: Any, *cases: Any) -> torch.Tensor:
    which = _tensor(which, None)
    if len(cases) == 2:
        return torch.where(_as(which, torch.bool), cases[1], cases[0])
    result = cases[0]
    for number, case in enumerate(cases[1:], 1):
        result = torch.where(which == number, case, result)
    return _tensor(result, which)


def _round(params: Mapping[str, Any], value: torch.Tensor) -> torch.Tensor:
    if int(params["rounding_method"]) == 1:
        return torch.round(value)
    return torch.sign(value) * torch.floor(torch.abs(value) + 0.5)


def _cube_root(_: Any, value: torch.Tensor) -> torch.Tensor:
    return torch.sign(value) * torch.abs(value).pow(1 / 3)


def _power(_: Any, one: Any, other: Any) -> torch.Tensor:
    return torch.pow(one, other)


def _logical(plain: Callable[..., Any], bits: Callable[..., Any]) -> Callable[..., torch.Tensor]:
    def compute(_: Any, *values: Any) -> torch.Tensor:
        like = next(each for each in values if isinstance(each, torch.Tensor))
        given = [_tensor(each, like) for each in values]
        result: torch.Tensor = (plain if like.dtype == torch.bool else bits)(*given)
        return result

    return compute


def _tensor(value: Any, like: Any) -> torch.Tensor:
    if isinstance(value, torch.Tensor):
        return value
    return torch.tensor(value, dtype=like.dtype if isinstance(like, torch.Tensor) else None)


def _plain(function: Callable[..., torch.Tensor]) -> Callable[..., torch.Tensor]:
    return lambda _, *values: function(*values)


def _tensor_first(
    function: Callable[..., torch.Tensor], swapped: Callable[..., torch.Tensor] | None = None
) -> Callable[..., torch.Tensor]:
    """Of two operands, the first of which may be a number: *swapped* takes them the other way round."""

    def compute(_: Any, one: Any, other: Any) -> torch.Tensor:
        if isinstance(one, torch.Tensor):
            return function(one, other)
        return function(_tensor(one, other), other) if swapped is None else swapped(other, one)

    return compute


ELEMENTWISE: dict[str, Callable[..., torch.Tensor]] = {
    **{
        name: _plain(getattr(torch, name))
        for name in ("abs", "acos", "acosh", "asin", "asinh", "atan", "atanh", "ceil", "cos", "cosh", "erf", "exp")
    },
    **{
        name: _plain(getattr(torch, name))
        for name in ("exp2", "expm1", "floor", "log", "log1p", "neg", "rsqrt", "sign", "sin", "sinh", "sqrt", "tan")
    },
    **{name: _tensor_first(getattr(torch, name), getattr(torch, name)) for name in ("add", "eq", "mul", "ne")},
    "add_any": _tensor_first(torch.add, torch.add),
    "atan2": _tensor_first(torch.atan2),
    "ge": _tensor_first(torch.ge, torch.le),
    "gt": _tensor_first(torch.gt, torch.lt),
    "le": _tensor_first(torch.le, torch.ge),
    "lt": _tensor_first(torch.lt, torch.gt),
    "and": _logical(torch.logical_and, torch.bitwise_and),
    "cbrt": _cube_root,
    "clamp": _clamp,
    "convert_element_type": _plain(lambda value: value),
    "copy": _plain(lambda value: value),
    "div": _divide,
    "erf_inv": _plain(torch.erfinv),
    "erfc": _plain(torch.erfc),
    "integer_pow": lambda params, value: torch.pow(value, params["y"]),
    "is_finite": _plain(torch.isfinite),
    "logistic": _plain(torch.sigmoid),
    "max": _maximum,
    "min": _minimum,
    "not": _logical(torch.logical_not, torch.bitwise_not),
    "or": _logical(torch.logical_or, torch.bitwise_or),
    "pow": _power,
    "reduce_precision": _plain(lambda value: value),
    "rem": _tensor_first(torch.fmod),
    "round": _round,
    "select_n": _select,
    "square": _plain(torch.square),
    "stop_gradient": _plain(lambda value: value),
    "sub": _subtract,
    "tanh": _plain(torch.tanh),
    "xor": _logical(torch.logical_xor, torch.bitwise_xor),
}


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
    for axis, place in enumerate(params["broadcast_dimensions"]):
        sizes[place] = given.shape[axis]
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
        raise _unsupported("pad with a computed value")
    if any(inner for _, _, inner in params["padding_config"]):
        raise _unsupported("pad between values")
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
        raise _unsupported("slices whose place is computed (dynamic_slice)")
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
        raise _unsupported("gather of anything but whole rows along one axis")
    if not isinstance(indices, Value):
        raise _unsupported("gather at a lone number")
    places = indices.whole().squeeze(-1).clamp(0, table.shape[axes[0]] - 1)
    rows = table.movedim(axes[0], 0).index_select(0, places.reshape(-1))
    rows = rows.reshape(*places.shape, *rows.shape[1:])
    rank, offsets = len(avals[0].shape), tuple(numbers.offset_dims)
    targets = (*(axis for axis in range(rank) if axis not in offsets), *offsets)
    return [rows.permute(inverse(targets))]


def _iota(values: Any, params: Any, avals: Any) -> Results:
    shape, axis = tuple(params["shape"]), params["dimension"]
    sizes = [size if place == axis else 1 for place, size in enumerate(shape)]
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
        raise _unsupported("sort of several arrays (jnp.argsort)")
    return [torch.sort(values[0].whole(), params["dimension"]).values]


def _top(values: Any, params: Any, avals: Any) -> Results:
    axis = params.get("axis", -1)
    best, places = torch.topk(values[0].whole(), params["k"], axis)
    return [best, places.to(dtype_of(avals[1].dtype))]


# Products, convolutions and pools.


def _dot(values: Any, params: Any, avals: Any) -> Results:
    (left_axes, right_axes), (left_batch, right_batch) = params["dimension_numbers"]
    left, right = values
    dtype = dtype_of(avals[0].dtype)
    left_free = [axis for axis in range(len(left.shape)) if axis not in (*left_axes, *left_batch)]
    right_free = [axis for axis in range(len(right.shape)) if axis not in (*right_axes, *right_batch)]
    contracted = math.prod(left.shape[axis] for axis in left_axes)
    rows = left.permuted([*left_batch, *left_free, *left_axes])
    columns = right.permuted([*right_batch, *right_free, *right_axes])
    batch = [left.shape[axis] for axis in left_batch]
    if not batch:
        rows = rows if len(left_axes) == 1 else rows.reshape([*rows.shape[: len(left_free)], contracted])
        columns = columns if columns.ndim == 2 else columns.reshape(-1, contracted)
        result = F.linear(_as(rows, dtype), _as(columns, dtype))
    else:
        rows = rows.reshape([*batch, -1, contracted])
        columns = columns.reshape([*batch, -1, contracted])
        result = torch.matmul(_as(rows, dtype), _as(columns, dtype).transpose(-1, -2))
    return [result if result.shape == tuple(avals[0].shape) else result.reshape(avals[0].shape)]


def _as(tensor: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    return tensor if tensor.dtype == dtype else tensor.to(dtype)


def _convolve(values: Any, params: Any, avals: Any) -> Results:
    numbers = params["dimension_numbers"]
    if params["batch_group_count"] != 1:
        raise _unsupported("convolution with groups of samples")
    tensor, kernel = values[0].permuted(numbers.lhs_spec), values[1].permuted(numbers.rhs_spec)
    rank = kernel.ndim - 2
    if not 1 <= rank <= 3:
        raise _unsupported(f"convolution over {rank} axes")
    groups, dilation, padding = params["feature_group_count"], list(params["rhs_dilation"]), list(params["padding"])
    if all(step == 1 for step in params["lhs_dilation"]):
        tensor, even = _padded(tensor, padding, 0.0)
        convolve = (F.conv1d, F.conv2d, F.conv3d)[rank - 1]
        result = convolve(tensor, kernel, None, list(params["window_strides"]), even, dilation, groups)
    else:
        result = _convolve_transposed(tensor, kernel, params, groups, dilation, padding)
    return [Value(result, tuple(avals[0].shape), inverse(numbers.out_spec))]


def _convolve_transposed(
    tensor: torch.Tensor, kernel: torch.Tensor, params: Any, groups: int, dilation: list[int], padding: list[Any]
) -> torch.Tensor:
    rank = kernel.ndim - 2
    reach = [step * (size - 1) for step, size in zip(dilation, kernel.shape[2:], strict=True)]
    lows = [far - low for far, (low, _) in zip(reach, padding, strict=True)]
    more = [high - low for low, high in padding]
    if groups != 1 or any(step != 1 for step in params["window_strides"]) or any(low < 0 for low in lows):
        raise _unsupported("transposed convolution with groups or strides of its own")
    turned = kernel.flip(list(range(2, kernel.ndim))).transpose(0, 1)
    convolve = (F.conv_transpose1d, F.conv_transpose2d, F.conv_transpose3d)[rank - 1]
    steps = list(params["lhs_dilation"])
    extra = [max(0, each) for each in more]
    if any(each >= step and each >= far for each, step, far in zip(extra, steps, dilation, strict=True)):
        raise _unsupported("transposed convolution with so much padding")
    result = convolve(tensor, turned, None, steps, lows, extra, 1, dilation)
    for axis, each in enumerate(more, 2):
        result = result if each >= 0 else result.narrow(axis, 0, result.shape[axis] + each)
    return result


def _padded(tensor: torch.Tensor, padding: Sequence[tuple[int, int]], value: float) -> tuple[torch.Tensor, list[int]]:
    """*tensor* padded where both sides are not alike, else what an operator is to pad by itself."""
    if all(low == high and low >= 0 for low, high in padding):
        return tensor, [low for low, _ in padding]
    sides = [side for low, high in reversed(padding) for side in (low, high)]
    return F.pad(tensor, sides, value=value), [0] * len(padding)


def _pool(kind: str) -> Callable[..., Results]:
    def pool(values: Any, params: Any, avals: Any) -> Results:
        windows, steps, padding = params["window_dimensions"], params["window_strides"], params["padding"]
        if any(each != 1 for each in (*params["base_dilation"], *params["window_dilation"])):
            raise _unsupported("reduce_window with dilation")
        axes = [a for a in range(len(windows)) if (windows[a], steps[a], *padding[a]) != (1, 1, 0, 0)]
        if not axes:
            return [values[0]]
        others = [axis for axis in range(len(windows)) if axis not in axes]
        rank = max(len(axes), 1)
        if rank > 3:
            raise _unsupported(f"reduce_window over {rank} axes")
        order = (*others, *axes)
        tensor = values[0].permuted(order)
        lead = tensor.shape[: len(others)]
        whole = tensor if len(lead) == 2 else tensor.reshape(1, -1, *tensor.shape[len(others) :])
        window, step, pads = ([each[axis] for axis in axes] for each in (windows, steps, padding))
        result = _pooled(kind, whole, window, step, pads)
        if len(lead) != 2:
            result = result.reshape(*lead, *result.shape[2:])
        return [Value(result, tuple(avals[0].shape), inverse(order))]

    return pool


def _pooled(kind: str, tensor: torch.Tensor, window: list[int], step: list[int], pads: Any) -> torch.Tensor:
    rank = len(window)
    if kind == "sum":
        tensor, even = _padded(tensor, pads, 0.0)
        tensor = F.pad(tensor, [each for low in reversed(even) for each in (low, low)]) if any(even) else tensor
        average = (F.avg_pool1d, F.avg_pool2d, F.avg_pool3d)[rank - 1]
        return average(tensor, window, step) * math.prod(window)
    sign = -1 if kind == "min" else 1
    tensor = tensor if sign == 1 else -tensor
    fits = all(low == high and 2 * low <= size for (low, high), size in zip(pads, window, strict=True))
    even = [low for low, _ in pads] if fits else [0] * rank
    if not fits:
        tensor = F.pad(tensor, [side for low, high in reversed(pads) for side in (low, high)], value=-math.inf)
    largest = (F.max_pool1d, F.max_pool2d, F.max_pool3d)[rank - 1]
    result = largest(tensor, window, step, even)
    return result if sign == 1 else -result


PRIMITIVES: dict[str, Callable[..., Results]] = {
    "argmax": _best(torch.argmax),
    "argmin": _best(torch.argmin),
    "broadcast_in_dim": _broadcast,
    "concatenate": _concatenate,
    "conv_general_dilated": _convolve,
    "cumlogsumexp": _cumulative(torch.logcumsumexp),
    "cummax": _cumulative(lambda tensor, axis: torch.cummax(tensor, axis).values),
    "cummin": _cumulative(lambda tensor, axis: torch.cummin(tensor, axis).values),
    "cumprod": _cumulative(torch.cumprod),
    "cumsum": _cumulative(torch.cumsum),
    "dot_general": _dot,
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
    "reduce_window_max": _pool("max"),
    "reduce_window_min": _pool("min"),
    "reduce_window_sum": _pool("sum"),
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
