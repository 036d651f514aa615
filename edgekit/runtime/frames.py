"""Messages over a pipe: a JSON header and raw bytes, each preceded by its length."""

from __future__ import annotations

import json
import os
import struct
import sys
from collections.abc import Sequence
from typing import IO, Any

import numpy as np

from edgekit.tensors import TensorSpec

_LENGTHS = struct.Struct("<IQ")


def take_over_pipes() -> tuple[IO[bytes], IO[bytes]]:
    """Standard input and output, kept for messages: what else is printed from now on goes to standard error."""
    requests, answers = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    sys.stdin.close()
    return requests, answers


def send(stream: IO[bytes], header: dict[str, Any], body: bytes = b"") -> None:
    text = json.dumps(header).encode()
    stream.write(_LENGTHS.pack(len(text), len(body)) + text)
    stream.write(body)
    stream.flush()


def receive(stream: IO[bytes]) -> tuple[dict[str, Any], bytes]:
    """The next message.

    Raises:
        EOFError: The other side is gone.
    """
    header_length, body_length = _LENGTHS.unpack(_exactly(stream, _LENGTHS.size))
    header: dict[str, Any] = json.loads(_exactly(stream, header_length))
    return header, _exactly(stream, body_length)


def pack(arrays: Sequence[np.ndarray]) -> bytes:
    """The arrays' bytes, one after the other; both sides know shapes and dtypes from the signature."""
    return b"".join(array.tobytes() for array in arrays)


def unpack(body: bytes, specs: Sequence[TensorSpec]) -> list[np.ndarray]:
    """The arrays that `pack` packed, as fresh, writable ones. ValueError when the length does not fit."""
    arrays, offset = [], 0
    for spec in specs:
        array = np.empty(spec.shape, spec.dtype)
        array.reshape(-1)[:] = np.frombuffer(body, spec.dtype, array.size, offset)
        arrays.append(array)
        offset += array.nbytes
    if offset != len(body):
        raise ValueError(f"{len(body)} bytes where {offset} were due")
    return arrays


def _exactly(stream: IO[bytes], length: int) -> bytes:
    data = stream.read(length)
    if len(data) != length:
        raise EOFError
    return data
