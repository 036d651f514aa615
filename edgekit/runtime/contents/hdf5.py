"""HDF5 files of plain arrays in groups, as Keras writes weights: what is in them, and a new one of that.

Only the oldest form is known, which h5py writes by default: superblock 0, groups as symbol tables, arrays in one piece.
Links, filters, references and types of their own have no place here. Attributes (Keras notes names of layers in them)
are left out, but for texts that are asked for. Format: https://support.hdfgroup.org/documentation/hdf5/latest/_f_m_t1.html
"""

from __future__ import annotations

import math
import struct
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Union

from edgekit.runtime.contents import hdf5_texts
from edgekit.runtime.contents.refusal import Malformed, Refused, reading, shown
from edgekit.runtime.contents.sizes import MAX_AXES, MAX_VALUES

_SIGNATURE = b"\x89HDF\r\n\x1a\n"
_NOWHERE = (1 << 64) - 1
#: Messages of object headers.
_NIL, _SPACE, _LINK_INFO, _TYPE, _OLD_FILL, _FILL, _LINK, _EXTERNAL = 0, 1, 2, 3, 4, 5, 6, 7
_LAYOUT, _GROUP_INFO, _FILTERS, _ATTRIBUTE, _COMMENT, _OLD_TIME, _SHARED = 8, 10, 11, 12, 13, 14, 15
_CONTINUED, _TABLE, _TIME, _DRIVER, _ATTRIBUTES = 16, 17, 18, 20, 21
_IGNORED = frozenset({_NIL, _OLD_FILL, _FILL, _ATTRIBUTE, _COMMENT, _OLD_TIME, _TIME, _ATTRIBUTES})
_MAX_DEPTH, _MAX_NAME, _MAX_OBJECTS = 64, 1000, 1 << 18

