"""What a device's shell prints of it, taken apart: sections, numbers, names. Anything may stand there.

All of it takes time that grows with the length of the text. What is not as it should be is None, or left out, and costs
nothing else.
"""

from __future__ import annotations

import re

_WHOLE = re.compile(r"[0-9]{1,15}")
_DECIMAL = re.compile(r"-?[0-9]{1,12}(\.[0-9]{1,12})?")
_WORD = re.compile(r"[\w.+~@:-]{1,255}")
_MOST_PATH_CHARACTERS = 1000


def sections(text: str) -> dict[str, str]:
    """What stands below each line ``== NAME``; below the first, where there are several of one name."""
    found: dict[str, list[str]] = {}
    current: list[str] = []
    for line in text.replace("\r", "").split("\n"):
        name = line[3:]
        if line.startswith("== ") and name.isidentifier():
            current = []
            found.setdefault(name, current)
        else:
            current.append(line)
    return {name: "\n".join(lines).strip() for name, lines in found.items()}


def whole(text: str, most: int = 10**15) -> int | None:
    """A whole number from 0 to *most*."""
    stripped = text.strip()
    return int(stripped) if _WHOLE.fullmatch(stripped) and int(stripped) <= most else None


def decimal(text: str) -> float | None:
    """A number with or without decimals."""
    stripped = text.strip()
    return float(stripped) if _DECIMAL.fullmatch(stripped) else None


def word(text: str) -> str | None:
    """A name as programs, versions and governors have it."""
    stripped = text.strip()
    return stripped if _WORD.fullmatch(stripped) else None


def path(text: str) -> str | None:
    """A path from the root on, which fits into one line."""
    stripped = text.strip()
    fits = stripped.startswith("/") and len(stripped) <= _MOST_PATH_CHARACTERS and stripped.isprintable()
    return stripped if fits else None


def free_bytes(line: str) -> int | None:
    """What a line of ``df -k`` shows as available: the number before the percentage."""
    words = line[:_MOST_PATH_CHARACTERS].split()
    for index, each in enumerate(words):
        if index and each.endswith("%"):
            kilobytes = whole(words[index - 1])
            return None if kilobytes is None else 1024 * kilobytes
    return None


def fields(text: str, separator: str = ":") -> dict[str, str]:
    """The values of lines ``NAME: VALUE`` by name; the first, where there are several of one name."""
    found: dict[str, str] = {}
    for line in text.split("\n"):
        name, colon, value = line.partition(separator)
        if colon:
            found.setdefault(name.strip(), value.strip())
    return found
