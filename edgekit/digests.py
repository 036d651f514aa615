"""SHA-256, without OpenSSL as long as there is little to hash.

`hashlib` brings OpenSSL, which takes 3.6 MB of memory and a few milliseconds to load: a tenth of what a program takes
that runs a small model. Python has a SHA-256 of its own (``_sha2``, before 3.12 ``_sha256``), which `hashlib` falls
back to. It is up to eight times slower, where the processor has instructions for it that OpenSSL uses.
"""

from __future__ import annotations

import os
import sys
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol

#: From here on OpenSSL has saved the time that loading it takes, on every processor.
_MUCH_BYTES = 16 << 20
_CHUNK_BYTES = 1 << 20


class Hash(Protocol):
    """What is hashed bit by bit; see `hashlib`."""

    def update(self, data: bytes | memoryview, /) -> None: ...

    def digest(self) -> bytes: ...

    def hexdigest(self) -> str: ...


def new(size_bytes: int = 0) -> Hash:
    """A SHA-256 of nothing yet.

    Args:
        size_bytes: About as much as will be hashed.
    """
    made: Hash = _constructor(size_bytes)()
    return made


def sha256(data: bytes | memoryview) -> str:
    """The SHA-256 of *data*, in hexadecimal."""
    digest = new(len(data))
    digest.update(data)
    return digest.hexdigest()


def file_sha256(path: Path | str) -> str:
    """The SHA-256 of the file at *path*, in hexadecimal; it is never in memory as a whole.

    Raises:
        OSError: It cannot be read.
    """
    with open(path, "rb", buffering=0) as stream:
        digest = new(os.fstat(stream.fileno()).st_size)
        buffer = memoryview(bytearray(_CHUNK_BYTES))
        while size := stream.readinto(buffer):
            digest.update(buffer[:size])
    return digest.hexdigest()


def _constructor(size_bytes: int) -> Any:
    if size_bytes < _MUCH_BYTES and "_hashlib" not in sys.modules:
        for own in ("_sha2", "_sha256"):
            try:
                return import_module(own).sha256
            except ImportError:  # another version of Python, or one that was built to have OpenSSL's alone
                continue
    return import_module("hashlib").sha256
