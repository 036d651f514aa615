"""What ``edgekit doctor`` says of emulated boards."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner

from edgekit import private
from edgekit.cli.main import cli, run
from edgekit.devices.emulator import guest, qemu
from edgekit.errors import DeviceError, EdgekitError
from edgekit.runtime.native import compilers

pytestmark = pytest.mark.slow

SYSTEM = guest.SYSTEMS["aarch64"]


def doctor(*arguments: str) -> str:
    return CliRunner().invoke(cli, ["doctor", *arguments], catch_exceptions=False, standalone_mode=False).stdout


@pytest.fixture
def programs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """The only folder on PATH, and an empty one; nothing is set up."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setattr(compilers, "package_folders", lambda name: [])
    monkeypatch.setenv("PATH", str(folder))
    monkeypatch.setenv("EDGEKIT_HOME", str(tmp_path / "home"))
    return folder


def stand_in(folder: Path, name: str, prints: str) -> None:
    (folder / name).write_text(f"#!/bin/sh\necho '{prints}'\n")
    (folder / name).chmod(0o755)


def test_nothing_is_missing_once_it_is_set_up(emulator_home: Path) -> None:
    shown = json.loads(doctor("emulator:rpi4", "--json"))
    assert shown["ready"] is True and shown["steps"] == []
    assert [item["name"] for item in shown["items"]] == ["qemu", "system", "counting"]
    assert all(item["ok"] for item in shown["items"])


def test_a_bare_machine_is_told_every_step(programs: Path) -> None:
    lines = doctor("emulator:rpi4").splitlines()
    assert lines[0] == "emulator:rpi4"
    assert lines[-2].startswith("to do: sudo apt-get install qemu-user ")
    assert "g++-aarch64-linux-gnu" in lines[-2] and lines[-2].endswith("gcc libc6-dev")
    assert lines[-1] == "to do: edgekit doctor --setup emulator"
    with pytest.raises(DeviceError) as caught:
        guest.set_up(SYSTEM, lambda line: None)
    assert caught.value.message == "emulating aarch64 needs qemu, which is not installed"
    assert caught.value.hint == "on Debian or Ubuntu: apt-get install qemu-user"


def test_verifying_there_is_one_line_with_the_way_out(
    programs: Path, digits_bundle: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["verify", str(digits_bundle), "--on", "emulator:rpi4"]) == 4
    assert "needs qemu, which is not installed [EK-MISSING-PACKAGE]" in capsys.readouterr().err
    stand_in(programs, "qemu-aarch64", "qemu-aarch64 version 7.2.22 -plugin")
    assert run(["verify", str(digits_bundle), "--on", "emulator:rpi4"]) == 4
    err = capsys.readouterr().err
    assert "the system of emulated boards is not set up" in err and "edgekit doctor --setup emulator" in err


def test_an_old_qemu_is_refused_and_a_static_one_cannot_count(programs: Path) -> None:
    stand_in(programs, "qemu-aarch64", "qemu-aarch64 version 6.2.0 (Debian 1:6.2) -plugin")
    with pytest.raises(DeviceError) as caught:
        qemu.require("aarch64")
    assert caught.value.message == "qemu 6.2.0 is too old: 7.0 is needed"
    assert "6.2.0" in doctor("emulator:rpi4") and "too old" in doctor("emulator:rpi4")
    stand_in(programs, "qemu-aarch64", "qemu-aarch64 version 10.0.13 (Debian 13)")
    found = qemu.require("aarch64")
    assert (found.version, found.plugins) == ((10, 0, 13), False)
    assert "does not load plugins" in doctor("emulator:rpi4")


def test_a_qemu_with_plugins_comes_first(programs: Path) -> None:
    stand_in(programs, "qemu-aarch64-static", "qemu-aarch64 version 7.2.22 -plugin")
    stand_in(programs, "qemu-aarch64", "qemu-aarch64 version 10.0.13")
    found = qemu.installed("aarch64")
    assert found is not None and found.plugins and found.program.endswith("-static")


def test_setting_up_again_fetches_nothing(emulator_home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["doctor", "--setup", "emulator"]) == 0
    captured = capsys.readouterr()
    assert "is ready for emulated boards, with litert 2.3.0, executorch 1.5.1" in captured.out
    assert "fetching" not in captured.err and "starting the engines under emulation" in captured.err


def test_a_setup_that_was_cut_short_is_not_taken_for_one(
    emulator_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All is there but the marker, and one part only half: as after a power cut."""
    home = tmp_path / "home"
    there = ["parts", "wheels", "native", "emulator/bookworm-aarch64", "emulator/bookworm-aarch64.seal"]
    unpacked = [path.relative_to(emulator_home) for path in (emulator_home / "emulator/parts").iterdir()]
    for name in (*there, *unpacked):
        if (emulator_home / name).exists():
            (home / name).parent.mkdir(parents=True, exist_ok=True)
            (home / name).symlink_to(emulator_home / name)
    half = next(part for part in (home / "emulator/parts").iterdir() if (part / "click").is_dir())
    half.rename(half.with_name(".unpacking-x"))
    monkeypatch.setenv("EDGEKIT_HOME", str(home))
    assert not guest.is_ready(SYSTEM)
    said: list[str] = []
    guest.set_up(SYSTEM, said.append)
    assert guest.is_ready(SYSTEM) and "unpacking click-8.5.1" in said
    assert said[-1] == "starting the engines under emulation" and not any("fetching" in line for line in said)


@pytest.fixture
def own_home(emulator_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy to do damage in: other tests run boards in the shared one at the same time."""
    home = tmp_path / "home"
    home.mkdir()
    for entry in emulator_home.iterdir():
        if entry.name == "emulator":
            shutil.copytree(entry, home / entry.name, symlinks=True)
        else:
            (home / entry.name).symlink_to(entry)
    monkeypatch.setenv("EDGEKIT_HOME", str(home))
    return home


@pytest.mark.parametrize("pattern", ["bookworm-aarch64/usr/bin/python3.11", "parts/*/click/__init__.py", "compiled"])
def test_a_system_that_somebody_changed_is_not_started(
    own_home: Path, monkeypatch: pytest.MonkeyPatch, pattern: str
) -> None:
    guest.unpack(SYSTEM, lambda line: None)
    (found,) = (own_home / "emulator").glob(pattern)
    file = next(found.rglob("*.pyc")) if found.is_dir() else found
    whole = file.read_bytes()
    monkeypatch.setattr(private, "_INTACT", {})  # as in a new process
    file.write_bytes(whole + b"\n")
    try:
        with pytest.raises(EdgekitError, match="is not as edgekit left it") as caught:
            guest.unpack(SYSTEM, lambda line: None)
        assert caught.value.code == "EK-FOREIGN" and "\n" not in caught.value.message
    finally:
        file.write_bytes(whole)
    guest.unpack(SYSTEM, lambda line: None)
