"""The ``edgekit`` command, in a process of its own, as a user starts it, or in this one."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from edgekit.cli.main import run


@dataclass(frozen=True)
class Done:
    """What a command came to: exit code, standard output, and the lines of standard error."""

    exit_code: int
    output: str
    errors: tuple[str, ...]

    @property
    def document(self) -> Any:
        """The JSON on standard output of a command that succeeded."""
        assert self.exit_code == 0, self.errors
        return json.loads(self.output)


def start(*arguments: str | Path, environment: Mapping[str, str]) -> subprocess.Popen[str]:
    """Start ``edgekit ARGUMENTS`` with *environment* beside this process's own; its process group is its own."""
    return subprocess.Popen(
        [sys.executable, "-m", "edgekit.cli.main", *map(str, arguments)],
        env={**os.environ, **environment},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def finish(process: subprocess.Popen[str], *, timeout_s: float = 240) -> Done:
    """Wait for a command that was started."""
    output, errors = process.communicate(timeout=timeout_s)
    return Done(process.returncode, output, tuple(errors.splitlines()))


def edgekit(*arguments: str | Path, environment: Mapping[str, str]) -> Done:
    """Run ``edgekit ARGUMENTS`` to its end."""
    return finish(start(*arguments, environment=environment))


def document(capfd: pytest.CaptureFixture[str], *arguments: str, exit_code: int = 0) -> dict[str, Any]:
    """The JSON document of a command."""
    assert run([*arguments, "--json"]) == exit_code, capfd.readouterr().err
    value: dict[str, Any] = json.loads(capfd.readouterr().out)
    return value
