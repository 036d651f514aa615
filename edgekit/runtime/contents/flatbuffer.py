"""Flatbuffers, decoded by a schema and checked on the way: nothing of them is outside of the file.

A schema is text: a line for each table, with its fields in order, and for each union; a line that begins with a space
goes on with the one before.

    Tensor: shape [i32], type i8=1, name str, quantization Quantization, details <Details>
    Details = Custom Blockwise Scaled:_Shared

``[T]`` is a vector, ``<U>`` a union, ``=1`` a default that is not zero, ``Name:Table`` a member of a union whose table
is called otherwise. A table that is named and not described has no fields. Format:
https://flatbuffers.dev/internals/
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from typing import Any

from edgekit.runtime.contents import layouts
from edgekit.runtime.contents.refusal import Malformed

#: Scalars: their code in `struct` and their size.
_SCALARS = {
    "b": ("B", 1), "u8": ("B", 1), "i8": ("b", 1), "u16": ("H", 2), "i16": ("h", 2), "u32": ("I", 4), "i32": ("i", 4),
    "f32": ("f", 4), "u64": ("Q", 8), "i64": ("q", 8), "f64": ("d", 8),
}  # fmt: skip
_UNPACK = {code: struct.Struct(f"<{code}").unpack_from for code, _ in _SCALARS.values()}
_U16, _I32, _U32 = _UNPACK["H"], _UNPACK["i"], _UNPACK["I"]
#: Honest files have tables within tables some ten levels deep, and thousands of them.
_MAX_DEPTH, _MAX_TABLES = 32, 1 << 18
#: What shares its bytes is decoded once for each that points to it; honest files share names, at most.
_MOST_READ, _SLACK_BYTES = 2, 4096

#: Field of a table: name, whether it is a vector, kind (scalar, ``str``, name of a table or union) and default.
_Field = tuple[str, bool, str, Any]


class Schema:
    """The tables of one format."""

    @classmethod
    def of(cls, format: str) -> Schema:
        """That of *format* (see `edgekit.runtime.contents.layouts`)."""
        return cls(layouts.read(format))

    def __init__(self, text: str):
        self.tables: dict[str, list[_Field]] = {}
        self.unions: dict[str, tuple[tuple[str, str], ...]] = {}
        for line in layouts.lines(text):
            name, sign, rest = line.split(None, 2)
            if sign == "=":
                self.unions[name] = tuple((each.partition(":")[0], each.rpartition(":")[2]) for each in rest.split())
            else:
                fields = [field.split() for field in f"{sign} {rest}".split(",")]
                self.tables[name[:-1]] = [part for field in fields for part in self._fields(*field)]

    def _fields(self, name: str, kind: str) -> list[_Field]:
        kind, _, default = kind.partition("=")
        if kind.startswith("<"):  # the type of a union stands in a field of its own
            return [(f"{name}_type", False, "u8", ""), (name, False, kind, None)]
        if kind.startswith("["):
            return [(name, True, kind[1:-1], ())]
        if kind in _SCALARS:
            return [(name, False, kind, float(default or 0) if kind[0] == "f" else int(default or 0))]
        return [(name, False, kind, "" if kind == "str" else None)]


#: One table as a mapping from field to value. Vectors of numbers are views of the file, those of bytes too; a table
#: that is not there is None, a union's type the name of its member, or empty.
Table = dict[str, Any]


def decode(data: bytes | memoryview, schema: Schema, root: str, identifier: bytes) -> Table:
    """The table *root* of the flatbuffer in *data*, with everything in it.

    Takes time and memory in proportion to the file at most.

    Raises:
        Malformed: It is none, or not of this schema.
    """
    if len(data) < 8 or bytes(data[4:8]) != identifier:
        raise Malformed(f"it has no {identifier.decode()} identifier")
    return _Decoder(memoryview(data), schema).table(root, _U32(data, 0)[0], 0)


class _Decoder:
    def __init__(self, data: memoryview, schema: Schema):
        self._data = data
        self._end = len(data)
        self._schema = schema
        self._left = _MOST_READ * len(data) + _SLACK_BYTES
        self._tables = 0
        #: By position of a vtable and table: what is where, since thousands of tables share a few of them.
        self._layouts: dict[tuple[int, str], tuple[int, list[tuple[_Field, int]], Mapping[str, Any]]] = {}

    def table(self, kind: str, position: int, depth: int) -> Table:
        if not 4 <= position <= self._end - 4 or position & 3 or depth > _MAX_DEPTH:
            raise Malformed(f"a table ({kind}) is outside of the file")
        self._tables += 1
        vtable = position - _I32(self._data, position)[0]
        layout = self._layouts.get((vtable, kind)) or self._layout(kind, vtable)
        size, fields, defaults = layout
        self._spend(size, kind)
        if position + size > self._end or self._tables > _MAX_TABLES:
            raise Malformed(f"a table ({kind}) is outside of the file")
        found = dict(defaults)
        for (name, is_vector, type_, _), offset in fields:
            at = position + offset
            scalar = None if is_vector else _SCALARS.get(type_)
            if scalar is not None:
                if at % scalar[1]:
                    raise Malformed(f"{kind}.{name} is not aligned")
                found[name] = _UNPACK[scalar[0]](self._data, at)[0]
            elif type_[0] == "<":
                self._union(found, name, type_[1:-1], at, depth)
            elif is_vector:
                found[name] = self._vector(name, type_, self._target(at), depth)
            elif type_ == "str":
                found[name] = self._text(name, self._target(at))
            else:
                found[name] = self.table(type_, self._target(at), depth + 1)
        return found

    def _layout(self, kind: str, vtable: int) -> tuple[int, list[tuple[_Field, int]], Mapping[str, Any]]:
        """Size of a table with the vtable at *vtable*, its fields with their offsets, and values of those not there."""
        if not 0 <= vtable <= self._end - 4 or vtable & 1:
            raise Malformed(f"a vtable ({kind}) is outside of the file")
        length, size = _U16(self._data, vtable)[0], _U16(self._data, vtable + 2)[0]
        if length < 4 or length & 1 or vtable + length > self._end or size < 4:
            raise Malformed(f"a vtable ({kind}) is outside of the file")
        offsets = struct.unpack_from(f"<{length // 2 - 2}H", self._data, vtable + 4)
        known = self._schema.tables.get(kind, [])
        if any(offsets[len(known) :]):
            raise Malformed(f"a table ({kind}) has more fields than edgekit knows of")
        present = []
        for field, offset in zip(known, offsets, strict=False):
            if offset:
                _, is_vector, type_, _ = field
                width = 4 if is_vector else _SCALARS.get(type_, ("", 4))[1]
                if not 4 <= offset <= size - width:
                    raise Malformed(f"{kind}.{field[0]} is outside of its table")
                present.append((field, offset))
        layout = (size, present, {name: default for name, _, _, default in known})
        self._layouts[vtable, kind] = layout
        return layout

    def _target(self, at: int) -> int:
        """Where the offset at *at* points; `table` and the others look whether that is inside."""
        if at & 3:
            raise Malformed("an offset is not aligned")
        return at + int(_U32(self._data, at)[0])

    def _union(self, found: Table, name: str, union: str, at: int, depth: int) -> None:
        number, members = found[f"{name}_type"] or 0, self._schema.unions[union]
        if not 1 <= number <= len(members):
            raise Malformed(f"{name} is of no kind that edgekit knows of ({number})")
        kind, table = members[number - 1]
        found[f"{name}_type"], found[name] = kind, self.table(table, self._target(at), depth + 1)

    def _vector(self, name: str, kind: str, position: int, depth: int) -> Any:
        if not 4 <= position <= self._end - 4 or position & 3:
            raise Malformed(f"{name} is outside of the file")
        count = _U32(self._data, position)[0]
        code, width = _SCALARS.get(kind, ("I", 4))
        begin, end = position + 4, position + 4 + count * width
        if end > self._end or (count and begin % width):  # writers align what there is
            raise Malformed(f"{name} is outside of the file")
        self._spend(end - position, name)
        if kind in _SCALARS:
            return self._data[begin:end].cast(code) if width > 1 else self._data[begin:end]  # type: ignore[call-overload]
        positions = [begin + 4 * index + offset for index, offset in enumerate(self._data[begin:end].cast("I"))]
        if kind == "str":
            return [self._text(name, each) for each in positions]
        return [self.table(kind, each, depth + 1) for each in positions]

    def _text(self, name: str, position: int) -> str:
        raw = self._vector(name, "u8", position, 0)
        end = position + 4 + len(raw)
        if end >= self._end or self._data[end] != 0:
            raise Malformed(f"{name} is no text")
        try:
            return bytes(raw).decode()
        except UnicodeDecodeError as error:
            raise Malformed(f"{name} is no text") from error

    def _spend(self, size: int, what: str) -> None:
        self._left -= size
        if self._left < 0:
            raise Malformed(f"its parts ({what}) overlap")
