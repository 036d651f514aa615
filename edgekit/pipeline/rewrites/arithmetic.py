"""Sums with a factor, quotients and remainders, bits: in operators that all converters have, with Python's answers.

Wrong or missing in litert-torch 0.10.0: ``alpha`` of sums ("unexpected keyword argument 'alpha'"), division of floats
rounded down ("failed to legalize operation 'mhlo.round_nearest_afz'"), quotients of whole numbers towards zero (by way
of floats, which int8 then rounds), ``fmod`` of floats (0 instead of 0.2999999 for 3.0 and 0.3), ``abs``, powers and
products of matrices of whole numbers ("failed to legalize"), ``one_hot`` (by
way of ``aten._assert_async``: "Lowering not found"), ``bilinear`` ("Lowering not found"), the sign of whole numbers
("failed to legalize operation 'sign'").

Wrong or missing in executorch 1.5.1: ``alpha`` and ``beta`` of ``addmm`` count as 1 inside XNNPACK; ``remainder`` of a
negative whole number is negative; and what is no core ATen operator ("is not in Core ATen opset").
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch

_ATEN = torch.ops.aten
#: A product of matrices of whole numbers is made of no more products than this.
_MOST_PRODUCTS = 1 << 20
#: ... and a power of no more factors than this.
_MOST_FACTORS = 8


def _whole(value: Any) -> bool:
    """Whether *value* is a tensor of whole numbers, or one."""
    if isinstance(value, torch.Tensor):
        return not value.is_floating_point() and value.dtype != torch.bool
    return isinstance(value, int) and not isinstance(value, bool)


def _scaled(value: Any, factor: float) -> Any:
    return value if factor == 1 else value * factor


def _add(left: Any, right: Any, *, alpha: float = 1) -> Any:
    return NotImplemented if alpha == 1 else left + right * alpha


def _subtract(left: Any, right: Any, *, alpha: float = 1) -> Any:
    return NotImplemented if alpha == 1 else left - right * alpha


def _subtract_from(value: torch.Tensor, other: Any, alpha: float = 1) -> torch.Tensor:
    return other - _scaled(value, alpha)


def _summed(product: Callable[[torch.Tensor, torch.Tensor], torch.Tensor]) -> Callable[..., Any]:
    """``beta * bias + alpha * product``, where either is not 1."""

    def rule(bias: torch.Tensor, left: torch.Tensor, right: torch.Tensor, *, beta: float = 1, alpha: float = 1) -> Any:
        if product is _ATEN.mm.default and beta == 1 and alpha == 1:
            return NotImplemented
        return _scaled(bias, beta) + _scaled(product(left, right), alpha)

    return rule


def _floor_divide(left: Any, right: Any) -> Any:
    """Rounded down, as Python's ``//``: of floats not the same as the quotient rounded down (1 // 0.1 is 9)."""
    if _whole(left) and _whole(right):
        return torch.div(left, right, rounding_mode="floor")
    rest = _rest(left, right)
    quotient = (left - rest) / right
    quotient = quotient - ((rest != 0) & ((rest < 0) != (right < 0))).to(quotient.dtype)
    down = torch.floor(quotient)
    return down + (quotient - down > 0.5).to(down.dtype)


def _divide(left: Any, right: Any, *, rounding_mode: str | None = None) -> Any:
    whole = _whole(left) and _whole(right)
    if rounding_mode == "floor" and not whole:
        return _floor_divide(left, right)
    return _towards_zero(left, right) if rounding_mode == "trunc" and whole else NotImplemented


def _towards_zero(left: Any, right: Any) -> torch.Tensor:
    """The quotient of whole numbers without its fraction."""
    left, right = (torch.as_tensor(each) for each in (left, right))
    size = torch.div(torch.maximum(left, -left), torch.maximum(right, -right), rounding_mode="floor")
    return torch.where((left < 0) != (right < 0), -size, size)


def _remainder(left: Any, right: Any) -> Any:
    """Of whole numbers, with the sign of the divisor."""
    if _whole(left) and isinstance(right, float):
        return torch.remainder(left.to(torch.float32), right)
    if not (_whole(left) and _whole(right)):
        return NotImplemented
    return left - torch.div(left, right, rounding_mode="floor") * right


def _fmod(left: Any, right: Any) -> Any:
    """With the sign of the number divided."""
    if not (_whole(left) and _whole(right)):
        return _rest(left, right)
    return left - _towards_zero(left, right) * right


def _rest(left: Any, right: Any) -> Any:
    """``fmod`` of floats, by ``remainder``, which is exact in every converter."""
    left, right = (torch.as_tensor(each, dtype=torch.float32) for each in (left, right))
    return torch.sign(left) * torch.remainder(left.abs(), right.abs())


def _power(value: Any, exponent: Any) -> Any:
    """A small power as products: exact for whole numbers, and cheaper than logarithms for all."""
    if _whole(value) and isinstance(exponent, float):
        return torch.pow(value.to(torch.float32), exponent)
    small = isinstance(exponent, (int, float)) and exponent in range(2, _MOST_FACTORS + 1)
    if not small or (exponent == 2 and not _whole(value)):  # every converter knows the square of floats
        return NotImplemented
    product = value
    for bit in f"{int(exponent):b}"[1:]:  # squares, and one factor more for each 1
        product = product * product
        product = product * value if bit == "1" else product
    return product


