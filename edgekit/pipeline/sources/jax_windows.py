"""JAX's products, convolutions and pools in operators of PyTorch, which have channels first."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
import torch.nn.functional as F

from edgekit.pipeline.sources.jax_values import Results, Value, as_type, dtype_of, inverse, unsupported


def dot(values: Any, params: Any, avals: Any) -> Results:
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
        result = F.linear(as_type(rows, dtype), as_type(columns, dtype))
    else:
        rows = rows.reshape([*batch, -1, contracted])
        columns = columns.reshape([*batch, -1, contracted])
        result = torch.matmul(as_type(rows, dtype), as_type(columns, dtype).transpose(-1, -2))
    return [result if result.shape == tuple(avals[0].shape) else result.reshape(avals[0].shape)]


def convolve(values: Any, params: Any, avals: Any) -> Results:
    numbers = params["dimension_numbers"]
    if params["batch_group_count"] != 1:
        raise unsupported("convolution with groups of samples")
    tensor, kernel = values[0].permuted(numbers.lhs_spec), values[1].permuted(numbers.rhs_spec)
    rank = kernel.ndim - 2
    if not 1 <= rank <= 3:
        raise unsupported(f"convolution over {rank} axes")
    groups, dilation, padding = params["feature_group_count"], list(params["rhs_dilation"]), list(params["padding"])
    if all(step == 1 for step in params["lhs_dilation"]):
        tensor, even = _padded(tensor, padding, 0.0)
        run = (F.conv1d, F.conv2d, F.conv3d)[rank - 1]
        result = run(tensor, kernel, None, list(params["window_strides"]), even, dilation, groups)
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
        raise unsupported("transposed convolution with groups or strides of its own")
    turned = kernel.flip(list(range(2, kernel.ndim))).transpose(0, 1)
    run = (F.conv_transpose1d, F.conv_transpose2d, F.conv_transpose3d)[rank - 1]
    steps = list(params["lhs_dilation"])
    extra = [max(0, each) for each in more]
    if any(each >= step and each >= far for each, step, far in zip(extra, steps, dilation, strict=True)):
        raise unsupported("transposed convolution with so much padding")
    result = run(tensor, turned, None, steps, lows, extra, 1, dilation)
    for axis, each in enumerate(more, 2):
        result = result if each >= 0 else result.narrow(axis, 0, result.shape[axis] + each)
    return result


def _padded(tensor: torch.Tensor, padding: Sequence[tuple[int, int]], value: float) -> tuple[torch.Tensor, list[int]]:
    """*tensor* padded where both sides are not alike, else what an operator is to pad by itself."""
    if all(low == high and low >= 0 for low, high in padding):
        return tensor, [low for low, _ in padding]
    sides = [side for low, high in reversed(padding) for side in (low, high)]
    return F.pad(tensor, sides, value=value), [0] * len(padding)


def pool(kind: str) -> Callable[..., Results]:
    def compute(values: Any, params: Any, avals: Any) -> Results:
        windows, steps, padding = params["window_dimensions"], params["window_strides"], params["padding"]
        if any(each != 1 for each in (*params["base_dilation"], *params["window_dilation"])):
            raise unsupported("reduce_window with dilation")
        axes = [a for a in range(len(windows)) if (windows[a], steps[a], *padding[a]) != (1, 1, 0, 0)]
        if not axes:
            return [values[0]]
        others = [axis for axis in range(len(windows)) if axis not in axes]
        if len(axes) > 3:
            raise unsupported(f"reduce_window over {len(axes)} axes")
        order = (*others, *axes)
        tensor = values[0].permuted(order)
        lead = tensor.shape[: len(others)]
        whole = tensor if len(lead) == 2 else tensor.reshape(1, -1, *tensor.shape[len(others) :])
        window, step, pads = ([each[axis] for axis in axes] for each in (windows, steps, padding))
        result = _pooled(kind, whole, window, step, pads)
        if len(lead) != 2:
            result = result.reshape(*lead, *result.shape[2:])
        return [Value(result, tuple(avals[0].shape), inverse(order))]

    return compute


def _pooled(kind: str, tensor: torch.Tensor, window: list[int], step: list[int], pads: Any) -> torch.Tensor:
    rank = len(window)
    if not tensor.is_floating_point():
        raise unsupported("reduce_window over whole numbers")
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
