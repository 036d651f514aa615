"""JSON and TOML of others: parsed when neither so long, so deep nor so large in its parts that it could do harm."""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

#: Levels of lists and objects in each other. What edgekit writes has nine.
_MOST_LEVELS = 32
#: What takes 100 MB of memory at most.
MOST_VALUES = 1_000_000
#: Whole numbers of every format that edgekit reads and writes are less, with a sign or without.
_MOST_WHOLE = 1 << 64
#: What people write by hand has some thousands.
_MOST_TOML_BYTES = 1 << 20

#: Texts of one line in TOML; then, with those shortened, more keys in each other than anybody writes.
_TOML_TEXT = re.compile(r"""\"(?:[^"\\\n]|\\.)*+"|'[^'\n]*+'""")
_DEEP_KEY = re.compile(rf"(?:\.[ \t]*+[\w-]++[ \t]*+){{{_MOST_LEVELS}}}")


def read(path: Path, most_bytes: int) -> bytes:
    """The bytes of the file at *path*, which may be a pipe.

    Raises:
        ValueError: There are more than *most_bytes*, as of a device that never ends.
        OSError: It cannot be read.
    """
    with path.open("rb") as stream:
        data = stream.read(most_bytes + 1)
    if len(data) > most_bytes:
        raise ValueError(f"it has more than {most_bytes:,} bytes")
    return data


def read_toml(path: Path) -> tuple[str, dict[str, Any]]:
    """The text of the TOML file at *path*, and what it describes.

    Raises:
        ValueError: It is no TOML, or no UTF-8; or it is too long or too deep.
        OSError: It cannot be read.
    """
    import tomllib  # not every verb reads some

    text = read(path, _MOST_TOML_BYTES).decode().replace("\r\n", "\n")
    # tomllib keeps every prefix of a key: one of 20,000 parts takes 1.6 GB.
    if _DEEP_KEY.search(_TOML_TEXT.sub("text", text)):
        raise ValueError(f"a key of more than {_MOST_LEVELS} parts")
    try:
        return text, tomllib.loads(text)
    except RecursionError as error:
        raise ValueError("its values are too deep in each other") from error


def toml_line(text: str, key: Sequence[str]) -> int | None:
    """The line of the TOML *text* that sets the key at *key*, or what is nearest to it: a table that holds it.

    The standard library's reader keeps no positions, so this looks for the table's header and the key. Tables of a list
    are ``rows[0]``, ``rows[1]`` and so on.
    """
    table: tuple[str, ...] = ()
    heads: Counter[str] = Counter()
    best = 0, 0
    for number, line in enumerate(text.splitlines(), 1):
        if header := re.match(r"\s*(\[\[?)\s*([^\]]+?)\s*\]", line):
            found = table = tuple(part.strip().strip("\"'") for part in header[2].split("."))
            if header[1] == "[[":
                found = table = (*table[:-1], f"{table[-1]}[{heads[header[2]]}]")
                heads[header[2]] += 1
        elif match := re.match(r"\s*([\w\"'.-]+)\s*=", line):
            found = (*table, *(part.strip("\"'") for part in match[1].split(".")))
        else:
            continue
        alike = [one in (other, other.partition("[")[0]) for one, other in zip(key, found, strict=False)]
        if all(alike) and len(alike) > best[0]:
            best = len(alike), number
    return best[1] or None


def parse(data: bytes | str, most_values: int = MOST_VALUES) -> Any:
    """The value that the JSON text *data* describes, in time and memory that grow with its length.

    Args:
        most_values: In it, about: commas and brackets are counted, and texts may hold some.

    Raises:
        ValueError: It is no JSON; it is too deep or has too many values; a number is none that fits into 64 bits, or a
            text is none that can be written.
    """
    text = data.decode() if isinstance(data, (bytes, bytearray)) else data
    if sum(map(text.count, ",[{")) > most_values:
        raise ValueError(f"it has more than {most_values:,} values")
    try:
        value = json.loads(text, parse_constant=_refuse)
    except RecursionError as error:
        raise ValueError("its values are too deep in each other") from error
    _check(value)
    return value


def canonical_json(value: object) -> bytes:
    """One value, one byte string: sorted keys, two-space indent, no NaN, newline at the end."""
    return (json.dumps(value, sort_keys=True, indent=2, ensure_ascii=False, allow_nan=False) + "\n").encode()


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is no number in JSON")


def _check(value: object) -> None:
    level = [value]
    for _ in range(_MOST_LEVELS):
        deeper: list[object] = []
        for each in level:
            if isinstance(each, dict):
                deeper += each.values()
                deeper += each.keys()
            elif isinstance(each, list):
                deeper += each
            elif isinstance(each, str):
                each.encode()  # no half of a surrogate pair
            elif isinstance(each, float) and not math.isfinite(each):
                raise ValueError("a number is too large")
            elif isinstance(each, int) and abs(each) >= _MOST_WHOLE:
                raise ValueError("a whole number is too large")
        if not deeper:
            return
        level = deeper
    raise ValueError(f"its values are more than {_MOST_LEVELS} deep in each other")
