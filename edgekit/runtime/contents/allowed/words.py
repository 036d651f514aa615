"""Names in a text, apart."""

from __future__ import annotations


def names(text: str) -> frozenset[str]:
    return frozenset(ordered(text))


def ordered(text: str) -> tuple[str, ...]:
    return tuple(text.split())
