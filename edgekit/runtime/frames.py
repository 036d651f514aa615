"""Messages over a pipe: a JSON header and raw bytes, each preceded by its length.

The other side may be a process whose native code was made to misbehave: what it announces is compared with what is due
before anything is set aside for it, and memory grows with what has arrived.
"""

from __future__ import annotations

import json
import os
import struct
import sys
import traceback
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import IO, Any

import numpy as np

from edgekit import documents
from edgekit.errors import EdgekitError
from edgekit.schema import conform
from edgekit.tensors import TensorSpec

_LENGTHS = struct.Struct("<IQ")
#: Of a header: names, numbers, a message. The signature of a model with a thousand inputs takes a tenth of it.
_MOST_HEADER_BYTES = 1 << 20
_CHUNK_BYTES = 1 << 20


def take_over_pipes() -> tuple[IO[bytes], IO[bytes]]:
    """Standard input and output, kept for messages: what else is printed from now on goes to standard error, and there
    is nothing to be read."""
    requests, answers = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb", 2 * _CHUNK_BYTES)
    os.dup2(2, 1)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    return requests, answers


def serve(
    perform: Callable[[dict[str, Any], bytes], tuple[dict[str, Any], bytes]],
    unforeseen: Callable[[Exception], EdgekitError],
) -> None:
    """Answer the requests of a `edgekit.runtime.children.Child`'s parent, until that is gone.

    Args:
        perform: Makes an answer of a request; an `EdgekitError` is raised again on the other side.
        unforeseen: Makes one of anything else that *perform* raises: an engine may raise what it likes, at a file that
            was made for it to.
    """
    requests, answers = take_over_pipes()
    while True:
        try:
            request = receive(requests)
        except EOFError:
            return
        try:
            answer = perform(*request)
        except EdgekitError as error:
            answer = {"error": error.to_json()}, b""
        except Exception as error:
            traceback.print_exc()
            answer = {"error": unforeseen(error).to_json()}, b""
        sys.stdout.flush()
        send(answers, *answer)


def send(stream: IO[bytes], header: dict[str, Any], body: bytes = b"") -> None:
    """Write a message; one of less than a megabyte whole, or not at all, should Ctrl-C come meanwhile."""
    text = json.dumps(header).encode()
    start = _LENGTHS.pack(len(text), len(body)) + text
    for piece in (start + body,) if len(body) < _CHUNK_BYTES else (start, body):
        stream.write(piece)
    stream.flush()


def receive(stream: IO[bytes], most_bytes: int | None = None) -> tuple[dict[str, Any], bytes]:
    """The next message.

    Args:
        most_bytes: The longest body that may come; None for a sender that is trusted.

    Raises:
        EOFError: The other side is gone.
        ValueError: It is no message, or a longer one.
    """
    header, length = _header(stream)
    if most_bytes is not None and length > most_bytes:
        raise ValueError(f"{length} bytes where at most {most_bytes} were due")
    body = bytearray()
    while len(body) < length:
        body += _piece(stream, length - len(body))
    return header, bytes(body)


def receive_arrays(
    stream: IO[bytes], specs: Sequence[TensorSpec], resized: bool = False
) -> tuple[dict[str, Any], list[np.ndarray]]:
    """The next message, whose body is what `pack` makes of arrays like *specs*: as fresh, writable ones.

    An error has no body, and comes with no arrays.

    Args:
        resized: Whether they may have the ``shapes`` that the header names, which are no larger.

    Raises:
        EOFError: The other side is gone.
        ValueError: It is no message, or its body has another length.
    """
    header, length = _header(stream)
    # The system sets their memory aside page by page, when it is written to.
    if resized and "error" not in header:
        specs = shaped(specs, header.get("shapes"))
    arrays = [] if "error" in header else [np.empty(spec.shape, spec.dtype) for spec in specs]
    due = sum(array.nbytes for array in arrays)
    if length != due:
        raise ValueError(f"{length} bytes where {due} were due")
    for array in arrays:
        view = array.reshape(-1).view(np.uint8).data
        done = 0
        while done < len(view):
            piece = _piece(stream, len(view) - done)
            view[done : done + len(piece)] = piece
            done += len(piece)
    return header, arrays


def pack(arrays: Sequence[np.ndarray]) -> bytes:
    """The arrays' bytes, one after the other; both sides know shapes and dtypes from the signature."""
    return b"".join(array.tobytes() for array in arrays)


def shaped(specs: Sequence[TensorSpec], shapes: object) -> list[TensorSpec]:
    """*specs* with other *shapes*, as a header has them. Raises `ValueError`: they are none, or larger on an axis."""
    found = conform(tuple[tuple[int, ...], ...], shapes, "shapes")
    if len(found) != len(specs):
        raise ValueError(f"{len(found)} shapes for {len(specs)} arrays")
    for spec, shape in zip(specs, found, strict=True):
        same_rank = len(shape) == len(spec.shape)
        if not same_rank or not all(0 <= size <= most for size, most in zip(shape, spec.shape, strict=True)):
            raise ValueError(f"{spec.name!r} is {list(shape)}, at most {list(spec.shape)}")
    return [replace(spec, shape=shape) for spec, shape in zip(specs, found, strict=True)]


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


def _header(stream: IO[bytes]) -> tuple[dict[str, Any], int]:
    """The header of the next message, and the length of its body."""
    header_length, body_length = _LENGTHS.unpack(_exactly(stream, _LENGTHS.size))
    if header_length > _MOST_HEADER_BYTES:
        raise ValueError(f"a header of {header_length} bytes")
    header = documents.parse(_exactly(stream, header_length))
    if not isinstance(header, dict):
        raise ValueError("a header that is no JSON object")
    return header, body_length


def _exactly(stream: IO[bytes], length: int) -> bytes:
    data = stream.read(length)
    if len(data) != length:
        raise EOFError
    return data


def _piece(stream: IO[bytes], most: int) -> bytes:
    data = stream.read(min(most, _CHUNK_BYTES))
    if not data:
        raise EOFError
    return data
