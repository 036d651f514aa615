"""A device on this machine's loopback, reached by real SSH, and one home for what edgekit fetches."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from small_models import SmallModels
from support.shared import Shared
from support.ssh_server import SshServer

from edgekit.devices.emulator import guest


@pytest.fixture(scope="session")
def fetched() -> Path:
    """One ``$EDGEKIT_HOME`` for every test that sends real parts: wheels are fetched and packed once."""
    folder = Shared.directory / "edgekit-home"
    folder.mkdir(exist_ok=True)
    return folder


@pytest.fixture(scope="module")
def server(system: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SshServer]:
    """Shared by the tests of a file."""
    with SshServer(tmp_path_factory.mktemp("ssh")) as server:
        yield server


@pytest.fixture
def ssh_config(server: SshServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """edgekit's ssh knows the server."""
    monkeypatch.setenv("EDGEKIT_SSH_CONFIG", str(server.config))


@pytest.fixture
def emulator_home(system: None, fetched: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An ``$EDGEKIT_HOME`` in which emulated boards are set up, once for all test processes."""
    monkeypatch.setenv("EDGEKIT_HOME", str(fetched))
    Shared.once("emulator", lambda _: guest.set_up(guest.SYSTEMS["aarch64"], lambda line: None))
    return fetched


@pytest.fixture
def sample(small_models: SmallModels, tmp_path: Path) -> Path:
    """One picture for the small model."""
    np.save(tmp_path / "sample.npy", small_models.images[3:4])
    return tmp_path / "sample.npy"
