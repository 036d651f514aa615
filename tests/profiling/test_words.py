"""Figures in words."""

from __future__ import annotations

import pytest

from edgekit.profiling.words import listing, number


@pytest.mark.parametrize(
    ("value", "shown"),
    [(0.08123, "0.0812"), (0.99999, "1.00"), (9.996, "10.0"), (45.0, "45.0"), (1234.5, "1,234"), (0, "0.00")],
)
def test_three_digits_count(value: float, shown: str) -> None:
    assert number(value) == shown
    assert number(-value) == (f"-{shown}" if value else shown)


def test_names_in_a_row() -> None:
    assert [listing(list(names)) for names in ("", "a", "ab", "abc")] == ["", "a", "a and b", "a, b and c"]
