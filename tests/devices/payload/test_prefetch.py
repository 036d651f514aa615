"""Laying in what deploying takes, for a place without a network."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from edgekit.cli.main import cli
from edgekit.devices.emulator import guest
from edgekit.devices.payload import assembly
from edgekit.devices.payload.assembly import prefetch
from edgekit.errors import UsageError
from edgekit.target import load_target


def quiet(line: str) -> None:
    pass


def doctor(*arguments: str) -> str:
    return CliRunner().invoke(cli, ["doctor", *arguments], catch_exceptions=False, standalone_mode=False).stdout


@pytest.fixture(autouse=True, scope="module")
def home(fetched: Path) -> Iterator[None]:
    """What is fetched and packed here, other tests of devices find there."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EDGEKIT_HOME", str(fetched))
        yield


@pytest.mark.system
def test_there_is_a_ready_for_each_python_and_for_none() -> None:
    target = load_target("rpi4")
    assert target.system is not None
    bookworm = dataclasses.replace(target, system=dataclasses.replace(target.system, python=("3.11",)))
    found = prefetch(bookworm, quiet)
    assert [ready.python for ready in found] == ["3.11", None]
    with_python, without = (ready.parts for ready in found)
    packages = [part.name.rpartition("-")[0] for part in with_python]
    assert packages == ["edgekit", "edgekit-runner", *guest.SYSTEMS["aarch64"].wheels]
    assert [part.runner for part in without] == ["run.sh"]


def test_afterwards_the_network_is_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    shown = doctor("--setup", "deploy:rpi3-32bit")
    assert "tflite-runtime-2.14.0" in shown and "needs no network now for rpi3-32bit" in shown
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    (ready,) = prefetch(load_target("rpi3-32bit"), quiet)
    document = json.loads(doctor("--setup", "deploy:rpi3-32bit", "--json"))
    assert document["target"] == "rpi3-32bit"
    (noted,) = document["stocks"]
    assert noted["python"] == "3.11"
    assert [part["digest"] for part in noted["parts"]] == [part.digest for part in ready.parts]


@pytest.mark.parametrize("name", ["android-arm64", "browser", "ios"])
def test_nothing_is_deployed_to_phones(name: str) -> None:
    with pytest.raises(UsageError, match="edgekit deploys nothing to") as caught:
        prefetch(load_target(name), quiet)
    assert caught.value.code == "EK-TARGET"


def test_every_board_can_be_supplied() -> None:
    """No target file promises a Python or a glibc for which there is nothing to send."""
    for name in ("rpi-zero2w", "rpi3", "rpi4", "rpi5", "linux-arm64", "desktop-x86_64", "rpi3-32bit"):
        target = load_target(name)
        assert target.system is not None
        packages = ["tflite-runtime"] if name == "rpi3-32bit" else ["numpy", "ai-edge-litert", "executorch"]
        for python in target.system.python:
            for package in packages:
                wheel = assembly.wheels.find(
                    assembly.wheels.requirement(package), python, target.cpu.architecture, target.system.glibc
                )
                assert wheel.package == package
