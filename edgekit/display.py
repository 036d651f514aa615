"""Text of others as it may be shown: names out of bundles, what devices say, messages of libraries, lines of logs.

A terminal obeys control characters, and those that turn the direction of writing show a reader something else than is
there. In what leaves this module they are spelled out as Python spells them: ``\\x1b``, ``\\u202e``, ``\\ud800``.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable

#: A function that is called with one line for people: before each slow step, and when something is worth knowing.
Log = Callable[[str], None]

#: Longer lines are cut: no terminal shows them, and no message of edgekit's own has so many characters.
MOST_CHARACTERS = 2000

#: Not printable as Python counts, but blanks and joiners that the words of some languages need; they do no harm.
KEPT = frozenset("\u00a0\u200c\u200d\u3000")
_BLANKS = str.maketrans(dict.fromkeys("\t\n\v\f\r", " "))
#: What starts a formula, also as the wide forms that spreadsheets take for the same.
_FORMULA = tuple("=+-@\uff1d\uff0b\uff0d\uff20")


def one_line(text: object, most: int = MOST_CHARACTERS) -> str:
    """*text* in one line that any terminal, table or page may show.

    Line ends and tabs become blanks, other control characters are spelled out, and of a long one the beginning is left.
    What came of it stays as it is when it is given again.
    """
    whole = str(text)
    shown = _spelled_out(whole[:most].translate(_BLANKS), lambda each: each.encode("unicode_escape").decode("ascii"))
    if max(len(whole), len(shown)) <= most:
        return shown
    left = f"... ({len(whole):,} characters)"
    return f"{shown[: max(0, most - len(left))]}{left}"[:most]


def lines(texts: Iterable[object], most: int = MOST_CHARACTERS) -> str:
    """Each of *texts* in a line of its own."""
    return "\n".join(one_line(text, most) for text in texts)


def values(value: object) -> object:
    """A JSON value with its texts fit to be shown, line by line; but for what is called ``data``, which is long."""
    if isinstance(value, dict):
        return {one_line(key): item if key == "data" else values(item) for key, item in value.items()}
    if isinstance(value, list):
        return [values(item) for item in value]
    return lines(value.split("\n")) if isinstance(value, str) else value


def size(count: int | None, unknown: str = "unknown") -> str:
    """Bytes in the unit that reads best: ``24.1 KB`` (1 KB = 1000 bytes)."""
    if count is None:
        return unknown
    for unit, scale in (("GB", 1e9), ("MB", 1e6), ("KB", 1e3)):
        if count >= scale:
            return f"{count / scale:.1f} {unit}"
    return f"{count} B"


def cell(text: str) -> str:
    """*text* as a cell of a spreadsheet: one line, and no formula, which is a program there.

    See https://owasp.org/www-community/attacks/CSV_Injection.
    """
    shown = one_line(text)
    return f"'{shown}" if shown.lstrip().startswith(_FORMULA) else shown


def json_text(value: object, *, indent: int | None = None, sort_keys: bool = False) -> str:
    """*value* as JSON, in which characters that may not be shown are escaped as JSON escapes them."""
    text = json.dumps(value, ensure_ascii=False, indent=indent, sort_keys=sort_keys)
    return "\n".join(_spelled_out(line, lambda each: json.dumps(each)[1:-1]) for line in text.split("\n"))


def _spelled_out(text: str, spell: Callable[[str], str]) -> str:
    if text.isprintable():
        return text
    return "".join(each if each.isprintable() or each in KEPT else spell(each) for each in text)
