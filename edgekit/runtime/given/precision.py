"""The recipe whose precision a model file has, by what is in it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

_WHOLE = frozenset({"int8", "uint8", "int4", "uint4", "int2", "uint2"})
_HALF = frozenset({"float16", "bfloat16"})


@dataclass(frozen=True)
class Stored:
    """A constant in a file: its dtype, and the bytes that it takes."""

    dtype: str
    size_bytes: int


def recipe_of(constants: Iterable[Stored], quantized_activations: bool) -> str:
    """Name of the recipe (see `edgekit.recipes`) by which most weights are stored, counted by values.

    Args:
        quantized_activations: Whether values between operators are quantized whole numbers, too.
    """
    kinds: Counter[str] = Counter()
    for constant in constants:
        if constant.dtype in _WHOLE:
            kinds["int8"] += constant.size_bytes
        elif constant.dtype in _HALF:
            kinds["fp16"] += constant.size_bytes // 2
        elif constant.dtype in ("float32", "float64"):
            kinds["fp32"] += constant.size_bytes // 4
    if not kinds and not quantized_activations:
        return "fp32"
    most = kinds.most_common(1)[0][0] if kinds else "int8"
    if most == "int8" and not quantized_activations:
        return "int8-dynamic"
    return most
