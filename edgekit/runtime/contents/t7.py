"""``.t7``: what Torch7 (Lua) saved with ``torch.save``: numbers, texts, tables, tensors, and objects by their class.

Nothing in it is executed: Lua functions are stepped over. Binary, of 64-bit machines, or ASCII. Format: ``File.lua``
and ``Tensor.lua`` of https://github.com/torch/torch7.
"""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from edgekit.runtime.contents.refusal import Malformed, reading, shown
from edgekit.runtime.contents.sizes import MAX_AXES

_NIL, _NUMBER, _TEXT, _TABLE, _OBJECT, _BOOLEAN = range(6)
_FUNCTIONS = (6, 7, 8)
_MAX_DEPTH, _MAX_OBJECTS = 150, 1 << 20
_MOST_REPEATED = 1 << 20
#: Element types by what the class's name begins with; those of a GPU are stored alike.
_DTYPES = {
    "Byte": "u1", "Char": "i1", "Short": "i2", "Int": "i4", "Long": "i8", "Half": "f2", "Float": "f4", "Double": "f8",
    "Cuda": "f4", "CudaHalf": "f2", "CudaDouble": "f8", "CudaByte": "u1", "CudaChar": "i1", "CudaShort": "i2",
    "CudaInt": "i4", "CudaLong": "i8",
}  # fmt: skip


@dataclass(eq=False)
class LuaObject:
    """An object of Lua: the name of its class, and its fields, mostly a dict by name."""

    name: str
    fields: Any = None


@dataclass(frozen=True)
class LuaFunction:
    """A function of Lua, which is not read."""


@dataclass(frozen=True)
class T7:
    """One file: what it holds. Tables are dicts; one with the keys 1 to n stands for a list."""

    value: Any
    names: frozenset[str] = field(default_factory=frozenset)


@reading("it is no Torch7 file")
def read(data: bytes | memoryview) -> T7:
    """Read and check a file. Raises as `edgekit.runtime.contents.check`."""
    raw = bytes(data)
    reader = _Reader(_Ascii(raw) if raw[:1].isdigit() and raw[1:2] in (b"\n", b" ") else _Binary(raw))
    return T7(reader.value(0), frozenset(reader.names))


class _Binary:
    """Little-endian numbers of fixed width."""

    def __init__(self, data: bytes):
        self._data, self._at = data, 0

    def integer(self) -> int:
        return int(self._unpack("<i"))

    def long(self) -> int:
        return int(self._unpack("<q"))

    def number(self) -> float:
        return float(self._unpack("<d"))

    def text(self) -> bytes:
        return self._take(self.integer())

    def array(self, dtype: str, count: int) -> np.ndarray:
        return np.frombuffer(self._take(count * int(dtype[1:])), f"<{dtype}")

    def _unpack(self, form: str) -> Any:
        return struct.unpack(form, self._take(struct.calcsize(form)))[0]

    def _take(self, count: int) -> bytes:
        if count < 0 or self._at + count > len(self._data):
            raise Malformed("it is cut short")
        self._at += count
        return self._data[self._at - count : self._at]


class _Ascii:
    """Numbers as text, with white space between them."""

    def __init__(self, data: bytes):
        self._data, self._at = data, 0

    def integer(self) -> int:
        return int(self._word())

    long = integer

    def number(self) -> float:
        return float(self._word())

    def text(self) -> bytes:
        count = self.integer()
        begin = self._at + 1  # one line break
        if count < 0 or begin + count > len(self._data):
            raise Malformed("it is cut short")
        self._at = begin + count
        return self._data[begin : self._at]

    def array(self, dtype: str, count: int) -> np.ndarray:
        if count < 0 or count > len(self._data) - self._at:
            raise Malformed("it is cut short")
        if dtype in ("u1", "i1"):  # characters, on a line of their own
            begin = self._at + 1
            self._at = begin + count
            return np.frombuffer(self._data[begin : self._at], dtype)
        return np.array([float(self._word()) if dtype[0] == "f" else int(self._word()) for _ in range(count)], dtype)

    def _word(self) -> bytes:
        data, begin = self._data, self._at
        while begin < len(data) and data[begin : begin + 1].isspace():
            begin += 1
        end = begin
        while end < len(data) and not data[end : end + 1].isspace():
            end += 1
        if begin == end or end - begin > 64:
            raise Malformed("it is cut short")
        self._at = end
        return data[begin:end]