#: numpy's dtypes that an array may have, little-endian.
_DTYPES = ("f2", "f4", "f8", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8")
#: Properties of floats: sign, exponent's and fraction's location and size, bias.
_FLOATS = {2: (15, 10, 5, 0, 10, 15), 4: (31, 23, 8, 0, 23, 127), 8: (63, 52, 11, 0, 52, 1023)}


@dataclass(frozen=True)
class Array:
    """One array: numpy's dtype, as ``f4``, its shape, and its values as they lie in the file."""

    dtype: str
    shape: tuple[int, ...]
    values: memoryview


Group = Mapping[str, Union["Group", Array]]
#: Attributes by the path of their object, then by name: each one text or several.
Texts = Mapping[str, Mapping[str, tuple[str, ...]]]


def is_hdf5(head: bytes | memoryview) -> bool:
    """Whether a file begins so."""
    return bytes(head[:8]) == _SIGNATURE


def read(data: bytes | memoryview) -> Group:
    """The arrays in *data*, in the groups that they are in.

    Raises:
        Refused: It reaches for other files, or holds filters, which are plugins.
        Malformed: It is none, is damaged, or written in another way than Keras writes.
    """
    with reading("the weights are damaged"):
        return _Reader(memoryview(data)).root()


def read_with_texts(data: bytes | memoryview, wanted: Callable[[str], bool]) -> tuple[Group, Texts]:
    """`read`, and the attributes that hold texts, of names that are *wanted*, by the path of what they are of."""
    with reading("the file is damaged"):
        reader = _Reader(memoryview(data), wanted)
        return reader.root(), reader.texts


def arrays(group: Group, path: str = "") -> Iterator[tuple[str, Array]]:
    """Every array by its path."""
    for name, each in group.items():
        whole = f"{path}/{name}"
        if isinstance(each, Array):
            yield whole, each
        else:
            yield from arrays(each, whole)


class _Reader:
    def __init__(self, data: memoryview, wanted: Callable[[str], bool] = lambda name: False):
        self._data = data
        self._wanted = wanted
        self._seen: set[int] = set()
        self.texts: dict[str, dict[str, tuple[str, ...]]] = {}

    def root(self) -> Group:
        data = self._data
        if bytes(data[:8]) != _SIGNATURE:
            raise Malformed("the weights are no HDF5 file")
        if bytes(data[8:16]) != bytes((0, 0, 0, 0, 0, 8, 8, 0)):
            raise Malformed("the weights are an HDF5 file of another version than Keras writes")
        _, _, _, base, _, end, driver = struct.unpack_from("<HHIQQQQ", data, 16)
        if base or end > len(data) or driver != _NOWHERE:
            raise Malformed("the weights are cut short, or in several files")
        found = self._object(struct.unpack_from("<Q", data, 64)[0], 0, "")
        if isinstance(found, Array):
            raise Malformed("the weights are no groups")
        return found

    def _object(self, address: int, depth: int, path: str) -> Group | Array:
        if address in self._seen or depth > _MAX_DEPTH or len(self._seen) > _MAX_OBJECTS:
            raise Refused("the weights hold a link", "leads back to where it is, or to another place")
        self._seen.add(address)
        messages: dict[int, memoryview] = {}
        for kind, body in self._messages(address):
            if kind == _ATTRIBUTE:
                attribute = hdf5_texts.attribute(self._data, body, self._wanted)
                if attribute is not None:
                    self.texts.setdefault(path, {})[attribute[0]] = attribute[1]
            if kind in _IGNORED:
                continue
            if kind in (_LINK, _LINK_INFO, _EXTERNAL, _FILTERS, _SHARED, _DRIVER):
                raise Refused(
                    "the weights hold links, filters or parts in other files", "reads files, or loads plugins"
                )
            if kind not in (_SPACE, _TYPE, _LAYOUT, _TABLE, _GROUP_INFO) or kind in messages:
                raise Malformed(f"the weights hold a message ({kind}) that Keras does not write")
            messages[kind] = body
        if _TABLE in messages:
            return self._group(messages[_TABLE], depth, path)
        if not {_SPACE, _TYPE, _LAYOUT} <= messages.keys():
            raise Malformed("the weights hold what is neither an array nor a group")
        return self._array(messages)

    def _messages(self, address: int) -> Iterator[tuple[int, memoryview]]:
        """Kind and body of each message of the object header at *address*."""
        self._inside(address, 16)
        version, _, count, _, size = struct.unpack_from("<BBHII", self._data, address)
        if version != 1:
            raise Malformed("the weights are an HDF5 file of another version than Keras writes")
        blocks, seen = [(address + 16, size)], set()
        while blocks:
            at, left = blocks.pop(0)
            self._inside(at, left)
            if at in seen:
                raise Malformed("the weights hold a header that goes on at its begin")
            seen.add(at)
            while left >= 8 and count:
                kind, length, flags = struct.unpack_from("<HHB", self._data, at)
                body = self._data[at + 8 : at + 8 + length]
                if len(body) < length or length + 8 > left:
                    raise Malformed("the weights hold a message that is cut short")
                if flags & 2 and kind not in _IGNORED:
                    raise Refused("the weights hold a shared message", "leads to another place")
                count, at, left = count - 1, at + 8 + length, left - 8 - length
                if kind == _CONTINUED:
                    blocks.append(struct.unpack_from("<QQ", body))
                else:
                    yield kind, body

    def _group(self, table: memoryview, depth: int, path: str) -> Group:
        tree, heap = struct.unpack_from("<QQ", table)
        self._inside(heap, 32)
        if bytes(self._data[heap : heap + 5]) != b"HEAP\0":
            raise Malformed("the weights hold a group without names")
        size, _, begin = struct.unpack_from("<QQQ", self._data, heap + 8)
        self._inside(begin, size)
        names = self._data[begin : begin + size]
        found: dict[str, Group | Array] = {}
        for offset, address, kind in self._entries(tree, 0):
            if kind not in (0, 1):
                raise Refused("the weights hold a link", "leads to another place, or another file")
            name = _name(names, offset)
            if name in found:
                raise Malformed(f"the weights have two of one name, {shown(name)}")
            found[name] = self._object(address, depth + 1, f"{path}/{name}")
        return found

    def _entries(self, address: int, depth: int) -> Iterator[tuple[int, int, int]]:
        """Name, object header and kind of each entry below the node of a B-tree at *address*."""
        self._inside(address, 24)
        mark, kind, level, used = struct.unpack_from("<4sBBH", self._data, address)
        if mark != b"TREE" or kind or address in self._seen or depth > 8 or (depth and level + depth > 8):
            raise Malformed("the weights hold a group without entries")
        self._seen.add(address)
        self._inside(address + 24, 8 + 16 * used)
        for index in range(used):
            child = struct.unpack_from("<Q", self._data, address + 32 + 16 * index)[0]
            if level:
                yield from self._entries(child, depth + 1)
                continue
            self._inside(child, 8)
            mark, version, count = struct.unpack_from("<4sBxH", self._data, child)
            if mark != b"SNOD" or version != 1 or child in self._seen:
                raise Malformed("the weights hold a group without entries")
            self._seen.add(child)
            self._inside(child + 8, 40 * count)
            for entry in range(count):
                yield struct.unpack_from("<QQI", self._data, child + 8 + 40 * entry)

    def _array(self, messages: Mapping[int, memoryview]) -> Array:
        shape, dtype = _shape(messages[_SPACE]), _dtype(messages[_TYPE])
        size = math.prod(shape) * int(dtype[1:])
        layout = messages[_LAYOUT]
        version, kind = layout[0], layout[1]
        if version != 3 or kind not in (0, 1):
            raise Malformed("the weights hold an array that is not in one piece")
        if kind == 0:
            length = struct.unpack_from("<H", layout, 2)[0]
            values = layout[4 : 4 + length]
        else:
            address, length = struct.unpack_from("<QQ", layout, 2)
            if address == _NOWHERE and size == 0:
                address = length = 0
            self._inside(address, length)
            values = self._data[address : address + length]
        if len(values) != size:
            raise Malformed(f"the weights hold an array {dtype}{list(shape)} of {len(values):,} bytes")
        return Array(dtype, shape, values)

    def _inside(self, address: int, size: int) -> None:
        if address + size > len(self._data):
            raise Malformed("the weights are cut short")


def _name(names: memoryview, offset: int) -> str:
    raw = bytes(names[offset : offset + _MAX_NAME])
    name = raw[: raw.index(0)].decode() if 0 in raw else ""
    if name in ("", ".", "..") or "/" in name or not name.isprintable():
        raise Malformed("the weights have a name that is none")
    return name


def _shape(space: memoryview) -> tuple[int, ...]:
    version, rank, flags = space[0], space[1], space[2]
    begin = {1: 8, 2: 4}.get(version)
    if begin is None or rank > MAX_AXES or (version == 2 and space[3] not in (0, 1)):
        raise Malformed("the weights hold an array without a shape")
    shape = struct.unpack_from(f"<{rank}Q", space, begin)
    most = struct.unpack_from(f"<{rank}Q", space, begin + 8 * rank) if flags & 1 else shape
    if most != shape or math.prod(shape) > MAX_VALUES:
        raise Malformed("the weights hold an array that may grow, or has no shape that there is")
    return shape


def _dtype(message: memoryview) -> str:
    for dtype in _DTYPES:
        known = _type_message(dtype)
        # Byte 0: the class, and a version that says nothing here.
        if message[0] & 15 == known[0] & 15 and bytes(message[1 : len(known)]) == known[1:]:
            return dtype
    raise Malformed(f"the weights are no plain little-endian numbers (type {message[0] & 15})")


def _type_message(dtype: str) -> bytes:
    size = int(dtype[1:])
    if dtype[0] == "f":
        sign, exponent, exponent_size, fraction, fraction_size, bias = _FLOATS[size]
        head = struct.pack("<BBBBI", 0x11, 0x20, sign, 0, size)
        return head + struct.pack("<HHBBBBI", 0, 8 * size, exponent, exponent_size, fraction, fraction_size, bias)
    return struct.pack("<BBBBIHH", 0x10, 8 if dtype[0] == "i" else 0, 0, 0, size, 0, 8 * size)


#: Children of a node of a B-tree, at most, and of the superblock's words, half of that.
_CHILDREN = 32


def write(group: Group) -> bytes:
    """An HDF5 file of *group*. The same arrays give the same bytes.

    Raises:
        Malformed: A group has more entries than the format has place for.
    """
    most = max(_lengths(group))
    # Entries of a leaf: as many as it takes for one node of a B-tree to have place for all.
    half = max(4, -(-most // (2 * _CHILDREN)))
    if half > 0xFFFF:
        raise Malformed(f"the weights have a group of {most:,} entries")
    file = bytearray(96)
    root = _write_group(file, group, half)
    superblock = _SIGNATURE + bytes((0, 0, 0, 0, 0, 8, 8, 0)) + struct.pack("<HHI", half, _CHILDREN // 2, 0)
    superblock += struct.pack("<QQQQ", 0, _NOWHERE, len(file), _NOWHERE)
    file[:96] = superblock + struct.pack("<QQIIQQ", 0, root, 0, 0, 0, 0)
    return bytes(file)


def _lengths(group: Group) -> Iterator[int]:
    yield len(group)
    for each in group.values():
        if not isinstance(each, Array):
            yield from _lengths(each)


def _write_group(file: bytearray, group: Group, half: int) -> int:
    """Write *group* and everything in it; where its object header is."""
    named = sorted((name.encode(), each) for name, each in group.items())
    addresses = [
        _write_array(file, each) if isinstance(each, Array) else _write_group(file, each, half) for _, each in named
    ]
    names, offsets = bytearray(8), []
    for name, _ in named:
        offsets.append(len(names))
        names += name + bytes(8 - len(name) % 8)
    names_address = _append(file, bytes(names))
    heap = _append(file, b"HEAP" + struct.pack("<IQQQ", 0, len(names), 1, names_address))
    children, keys = [], [0]
    for begin in range(0, len(named), 2 * half):
        entries = list(zip(offsets, addresses, strict=True))[begin : begin + 2 * half]
        body = b"".join(struct.pack("<QQIIQQ", offset, address, 0, 0, 0, 0) for offset, address in entries)
        head = b"SNOD" + struct.pack("<BBH", 1, 0, len(entries))
        children.append(_append(file, (head + body).ljust(8 + 80 * half, b"\0")))
        keys.append(entries[-1][0])
    node = b"TREE" + struct.pack("<BBHQQQ", 0, 0, len(children), _NOWHERE, _NOWHERE, keys[0])
    node += b"".join(struct.pack("<QQ", child, key) for child, key in zip(children, keys[1:], strict=True))
    tree = _append(file, node.ljust(32 + 16 * _CHILDREN, b"\0"))
    return _write_header(file, {_TABLE: struct.pack("<QQ", tree, heap)})


def _write_array(file: bytearray, array: Array) -> int:
    address = _append(file, array.values) if len(array.values) else _NOWHERE
    space = struct.pack(f"<BBBBI{len(array.shape)}Q", 1, len(array.shape), 0, 0, 0, *array.shape)
    layout = struct.pack("<BBQQ", 3, 1, address, len(array.values))
    # Written late, with nothing to fill it with.
    fill = struct.pack("<BBBBI", 2, 2, 2, 0, 0)
    return _write_header(file, {_SPACE: space, _TYPE: _type_message(array.dtype), _FILL: fill, _LAYOUT: layout})


def _write_header(file: bytearray, messages: Mapping[int, bytes]) -> int:
    body = b""
    for kind, message in messages.items():
        padded = message + bytes(-len(message) % 8)
        body += struct.pack("<HHBBBB", kind, len(padded), 0, 0, 0, 0) + padded
    return _append(file, struct.pack("<BBHIIi", 1, 0, len(messages), 1, len(body), 0) + body)


def _append(file: bytearray, contents: bytes | memoryview) -> int:
    """Where *contents* begin in *file*, at a multiple of eight bytes."""
    file += bytes(-len(file) % 8)
    address = len(file)
    file += contents
    return address
