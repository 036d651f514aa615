"""Texts of others in Markdown: shown as they are, whatever they hold.

As CommonMark 0.31.2 has it, sections 2.4 (backslash escapes) and 6.1 (code spans).
"""

from __future__ import annotations

import re

#: What begins something within a line: code, emphasis, links, pictures, tags, entities, tables.
_SPECIAL = re.compile(r"[\\`*_{}\[\]<>()#!|~&$]")


def text(value: str) -> str:
    """*value*, which is one line, within a paragraph or a heading."""
    return _SPECIAL.sub(r"\\\g<0>", value)


def code(value: str) -> str:
    """*value*, which is one line, in the letters of code."""
    longest = max(map(len, re.findall("`+", value)), default=0)
    fence = "`" * (longest + 1)
    space = " " if "`" in value[:1] + value[-1:] else ""
    return f"{fence}{space}{value}{space}{fence}"