class _Reader:
    def __init__(self, source: _Binary | _Ascii):
        self._source = source
        self._known: dict[int, Any] = {}
        self.names: set[str] = set()

    def value(self, depth: int) -> Any:
        if depth > _MAX_DEPTH or len(self._known) > _MAX_OBJECTS:
            raise Malformed("it is nested too deep")
        source, kind = self._source, self._source.integer()
        if kind == _NIL:
            return None
        if kind == _NUMBER:
            number = source.number()
            return int(number) if number.is_integer() else number
        if kind == _TEXT:
            return source.text().decode("utf-8", "replace")
        if kind == _BOOLEAN:
            return source.integer() == 1
        if kind not in (_TABLE, _OBJECT, *_FUNCTIONS):
            raise Malformed(f"it holds a value of kind {kind}, which Torch7 does not write")
        index = source.integer()
        if index in self._known:
            return self._known[index]
        if kind in _FUNCTIONS:
            self._known[index] = LuaFunction()
            source.text()  # its code
            self.value(depth + 1)
            return self._known[index]
        return self._table(index, depth) if kind == _TABLE else self._object(index, depth)

    def _table(self, index: int, depth: int) -> dict[Any, Any]:
        found: dict[Any, Any] = {}
        self._known[index] = found
        for _ in range(self._source.integer()):
            key = self.value(depth + 1)
            item = self.value(depth + 1)
            if isinstance(key, (str, int, float)):  # others are no names of anything here
                found[key] = item
        return found

    def _object(self, index: int, depth: int) -> Any:
        name = self._source.text().decode("ascii", "replace")
        if name.startswith("V "):
            name = self._source.text().decode("ascii", "replace")
        self.names.add(name)
        package, _, short = name.partition(".")
        for suffix, make in (("Tensor", self._tensor), ("Storage", self._storage)):
            if package == "torch" and short.removesuffix(suffix) in _DTYPES and short.endswith(suffix):
                made = make(_DTYPES[short.removesuffix(suffix)], index, depth)
                self._known[index] = made
                return made
        found = LuaObject(name)
        self._known[index] = found
        found.fields = self.value(depth + 1)
        return found

    def _storage(self, dtype: str, index: int, depth: int) -> np.ndarray:
        return self._source.array(dtype, self._source.long())

    def _tensor(self, dtype: str, index: int, depth: int) -> np.ndarray:
        source, rank = self._source, self._source.integer()
        if not 0 <= rank <= MAX_AXES:
            raise Malformed(f"it holds a tensor of {rank} axes")
        shape, steps = ([source.long() for _ in range(rank)] for _ in range(2))
        offset = source.long() - 1
        stored = self.value(depth + 1)
        if not isinstance(stored, np.ndarray) or not rank:
            return np.zeros([0], dtype)
        if any(size < 0 for size in shape) or any(step < 0 for step in steps) or offset < 0:
            raise Malformed(f"it holds a tensor of shape {shown(shape)}")
        last = offset + sum((size - 1) * step for size, step in zip(shape, steps, strict=True))
        # The same values may stand for more of them (a step of 0), but few bytes not for many.
        if math.prod(shape) > max(stored.size, _MOST_REPEATED) or (0 not in shape and last >= stored.size):
            raise Malformed(f"a tensor of shape {shown(shape)} leaves its storage")
        if 0 in shape:
            return np.zeros(shape, stored.dtype)
        bytes_apart = [step * stored.itemsize for step in steps]
        return np.lib.stride_tricks.as_strided(stored[offset:], shape, bytes_apart).copy()
