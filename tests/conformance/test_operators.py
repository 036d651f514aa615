"""The whole operator matrix; runs when it is named: ``pytest tests/conformance``."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.operator_matrix import RIGHT, read_results, table, tried

_RESULTS = read_results()


@pytest.mark.parametrize("line", table())
def test_a_configuration_is_right_or_refused_by_name(line: str, tmp_path: Path) -> None:
    found = tried(table()[line], tmp_path)
    bad = {name: each for name, each in found.items() if each.outcome in ("wrong", "unnamed")}
    assert not bad
    for name, each in _RESULTS.get(line, {}).items():
        assert (found[name].outcome in RIGHT) == (each.outcome in RIGHT)
