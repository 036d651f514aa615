"""Every command of the README, run as it stands there."""

from __future__ import annotations

import re
import subprocess
import sys
import sysconfig
from os import environ, pathsep
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, re.S)


def commands() -> list[str]:
    return [line for block in blocks("sh") for line in block.splitlines() if line.strip()]


def environment() -> dict[str, str]:
    scripts = sysconfig.get_path("scripts")
    return {**environ, "PATH": pathsep.join([scripts, environ["PATH"]])}


def test_the_installing_commands_are_those_that_ci_runs() -> None:
    installing = [command for command in commands() if command.startswith("pip install")]
    assert installing == [
        'pip install -e ".[build]" && edgekit build examples/digits --target rpi4',
        'pip install -e ".[build,test]" && pytest',
    ]
    assert "grep -m1 -E '^pip install .* && pytest$' README.md" in (ROOT / ".ci" / "run").read_text()


@pytest.mark.parametrize("command", [command for command in commands() if not command.endswith("pytest")])
def test_command(command: str, digits_bundle: Path, tmp_path: Path) -> None:
    command = command.removeprefix('pip install -e ".[build]" && ')
    folder = tmp_path if command.startswith("edgekit init") else ROOT
    process = subprocess.run(
        command, shell=True, cwd=folder, env=environment(), capture_output=True, text=True, check=False
    )
    assert process.returncode == 0, process.stderr


def test_the_project_that_init_writes_builds_as_it_is(digits_bundle: Path, tmp_path: Path) -> None:
    for command in ("edgekit init mine", "edgekit build mine --target rpi4"):
        subprocess.run(command, shell=True, cwd=tmp_path, env=environment(), capture_output=True, check=True)
    built = tmp_path / "mine" / "build" / "digits-rpi4.edgekit"
    assert built.read_bytes() == digits_bundle.read_bytes()


@pytest.mark.parametrize("program", blocks("python"))
def test_program(program: str, digits_bundle: Path) -> None:
    command = [sys.executable, "-c", program]
    process = subprocess.run(command, cwd=ROOT, env=environment(), capture_output=True, text=True, check=False)
    assert process.returncode == 0, process.stderr
    assert process.stdout.startswith("7 int8.")


def test_every_verb_and_exit_code_is_mentioned() -> None:
    from edgekit.cli.main import VERBS

    assert not [verb for verb in VERBS if f"edgekit {verb}" not in README]
    assert re.findall(r"^\| (\d+) \|", README, re.M) == ["0", "1", "2", "3", "5", "6", "130"]
