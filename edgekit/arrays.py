"""numpy arrays in the files of others: the header first, and no more memory than it may cost.

A ``.npy`` file is a header in Python's notation, which says how many bytes follow, and those bytes; an ``.npz`` is a
zip of such files (https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html). numpy itself evaluates the
header and then asks for as much memory as it says.
"""

from __future__ import annotations

import io
import math
import re
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import numpy as np

_MAGIC = b"\x93NUMPY"
#: numpy's own bound; a longer header is that of records.
_MOST_HEADER_BYTES = 10_000
#: numpy 1.26 makes no array of more.
_MOST_AXES = 32
#: One of the three things that a header says, and the comma behind it; others than numpy write them in any order.
_ITEM = re.compile(
    r"""\s*['"](?:descr['"]\s*:\s*(?P<descr>'[^'()]{1,64}'|"[^"()]{1,64}"|\[.*\])"""
    r"""|fortran_order['"]\s*:\s*(?P<order>True|False)"""
    r"""|shape['"]\s*:\s*\((?P<shape>[0-9\sL,]*)\))\s*(?:,|$)\s*""",
    re.DOTALL,
)
_PLAIN = re.compile(r"[<>=|]?([biufcSU])[1-9]\d{0,3}")

_CHUNK_BYTES = 1 << 20
#: Of the table of contents of a zip, and of the files in it; a name of a tensor takes some ten bytes.
_MOST_TABLE_BYTES, _MOST_MEMBERS = 1 << 20, 4096
_END_OF_ZIP, _LEAST_END_BYTES, _MOST_END_BYTES = b"PK\5\6", 22, 22 + (1 << 16)
#: Of a zip that may have more than 4 GiB: another record, and 20 bytes that say where it is, before the end.
_LARGE_END_OF_ZIP, _LARGE_END_BYTES = b"PK\6\6", 56 + 20
_STORED, _DEFLATED = 0, 8


class ArrayError(ValueError):
    """The file holds no array that edgekit reads; the message says why, in one line."""


def from_npy(data: bytes) -> np.ndarray:
    """The array in the ``.npy`` file *data*: numbers or text, of this machine's byte order.

    Raises:
        ArrayError: It holds none, or another number of bytes than its header says.
    """
    stream = io.BytesIO(data)
    dtype, shape, order = header_of(stream)
    _check_fit(dtype, shape, len(data) - stream.tell())
    return _body(stream, dtype, shape, order)


def read(path: Path, *, most_bytes: int | None = None) -> dict[str, np.ndarray]:
    """The arrays of an ``.npz`` by name, or that of an ``.npy`` under an empty name.

    Args:
        most_bytes: They may take together. A file that is not compressed never takes more than it has, whatever this
            says; where it is None, one that is may take a hundred times as much, and 256 MiB in any case.

    Raises:
        ArrayError: There are none, they are damaged, or they are larger than that.
        OSError: The file cannot be read.
    """
    with path.open("rb") as stream:
        size_bytes = stream.seek(0, 2)
        stream.seek(0)
        magic = stream.read(len(_MAGIC))
        stream.seek(0)
        if magic.startswith(b"PK"):
            allowed = max(256 << 20, 100 * size_bytes) if most_bytes is None else most_bytes
            return dict(_members(stream, allowed))
        dtype, shape, order = header_of(stream)
        _check_fit(dtype, shape, size_bytes - stream.tell())
        _check_size(_size_bytes(dtype, shape), most_bytes)
        return {"": _body(stream, dtype, shape, order)}


def from_npz(data: bytes, *, most_bytes: int) -> dict[str, np.ndarray]:
    """The arrays in the ``.npz`` file *data* by name, which may take *most_bytes* together.

    Raises:
        ArrayError: As `read`.
    """
    return dict(_members(io.BytesIO(data), most_bytes))


def _members(stream: IO[bytes], most_bytes: int) -> Iterator[tuple[str, np.ndarray]]:
    import zipfile  # which models with one input of one array never need
    import zlib

    _check_table(stream)
    left = most_bytes
    seen: set[str] = set()
    try:
        with zipfile.ZipFile(stream) as archive:
            for info in archive.infolist():
                name = info.filename.removesuffix(".npy")
                if name == info.filename or name in seen:
                    raise ArrayError(f"it holds {info.filename[:100]!r}, which is no array or is there twice")
                if info.compress_type not in (_STORED, _DEFLATED) or info.flag_bits & 1:
                    raise ArrayError(f"{name[:100]!r} is packed in a way that numpy does not write")
                seen.add(name)
                with archive.open(info) as member:
                    dtype, shape, order = header_of(member)
                    due = _size_bytes(dtype, shape)
                    _check_size(due, left)
                    left -= due
                    array = _body(member, dtype, shape, order)
                    if member.read(1):  # at its end, the checksum is compared
                        raise ArrayError(f"something follows the array {name[:100]!r}")
                    yield name, array
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, UnicodeDecodeError) as error:
        raise ArrayError(f"it is no zip of arrays, or damaged ({error})") from error


