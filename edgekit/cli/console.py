"""What the verbs share in talking to a person or to a program."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from typing import Any

import click


def document(value: object) -> None:
    """Print *value* as the one JSON document on standard output. Numbers that JSON lacks become null."""
    click.echo(json.dumps(_plain(value), indent=2, sort_keys=True, ensure_ascii=False))


def note(text: str, quiet: bool = False) -> None:
    """Tell the person something, on standard error."""
    if not quiet:
        click.echo(text, err=True)


def table(headers: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Columns aligned with two spaces between; those that hold only numbers to the right."""
    widths = [max(len(cell) for cell in column) for column in zip(headers, *rows, strict=True)]
    right = [bool(rows) and all(_is_number(row[index]) for row in rows) for index in range(len(headers))]
    lines = []
    for row in (headers, *rows):
        cells = (
            cell.rjust(width) if to_right else cell.ljust(width)
            for cell, width, to_right in zip(row, widths, right, strict=True)
        )
        lines.append("  ".join(cells).rstrip())
    return "\n".join(lines)


def number(value: float | None, digits: int = 2) -> str:
    """A number with so many decimals, or a dash for none."""
    return "-" if value is None else f"{value:.{digits}f}"


def size(count: int) -> str:
    """Bytes in the unit that reads best: ``24.1 KB`` (1 KB = 1000 bytes)."""
    for unit, scale in (("GB", 1e9), ("MB", 1e6), ("KB", 1e3)):
        if count >= scale:
            return f"{count / scale:.1f} {unit}"
    return f"{count} B"


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
