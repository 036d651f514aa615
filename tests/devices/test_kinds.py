"""Kinds of devices: what each can do, and those of other packages."""

from __future__ import annotations

import importlib
import json
import sys
from pathlib import Path

import pytest

from edgekit.cli.main import run
from edgekit.devices import base, open_device
from edgekit.devices.kinds import KINDS, DeviceKind, find_kind
from edgekit.errors import UsageError

PROTOCOLS = {name: getattr(base, name) for name in ("Runs", "CountsInstructions", "Measures", "Deploys", "Examines")}

_OTHER = """
from edgekit.devices.base import Checkup, Closing
from edgekit.devices.kinds import DeviceKind

KIND = DeviceKind("tray", "tray:SLOT", "tray:1", "tray_of_boards:open_tray", ("Runs", "Examines"))
print("looked at the package", file=__import__("sys").stderr)


def open_tray(name):
    return Tray(name)


class Tray(Closing):
    emulated = False

    def __init__(self, name):
        self.name = name

    def examine(self):
        return Checkup({"device": self.name, "slots": 4}, ("four slots",))

    def run(self, bundle, request, log): ...

    def verify(self, bundle, request, log):
        log("asking the tray")
        return ()
"""


@pytest.fixture
def other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package that registers a kind of its own, and one under a name that edgekit has."""
    (tmp_path / "tray_of_boards.py").write_text(_OTHER)
    facts = tmp_path / "tray_of_boards-1.0.dist-info"
    facts.mkdir()
    (facts / "METADATA").write_text("Metadata-Version: 2.1\nName: tray-of-boards\nVersion: 1.0\n")
    (facts / "entry_points.txt").write_text(
        "[edgekit.devices]\ntray = tray_of_boards:KIND\nssh = tray_of_boards:KIND\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    importlib.invalidate_caches()
    monkeypatch.delitem(sys.modules, "tray_of_boards", raising=False)
    return tmp_path


@pytest.mark.parametrize("known", list(KINDS), ids=lambda kind: kind.name)
def test_a_kind_says_what_its_devices_can_do(known: DeviceKind) -> None:
    with open_device(known.example) as device:
        found = {name for name, protocol in PROTOCOLS.items() if isinstance(device, protocol)}
        assert device.name == known.example
    assert found == set(known.abilities)
    for name, protocol in PROTOCOLS.items():
        if name not in known.abilities:
            with pytest.raises(UsageError, match=known.example) as caught:
                open_device(known.example, protocol)
            assert caught.value.hint


def test_other_packages_bring_kinds_of_their_own(
    other: Path, small_bundle: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert KINDS.names()[-1] == "tray"
    assert run(["doctor", "tray:2"]) == 0
    assert capsys.readouterr().out == "four slots\n"
    assert run(["doctor", "tray:2", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"device": "tray:2", "slots": 4}
    assert run(["verify", "--help"]) == 0
    assert "or tray:SLOT" in " ".join(capsys.readouterr().out.split())
    assert run(["profile", str(small_bundle), "--on", "tray:2"]) == 2
    assert "bundles are not measured on tray:2" in capsys.readouterr().err


def test_they_cannot_take_a_name_that_edgekit_has_nor_are_they_asked_for_it(
    other: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    kind = find_kind("ssh://pi@host")
    assert kind is not None and kind.opener.startswith("edgekit.")
    assert "looked at" not in capsys.readouterr().err
    with pytest.raises(UsageError, match="there is no device 'trey:1'") as caught:
        open_device("trey:1")
    assert caught.value.hint is not None and "tray" in caught.value.hint and "emulator:rpi4" in caught.value.hint
