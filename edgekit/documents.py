"""JSON of others: parsed when it is neither so long, so deep nor so large in its parts that it could do harm."""

from __future__ import annotations

import json
import math
from typing import Any

#: Levels of lists and objects in each other. What edgekit writes has nine.
_MOST_LEVELS = 32
#: What takes 100 MB of memory at most.
MOST_VALUES = 1_000_000
#: Whole numbers of every format that edgekit reads and writes are less, with a sign or without.
_MOST_WHOLE = 1 << 64


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
