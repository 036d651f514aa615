"""JAX's primitives that work element by element (``jax.lax``), by name, in operators of PyTorch.

Each takes the equation's parameters, and tensors or numbers.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch

from edgekit.pipeline.sources.jax_values import as_type, unsupported


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


def _clamp(_: Any, low: Any, value: Any, high: Any) -> torch.Tensor:
    if any(isinstance(bound, torch.Tensor) for bound in (low, high)):  # torch.clamp takes two of a kind alone
        return _minimum(_, _maximum(_, value, low), high)
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
        return torch.where(as_type(which, torch.bool), cases[1], cases[0])
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


def _reduced(params: Mapping[str, Any], value: torch.Tensor) -> torch.Tensor:
    if params["exponent_bits"] < 8 or params["mantissa_bits"] < 23:  # those of float32
        raise unsupported("rounding to fewer bits (lax.reduce_precision)")
    return value


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
    "reduce_precision": _reduced,
    "rem": _tensor_first(torch.fmod),
    "round": _round,
    "select_n": _select,
    "square": _plain(torch.square),
    "stop_gradient": _plain(lambda value: value),
    "sub": _subtract,
    "tanh": _plain(torch.tanh),
    "xor": _logical(torch.logical_xor, torch.bitwise_xor),
}
