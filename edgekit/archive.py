"""The one file that a bundle is: an uncompressed zip whose every byte follows from the names and contents in it.

Any unzip program reads it, and nothing but `write` makes it. `Archive` takes no other: a comment, a date, a gap, a
second file of one name or a link is something that two readers could understand in two ways.

The records are those of PKWARE's APPNOTE.TXT 6.3.10, sections 4.3.7, 4.3.12 and 4.3.16, without extra fields and
without zip64: 4 GiB is the most that fits.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO

_LOCAL, _CENTRAL, _END = struct.Struct("<4s5H3I2H"), struct.Struct("<4s6H3I5H2I"), struct.Struct("<4s4H2IH")
_VERSION = 20
_UNIX = 3 << 8
_DATE = 1 << 5 | 1  # 1 January 1980, the first day there is
_MODE = 0o644 << 16
_UTF8 = 1 << 11

_MAX_BYTES = (1 << 32) - 1
_MAX_FILES = (1 << 16) - 1
#: A longer table of contents is not read; a real one has a kilobyte.
_MAX_CONTENTS_BYTES = 4 << 20


class ArchiveError(ValueError):
    """The file is no such archive, or damaged; the message says where, in one line."""


@dataclass(frozen=True)
class Entry:
    """One file in an archive: its first byte is at ``begin``."""

    name: str
    crc: int
    size_bytes: int
    begin: int


class Archive:
    """An opened archive. Close it.

    Attributes:
        entries: The files by name, in the order they lie in.
    """

    def __init__(self, path: Path):
        """Open the archive at *path* and check all of its own bytes; contents are checked when they are read.

        Raises:
            ArchiveError: It is none.
            OSError: It cannot be read.
        """
        self._stream = path.open("rb")
        try:
            self.entries = {entry.name: entry for entry in _entries(self._stream)}
        except BaseException:
            self._stream.close()
            raise

    def read(self, name: str) -> bytes:
        """The contents of the file called *name*.

        Raises:
            ArchiveError: They do not fit their checksum.
            KeyError: There is no such file.
            OSError: It cannot be read.
        """
        entry = self.entries[name]
        self._stream.seek(entry.begin)
        data = self._stream.read(entry.size_bytes)
        if len(data) != entry.size_bytes or zlib.crc32(data) != entry.crc:
            raise ArchiveError(f"{name} does not fit its checksum")
        return data

    def close(self) -> None:
        self._stream.close()


def write(files: Mapping[str, bytes], stream: IO[bytes]) -> None:
    """Write *files*, in their order, to *stream*. Raises `ValueError`: they are too many or too large."""
    entries, begin = [], 0
    for name, data in files.items():
        begin += len(_local(name, 0, 0))
        entries.append(Entry(name, zlib.crc32(data), len(data), begin))
        begin += len(data)
    contents = b"".join(map(_central, entries))
    if begin + len(contents) + _END.size > _MAX_BYTES or len(entries) > _MAX_FILES:
        raise ValueError("a bundle holds at most 4 GiB and 65,535 files")
    for entry in entries:
        stream.write(_local(entry.name, entry.crc, entry.size_bytes))
        stream.write(files[entry.name])
    stream.write(contents + _end(len(entries), len(contents), begin))


def _entries(stream: IO[bytes]) -> Iterator[Entry]:
    size = stream.seek(0, 2)
    if not _END.size <= size <= _MAX_BYTES:
        raise ArchiveError("it is too short" if size < _END.size else "it is larger than 4 GiB")
    stream.seek(size - _END.size)
    last = stream.read(_END.size)
    _, _, _, count, _, length, begin, _ = _END.unpack(last)
    if last != _end(count, length, begin) or begin + length + _END.size != size or length > _MAX_CONTENTS_BYTES:
        raise ArchiveError("it does not end as a bundle does")
    stream.seek(begin)
    contents = stream.read(length)
    names: set[str] = set()
    expected = offset = 0
    for _ in range(count):
        if expected > begin:
            raise ArchiveError("its sizes are larger than it is")
        entry, offset = _entry(contents, offset, expected)
        stream.seek(expected)
        header = _local(entry.name, entry.crc, entry.size_bytes)
        if stream.read(len(header)) != header:
            raise ArchiveError(f"the header of {entry.name!r} is not as it should be")
        if entry.name in names:
            raise ArchiveError(f"it has two files of one name: {entry.name!r}")
        names.add(entry.name)
        expected = entry.begin + entry.size_bytes
        yield entry
    if offset != length or expected != begin:
        raise ArchiveError("there is something between its files")


def _entry(contents: bytes, offset: int, expected: int) -> tuple[Entry, int]:
    """The entry at *offset* of the table of contents, whose header should be at *expected*, and where the next is."""
    fields = contents[offset : offset + _CENTRAL.size]
    if len(fields) < _CENTRAL.size:
        raise ArchiveError("its table of contents is too short")
    _, _, _, _, _, _, _, crc, _, size_bytes, length, *_ = _CENTRAL.unpack(fields)
    end = offset + _CENTRAL.size + length
    try:
        name = contents[offset + _CENTRAL.size : end].decode()
    except UnicodeDecodeError as error:
        raise ArchiveError("it has a file whose name is not UTF-8") from error
    entry = Entry(name, crc, size_bytes, expected + _LOCAL.size + length)
    if contents[offset:end] != _central(entry):
        raise ArchiveError(f"{name!r} is not a plain stored file as edgekit writes it")
    return entry, end


def _local(name: str, crc: int, size: int) -> bytes:
    encoded, flags = _encoded(name)
    return _LOCAL.pack(b"PK\3\4", _VERSION, flags, 0, 0, _DATE, crc, size, size, len(encoded), 0) + encoded


def _central(entry: Entry) -> bytes:
    encoded, flags = _encoded(entry.name)
    crc, size, header = entry.crc, entry.size_bytes, entry.begin - _LOCAL.size - len(encoded)
    head = (b"PK\1\2", _UNIX | _VERSION, _VERSION, flags, 0, 0, _DATE, crc, size, size)
    return _CENTRAL.pack(*head, len(encoded), 0, 0, 0, 0, _MODE, header) + encoded


def _end(count: int, length: int, begin: int) -> bytes:
    return _END.pack(b"PK\5\6", 0, 0, count, count, length, begin, 0)


def _encoded(name: str) -> tuple[bytes, int]:
    return name.encode(), 0 if name.isascii() else _UTF8
