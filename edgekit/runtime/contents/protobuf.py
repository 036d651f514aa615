"""Protobuf messages, decoded by a schema and checked on the way.

A schema is text: a line for each message with the numbers, names and kinds of its fields; a line that begins with a
space goes on with the one before.

    NodeProto: 1 input [str], 4 op_type str, 5 attribute [AttributeProto], 9 values [count]

Kinds are ``i`` (a whole number), ``f32``, ``f64``, ``str``, ``bytes``, another message, ``[T]`` for several of them,
``[count]`` and ``[count4]``, ``[count8]`` for numbers of which only the count is kept (of variable length, of 4 and of
8 bytes), and ``skip`` for what nobody reads. Format: https://protobuf.dev/programming-guides/encoding/
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from typing import Any

import numpy as np

from edgekit.runtime.contents import layouts
from edgekit.runtime.contents.refusal import Malformed

#: One message: its fields by name, those alone that are there.
Message = dict[str, Any]
#: Messages of one kind: name and kind of each field by number.
_Fields = Mapping[int, tuple[str, str]]

_MAX_DEPTH, _MAX_MESSAGES, _MAX_ENTRIES = 64, 1 << 19, 1 << 22
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_FIXED = {"f32": (_FIXED32, struct.Struct("<f")), "f64": (_FIXED64, struct.Struct("<d"))}
_COUNTED = {"count": (_VARINT, 0), "count4": (_FIXED32, 4), "count8": (_FIXED64, 8)}


class Schema:
    """The messages of one format."""

    @classmethod
    def of(cls, format: str) -> Schema:
        """That of *format* (see `edgekit.runtime.contents.layouts`)."""
        return cls(layouts.read(format))

    def __init__(self, text: str):
        self.messages: dict[str, _Fields] = {}
        for line in layouts.lines(text):
            name, _, fields = line.partition(":")
            parts = (field.split() for field in fields.split(",") if field.strip())
            self.messages[name] = {int(number): (key, kind) for number, key, kind in parts}


def decode(data: bytes | memoryview, schema: Schema, message: str, most: int = _MAX_MESSAGES) -> Message:
    """The *message* in *data*, with everything in it: at most so many messages.

    Raises:
        Malformed: It is none, or has fields that the schema lacks.
    """
    return _Decoder(memoryview(data), schema, most).message(message, 0, len(data), 0)


class _Decoder:
    def __init__(self, data: memoryview, schema: Schema, most: int):
        self._data = data
        self._most = most
        self._schema = schema
        self._messages = self._entries = 0

    def message(self, kind: str, offset: int, end: int, depth: int) -> Message:
        self._messages += 1
        if depth > _MAX_DEPTH or self._messages > self._most:
            raise Malformed(f"its messages ({kind}) nest too deep, or are too many")
        fields = self._schema.messages[kind]
        found: Message = {}
        while offset < end:
            key, offset = varint(self._data, offset, end)
            number, wire = key >> 3, key & 7
            begin, offset = offset, self._after(wire, offset, end)
            if number not in fields:
                raise Malformed(f"a message ({kind}) has a field that edgekit does not know of ({number})")
            name, type_ = fields[number]
            if type_ != "skip":
                self._field(found, name, type_, wire, begin, offset, depth)
        return found

    def _field(self, found: Message, name: str, kind: str, wire: int, begin: int, end: int, depth: int) -> None:
        self._entries += 1
        if self._entries > _MAX_ENTRIES:
            raise Malformed("its messages have too many fields")
        if kind[0] != "[":
            value = self._value(name, kind, wire, begin, end, depth)
            # Parsers merge two messages in a field for one; nobody writes that.
            if name in found and isinstance(value, dict):
                raise Malformed(f"{name} is there twice")
            found[name] = value
            return
        inner = kind[1:-1]
        if inner in _COUNTED:
            found[name] = found.get(name, 0) + self._count(name, inner, wire, begin, end)
        elif wire == _BYTES and inner in ("i", *_FIXED):
            found.setdefault(name, []).extend(self._packed(name, inner, begin, end))
        else:
            found.setdefault(name, []).append(self._value(name, inner, wire, begin, end, depth))

    def _value(self, name: str, kind: str, wire: int, begin: int, end: int, depth: int) -> Any:
        if kind == "i" and wire == _VARINT:
            return _signed(varint(self._data, begin, end)[0])
        if kind in _FIXED and wire == _FIXED[kind][0]:
            return _FIXED[kind][1].unpack_from(self._data, begin)[0]
        if wire != _BYTES or kind in ("i", *_FIXED):
            raise Malformed(f"{name} is of another kind than it says")
        _, begin = varint(self._data, begin, end)
        if kind == "bytes":
            return self._data[begin:end]
        if kind == "str":
            try:
                return bytes(self._data[begin:end]).decode()
            except UnicodeDecodeError as error:
                raise Malformed(f"{name} is no text") from error
        return self.message(kind, begin, end, depth + 1)

    def _packed(self, name: str, kind: str, begin: int, end: int) -> list[Any]:
        _, begin = varint(self._data, begin, end)
        numbers: list[Any] = []
        if kind in _FIXED:
            width = _FIXED[kind][1].size
            if (end - begin) % width:
                raise Malformed(f"{name} is cut short")
            numbers = [number for (number,) in _FIXED[kind][1].iter_unpack(self._data[begin:end])]
        else:
            while begin < end:
                number, begin = varint(self._data, begin, end)
                numbers.append(_signed(number))
        self._entries += len(numbers)
        return numbers

    def _count(self, name: str, kind: str, wire: int, begin: int, end: int) -> int:
        expected, width = _COUNTED[kind]
        if wire == expected:
            return 1
        if wire != _BYTES:
            raise Malformed(f"{name} is of another kind than it says")
        _, begin = varint(self._data, begin, end)
        if width:
            if (end - begin) % width:
                raise Malformed(f"{name} is cut short")
            return (end - begin) // width
        numbers = np.frombuffer(self._data[begin:end], np.uint8)
        if len(numbers) and numbers[-1] >= 0x80:
            raise Malformed(f"{name} is cut short")
        return int(np.count_nonzero(numbers < 0x80))

    def _after(self, wire: int, offset: int, end: int) -> int:
        """Where a field's value that begins at *offset* ends."""
        if wire == _VARINT:
            after = varint(self._data, offset, end)[1]
        elif wire == _BYTES:
            size, begin = varint(self._data, offset, end)
            after = begin + size
        elif wire in (_FIXED32, _FIXED64):
            after = offset + (4 if wire == _FIXED32 else 8)
        else:
            raise Malformed(f"a field is of wire type {wire}")
        if after > end:
            raise Malformed("a message is cut short")
        return after


def varint(data: memoryview, offset: int, end: int) -> tuple[int, int]:
    """The number that begins at *offset*, and where it ends: before *end*."""
    number = shift = 0
    while offset < end and shift < 70:
        byte = data[offset]
        number |= (byte & 0x7F) << shift
        offset += 1
        if byte < 0x80:
            return number, offset
        shift += 7
    raise Malformed("a message is cut short")


def _signed(number: int) -> int:
    """A number below 0 is written as one of 64 bits."""
    number &= (1 << 64) - 1
    return number - (1 << 64) if number >> 63 else number
