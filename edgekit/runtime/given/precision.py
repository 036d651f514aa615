"""The recipe whose precision a model file has, by what is in it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from edgekit.recipes import FP32, RECIPES, Recipe

#: Bits of one float.
_FLOAT, _HALF = 32, 16


@dataclass(frozen=True)
class Stored:
    """A constant in a file: how its values are stored, as numpy or the format names it, and the bytes that it takes."""

    dtype: str
    size_bytes: int

    @property
    def bits(self) -> int:
        """Of one value."""
        digits = "".join(each for each in self.dtype.partition("_")[0] if each.isdigit())
        return int(digits or "8")

    @property
    def is_float(self) -> bool:
        return "float" in self.dtype

    @property
    def is_quantized(self) -> bool:
        """Whether weights may be stored so: whole numbers of a byte or less; larger ones are indices and biases."""
        return "int" in self.dtype and self.bits <= 8


def recipe_of(constants: Iterable[Stored], quantized_values: bool) -> str:
    """Name of the recipe (see `edgekit.recipes`) by which most weights are stored.

    Args:
        quantized_values: Whether values between operators are quantized whole numbers, too.
    """
    whole = half = full = 0
    for constant in constants:
        count = 8 * constant.size_bytes // constant.bits
        whole += count if constant.is_quantized else 0
        half += count if constant.is_float and constant.bits <= _HALF else 0
        full += count if constant.is_float and constant.bits >= _FLOAT else 0
    most = max(whole, half, full)
    if quantized_values and most in (0, whole):
        return _first(lambda recipe: recipe.is_static)
    if whole and most == whole:
        return _first(lambda recipe: recipe.is_dynamic)
    if half and most == half:
        return _first(lambda recipe: recipe.is_half)
    return FP32.name


def _first(fits: Callable[[Recipe], bool]) -> str:
    return next(recipe.name for recipe in RECIPES if fits(recipe))