def _product(left: torch.Tensor, right: torch.Tensor) -> Any:
    """Of matrices of whole numbers."""
    if not (_whole(left) and _whole(right)) or left.dim() < 2 or right.dim() < 2:
        return NotImplemented
    pairs = left.unsqueeze(-1), right.unsqueeze(-3)
    if math.prod(torch.broadcast_shapes(pairs[0].shape, pairs[1].shape)) > _MOST_PRODUCTS:
        return NotImplemented
    return (pairs[0] * pairs[1]).sum(-2)


def _round(value: torch.Tensor, *, decimals: int) -> torch.Tensor:
    factor = 10.0 ** abs(decimals)
    return torch.round(value / factor) * factor if decimals < 0 else torch.round(value * factor) / factor


def _log_of_sum(left: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
    """Of powers of two, to the base of two."""
    apart = torch.exp((left - right).abs() * -math.log(2))
    return torch.maximum(left, right) + torch.log1p(apart) * (1 / math.log(2))


def _copy_sign(size: torch.Tensor, sign: Any) -> torch.Tensor:
    """Where zero counts as positive, whatever its sign."""
    return torch.where(torch.as_tensor(sign) < 0, -size.abs(), size.abs())


def _sign(value: torch.Tensor) -> Any:
    return (value > 0).to(value.dtype) - (value < 0).to(value.dtype) if _whole(value) else NotImplemented


def _one_hot(index: torch.Tensor, classes: int = -1) -> Any:
    """Where *index* is the place along a new last axis of *classes*."""
    if classes < 0:
        return NotImplemented
    return (index.unsqueeze(-1) == torch.arange(classes)).to(torch.int64)


def _bilinear(left: torch.Tensor, right: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None = None) -> Any:
    product = (torch.einsum("...i,kij->...kj", left, weight) * right.unsqueeze(-2)).sum(-1)
    return product if bias is None else product + bias


RULES: dict[Any, Callable[..., Any]] = {
    _ATEN.bilinear.default: _bilinear,
    _ATEN.one_hot.default: _one_hot,
    _ATEN.sign.default: _sign,
    _ATEN.add.Tensor: _add,
    _ATEN.add.Scalar: lambda value, number, alpha=1: _add(value, number, alpha=alpha),
    _ATEN.sub.Tensor: _subtract,
    _ATEN.sub.Scalar: lambda value, number, alpha=1: _subtract(value, number, alpha=alpha),
    _ATEN.rsub.Tensor: _subtract_from,
    _ATEN.rsub.Scalar: _subtract_from,
    _ATEN.addmm.default: _summed(_ATEN.mm.default),
    _ATEN.addmv.default: _summed(lambda matrix, vector: (matrix @ vector.unsqueeze(1)).squeeze(1)),
    _ATEN.addr.default: _summed(lambda left, right: left.unsqueeze(1) * right.unsqueeze(0)),
    _ATEN.addbmm.default: _summed(lambda left, right: torch.bmm(left, right).sum(0)),
    _ATEN.baddbmm.default: _summed(_ATEN.bmm.default),
    _ATEN.floor_divide.default: _floor_divide,
    _ATEN.floor_divide.Scalar: _floor_divide,
    _ATEN.div.Tensor_mode: _divide,
    _ATEN.div.Scalar_mode: _divide,
    _ATEN.remainder.Tensor: _remainder,
    _ATEN.remainder.Scalar: _remainder,
    _ATEN.remainder.Scalar_Tensor: lambda number, value: torch.remainder(torch.full_like(value, number), value),
    _ATEN.fmod.Tensor: _fmod,
    _ATEN.fmod.Scalar: _fmod,
    _ATEN.abs.default: lambda value: torch.maximum(value, -value) if _whole(value) else NotImplemented,
    _ATEN.pow.Tensor_Scalar: _power,
    _ATEN.matmul.default: _product,
    _ATEN.mm.default: _product,
    _ATEN.bmm.default: _product,
    _ATEN.bitwise_not.default: lambda value: -value - 1 if _whole(value) else NotImplemented,
    _ATEN.logical_xor.default: lambda left, right: left.bool() != right.bool(),
    _ATEN.round.decimals: _round,
    _ATEN.exp2.default: lambda value: torch.exp(value * math.log(2)),
    _ATEN.dist.default: lambda left, right, power=2: torch.linalg.vector_norm(left - right, power),
    _ATEN.logaddexp2.default: _log_of_sum,
    _ATEN.ldexp.Tensor: lambda value, bits: value * torch.pow(2.0, torch.as_tensor(bits).to(torch.float32)),
    _ATEN.erfc.default: lambda value: 1 - torch.erf(value),
    _ATEN.hypot.default: lambda left, right: torch.sqrt(left * left + right * right),
    _ATEN.signbit.default: lambda value: value < 0,
    _ATEN.copysign.Tensor: _copy_sign,
    _ATEN.copysign.Scalar: _copy_sign,
    _ATEN.fmax.default: torch.maximum,
    _ATEN.fmin.default: torch.minimum,
}
