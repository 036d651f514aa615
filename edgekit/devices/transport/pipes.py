"""What programs say that carry words to a device and back: taken in piece by piece, and only so much of it.

A device may be broken, or made to harm whoever asks it. Whatever it says costs no more memory than the request allows,
and no read goes on for longer than a moment, so that Ctrl-C is heard in between.
"""

from __future__ import annotations

import os
import selectors
import subprocess
import time
from collections.abc import Callable, Iterator
from typing import IO

_PIECE_BYTES = 1 << 16


class Flood(Exception):
    """A program said more than it may."""


def lines(stream: IO[bytes], most_line_bytes: Callable[[], int]) -> Iterator[tuple[bytes, int]]:
    """Each line of *stream* with how many bytes of it were read: where a line is longer than it may be, its beginning,
    and then nothing for each further piece of it."""
    while line := stream.readline(_PIECE_BYTES):
        pieces, length = [line], len(line)
        while not line.endswith(b"\n") and length < most_line_bytes() and (line := stream.readline(_PIECE_BYTES)):
            pieces.append(line)
            length += len(line)
        yield b"".join(pieces), length
        while not line.endswith(b"\n") and (line := stream.readline(_PIECE_BYTES)):
            yield b"", len(line)


def exactly(stream: IO[bytes], length: int) -> bytes:
    """The next *length* bytes of *stream*, or all that came before its end."""
    data = bytearray()
    while len(data) < length and (piece := stream.read(min(_PIECE_BYTES, length - len(data)))):
        data += piece
    return bytes(data)


class Collector:
    """All that a process writes on standard output and standard error, which are pipes that nobody else reads.

    Args:
        most_bytes: Of the output.
        most_error_bytes: What is kept of the errors: their beginning. A hundred times as much is a `Flood`, too.
    """

    def __init__(self, process: subprocess.Popen[bytes], most_bytes: int, most_error_bytes: int):
        assert process.stdout is not None and process.stderr is not None
        self.output, self.errors = bytearray(), bytearray()
        self._most_bytes, self._most_error_bytes = most_bytes, most_error_bytes
        self._error_bytes = 0
        self._open = selectors.DefaultSelector()
        for pipe, take in ((process.stdout, self._take_output), (process.stderr, self._take_error)):
            self._open.register(pipe.fileno(), selectors.EVENT_READ, take)

    def take(self, timeout_s: float) -> bool:
        """Take what comes; whether both pipes were closed within *timeout_s*.

        Raises:
            Flood: It is more than the process may write.
        """
        deadline = time.monotonic() + timeout_s
        while self._open.get_map():
            left_s = deadline - time.monotonic()
            if left_s <= 0:
                return False
            for key, _ in self._open.select(left_s):
                piece = os.read(key.fd, _PIECE_BYTES)
                key.data(piece)
                if not piece:
                    self._open.unregister(key.fd)
        return True

    def close(self) -> None:
        self._open.close()

    def _take_output(self, piece: bytes) -> None:
        if len(self.output) + len(piece) > self._most_bytes:
            raise Flood
        self.output += piece

    def _take_error(self, piece: bytes) -> None:
        self.errors += piece[: max(0, self._most_error_bytes - len(self.errors))]
        self._error_bytes += len(piece)
        if self._error_bytes > 100 * self._most_error_bytes:
            raise Flood
