"""What a build's processes take does not grow with the number of photographs a model is evaluated on."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.photographs import photographs, watched_build


@pytest.mark.slow
def test_more_photographs_take_little_more_memory(tmp_path: Path) -> None:
    few = watched_build(photographs(tmp_path / "few", count=16, size=224))
    many = watched_build(photographs(tmp_path / "many", count=1000, size=224))
    raw = 1000 * 224 * 224 * 3  # bytes: 151 MB, as floats 602
    assert len(many) > 2
    # The project's own function gives them all at once, to one process; nobody holds them as floats.
    assert max(many.values()) - max(few.values()) < 1.5 * raw
    assert many["host"] - few["host"] < 0.5 * raw
