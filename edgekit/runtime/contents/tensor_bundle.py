"""The index of a TensorFlow checkpoint: where each variable lies in the files beside it.

A table of sorted keys in blocks, as LevelDB writes them, uncompressed
(https://github.com/google/leveldb/blob/main/doc/table_format.md), whose values are messages.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator, Mapping

from edgekit.runtime.contents.protobuf import Schema, decode, varint
from edgekit.runtime.contents.refusal import Malformed, reading
from edgekit.runtime.contents.sizes import MAX_AXES

_MAGIC = 0xDB4775248B80FB57
_FOOTER_BYTES = 48
_SCHEMA = Schema("""
BundleHeaderProto: 1 num_shards i, 2 endianness i, 3 version skip
BundleEntryProto: 1 dtype i, 2 shape TensorShapeProto, 3 shard_id i, 4 offset i, 5 size i, 6 crc32c skip,
    7 slices [bytes]
TensorShapeProto: 2 dim [Dim], 3 unknown_rank i
Dim: 1 size i, 2 name skip
""")
#: ``DataType`` in ``types.proto``: bytes of one value; of the others (texts, variants) values have no one size.
_SIZES = {
    1: 4, 2: 8, 3: 4, 4: 1, 5: 2, 6: 1, 8: 8, 9: 8, 10: 1, 11: 1, 12: 1, 13: 4, 14: 2, 15: 2, 16: 2, 17: 2, 18: 16,
    19: 2, 22: 4, 23: 8,
}  # fmt: skip


@reading("the index of its variables is damaged")
def check(index: bytes, sizes: Mapping[str, int]) -> None:
    """Refuse an index that leads outside of its files.

    Args:
        index: ``variables.index``.
        sizes: Bytes of each data file by its ending, ``data-00000-of-00001``.

    Raises:
        Malformed: It does, or is damaged.
    """
    entries = dict(_entries(memoryview(index)))
    header = decode(entries.pop(b"", b""), _SCHEMA, "BundleHeaderProto")
    shards = header.get("num_shards", 0)
    if header.get("endianness", 0) or not 0 < shards <= max(len(sizes), 1):
        raise Malformed("the index of its variables is damaged, or big-endian")
    for value in entries.values():
        entry = decode(value, _SCHEMA, "BundleEntryProto")
        shape = [dim.get("size", 0) for dim in entry.get("shape", {}).get("dim", ())]
        offset, size, shard = entry.get("offset", 0), entry.get("size", 0), entry.get("shard_id", 0)
        if entry.get("slices"):  # of a variable that lies in parts, each with an entry of its own
            continue
        wanted = _SIZES.get(entry.get("dtype", 0))
        inside = offset + size <= sizes.get(f"data-{shard:05d}-of-{shards:05d}", 0)
        whole = wanted is None or wanted * math.prod(shape) == size
        if len(shape) > MAX_AXES or min(offset, size, shard, *shape) < 0 or not inside or not whole:
            raise Malformed("a variable of it is outside of its file, or of another size")


def _entries(data: memoryview) -> Iterator[tuple[bytes, memoryview]]:
    if len(data) < _FOOTER_BYTES or struct.unpack_from("<Q", data, len(data) - 8)[0] != _MAGIC:
        raise Malformed("the index of its variables is damaged")
    footer = data[len(data) - _FOOTER_BYTES :]
    _, position = _handle(footer, 0)  # of blocks about the blocks, which nobody writes
    root, _ = _handle(footer, position)
    left = len(data)
    for _, value in _block(data, *root):
        handle, _ = _handle(value, 0)
        left -= handle[1]
        if left < 0:
            raise Malformed("the blocks of the index of its variables overlap")
        yield from _block(data, *handle)


def _block(data: memoryview, offset: int, size: int) -> Iterator[tuple[bytes, memoryview]]:
    if offset + size + 5 > len(data) or size < 4 or data[offset + size]:
        raise Malformed("the index of its variables is damaged, or compressed")
    block = data[offset : offset + size]
    (restarts,) = struct.unpack_from("<I", block, size - 4)
    end = size - 4 - 4 * restarts
    position, key = 0, b""
    while position < end:
        shared, position = varint(block, position, end)
        fresh, position = varint(block, position, end)
        length, position = varint(block, position, end)
        if shared > len(key) or position + fresh + length > end:
            raise Malformed("the index of its variables is damaged")
        key = key[:shared] + bytes(block[position : position + fresh])
        yield key, block[position + fresh : position + fresh + length]
        position += fresh + length


def _handle(data: memoryview, position: int) -> tuple[tuple[int, int], int]:
    offset, position = varint(data, position, len(data))
    size, position = varint(data, position, len(data))
    return (offset, size), position
