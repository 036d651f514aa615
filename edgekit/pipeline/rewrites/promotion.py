"""Types that torch converts by itself, converted where LiteRT wants them alike.

litert-torch 0.10.0 computes functions of whole numbers as such ("failed to legalize operation 'exp'"), compares them
with floats as such ("... 'greater'"), and joins what is of two types ("requires the same element type").
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import torch

_ATEN = torch.ops.aten
_SMALL = (torch.bool, torch.uint8, torch.int8, torch.int16)


def _integral(value: Any) -> bool:
    """Whether *value* is a tensor of whole numbers or of truth values."""
    return isinstance(value, torch.Tensor) and not value.is_floating_point()


def _of_float(operator: Callable[..., torch.Tensor]) -> Callable[..., Any]:
    return lambda value, *more: operator(value.to(torch.float32), *more) if _integral(value) else NotImplemented


def _with_number(operator: Callable[..., torch.Tensor]) -> Callable[..., Any]:
    """The rule for *operator* between a tensor and a number of Python's."""

    def rule(value: torch.Tensor, number: Any) -> Any:
        if _integral(value) and isinstance(number, float):
            return operator(value.to(torch.float32), number)
        return operator(value.to(torch.int32), number) if value.dtype in _SMALL else NotImplemented

    return rule


def _between(operator: Callable[..., torch.Tensor], left: torch.Tensor, right: torch.Tensor) -> Any:
    if left.dtype not in _SMALL or right.dtype not in _SMALL:
        return NotImplemented
    return operator(left.to(torch.int32), right.to(torch.int32))


def _joined(tensors: Sequence[torch.Tensor], dim: int = 0) -> Any:
    types = {each.dtype for each in tensors}
    if len(types) < 2:
        return NotImplemented
    common = tensors[0].dtype
    for dtype in types:
        common = torch.promote_types(common, dtype)
    return torch.cat([each.to(common) for each in tensors], dim)


_FUNCTIONS = "exp expm1 log log2 log10 log1p sqrt rsqrt sin cos tan tanh sigmoid erf reciprocal"
_COMPARISONS = ("eq", "ne", "lt", "le", "gt", "ge")
LITERT: dict[Any, Callable[..., Any]] = {
    **{getattr(_ATEN, name).default: _of_float(getattr(torch, name)) for name in _FUNCTIONS.split()},
    **{
        getattr(_ATEN, name).default: lambda value: value if _integral(value) else NotImplemented
        for name in ("floor", "ceil", "round", "trunc")
    },
    **{getattr(_ATEN, name).Scalar: _with_number(getattr(torch, name)) for name in _COMPARISONS},
    **{getattr(_ATEN, name).Tensor: partial(_between, getattr(torch, name)) for name in _COMPARISONS},
    _ATEN.square.default: lambda value: value * value if _integral(value) else NotImplemented,
    _ATEN.cat.default: _joined,
}
