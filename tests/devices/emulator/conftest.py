"""Emulated boards' system, fetched and set up once for all test processes."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.shared import Shared

from edgekit.devices.emulator import guest


@pytest.fixture
def emulator_home(system: None, fetched: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An ``$EDGEKIT_HOME`` in which emulated boards are set up."""
    monkeypatch.setenv("EDGEKIT_HOME", str(fetched))
    Shared.once("emulator", lambda _: guest.set_up(guest.SYSTEMS["aarch64"], lambda line: None))
    return fetched
