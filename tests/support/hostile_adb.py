"""An ``adb`` whose phone, or that itself, is broken or made to harm whoever asks it.

    python hostile_adb.py MODE ARGUMENTS

MODE is what it does instead of answering: to ``devices`` where it begins with ``devices``, else to ``shell``.
"""

from __future__ import annotations

import os
import re
import sys
import time
from collections.abc import Callable

MEGABYTE = b"A" * (1 << 20)
PHONE = b"List of devices attached\nFAKE\tdevice product:x model:M device:d\n"


def _for_ever(descriptor: int, piece: bytes) -> None:
    while True:
        os.write(descriptor, piece)


def _say(text: bytes, status: int = 0) -> None:
    place = 0
    while place < len(text):
        place += os.write(1, text[place:])
    os._exit(status)


def _fail(text: bytes) -> None:
    os.write(2, text)
    os._exit(1)


#: What it says of the phones that it knows.
DEVICES: dict[str, Callable[[], None]] = {
    "devices without end": lambda: _for_ever(1, MEGABYTE),
    "devices in lines without end": lambda: _for_ever(1, b"FAKE device\n" * 50_000),
    "devices at random": lambda: _say(os.urandom(5_000_000)),
    "devices by the million": lambda: _say(b"".join(b"S%d device\n" % number for number in range(200_000))),
    "devices with escapes": lambda: _say(b"List of devices attached\nFAKE\x1b[2J\x1b]0;owned\x07 device\n"),
    "devices with blanks": lambda: _say(b"List of devices attached\na" + b" " * 500_000 + b"x\n"),
    "devices of one long name": lambda: _say(b"a" * 500_000 + b" device\n"),
    "devices in no text": lambda: _say(b"\xff\xfe\x00" * 1000 + b" device\n"),
    "devices and an error": lambda: _fail(b"adb: \x1b[2J\x1b]0;owned\x07 bad\n"),
    "devices and errors without end": lambda: _for_ever(2, MEGABYTE),
    "devices that are none": lambda: _say(b""),
}

#: What it answers for the phone, with the mark that ends an answer.
ANSWERS: dict[str, Callable[[bytes], None]] = {
    "without end": lambda mark: _for_ever(1, MEGABYTE),
    "lines without end": lambda mark: _for_ever(1, b"AAAA\n" * (1 << 16)),
    "errors without end": lambda mark: _for_ever(2, MEGABYTE),
    "at random": lambda mark: _say(os.urandom(1 << 19)),
    "with no mark": lambda mark: _say(b"done\n"),
    "with another's mark": lambda mark: _say(b"0123456789abcdef:0:\n"),
    "with half a mark": lambda mark: _say(mark[:9]),
    "with a mark alone": lambda mark: _say(mark),
    "with a code of 6,000 digits": lambda mark: _say(mark + b":" + b"9" * 6000 + b":\n"),
    "with a code below zero": lambda mark: _say(mark + b":-1:\n"),
    "with a code of eleven digits": lambda mark: _say(mark + b":99999999999:\n"),
    "with a code in words": lambda mark: _say(mark + b":zero:\n"),
    "with a code in other digits": lambda mark: _say(mark + ":\u0660:\n".encode()),
    "with a code and more": lambda mark: _say(mark + b":0:\nmore\n"),
    "with blanks behind": lambda mark: _say(mark + b":0:" + b" " * 500_000),
    "with blanks and more behind": lambda mark: _say(mark + b":0:" + b" " * 500_000 + b"x"),
    "with many marks": lambda mark: _say((mark + b":0:   ") * 20_000 + b"x"),
    "with escapes in its errors": lambda mark: _fail(b"error: \x1b[2J\x1b]0;owned\x07\xc2\x9b\n"),
}  # fmt: skip


def main(mode: str, arguments: list[str]) -> None:
    listing = arguments[:1] == ["devices"]
    if (mode == "devices in silence" and listing) or (mode == "in silence" and not listing):
        time.sleep(100)
    if listing:
        DEVICES.get(mode, lambda: _say(PHONE))()
    found = re.search(r'echo "([0-9a-f]{16}):', arguments[-1])
    mark = found[1].encode() if found else b"0" * 16
    ANSWERS.get(mode, lambda mark: _say(mark + b":0:\n"))(mark)


if __name__ == "__main__":
    try:
        main(sys.argv[1], sys.argv[2:])
    except BrokenPipeError:
        os._exit(1)
