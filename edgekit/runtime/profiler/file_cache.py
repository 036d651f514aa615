"""Whether a file is in the system's file cache, and taking it out of there."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Literal

#: Pages that were just read stay when they are dropped for the first time, now and then (seen with Linux 6.18).
_TRIES = 3


def prepare(path: Path, wanted: Literal["cold", "warm"]) -> Literal["cold", "warm"] | None:
    """Take *path*, which lies on the disk in full, out of the file cache, or read it into there.

    Returns:
        *wanted*, when the system says that it is so; else None: a file system in memory says nothing, and pages that
        another process has mapped stay.
    """
    if not hasattr(os, "RWF_NOWAIT"):  # not Linux
        return None
    if wanted == "warm":
        path.read_bytes()
        return "warm" if _cached(path) == {True} else None
    for _ in range(_TRIES):
        _drop(path)
        if _cached(path) == {False}:
            _drop(path)  # looking for a page is enough for the kernel to begin to read it
            return "cold"
    return None


def _drop(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
    finally:
        os.close(descriptor)


def _cached(path: Path) -> set[bool | None]:
    """What is true of the first, the middle and the last byte; None for one of which the system says nothing."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_RANDOM)  # read nothing ahead on our account
        size = os.fstat(descriptor).st_size
        return {_is_cached(descriptor, offset) for offset in (0, size // 2, size - 1)}
    finally:
        os.close(descriptor)


def _is_cached(descriptor: int, offset: int) -> bool | None:
    try:
        return os.preadv(descriptor, [bytearray(1)], offset, os.RWF_NOWAIT) == 1
    except BlockingIOError:
        return False
    except OSError:
        return None
