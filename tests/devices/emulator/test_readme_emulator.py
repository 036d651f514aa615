"""The README's commands for emulated boards, run as they stand there."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.readme import call, commands


@pytest.mark.slow
@pytest.mark.parametrize("command", commands("emulator"))
def test_command(command: str, digits_bundle: Path, emulator_home: Path) -> None:
    call(command, environment={"EDGEKIT_HOME": str(emulator_home)})
