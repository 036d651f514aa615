"""Simulated devices, and the real adb that reaches them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from support.android import system as files
from support.android.client import CLIENTS, Adb, program
from support.android.device import SimulatedDevice
from support.android.phone import Phone

MakeDevice = Callable[..., SimulatedDevice]


@pytest.fixture
def adb_program(request: pytest.FixtureRequest) -> Path:
    """The first client, or with `both_clients` each in turn."""
    return program(getattr(request, "param", CLIENTS[0]))


@pytest.fixture
def adb(adb_program: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Iterator[Adb]:
    """adb with a server of its own, which edgekit uses as well: the environment leads there."""
    with Adb(adb_program, tmp_path_factory.mktemp("adb")) as adb:
        for name, value in adb.environment.items():
            monkeypatch.setenv(name, value)
        for name in ("ANDROID_SERIAL", "ANDROID_ADB_SERVER_ADDRESS", "ADB_SERVER_SOCKET"):
            monkeypatch.delenv(name, raising=False)
        yield adb


@pytest.fixture(scope="session")
def device_system(system: None) -> Path:
    """The files of simulated devices; asked for before a test has an ``$EDGEKIT_HOME`` of its own."""
    return files.directory()


@pytest.fixture
def simulated_device(adb: Adb, device_system: Path) -> Iterator[MakeDevice]:
    """Makes devices that are on and connected until the test is done.

    Takes what `Phone` and `SimulatedDevice` take, and ``connect=False`` for one that adb does not know yet. Those
    whose door is not open are waited for until adb says what it makes of them.
    """
    with ExitStack() as devices:

        def make(*, connect: bool = True, **options: Any) -> SimulatedDevice:
            names = Phone.__dataclass_fields__.keys() & options.keys()
            phone = Phone(**{name: options.pop(name) for name in names})
            device = devices.enter_context(SimulatedDevice(device_system, phone, **options))
            if connect:
                closed = {"ask": "unauthorized", "never": "unauthorized", "mute": "offline"}
                state = closed.get(options.get("door", "none"), options.get("state", "device"))
                adb.connect(device.serial, state)
            return device

        yield make
