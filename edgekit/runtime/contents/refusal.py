"""Why a model file is not taken."""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

#: What code raises that takes a value out of a file for what it ought to be.
_STUMBLES = (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError, struct.error)


#: Hundreds of bytes for each operator; twice as many where they say where in the source they come from.
_MAX_JSON_BYTES = 32 << 20


class Malformed(ValueError):
    """The file is damaged, or not of its format at all; the message says where, in one line."""


class Refused(Malformed):
    """The file holds something that its format's allow-list does not have.

    Attributes:
        does: What that would do when it is loaded or run, in words that follow "this", as "runs code".
        cure: How to do without it, where one knows; else empty.
    """

    def __init__(self, message: str, does: str, cure: str = ""):
        super().__init__(message)
        self.does = does
        self.cure = cure


@contextmanager
def reading(what: str) -> Iterator[None]:
    """Around a reader of a format: what it stumbles over, wherever that is, is damage of the file, and no fault.

    Args:
        what: What the file is then, as "it is no Keras model".

    Raises:
        Malformed: The reader's own, or in the place of another error.
    """
    try:
        yield
    except Malformed:
        raise
    except _STUMBLES as error:
        raise Malformed(f"{what} ({type(error).__name__})") from error


def shown(name: object) -> str:
    """A name out of a file, quoted, printable and short."""
    return repr(str(name)[:80])


def parse_json(text: bytes | str, what: str) -> Any:
    """The value in *text*, which is a file's *what*."""
    if len(text) > _MAX_JSON_BYTES:
        raise Malformed(f"its {what} has {len(text):,} bytes")
    try:
        return json.loads(text)
    except ValueError as error:
        raise Malformed(f"its {what} is no JSON ({str(error)[:60]})") from error
