"""Functions of the user's Python files."""

from __future__ import annotations

import os
from pathlib import Path

from edgekit.pipeline.work.python_file import file_of, load_callable


def test_a_file_is_run_once_and_again_when_it_was_edited(tmp_path: Path) -> None:
    """However soon, and of whatever size: a notebook builds again and again in one process."""
    file = tmp_path / "metric.py"
    results = []
    for value in (1, 1, 2):
        file.write_text(f"RUNS = []\n\n\ndef score():\n    RUNS.append(1)\n    return {value}, len(RUNS)\n")
        os.utime(file, (1, 1))
        results.append(load_callable(file, "score")())
    assert results == [(1, 1), (1, 2), (2, 1)]


def test_files_of_one_name_are_apart(tmp_path: Path) -> None:
    functions = []
    for value in (1, 2):
        file = tmp_path / str(value) / "data.py"
        file.parent.mkdir()
        file.write_text("def place():\n    return __name__\n")
        functions.append(load_callable(file, "place"))
    names = [function() for function in functions]
    assert len(set(names)) == 2 and {file_of(name) for name in names} == {"data"}
