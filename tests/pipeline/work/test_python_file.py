"""Functions of the user's Python files."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from edgekit.errors import UsageError
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


ENDS = "keep what a script does by itself out of what edgekit imports and calls"


@pytest.mark.parametrize(
    ("code", "message", "hint"),
    [
        ("import sys\ndef score(): sys.exit(0)", "metric.py:2: ends Python, with 0", ENDS),
        ("import argparse\nargparse.ArgumentParser().parse_args(['x'])", "metric.py:2: ends Python, with 2", ENDS),
        ("raise SystemExit('no data')", "metric.py:1: ends Python, with 'no data'", ENDS),
        (
            "def score(width): pass",
            "edgekit calls metric.py:score with no arguments: missing a required argument: 'width'",
            "give the others a default",
        ),
        ("import math\nscore = math.sqrt", "with no arguments: missing a required argument: 'x'", "default"),
        ("score = iter", "metric.py: TypeError: iter expected at least 1 argument, got 0", "correct"),
    ],
)
def test_what_is_no_function_to_call_is_said_with_a_cure(tmp_path: Path, code: str, message: str, hint: str) -> None:
    (tmp_path / "metric.py").write_text(code + "\n")
    with pytest.raises(UsageError) as caught:
        load_callable(tmp_path / "metric.py", "score")()
    assert message in caught.value.message and hint in (caught.value.hint or "")


@pytest.mark.parametrize(
    ("module", "hint"),
    [
        ("flax.nnx", "pip install 'edgekit[build,jax]'"),
        ("keras", "pip install 'edgekit[build,keras]'"),
        ("pytensor.tensor", "pip install 'edgekit[build,pytensor]'"),
    ],
)
def test_an_extra_that_the_code_imports_is_named(
    tmp_path: Path, module: str, hint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, module.partition(".")[0], None)  # as Python marks what cannot be imported
    if "." in module:
        monkeypatch.delitem(sys.modules, module, raising=False)
    (tmp_path / "net.py").write_text(f"import {module}\n")
    with pytest.raises(UsageError) as caught:
        load_callable(tmp_path / "net.py", "make")
    assert (caught.value.code, caught.value.hint) == ("EK-MISSING-PACKAGE", hint)
    assert caught.value.message.startswith("net.py:1 imports ") and "not installed" in caught.value.message


@pytest.mark.parametrize("module", ["no_such_package", "json.no_such_part"])
def test_any_other_module_is_the_codes_own(tmp_path: Path, module: str) -> None:
    (tmp_path / "net.py").write_text(f"import {module}\n")
    with pytest.raises(UsageError, match=f"net.py:1: ModuleNotFoundError: No module named '{module}'") as caught:
        load_callable(tmp_path / "net.py", "make")
    assert caught.value.code == "EK-CODE"
