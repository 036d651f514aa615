"""Flatbuffers are decoded as their writers meant them, and bombs are refused in no time."""

from __future__ import annotations

import struct
from time import perf_counter, process_time

import pytest
from small_models import SmallModels

from edgekit.runtime.contents import Malformed
from edgekit.runtime.contents.flatbuffer import Schema, decode

SCHEMA = Schema("""
Root: number i32=7, name str, nodes [Node], ids [u64], one <Kind>, wide [u8]
Kind = Node Other:Node
Node: value u16, child Node
""")


def written() -> bytes:
    """``Root`` with all its fields, by the package that writes flatbuffers."""
    import flatbuffers

    builder = flatbuffers.Builder(64)
    name, wide = builder.CreateString("näme"), builder.CreateByteVector(b"xyz")
    nodes = []
    for value in (1, 2):
        builder.StartObject(2)
        builder.PrependUint16Slot(0, value, 0)
        nodes.append(builder.EndObject())
    builder.StartVector(4, 2, 4)
    for node in reversed(nodes):
        builder.PrependUOffsetTRelative(node)
    listed = builder.EndVector()
    builder.StartVector(8, 2, 8)
    for value in (2**40, 5):
        builder.PrependUint64(value)
    ids = builder.EndVector()
    builder.StartObject(7)
    for slot, offset in ((1, name), (2, listed), (3, ids), (5, nodes[1]), (6, wide)):
        builder.PrependUOffsetTRelativeSlot(slot, offset, 0)
    builder.PrependUint8Slot(4, 2, 0)
    builder.Finish(builder.EndObject(), b"TEST")
    return bytes(builder.Output())


def test_what_was_written_is_read() -> None:
    found = decode(written(), SCHEMA, "Root", b"TEST")
    assert found["number"] == 7 and found["name"] == "näme" and list(found["ids"]) == [5, 2**40]
    assert [node["value"] for node in found["nodes"]] == [1, 2] and found["nodes"][0]["child"] is None
    assert (found["one_type"], found["one"]["value"], bytes(found["wide"])) == ("Other", 2, b"xyz")


def test_an_empty_vector_lies_where_it_likes() -> None:
    """litert-converter 0.1 does not align it by what it would hold."""
    data = bytearray(written())
    place = next(at for at in range(0, len(data), 4) if data[at : at + 12] == struct.pack("<IQ", 2, 5))
    data[place : place + 4] = bytes(4)
    assert list(decode(bytes(data), SCHEMA, "Root", b"TEST")["ids"]) == []


def test_every_cut_and_every_changed_byte_is_read_or_refused() -> None:
    data = written()
    for size in range(len(data) - 8):
        with pytest.raises(Malformed):
            decode(data[:size], SCHEMA, "Root", b"TEST")
    for place in range(len(data)):
        for value in (0, 1, 3, 4, 0x7F, 0x80, 0xFF):
            changed = data[:place] + bytes((value,)) + data[place + 1 :]
            try:
                decode(changed, SCHEMA, "Root", b"TEST")
            except Malformed as error:
                assert "\n" not in str(error)


def bomb(count: int) -> bytes:
    """A list of as many nodes, all of which are one and the same: few bytes that stand for many."""
    vtables = struct.pack("<8H", 16, 8, 0, 0, 4, 0, 0, 0) + struct.pack("<4H", 8, 4, 0, 0)
    root = 8 + len(vtables)
    head = struct.pack("<I4s", root, b"TEST") + vtables
    body = struct.pack("<iI", root - 8, 4) + struct.pack("<I", count)
    first = len(head) + len(body)
    node = first + 4 * count
    return (
        head
        + body
        + b"".join(struct.pack("<I", node - first - 4 * i) for i in range(count))
        + struct.pack("<i", node - 24)
    )


def test_many_tables_out_of_few_bytes_are_refused() -> None:
    assert len(decode(bomb(100), SCHEMA, "Root", b"TEST")["nodes"]) == 100
    before = perf_counter()
    with pytest.raises(Malformed):
        decode(bomb(300_000), SCHEMA, "Root", b"TEST")
    assert perf_counter() - before < 20  # seconds, on a busy machine


def test_a_table_within_itself_is_refused() -> None:
    """An offset of a table's child that leads back to the table."""
    data = struct.pack("<I4s4H", 16, b"TEST", 8, 8, 0, 4) + struct.pack("<iI", 8, 2**32 - 4)
    with pytest.raises(Malformed, match="outside"):
        decode(data, SCHEMA, "Node", b"TEST")


@pytest.mark.parametrize("name", ["image.tflite", "image.pte"])
def test_real_files_are_read_in_milliseconds(small_models: SmallModels, name: str) -> None:
    from edgekit.runtime import contents

    data, format = small_models.files[name], name.rpartition(".")[2]
    contents.check(data, format)
    before = process_time()
    contents.check(data, format)
    assert process_time() - before < 2
