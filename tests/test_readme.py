"""Every command of the README and of docs/, run as it stands there; those for devices are run in tests/devices."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path

import pytest
from support.readme import GIVEN, README, ROOT, call, commands, leave_files, programs


def test_the_installing_commands_are_those_that_ci_runs() -> None:
    installing = [command for command in commands() if command.startswith("pip install")]
    assert installing == [
        'pip install -e ".[build]" && edgekit build examples/digits --target rpi4',
        'pip install -e ".[build,test]" && pytest',
    ]
    assert "grep -m1 -E '^pip install .* && pytest$' README.md" in (ROOT / ".ci" / "run").read_text()


@pytest.mark.slow
@pytest.mark.parametrize("command", [command for command in commands() if not command.endswith("pytest")])
def test_command(command: str, digits_bundle: Path, tmp_path: Path) -> None:
    command = command.removeprefix('pip install -e ".[build]" && ')
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    if GIVEN in command:
        leave_files(digits_bundle, tmp_path)
    elsewhere = GIVEN in command or command.startswith(("edgekit init", "edgekit integrate"))
    call(command, tmp_path if elsewhere else ROOT)


@pytest.mark.slow
def test_the_project_that_init_writes_builds_as_it_is(digits_bundle: Path, tmp_path: Path) -> None:
    for command in ("edgekit init mine", "edgekit build mine --target rpi4"):
        call(command, tmp_path)
    built = tmp_path / "mine" / "build" / "digits-rpi4.edgekit"
    assert built.read_bytes() == digits_bundle.read_bytes()


@pytest.mark.slow
@pytest.mark.parametrize("page", programs())
def test_program(page: str, digits_bundle: Path) -> None:
    said = call(f"{sys.executable} -c {shlex.quote(programs()[page])}")
    assert page != "README.md" or said.startswith("7 int8.")


def test_every_verb_is_mentioned() -> None:
    from edgekit.cli.main import VERBS

    assert not [verb for verb in VERBS if f"edgekit {verb}" not in README]


def test_it_is_for_the_first_ten_minutes() -> None:
    assert len(README.splitlines()) <= 150
