"""Why a model file is not taken."""

from __future__ import annotations


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


def shown(name: object) -> str:
    """A name out of a file, quoted, printable and short."""
    return repr(str(name)[:80])
