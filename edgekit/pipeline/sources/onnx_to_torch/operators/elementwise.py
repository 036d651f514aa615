"""Arithmetic, comparisons and logic on the numbers of tensors, one by one."""

from __future__ import annotations

import functools
import operator as python
from collections.abc import Callable
from typing import Any

import torch

from edgekit.pipeline.sources.onnx_to_torch.nodes import Node, Value, operator, simple
from edgekit.pipeline.sources.onnx_to_torch.recording import is_traced

#: Unsigned types that torch 2.13 keeps, and does not compute with.
_STORED = (torch.uint16, torch.uint32, torch.uint64)


def computable(function: Callable[..., Any]) -> Callable[..., Any]:
    """*function* of tensors of one dtype, for the dtypes too that torch only stores: computed in int64."""

    @functools.wraps(function)
    def compute(*values: Value, **options: Any) -> Value:
        dtype = values[0].dtype
        if dtype not in _STORED:
            return function(*values, **options)
        result = function(*(each.to(torch.int64) if each.dtype in _STORED else each for each in values), **options)
        return result.to(dtype) if result.dtype == torch.int64 else result

    return compute


def as_dtype(x: Value, dtype: torch.dtype) -> Value:
    return x if x.dtype == dtype else x.to(dtype)


simple(
    {
        name: computable(function)
        for name, function in {
            "Abs": torch.abs, "Acos": torch.acos, "Acosh": torch.acosh, "And": torch.logical_and,
            "Asin": torch.asin, "Asinh": torch.asinh, "Atan": torch.atan, "Atanh": torch.atanh,
            "BitwiseAnd": torch.bitwise_and, "BitwiseNot": torch.bitwise_not, "BitwiseOr": torch.bitwise_or,
            "BitwiseXor": torch.bitwise_xor, "Ceil": torch.ceil, "Cos": torch.cos, "Cosh": torch.cosh,
            "Det": torch.linalg.det, "Equal": torch.eq, "Erf": torch.erf, "Exp": torch.exp, "Floor": torch.floor,
            "Greater": torch.gt, "GreaterOrEqual": torch.ge, "IsNaN": torch.isnan, "Less": torch.lt,
            "LessOrEqual": torch.le, "Log": torch.log, "Neg": torch.neg, "Not": torch.logical_not,
            "Or": torch.logical_or, "Reciprocal": torch.reciprocal, "Round": torch.round, "Sign": torch.sign,
            "Sin": torch.sin, "Sinh": torch.sinh, "Sqrt": torch.sqrt, "Tan": torch.tan,
            "Tanh": torch.tanh, "Xor": torch.logical_xor,
        }.items()
    }
)  # fmt: skip
simple({"Inverse": torch.linalg.inv}, "com.microsoft")


_ARITHMETIC: dict[str, tuple[Callable[..., Any], Callable[..., Any]]] = {
    "Add": (python.add, torch.add),
    "Sub": (python.sub, torch.sub),
    "Mul": (python.mul, torch.mul),
    "Div": (python.truediv, functools.partial(torch.div, rounding_mode="trunc")),
}


@operator(*_ARITHMETIC)
def arithmetic(node: Node, a: Value, b: Value) -> Value:
    of_numbers, of_tensors = _ARITHMETIC[node.op]
    if not (a.is_floating_point() or a.is_complex()):
        return computable(of_tensors)(a, b)
    a, b = _plain(a, b), _plain(b, a)
    if isinstance(a, torch.Tensor) and is_traced(b):  # torch.fx writes its operators as methods of the constant
        return of_numbers(b, a) if node.op in ("Add", "Mul") else {"Sub": torch.sub, "Div": torch.div}[node.op](a, b)
    return of_numbers(a, b)


def _plain(value: Value, other: Value) -> Value:
    """*value*, if it is one constant number, as a number of Python's, which reads better."""
    lone = isinstance(value, torch.Tensor) and value.numel() == 1 and value.ndim <= other.ndim
    return value.item() if lone and is_traced(other) else value


@operator("Mod")
def modulo(node: Node, a: Value, b: Value) -> Value:
    """By the sign of the divisor, or of the dividend with ``fmod``."""
    return computable(torch.fmod if node.get("fmod", 0) else torch.remainder)(a, b)


