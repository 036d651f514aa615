"""Complex numbers as pairs of real ones: neither LiteRT nor ExecuTorch computes with any."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch.utils import _pytree as pytree

from edgekit.errors import ConversionError

#: Operators that do the same to real and imaginary parts, whatever those are.
_NAMES = (
    "alias cat chunk clone constant_pad_nd contiguous cumsum detach diagonal expand fft_fftshift fft_ifftshift flatten "
    "flip index index_select mean movedim mul_scalar narrow neg pad permute repeat repeat_interleave reshape roll "
    "select slice split split_with_sizes squeeze stack sum t tile transpose unbind unflatten unfold unsqueeze view "
    "view_as"
)
_BY_PARTS = frozenset(_NAMES.split())


class Complex:
    """A tensor of complex numbers, as its real and imaginary parts."""

    def __init__(self, real: torch.Tensor, imag: torch.Tensor):
        self.real = real
        self.imag = imag

    @classmethod
    def of(cls, value: Any) -> Complex:
        """*value* as complex numbers: a complex tensor, or a real one or number without imaginary part."""
        if isinstance(value, Complex):
            return value
        if isinstance(value, complex):
            return cls(torch.tensor(value.real), torch.tensor(value.imag))
        if isinstance(value, torch.Tensor) and value.is_complex():
            parts = torch.view_as_real(value.resolve_conj())
            return cls(parts[..., 0].clone(), parts[..., 1].clone())
        real = value if isinstance(value, torch.Tensor) else torch.tensor(float(value))
        return cls(real, torch.zeros_like(real))

    @staticmethod
    def call(target: Any, args: Any, kwargs: Mapping[str, Any], rule: Callable[..., Any] | None) -> Any:
        """What the ATen operator *target* gives for arguments of which some are complex; *rule* says it of transforms.

        Raises:
            ConversionError: ``EK-UNSUPPORTED``: it has no form in real numbers here.
        """
        name = name_of(target)
        if name == "getitem":
            return args[0][args[1]]
        if name in _BY_PARTS:
            return _by_parts(target, args, kwargs)
        if (known := _OPERATORS.get(name, rule)) is None:
            raise unsupported(name)
        return known(*args, **kwargs)

    def __mul__(self, other: Complex) -> Complex:
        return Complex(self.real * other.real - self.imag * other.imag, self.real * other.imag + self.imag * other.real)

    def __truediv__(self, other: Complex) -> Complex:
        square = other.real * other.real + other.imag * other.imag
        product = self * Complex(other.real, -other.imag)
        return Complex(product.real / square, product.imag / square)

    def square(self) -> torch.Tensor:
        """The squared magnitude."""
        return self.real * self.real + self.imag * self.imag


def name_of(target: Any) -> str:
    """An operator's name, without its overload or the underscore of one that works in place."""
    return str(getattr(getattr(target, "overloadpacket", target), "__name__", "")).rstrip("_")


def unsupported(name: str) -> ConversionError:
    """The refusal of an operator on complex numbers."""
    return ConversionError(
        "EK-UNSUPPORTED",
        f"no file can hold complex numbers, and aten.{name} of them has no form in real ones here",
        "take .abs(), .real or .imag before, or leave the transform to the program that calls the model",
    )


def _by_parts(target: Any, args: Any, kwargs: Mapping[str, Any]) -> Any:
    real, imag = (
        target(*pytree.tree_map(part, args), **kwargs)
        for part in (lambda value: _part(value, "real"), lambda value: _part(value, "imag"))
    )
    if isinstance(real, torch.Tensor):
        return Complex(real, imag)
    return [Complex(*both) for both in zip(real, imag, strict=True)]


def _part(value: Any, which: str) -> Any:
    return getattr(value, which) if isinstance(value, Complex) else value


def _multiply(left: Any, right: Any) -> Complex:
    if not isinstance(left, Complex) or not isinstance(right, Complex):  # no product by a zero
        number, factor = (left, right) if isinstance(left, Complex) else (right, left)
        if not isinstance(factor, complex):
            return Complex(number.real * factor, number.imag * factor)
    return Complex.of(left) * Complex.of(right)


def _divide(left: Any, right: Any) -> Complex:
    if isinstance(right, (Complex, complex)):
        return Complex.of(left) / Complex.of(right)
    return Complex(left.real / right, left.imag / right)


def _add(left: Any, right: Any, *, alpha: float = 1) -> Complex:
    one, other = Complex.of(left), _multiply(Complex.of(right), alpha) if alpha != 1 else Complex.of(right)
    real = one.real + other.real
    return Complex(*(part.expand(real.shape) for part in (real, one.imag + other.imag)))


def _power(number: Complex, exponent: Any) -> Complex:
    if exponent != 2:
        raise unsupported("pow")
    return number * number


def _exponential(number: Complex) -> Complex:
    size = torch.exp(number.real)
    return Complex(size * torch.cos(number.imag), size * torch.sin(number.imag))


def _logarithm(number: Complex) -> Complex:
    return Complex(torch.log(number.square()) / 2, torch.atan2(number.imag, number.real))


def _root(number: Complex) -> Complex:
    size, angle = number.square() ** 0.25, torch.atan2(number.imag, number.real) / 2
    return Complex(size * torch.cos(angle), size * torch.sin(angle))


def _matmul(left: Any, right: Any) -> Complex:
    one, other = Complex.of(left), Complex.of(right)
    if not isinstance(left, Complex):
        return Complex(left @ other.real, left @ other.imag)
    if not isinstance(right, Complex):
        return Complex(one.real @ right, one.imag @ right)
    real = one.real @ other.real - one.imag @ other.imag
    return Complex(real, one.real @ other.imag + one.imag @ other.real)


def _einsum(equation: str, tensors: Any, *, path: Any = None) -> Complex:
    if len(tensors) != 2:
        raise unsupported("einsum")
    left, right = map(Complex.of, tensors)

    def product(one: torch.Tensor, other: torch.Tensor) -> torch.Tensor:
        return torch.einsum(equation, one, other)

    real = product(left.real, right.real) - product(left.imag, right.imag)
    return Complex(real, product(left.real, right.imag) + product(left.imag, right.real))


_OPERATORS: dict[str, Callable[..., Any]] = {
    "abs": lambda number: torch.sqrt(number.square()),
    "angle": lambda number: torch.atan2(number.imag, number.real),
    "real": lambda number: number.real,
    "imag": lambda number: number.imag,
    "view_as_real": lambda number: torch.stack([number.real, number.imag], -1),
    "conj": lambda number: Complex(number.real, -number.imag),
    "_conj": lambda number: Complex(number.real, -number.imag),
    "conj_physical": lambda number: Complex(number.real, -number.imag),
    "resolve_conj": lambda number: number,
    "add": _add,
    "sub": lambda left, right, *, alpha=1: _add(left, right, alpha=-alpha),
    "mul": _multiply,
    "div": _divide,
    "pow": _power,
    "square": lambda number: number * number,
    "exp": _exponential,
    "log": _logarithm,
    "sqrt": _root,
    "rsub": lambda left, right, *, alpha=1: _add(right, left, alpha=-alpha),
    "reciprocal": lambda number: Complex.of(1.0) / number,
    "sgn": lambda number: number / Complex.of(torch.sqrt(number.square()).clamp(min=1e-30)),
    "matmul": _matmul,
    "bmm": _matmul,
    "mm": _matmul,
    "einsum": _einsum,
}
