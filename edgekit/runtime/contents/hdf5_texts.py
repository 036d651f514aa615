"""Attributes in HDF5 files that are texts, in place or in the heap that the file has for them.

Format: https://support.hdfgroup.org/documentation/hdf5/latest/_f_m_t1.html
"""

from __future__ import annotations

import math
import struct
from collections.abc import Callable, Iterator

from edgekit.runtime.contents.refusal import Malformed

_FIXED, _VARIABLE = 3, 9
_MAX_TEXTS, _MAX_BYTES = 1 << 16, 1 << 26


def attribute(
    data: memoryview, message: memoryview, wanted: Callable[[str], bool]
) -> tuple[str, tuple[str, ...]] | None:
    """Name and texts of the attribute in *message*; None for one that is not *wanted*.

    Args:
        data: The file.

    Raises:
        Malformed: It is damaged, or no text.
    """
    version, flags, name_size, type_size, space_size = struct.unpack_from("<BBHHH", message)
    at, pad = {1: (8, 8), 2: (8, 1), 3: (9, 1)}.get(version, (0, 0))
    if not at:
        return None
    name = bytes(message[at : at + name_size]).rstrip(b"\0").decode("utf-8", "replace")
    if not wanted(name):
        return None
    if flags & 3:
        raise Malformed("it holds a shared attribute")
    at += -(-name_size // pad) * pad
    kind = message[at : at + type_size]
    at += -(-type_size // pad) * pad
    space = message[at : at + space_size]
    at += -(-space_size // pad) * pad
    return name, tuple(_texts(data, message[at:], kind, _count(space)))


def _count(space: memoryview) -> int:
    version, rank = space[0], space[1]
    begin = {1: 8, 2: 4}[version]
    if version == 2 and space[3] == 2:  # nothing at all
        return 0
    count = math.prod(struct.unpack_from(f"<{rank}Q", space, begin))
    if rank > 1 or count > _MAX_TEXTS:
        raise Malformed(f"it holds an attribute of {count:,} texts")
    return count


def _texts(data: memoryview, values: memoryview, kind: memoryview, count: int) -> Iterator[str]:
    size = struct.unpack_from("<I", kind, 4)[0]
    if kind[0] & 15 == _FIXED and count * size <= len(values):
        for index in range(count):
            yield bytes(values[index * size : (index + 1) * size]).split(b"\0")[0].decode()
    elif kind[0] & 15 == _VARIABLE and kind[1] & 15 == 1 and size == 16 and count * 16 <= len(values):
        left = _MAX_BYTES
        for index in range(count):
            length, address, number = struct.unpack_from("<IQI", values, 16 * index)
            left -= length
            if left < 0:
                raise Malformed("its texts are larger than it is")
            yield bytes(_in_heap(data, address, number)[:length]).split(b"\0")[0].decode() if length else ""
    elif count and size:
        raise Malformed("it holds an attribute that is no text")


def _in_heap(data: memoryview, address: int, number: int) -> memoryview:
    """Object *number* of the global heap at *address*."""
    mark, version, size = struct.unpack_from("<4sBxxxQ", data, address)
    if mark != b"GCOL" or version != 1 or address + size > len(data):
        raise Malformed("it holds a text that is nowhere")
    at, end = address + 16, address + size
    while at + 16 <= end:
        index, length = struct.unpack_from("<HxxxxxxQ", data, at)
        if index == 0 or at + 16 + length > end:
            break
        if index == number:
            return data[at + 16 : at + 16 + length]
        at += 16 + -(-length // 8) * 8
    raise Malformed("it holds a text that is nowhere")
