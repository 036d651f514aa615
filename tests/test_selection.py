"""Which tests run: each in exactly one of three runs, and none finds what it did not say it needs."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from support.bare_machine import TOOLS

_TESTS = Path(__file__).parent
#: A program that is on this machine, and is not one of those that every machine has.
_OTHER = next(
    path for path in sorted(Path("/usr/bin").iterdir()) if path.name not in TOOLS and os.access(path, os.X_OK)
)

_FILE = f"""
import shutil, subprocess
import pytest

@pytest.fixture(scope="session")
def server(system): ...

@pytest.fixture
def client(server): ...

def test_plain(): assert shutil.which({_OTHER.name!r}) is None and shutil.which("sh")

@pytest.mark.slow
def test_slow(): assert shutil.which({_OTHER.name!r}) is None

@pytest.mark.system
def test_system(): assert shutil.which({_OTHER.name!r})

@pytest.mark.slow
@pytest.mark.system
def test_slow_system(): ...

def test_by_fixture(client): assert shutil.which({_OTHER.name!r})

@pytest.mark.parametrize("compiler", ["own", pytest.param("other", marks=pytest.mark.system)])
def test_by_parameter(compiler): ...

@pytest.fixture(scope="session")
def small_models(): ...

def test_that_builds(small_models): ...
"""


def ran(folder: Path, *arguments: str) -> tuple[list[str], str]:
    """The tests that passed in *folder* under this suite's ``conftest.py``, by name; and all that pytest said."""
    command = [sys.executable, "-m", "pytest", "-v", "-p", "conftest", "-p", "no:cacheprovider", "-W", "ignore"]
    environment = {
        **os.environ,
        "PATH": os.pathsep.join([os.environ["PATH"], str(_OTHER.parent)]),
        "PYTHONPATH": os.pathsep.join([str(_TESTS), str(_TESTS.parent)]),
    }
    done = subprocess.run(
        [*command, *arguments], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    return re.findall(r"::(\S+) PASSED", done.stdout), done.stdout


@pytest.mark.slow
def test_every_test_runs_in_one_of_three_runs(tmp_path: Path) -> None:
    (tmp_path / "test_file.py").write_text(_FILE)
    default, said = ran(tmp_path)
    assert default == ["test_plain", "test_by_parameter[own]", "test_that_builds"]
    assert left_out(said) == [
        "4 that need more than pip brings (pytest -m system), 1 that take minutes (pytest -m slow)"
    ]
    fast, _ = ran(tmp_path, "-m", "not slow and not builds")
    assert fast == ["test_plain", "test_by_parameter[own]"]
    slow, said = ran(tmp_path, "-m", "slow")
    assert slow == ["test_slow"]
    assert left_out(said) == ["1 that need more than pip brings (pytest -m system)"]
    _, said = ran(tmp_path, "-m", "system", "-n", "1")
    names = re.findall(r"PASSED \S+::(\S+)", said)
    assert sorted(names) == ["test_by_fixture", "test_by_parameter[other]", "test_slow_system", "test_system"]
    assert left_out(said) == []
    _, said = ran(tmp_path, "-k", "parameter", "-n", "1")  # whose processes report to the first
    assert left_out(said) == ["1 that need more than pip brings (pytest -m system)"]


def left_out(said: str) -> list[str]:
    return re.findall(r"^tests left out: (.*)$", said, re.M)


def test_whoever_leaves_the_mark_out_learns_it_on_a_machine_that_has_everything(tmp_path: Path) -> None:
    (tmp_path / "test_file.py").write_text(f"""
import subprocess

def test_by_name(): subprocess.run([{_OTHER.name!r}, "--version"])

def test_by_path(): subprocess.run([{str(_OTHER)!r}, "--version"])

def test_what_every_machine_has(): subprocess.run(["/bin/sh", "-c", "exit 3"]).check_returncode is None
""")
    passed, said = ran(tmp_path)
    assert passed == ["test_what_every_machine_has"]
    assert f"No such file or directory: '{_OTHER.name}'" in said
    assert f"{_OTHER} is on this machine, and not on every one: such a test is marked `system`" in said
