"""Bits of whole numbers, by division and remainder, and powers of whole numbers.

litert-torch 0.10.0 has neither ("failed to legalize operation 'tfl.bitwise_xor'", "operation 'tfl.pow'", "Lowering
not found: aten.__rshift__"), and executorch 1.5.1 no shifts ("is not in Core ATen opset"). Whole numbers have 32 bits
in a ``.tflite``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

_ATEN = torch.ops.aten
_BITS = 31  # and a sign


def _factor(bits: torch.Tensor) -> torch.Tensor:
    """2 to the power of *bits*."""
    table = torch.tensor([1 << bit for bit in range(_BITS)])
    return table.index_select(0, bits.flatten()).reshape(bits.shape)


def _shift_left(value: Any, bits: Any) -> Any:
    if isinstance(bits, int):
        return value * 2**bits
    return value * _factor(bits).to(bits.dtype)


def _shift_right(value: Any, bits: Any) -> Any:
    factor = 2**bits if isinstance(bits, int) else _factor(bits).to(bits.dtype)
    return torch.div(value, factor, rounding_mode="floor")


def _lowest(value: Any, mask: Any) -> Any:
    """The lowest bits of whole numbers."""
    lowest = isinstance(mask, int) and mask > 0 and mask & (mask + 1) == 0
    if not lowest or not isinstance(value, torch.Tensor) or value.dtype == torch.bool:
        return NotImplemented
    return value - torch.div(value, mask + 1, rounding_mode="floor") * (mask + 1)


def _each(combine: Callable[[torch.Tensor, torch.Tensor], torch.Tensor]) -> Callable[..., Any]:
    """The rule that combines the bits of two numbers, in two's complement."""

    def rule(left: Any, right: Any) -> Any:
        if combine is torch.mul and (lowest := _lowest(left, right)) is not NotImplemented:
            return lowest
        one, other = (torch.as_tensor(each) for each in (left, right))
        if one.dtype == other.dtype == torch.bool:
            return one != other if combine is _different else NotImplemented
        powers = torch.tensor([1 << bit for bit in range(_BITS)])
        bits = combine(*(_bits(each, powers) for each in (one, other)))
        signs = combine(*((each < 0).to(torch.int64) for each in (one, other)))
        found = (bits * powers).sum(-1) + signs * -(1 << _BITS)
        return found.to(torch.promote_types(one.dtype, other.dtype) if isinstance(right, torch.Tensor) else one.dtype)

    return rule


def _bits(value: torch.Tensor, powers: torch.Tensor) -> torch.Tensor:
    """Each bit of *value* but its sign, along a new last axis."""
    shifted = torch.div(value.unsqueeze(-1), powers, rounding_mode="floor")
    return shifted - torch.div(shifted, 2, rounding_mode="floor") * 2


def _different(one: torch.Tensor, other: torch.Tensor) -> torch.Tensor:
    return (one - other) * (one - other)


def _power_of(base: Any, exponent: torch.Tensor) -> Any:
    """A whole number to the power of whole numbers, from a table of all that fit."""
    if not isinstance(base, int) or exponent.is_floating_point() or abs(base) < 2:
        return NotImplemented
    table = [1]
    while abs(table[-1] * base) < 1 << _BITS:
        table.append(table[-1] * base)
    return torch.tensor(table).index_select(0, exponent.flatten()).reshape(exponent.shape).to(exponent.dtype)


_SHIFTS: dict[Any, Callable[..., Any]] = {
    getattr(getattr(_ATEN, name), overload): rule
    for rule, names in (
        (_shift_left, (("__lshift__", "Scalar Tensor"), ("bitwise_left_shift", "Tensor_Scalar Tensor"))),
        (_shift_right, (("__rshift__", "Scalar Tensor"), ("bitwise_right_shift", "Tensor_Scalar Tensor"))),
    )
    for name, overloads in names
    for overload in overloads.split()
}
COMMON: dict[Any, Callable[..., Any]] = {
    **_SHIFTS,
    _ATEN.bitwise_and.Scalar: _lowest,
    _ATEN.__and__.Scalar: _lowest,
}
LITERT: dict[Any, Callable[..., Any]] = {
    **_SHIFTS,
    _ATEN.pow.Scalar: _power_of,
    **{
        getattr(getattr(_ATEN, name), overload): _each(combine)
        for combine, names in (
            (torch.mul, ("bitwise_and", "__and__")),
            (torch.maximum, ("bitwise_or", "__or__")),
            (_different, ("bitwise_xor", "__xor__")),
        )
        for name in names
        for overload in ("Tensor", "Scalar")
    },
}
