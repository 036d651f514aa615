"""Arrays in files of others: what is read, and what is refused before it costs anything."""

from __future__ import annotations

import io
import resource
import struct
import time
import zipfile
from pathlib import Path

import numpy as np
import pytest

from edgekit import arrays
from edgekit.arrays import ArrayError

PLAIN = "{'descr': '<f4', 'fortran_order': False, 'shape': (1,), }"
VALUE = np.float32(1.5).tobytes()


def npy(header: str | bytes, body: bytes = VALUE, version: int = 1) -> bytes:
    text = header.encode() if isinstance(header, str) else header
    return b"\x93NUMPY" + bytes([version, 0]) + len(text).to_bytes(2 if version == 1 else 4, "little") + text + body


def saved(array: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=True)
    return buffer.getvalue()


def zipped(**members: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(f"{name}.npy", data)
    return buffer.getvalue()


@pytest.mark.parametrize("kind", ["f2", "f4", "f8", ">f4", "i1", ">i8", "u2", "?", "c8", "<U5", "S3"])
@pytest.mark.parametrize("shape", [(), (0,), (3,), (2, 3, 4), (1, 0, 2)])
def test_what_numpy_writes_is_read(tmp_path: Path, kind: str, shape: tuple[int, ...]) -> None:
    array = np.asarray(np.random.default_rng(0).integers(0, 2, shape)).astype(kind)
    for order in "CF":
        ordered = np.asarray(array, order=order)  # type: ignore[call-overload]
        np.savez(tmp_path / "plain.npz", x=ordered, y=array)
        np.savez_compressed(tmp_path / "packed.npz", x=ordered, y=array)
        np.save(tmp_path / "one.npy", ordered)
        found = [
            arrays.from_npy(saved(ordered)),
            arrays.read(tmp_path / "one.npy")[""],
            *arrays.read(tmp_path / "plain.npz").values(),
            *arrays.read(tmp_path / "packed.npz").values(),
        ]
        for each in found:
            assert each.dtype == array.dtype.newbyteorder("="), "what comes out is in this machine's order of bytes"
            np.testing.assert_array_equal(each, array)
        assert list(arrays.read(tmp_path / "plain.npz")) == ["x", "y"]


@pytest.mark.parametrize(
    "header",
    [
        PLAIN,
        "{'shape': (1,), 'fortran_order': False, 'descr': '<f4'}",
        '{"descr": "<f4", "fortran_order": False, "shape": (1,)}',
        "{'descr': '<f4', 'fortran_order': False, 'shape': (1L,), }        \n",
        "{'descr':'<f4','fortran_order':False,'shape':(1,)}",
    ],
)
def test_what_others_than_numpy_write_is_read(header: str) -> None:
    np.testing.assert_array_equal(arrays.from_npy(npy(header)), np.float32([1.5]))
    np.testing.assert_array_equal(arrays.from_npy(npy(header, version=2)), np.float32([1.5]))


#: Files that are none, by what they are.
REFUSED = {
    "four terabytes": npy("{'descr': '<f4', 'fortran_order': False, 'shape': (1000000000000,), }"),
    "a size beyond 64 bits": npy("{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999999999999,), }"),
    "an axis of 5,000 digits": npy("{'descr': '<f4', 'fortran_order': False, 'shape': (" + "9" * 5000 + ",), }"),
    "an axis below zero": npy("{'descr': '<f4', 'fortran_order': False, 'shape': (-1,), }"),
    "an axis in other digits": npy("{'descr': '<f4', 'fortran_order': False, 'shape': (\u0661,), }"),
    "a hundred axes": npy("{'descr': '<f4', 'fortran_order': False, 'shape': (" + "1," * 100 + "), }"),
    "two commas": npy("{'descr': '<f4', 'fortran_order': False, 'shape': (1,,), }"),
    "no bytes of an endless one": npy("{'descr': '<f4', 'fortran_order': False, 'shape': (0, 999999999999999), }", b""),
    "less than it says": npy("{'descr': '<f4', 'fortran_order': False, 'shape': (2,), }"),
    "more than it says": npy(PLAIN, VALUE * 2),
    "objects": saved(np.array([{}], dtype=object)),
    "records": saved(np.zeros(1, [("a", "f4"), ("b", "O")])),
    "dates": saved(np.zeros(1, "M8[s]")),
    "raw bytes": saved(np.zeros(1, "V4")),
    "a type that numpy lacks": npy("{'descr': '<f9', 'fortran_order': False, 'shape': (1,), }"),
    "a type of no size": npy("{'descr': '<U0', 'fortran_order': False, 'shape': (1000000000000,), }"),
    "a call": npy("{'descr': __import__('os').system('id'), 'fortran_order': False, 'shape': (1,), }"),
    "parentheses without end": npy(b"{'descr': [" + b"(" * 3000 + b"'a'"),
    "parentheses that close": npy(b"{'descr': [" + b"(" * 3000 + b")" * 3000 + b"], 'fortran_order': False}"),
    "half a header": npy(b"{'descr':'<f4'+("),
    "braces": npy(b"{" * 5000),
    "an empty header": npy(b""),
    "an empty dictionary": npy(b"{}"),
    "a list": npy(b"[1, 2, 3]"),
    "a type twice": npy("{'descr': '<f4', 'descr': '<f8', 'fortran_order': False, 'shape': (1,), }"),
    "one thing more": npy("{'descr': '<f4', 'fortran_order': False, 'shape': (1,), 'x': 1, }"),
    "no UTF-8": npy(b"{'descr': '\xff', 'fortran_order': False, 'shape': (1,), }"),
    "a header of 60 KB": npy(PLAIN.ljust(60_000)),
    "a header of 4 GB": b"\x93NUMPY\x02\x00\xff\xff\xff\xff" + PLAIN.encode(),
    "version 9": npy(PLAIN, version=9),
    "the beginning alone": b"\x93NUMPY",
    "nothing": b"",
    "a picture": b"\x89PNG\r\n\x1a\n" + bytes(100),
    "a pickle": b"\x80\x04K\x01.",
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_no_array_is_refused_at_once(tmp_path: Path, name: str) -> None:
    """In a bundle, in a file, and in a zip, compressed."""
    (tmp_path / "x.npy").write_bytes(REFUSED[name])
    (tmp_path / "x.npz").write_bytes(zipped(x=REFUSED[name]))
    before, began = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.process_time()
    for read in (
        lambda: arrays.from_npy(REFUSED[name]),
        lambda: arrays.read(tmp_path / "x.npy"),
        lambda: arrays.read(tmp_path / "x.npz"),
    ):
        with pytest.raises(ArrayError) as caught:
            read()
        assert "\n" not in str(caught.value) and len(str(caught.value)) < 200
    assert time.process_time() - began < 1 and resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 16 << 10


def bomb(megabytes: int, header: str = "") -> bytes:
    """Zeros, packed a thousandfold."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive, archive.open("x.npy", "w") as member:
        count = (megabytes << 20) // 4
        member.write(npy(header or f"{{'descr': '<f4', 'fortran_order': False, 'shape': ({count},), }}", b""))
        for _ in range(megabytes):
            member.write(bytes(1 << 20))
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("file", "most_bytes"),
    [
        (bomb(300), None),
        (bomb(300, PLAIN), None),  # the header lies: nothing is read beyond it
        (bomb(20), 1 << 20),
        (zipped(**{f"a{number}": saved(np.zeros(1 << 18, np.float32)) for number in range(20)}), 10 << 20),
    ],
)
def test_a_bomb_is_refused_by_its_header(tmp_path: Path, file: bytes, most_bytes: int | None) -> None:
    (tmp_path / "x.npz").write_bytes(file)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(ArrayError):
        arrays.read(tmp_path / "x.npz", most_bytes=most_bytes)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 32 << 10


def test_data_that_are_packed_well_are_read(tmp_path: Path) -> None:
    array = np.zeros((100, 1000), np.float32)
    np.savez_compressed(tmp_path / "x.npz", x=array)
    np.testing.assert_array_equal(arrays.read(tmp_path / "x.npz")["x"], array)


def test_a_large_file_is_as_large_as_it_is(tmp_path: Path) -> None:
    """Only what is compressed can be larger than it looks: a file of numbers may have any size."""
    np.save(tmp_path / "x.npy", np.zeros(1 << 20, np.float32))
    assert arrays.read(tmp_path / "x.npy")[""].nbytes == 4 << 20
    with pytest.raises(ArrayError, match="4,194,304 bytes or more, 1,000 are the most"):
        arrays.read(tmp_path / "x.npy", most_bytes=1000)


def _zip(name: str = "x.npy", method: int = zipfile.ZIP_STORED, copies: int = 1) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        for _ in range(copies):
            archive.writestr(name, npy(PLAIN))
    return buffer.getvalue()


@pytest.mark.parametrize(
    "data",
    [
        _zip("x.txt"),
        _zip("../../x"),
        _zip(method=zipfile.ZIP_LZMA),
        _zip(method=zipfile.ZIP_BZIP2),
        pytest.param(_zip(copies=2), marks=pytest.mark.filterwarnings("ignore:Duplicate")),
        _zip()[:-10],
        _zip()[:40] + b"\xff" * 40 + _zip()[80:],
        _zip().replace(b"PK\1\2", b"PK\1\3"),
        b"PK\3\4" + bytes(100),
        b"PK\5\6" + b"\xff" * 18,
        zipped(x=npy(PLAIN, VALUE + b"more")),
    ],
)
def test_zips_that_numpy_does_not_write_are_refused(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "x.npz").write_bytes(data)
    with pytest.raises(ArrayError):
        arrays.read(tmp_path / "x.npz")


def test_an_empty_zip_has_no_arrays(tmp_path: Path) -> None:
    np.savez(tmp_path / "x.npz")
    assert arrays.read(tmp_path / "x.npz") == {}


@pytest.mark.parametrize("large", [False, True])
@pytest.mark.parametrize("comment", [b"", b"x" * 0xFFFF])
def test_a_zip_of_many_files_is_not_even_listed(tmp_path: Path, large: bool, comment: bytes) -> None:
    path = tmp_path / "x.npz"
    with zipfile.ZipFile(path, "w") as archive:
        for number in range(5000):
            archive.writestr(f"{number}.npy", b"")
    if large:  # the true figures in the record of large zips, harmless ones where others look
        data = path.read_bytes()
        count, size, place = struct.unpack("<HLL", data[-12:-2])
        record = struct.pack("<4sQHHLLQQQQ", b"PK\6\6", 44, 45, 45, 0, 0, count, count, size, place)
        locator = struct.pack("<4sLQL", b"PK\6\7", 0, len(data) - 22, 1)
        path.write_bytes(data[:-22] + record + locator + data[-22:-12] + struct.pack("<HLL", 1, 50, place) + b"\0\0")
    path.write_bytes(path.read_bytes()[:-2] + struct.pack("<H", len(comment)) + comment)
    with zipfile.ZipFile(path) as archive:
        assert len(archive.infolist()) == 5000
    with pytest.raises(ArrayError, match="a table of 5,000 files"):
        arrays.read(path)