def _check_table(stream: IO[bytes]) -> None:
    """Refuse a table of contents that would itself take much memory: zipfile reads it whole."""
    size_bytes = stream.seek(0, 2)
    stream.seek(max(0, size_bytes - _MOST_END_BYTES - _LARGE_END_BYTES))
    tail = stream.read(_MOST_END_BYTES + _LARGE_END_BYTES)
    end = tail.rfind(_END_OF_ZIP)
    if end < 0 or len(tail) - end < _LEAST_END_BYTES:
        raise ArrayError("it is no zip of arrays")
    count = int.from_bytes(tail[end + 10 : end + 12], "little")
    table_bytes = int.from_bytes(tail[end + 12 : end + 16], "little")
    record = tail[end - _LARGE_END_BYTES : end] if end >= _LARGE_END_BYTES else b""
    if record.startswith(_LARGE_END_OF_ZIP):  # zipfile then goes by its figures, whatever the others are
        count = int.from_bytes(record[32:40], "little")
        table_bytes = int.from_bytes(record[40:48], "little")
    if count > _MOST_MEMBERS or table_bytes > _MOST_TABLE_BYTES:
        raise ArrayError(f"it has a table of {count:,} files")
    stream.seek(0)


def header_of(stream: IO[bytes]) -> tuple[np.dtype[Any], tuple[int, ...], str]:
    """Type, shape and order of the array that follows in *stream*."""
    head = stream.read(len(_MAGIC) + 2)
    if head[: len(_MAGIC)] != _MAGIC or len(head) < len(_MAGIC) + 2:
        raise ArrayError("it does not begin as an .npy file does")
    length_bytes = {1: 2, 2: 4, 3: 4}.get(head[-2])
    if length_bytes is None:
        raise ArrayError(f"version {head[-2]} of the .npy format is not known")
    length = int.from_bytes(stream.read(length_bytes), "little")
    if length > _MOST_HEADER_BYTES:
        raise ArrayError(f"its header has {length:,} bytes")
    text = stream.read(length).decode("utf-8", "replace").strip()
    said: list[tuple[str, str]] = []
    position, end = 1, len(text) - 1
    if text[:1] == "{" and text[-1:] == "}":
        while position < end and len(said) < 3 and (match := _ITEM.match(text, position, end)):
            said += [(key, value) for key, value in match.groupdict().items() if value is not None]
            position = match.end()
    found = dict(said)
    if position != end or found.keys() != {"descr", "order", "shape"}:
        raise ArrayError("its header cannot be understood")
    return _dtype(found["descr"]), _shape(found["shape"]), "F" if found["order"] == "True" else "C"


def _dtype(described: str) -> np.dtype[Any]:
    name = described.strip("'\"")
    if "O" in name and not name.startswith("["):
        raise ArrayError("it holds objects of Python, which are programs: save numbers")
    if not _PLAIN.fullmatch(name):
        raise ArrayError("it holds records, not plain numbers")
    try:
        return np.dtype(name)
    except TypeError as error:
        raise ArrayError(f"it holds values of type {name!r}, which numpy does not know here") from error


def _shape(text: str) -> tuple[int, ...]:
    words = [word.strip().removesuffix("L") for word in text.split(",")]
    axes = words[:-1] if not words[-1] else words
    if len(axes) > _MOST_AXES or not all(axis.isdecimal() and len(axis) < 16 for axis in axes):
        raise ArrayError("its shape cannot be understood")
    shape = tuple(map(int, axes))
    if math.prod(max(axis, 1) for axis in shape) >= 1 << 48:  # even an empty array has to be one that numpy can count
        raise ArrayError(f"its shape {list(shape)} is larger than any array")
    return shape


def _size_bytes(dtype: np.dtype[Any], shape: tuple[int, ...]) -> int:
    return math.prod(shape) * dtype.itemsize


def _check_fit(dtype: np.dtype[Any], shape: tuple[int, ...], size_bytes: int) -> None:
    if _size_bytes(dtype, shape) != size_bytes:
        raise ArrayError(
            f"its header says {dtype}{list(shape)}, which is not what the {size_bytes:,} bytes after it are"
        )


def _check_size(due: int, most_bytes: int | None) -> None:
    if most_bytes is not None and due > most_bytes:
        raise ArrayError(f"its arrays take {due:,} bytes or more, {most_bytes:,} are the most that is read here")


def _body(stream: IO[bytes], dtype: np.dtype[Any], shape: tuple[int, ...], order: str) -> np.ndarray:
    """The array, piece by piece: pages of memory that nothing was written to cost nothing."""
    array = np.empty(math.prod(shape), dtype)
    view = array.view(np.uint8).data
    done = 0
    while done < len(view):
        piece = stream.read(min(_CHUNK_BYTES, len(view) - done))
        if not piece:
            raise ArrayError("it ends in the middle of an array")
        view[done : done + len(piece)] = piece
        done += len(piece)
    native = array.astype(dtype.newbyteorder("="), copy=False)
    return native.reshape(shape, order=order)  # type: ignore[call-overload]
