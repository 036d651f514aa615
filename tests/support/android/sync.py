"""The service ``sync:``: files, looked at, listed, sent and received.

Each request is four letters, a length and as many bytes; numbers are little endian.
"""

from __future__ import annotations

import os
import stat
import struct

from support.android.protocol import HostGone, Stream

_WORD = struct.Struct("<4sI")
_STAT_1 = struct.Struct("<3I")  # mode, size, time of change
_STAT_2 = struct.Struct("<IQQ4IQ3q")  # error, device, inode, mode, links, owner, group, size, three times
_PATH_BYTES = 1024
_BLOCK_BYTES = 65536


async def sync(stream: Stream) -> None:
    """Serve requests until the host says QUIT."""
    answers = {
        b"STAT": _stat_1,
        b"STA2": _stat_2,
        b"LST2": _lstat_2,
        b"LIST": _list_1,
        b"LIS2": _list_2,
        b"SEND": _receive,
        b"RECV": _send,
    }
    while True:
        request, length = _WORD.unpack(await stream.receive_exactly(_WORD.size))
        if request == b"QUIT":
            return
        if request not in answers or length > _PATH_BYTES:
            await _fail(stream, "unknown command" if request not in answers else "path too long")
            return
        await answers[request](stream, os.fsdecode(await stream.receive_exactly(length)))


async def _fail(stream: Stream, reason: str) -> None:
    text = reason.encode()
    await stream.send(_WORD.pack(b"FAIL", len(text)) + text)


async def _stat_1(stream: Stream, path: str) -> None:
    try:
        facts = _facts_1(os.lstat(path))
    except OSError:
        facts = _STAT_1.pack(0, 0, 0)
    await stream.send(b"STAT" + facts)


async def _stat_2(stream: Stream, path: str) -> None:
    try:
        facts = _facts_2(os.stat(path))
    except OSError as error:
        facts = _STAT_2.pack(error.errno or 0, *[0] * 10)
    await stream.send(b"STA2" + facts)


async def _lstat_2(stream: Stream, path: str) -> None:
    try:
        facts = _facts_2(os.lstat(path))
    except OSError as error:
        facts = _STAT_2.pack(error.errno or 0, *[0] * 10)
    await stream.send(b"LST2" + facts)


async def _list_1(stream: Stream, path: str) -> None:
    for name, status in _entries(path):
        await stream.send(b"DENT" + _facts_1(status) + struct.pack("<I", len(name)) + name)
    await stream.send(b"DONE" + bytes(_STAT_1.size + 4))


async def _list_2(stream: Stream, path: str) -> None:
    for name, status in _entries(path):
        await stream.send(b"DNT2" + _facts_2(status) + struct.pack("<I", len(name)) + name)
    await stream.send(b"DONE" + bytes(_STAT_2.size + 4))


def _facts_1(status: os.stat_result) -> bytes:
    return _STAT_1.pack(status.st_mode, status.st_size & 0xFFFFFFFF, int(status.st_mtime))


def _facts_2(status: os.stat_result) -> bytes:
    owner = (status.st_mode, status.st_nlink, status.st_uid, status.st_gid)
    times = (int(status.st_atime), int(status.st_mtime), int(status.st_ctime))
    return _STAT_2.pack(0, status.st_dev, status.st_ino, *owner, status.st_size, *times)


def _entries(path: str) -> list[tuple[bytes, os.stat_result]]:
    try:
        names = [".", "..", *os.listdir(path)]
    except OSError:
        return []
    return [(os.fsencode(name), os.lstat(os.path.join(path, name))) for name in names]


async def _send(stream: Stream, path: str) -> None:
    try:
        file = open(path, "rb", buffering=0)  # noqa: SIM115 - the reason of a failure is told to the host
    except OSError as error:
        await _fail(stream, f"open failed: {error.strerror}")
        return
    with file:
        while data := file.read(_BLOCK_BYTES):
            await stream.send(_WORD.pack(b"DATA", len(data)) + data)
    await stream.send(_WORD.pack(b"DONE", 0))


async def _receive(stream: Stream, request: str) -> None:
    """``PATH,MODE``, then blocks, then the time of change. A file that does not come to its end is removed."""
    path, _, mode = request.rpartition(",")
    file, complete = None, False
    try:
        file = _create(path)
    except OSError as error:
        await _fail(stream, f"couldn't create file: {error.strerror}")
    try:
        failed = file is None
        while True:
            kind, length = _WORD.unpack(await stream.receive_exactly(_WORD.size))
            if kind == b"DONE":
                break
            if kind != b"DATA" or length > _BLOCK_BYTES:
                raise HostGone
            data = await stream.receive_exactly(length)
            if file is not None and not failed:  # after a failure the rest is read all the same
                try:
                    _write(file, data)
                except OSError as error:
                    failed = True
                    await _fail(stream, f"write failed: {error.strerror}")
        complete = not failed
    finally:
        if file is not None:
            os.fchmod(file, _as_adbd(int(mode)))
            os.close(file)
            if not complete:
                os.unlink(path)
    if complete:
        os.utime(path, (length, length))  # of DONE: seconds
        await stream.send(_WORD.pack(b"OKAY", 0))


def _create(path: str) -> int:
    os.makedirs(os.path.dirname(path), 0o775, exist_ok=True)
    if os.path.islink(path) or os.path.isfile(path):
        os.unlink(path)
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC)


def _write(file: int, data: bytes) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(file, rest) :]


def _as_adbd(mode: int) -> int:
    """The owner's rights for everybody: 0644 becomes 0666."""
    owner = stat.S_IMODE(mode) & 0o700
    return stat.S_IMODE(mode) & 0o777 | owner >> 3 | owner >> 6
