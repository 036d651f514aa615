"""The README's commands for a phone on a cable, run as they stand there, with a simulated device as the only phone."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from support.readme import call, commands


@pytest.mark.slow
def test_commands_one_after_the_other(digits_bundle: Path, simulated_device: Callable[[], object]) -> None:
    simulated_device()
    doctor, profile = commands("adb:")
    assert "aarch64" in call(doctor)
    table = call(profile)
    assert {"int8.tflite", "int8.pte"} <= {line.split()[0] for line in table.splitlines() if line.strip()}
