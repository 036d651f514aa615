"""What the verbs share in talking to a person or to a program. Nothing else prints.

Whatever is said may hold names out of bundles, words of devices or messages of libraries: each line goes through
`edgekit.display`, so that none of them can command a terminal. The escapes that edgekit uses itself are added here.
"""

from __future__ import annotations

import math
import shutil
import sys
from collections.abc import Iterable, Sequence
from typing import Any

import click

from edgekit import display
from edgekit.errors import EdgekitError

#: Bytes in the unit that reads best.
size = display.size

#: The longest cell of a table: what is longer is a sentence.
_CELL_CHARACTERS = 500
_ERASE = "\r\x1b[K"


def say(*lines: str, alarm: str = "", err: bool = False, most: int = display.MOST_CHARACTERS) -> None:
    """Print each of *lines* as one line.

    Args:
        alarm: A word of the first of them, to stand out in red.
        err: On standard error.
        most: Characters of a line; the rest of a longer one is left out.
    """
    text = display.lines(lines or ("",), most)
    click.echo(text.replace(alarm, click.style(alarm, fg="red"), 1) if alarm else text, err=err)


def note(text: str, quiet: bool = False) -> None:
    """Tell the person something, on standard error."""
    if not quiet:
        say(text, err=True)


class _Due:
    """The one JSON document of a command that was asked for ``--json``."""

    wanted = False
    value: Any = None


def expect_document(wanted: bool) -> None:
    """A command begins that ends with a document, if that is *wanted*."""
    _Due.wanted, _Due.value = wanted, None


def document(value: object) -> None:
    """*value* is the one JSON document that is on standard output when the command has ended."""
    _Due.wanted, _Due.value = True, value


def result(as_json: bool, value: object, lines: Iterable[str]) -> None:
    """What a command comes to: *value* is the document for a program, *lines* are for a person."""
    if as_json:
        document(value)
    else:
        say(*lines)


def show_document(error: EdgekitError | None = None) -> None:
    """Print the document, if it is due; see `due_document`."""
    click.echo(due_document(error), nl=False)


def due_document(error: EdgekitError | None = None) -> str:
    """The text of the document, once: afterwards, and where none is wanted, nothing.

    Args:
        error: Why the command failed: it is the document's ``error``, beside what there is of results. Of a list of
            results, an object with it is the last. Numbers that JSON lacks become null.
    """
    wanted, value, _Due.wanted = _Due.wanted, _Due.value, False
    if error is not None:
        told = {"error": error.to_json()}
        value = [*value, told] if isinstance(value, list) else {**(value or {}), **told}
    if not wanted or value is None:
        return ""
    return display.json_text(_plain(value), indent=2, sort_keys=True) + "\n"


def move(text: str) -> None:
    """Show *text*, or as much of it as the terminal has room for, in the place of what this showed before."""
    width = shutil.get_terminal_size().columns
    click.echo(f"{_ERASE}{display.one_line(text)[: width - 1]}", err=True, nl=False)


def erase() -> None:
    """Take away what `move` showed."""
    click.echo(_ERASE, err=True, nl=False)


def picture(text: str) -> None:
    """Show what edgekit itself drew for a terminal, on standard error."""
    click.echo(text, err=True)


def is_terminal() -> bool:
    """Whether standard error is one, where lines may move."""
    return sys.stderr.isatty()


def table(headers: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """Lines of columns aligned with two spaces between; those that hold only numbers to the right."""
    shown = [[display.one_line(cell, _CELL_CHARACTERS) for cell in row] for row in rows]
    widths = [max(len(cell) for cell in column) for column in zip(headers, *shown, strict=True)]
    right = [bool(shown) and all(_is_number(row[index]) for row in shown) for index in range(len(headers))]
    lines = []
    for row in (headers, *shown):
        cells = (
            cell.rjust(width) if to_right else cell.ljust(width)
            for cell, width, to_right in zip(row, widths, right, strict=True)
        )
        lines.append("  ".join(cells).rstrip())
    return lines


def number(value: float | None, digits: int = 2) -> str:
    """A number with so many decimals, or a dash for none."""
    return "-" if value is None else f"{value:.{digits}f}"


def _is_number(cell: str) -> bool:
    head = cell.split(" ")[0].lstrip("+-")
    return cell == "-" or head[:1].isdigit()


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
