"""``.safetensors``: a table of tensors in JSON, and their values in one piece behind it.

Format: https://github.com/huggingface/safetensors. The library (0.8.0) checks the table as well; here it is bounded
before its tensors cost memory.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from edgekit.runtime.contents.refusal import Malformed, parse_json, reading, shown
from edgekit.runtime.contents.sizes import MAX_AXES, MAX_VALUES

#: Bits of one value.
_BITS = {
    "BOOL": 8, "U8": 8, "I8": 8, "F8_E4M3": 8, "F8_E5M2": 8, "I16": 16, "U16": 16, "F16": 16, "BF16": 16, "I32": 32,
    "U32": 32, "F32": 32, "I64": 64, "U64": 64, "F64": 64, "C64": 64,
}  # fmt: skip


@dataclass(frozen=True)
class SafeTensors:
    """A file of tensors: shape of each by its name, and the file."""

    shapes: Mapping[str, tuple[int, ...]]
    data: bytes


def is_safetensors(data: bytes) -> bool:
    """Whether a file begins as such files do: with the length of a table in JSON."""
    return data[:2] != b"PK" and data[8:9] == b"{"


@reading("it holds no tensors")
def read(data: bytes) -> SafeTensors:
    """Read and check a file of tensors. Raises as `edgekit.runtime.contents.check`."""
    length = int.from_bytes(data[:8], "little")
    if not is_safetensors(data) or length > len(data) - 8:
        raise Malformed("it is cut short, or no .safetensors file at all")
    table = parse_json(data[8 : 8 + length], "table of tensors")
    table.pop("__metadata__", None)
    spans, shapes = [], {}
    for name, entry in table.items():
        shapes[name], span = _tensor(name, entry)
        spans.append(span)
    end = 0
    for begin, stop in sorted(spans):
        if begin != end:
            raise Malformed("its tensors overlap, or have gaps between them")
        end = stop
    if end != len(data) - 8 - length:
        raise Malformed("its tensors are cut short, or something follows them")
    return SafeTensors(shapes, data)


def _tensor(name: str, entry: Any) -> tuple[tuple[int, ...], tuple[int, int]]:
    shape, (begin, stop) = tuple(entry["shape"]), entry["data_offsets"]
    numbers = (*shape, begin, stop)
    if not all(type(number) is int and number >= 0 for number in numbers) or len(shape) > MAX_AXES:
        raise Malformed(f"its tensor {shown(name)} is damaged")
    if entry["dtype"] not in _BITS:
        raise Malformed(f"its tensor {shown(name)} is of the type {shown(entry['dtype'])}")
    if math.prod(shape) > MAX_VALUES or 8 * (stop - begin) != math.prod(shape) * _BITS[entry["dtype"]]:
        raise Malformed(f"its tensor {shown(name)} of shape {list(shape)} has {stop - begin:,} bytes")
    return shape, (begin, stop)
