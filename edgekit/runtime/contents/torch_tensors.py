"""Tensors in PyTorch's pickles: each lies in a storage that the archive holds, and does not leave it."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from edgekit.runtime.contents.pickles import Name, Object, Reference
from edgekit.runtime.contents.refusal import Malformed, shown
from edgekit.runtime.contents.sizes import MAX_AXES, MAX_VALUES

#: Storages of ``torch``: numpy's name, or PyTorch's where numpy has none, and bytes of one value.
STORAGES = {
    "BFloat16Storage": ("bfloat16", 2), "BoolStorage": ("bool", 1), "ByteStorage": ("uint8", 1),
    "CharStorage": ("int8", 1), "ComplexDoubleStorage": ("complex128", 16), "ComplexFloatStorage": ("complex64", 8),
    "DoubleStorage": ("float64", 8), "FloatStorage": ("float32", 4), "HalfStorage": ("float16", 2),
    "IntStorage": ("int32", 4), "LongStorage": ("int64", 8), "QInt32Storage": ("int32", 4),
    "QInt8Storage": ("int8", 1), "QUInt8Storage": ("uint8", 1), "ShortStorage": ("int16", 2),
    "UntypedStorage": ("uint8", 1),
}  # fmt: skip
#: Functions of ``torch._utils`` that make a tensor of a storage, an offset, a shape and steps.
REBUILT = ("_rebuild_qtensor", "_rebuild_tensor", "_rebuild_tensor_v2")


@dataclass(frozen=True)
class Tensor:
    """One tensor: the type and number of values of its storage, the storage's key, and its own shape."""

    dtype: str
    itemsize: int
    stored: int
    key: str
    shape: tuple[int, ...]


def is_storage(name: Name) -> bool:
    return name.module in ("torch", "torch.storage") and name.name in STORAGES


def tensor(made: Object, size_of: Callable[[str], int | None]) -> Tensor:
    """The tensor that a call of one of `REBUILT` makes, checked.

    Args:
        made: The call.
        size_of: Bytes that are stored under a key; None for a key that there is not.

    Raises:
        Malformed: It leaves its storage, or the archive does not hold that.
    """
    try:
        reference, offset, shape, steps = made.arguments[:4]
        mark, kind, key, _, count = reference.value[:5] if isinstance(reference, Reference) else ("", "", "", "", -1)
    except (TypeError, ValueError) as error:
        raise Malformed("a tensor is damaged") from error
    numbers = isinstance(shape, tuple) and isinstance(steps, tuple) and len(shape) == len(steps)
    whole = numbers and all(type(number) is int and number >= 0 for number in (*shape, *steps, offset, count))
    if mark != "storage" or not isinstance(kind, Name) or not is_storage(kind) or not whole or len(shape) > MAX_AXES:
        raise Malformed("a tensor is damaged")
    dtype, itemsize = STORAGES[kind.name]
    stored = size_of(str(key))
    if stored is None or count * itemsize > stored:
        raise Malformed(f"the storage {shown(key)} is not in the file")
    last = offset + sum((size - 1) * step for size, step in zip(shape, steps, strict=True)) if 0 not in shape else 0
    # The same values may stand for more of them (a step of 0), as in a mask that was expanded.
    if math.prod(shape) > MAX_VALUES // 16 or (last >= count and 0 not in shape):
        raise Malformed(f"a tensor of shape {list(shape)} leaves its storage")
    return Tensor(dtype, itemsize, count, str(key), shape)


def tensors(parts: list[Any], size_of: Callable[[str], int | None]) -> list[Tensor]:
    """The tensors among *parts* of a pickle (see `edgekit.runtime.contents.pickles.walk`), all of them checked."""
    return [
        tensor(part, size_of)
        for part in parts
        if isinstance(part, Object) and part.kind.module == "torch._utils" and part.kind.name in REBUILT
    ]
