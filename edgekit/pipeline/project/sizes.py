"""Sizes as people write them in ``edgekit.toml``: one by one, and a range of them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Annotated, Any

from pydantic import BeforeValidator, PlainValidator

from edgekit.buckets import Range


def _in_list(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


def _size(value: Any) -> int | Range:
    """A size, or ``"3-64"`` as the least and the most of many."""
    if isinstance(value, str):
        found = re.fullmatch(r"\s*([0-9]{1,9})\s*-\s*([0-9]{1,9})\s*", value)
        least, most = (0, 0) if found is None else (int(found[1]), int(found[2]))
        if not 0 < least < most:
            raise ValueError(f'{value[:40]!r} is no range, which is written "3-64", least first')
        return least, most
    if type(value) is not int or value <= 0:
        raise ValueError('Input should be a whole number greater than 0, or a range: "3-64"')
    return value


#: Sizes one by one, a range of them, or both.
Sizes = Annotated[tuple[Annotated[int | Range, PlainValidator(_size)], ...], BeforeValidator(_in_list)]


def check_range(name: str, sizes: Sequence[int | Range]) -> None:
    """Raise `ValueError` unless *sizes* have one range at most, with all the others in it."""
    ranges = [size for size in sizes if not isinstance(size, int)]
    if len(ranges) > 1:
        raise ValueError(f"{name} names {len(ranges)} ranges, one is the most")
    for least, most in ranges:
        if name == "batch" and least != 1:
            raise ValueError(f'a range of batch begins with one sample: batch = "1-{most}"')
        outside = [size for size in listed(sizes) if not least <= size <= most]
        if outside:
            raise ValueError(f"{name} names {outside[0]} beside the range {least}-{most}, which has to reach that far")


def range_of(sizes: Sequence[int | Range]) -> Range | None:
    """The range in *sizes*, if there is one."""
    return next((size for size in sizes if not isinstance(size, int)), None)


def listed(sizes: Sequence[int | Range]) -> list[int]:
    """Those that are named one by one."""
    return [size for size in sizes if isinstance(size, int)]