@operator("Pow")
def power(node: Node, base: Value, exponent: Value) -> Value:
    if not base.is_floating_point() and exponent.is_floating_point():
        return torch.pow(base.to(torch.float64), exponent.to(torch.float64)).to(base.dtype)
    if (
        base.is_floating_point()
        and isinstance(exponent, torch.Tensor)
        and exponent.numel() == 1
        and base.ndim >= exponent.ndim
    ):
        return torch.pow(base, exponent.item())
    if not base.is_floating_point():
        return torch.pow(base.to(torch.int64), exponent.to(torch.int64)).to(base.dtype)
    return torch.pow(base, exponent.to(base.dtype))


@operator("Max")
def maximum(node: Node, *values: Value) -> Value:
    return functools.reduce(computable(torch.maximum), values)


@operator("Min")
def minimum(node: Node, *values: Value) -> Value:
    return functools.reduce(computable(torch.minimum), values)


@operator("Sum")
def sum_of(node: Node, *values: Value) -> Value:
    return functools.reduce(torch.add, values)


@operator("Mean")
def mean_of(node: Node, *values: Value) -> Value:
    return functools.reduce(torch.add, values) / len(values)


@operator("Clip")
def clip(node: Node, x: Value, low: Value = None, high: Value = None) -> Value:
    if node.opset < 11:
        low, high = (None if (bound := node.get(name)) is None else torch.tensor(bound) for name in ("min", "max"))
    if all(bound is None or (isinstance(bound, torch.Tensor) and x.is_floating_point()) for bound in (low, high)):
        numbers = [None if bound is None else bound.reshape(-1)[0].item() for bound in (low, high)]
        if numbers == [0, None]:
            return torch.relu(x)
        return x if numbers == [None, None] else torch.clamp(x, *numbers)
    if low is not None:
        x = computable(torch.maximum)(x, low.to(x.dtype))
    return x if high is None else computable(torch.minimum)(x, high.to(x.dtype))


@operator("IsInf")
def is_infinite(node: Node, x: Value) -> Value:
    up, down = node.get("detect_positive", 1), node.get("detect_negative", 1)
    if up and down:
        return torch.isinf(x)
    if not up and not down:
        return torch.zeros(x.shape, dtype=torch.bool)
    return x == (float("inf") if up else -float("inf"))


@operator("Where")
def where(node: Node, condition: Value, a: Value, b: Value) -> Value:
    return torch.where(condition, a, b)


@operator("BitShift")
def bit_shift(node: Node, x: Value, by: Value) -> Value:
    bits = x.dtype.itemsize * 8
    if x.dtype == torch.uint64:  # a sign would be shifted in
        shift, kept = by.to(torch.int64), x.to(torch.int64)
        if node.get("direction") == "LEFT":
            return torch.bitwise_left_shift(kept, shift).to(x.dtype)
        half = torch.bitwise_and(torch.bitwise_right_shift(kept, 1), 2**63 - 1)
        return torch.where(shift == 0, kept, torch.bitwise_right_shift(half, torch.clamp(shift - 1, 0))).to(x.dtype)
    wide = x.to(torch.int64)
    if node.get("direction") == "RIGHT":
        return torch.bitwise_right_shift(wide, by.to(torch.int64)).to(x.dtype)
    return torch.bitwise_and(torch.bitwise_left_shift(wide, by.to(torch.int64)), 2**bits - 1).to(x.dtype)


@operator("CumSum")
def cumulative_sum(node: Node, x: Value, axis: Value) -> Value:
    return _cumulative(node, torch.cumsum, x, axis, 0)


@operator("CumProd")
def cumulative_product(node: Node, x: Value, axis: Value) -> Value:
    return _cumulative(node, torch.cumprod, x, axis, 1)


def _cumulative(node: Node, function: Callable[..., Any], x: Value, axis: Value, neutral: int) -> Value:
    """Along *axis*, from its end with ``reverse``, without each number itself with ``exclusive``."""
    along = node.number(axis, "axis") % x.ndim
    if node.get("reverse", 0):
        x = torch.flip(x, [along])
    if node.get("exclusive", 0):
        first = torch.full([1 if at == along else size for at, size in enumerate(x.shape)], neutral, dtype=x.dtype)
        x = torch.cat([first, x.narrow(along, 0, x.shape[along] - 1)], along)
    result = function(x, along, dtype=x.dtype)
    return torch.flip(result, [along]) if node.get("reverse", 0) else result
