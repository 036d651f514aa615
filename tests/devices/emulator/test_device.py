"""Emulated boards at work: real engines, a trained model, all under qemu."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from support.bundles import only

import edgekit
from edgekit.cli.main import run
from edgekit.devices.base import VerifyRequest
from edgekit.devices.emulator import board
from edgekit.devices.emulator.device import EmulatedDevice
from edgekit.profiling.rows import rows
from edgekit.target import load_target

pytestmark = pytest.mark.slow

_VARIANTS = ("fp32.tflite", "int8.tflite", "fp32.pte", "int8.pte")


@pytest.fixture(scope="module")
def trained(digits_bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A trained model in both formats, float and integer."""
    return only(digits_bundle, _VARIANTS, tmp_path_factory.mktemp("trained") / "digits.edgekit")


def verified(capsys: pytest.CaptureFixture[str], *arguments: str) -> list[dict[str, Any]]:
    assert run(["verify", *arguments, "--json", "--quiet"]) == 0
    rows: list[dict[str, Any]] = json.loads(capsys.readouterr().out)["rows"]
    return rows


def test_boards_give_what_the_desktop_gives_at_a_cost_that_is_counted(
    emulator_home: Path, trained: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    boards = ("emulator:rpi4", "emulator:rpi5")
    rows = verified(capsys, str(trained), "--on", boards[0], "--on", boards[1], "--instructions")
    pairs = [(row["device"], row["variant"]) for row in rows]
    assert pairs == [(name, variant) for name in boards for variant in _VARIANTS]
    for row in rows:
        assert row["status"] == "passed" and row["emulated"] is True and row["threads"] == 1
        assert row["engine"] == ("litert" if row["variant"].endswith("tflite") else "executorch")
        assert row["matches_host"] is True
        assert row["host_rel_diff"] == 0 if row["variant"].startswith("int8") else row["host_rel_diff"] <= 1e-5
        assert not [key for key in row if "latency" in key or key.endswith("_ms")]
    counts = {(row["device"], row["variant"]): row["guest_instructions"] for row in rows}
    assert all(count > 100_000 for count in counts.values())  # the network has 9,034 parameters, most used often
    for variant in ("int8.tflite", "int8.pte"):  # the Cortex-A76 has dot products
        assert counts["emulator:rpi5", variant] < 0.8 * counts["emulator:rpi4", variant]
    # Other processes, and none of the other variants before: the same to the instruction.
    (again,) = verified(capsys, str(trained), "--on", boards[1], "--instructions", "--variant", "int8.pte")
    assert again["guest_instructions"] == counts["emulator:rpi5", "int8.pte"]


def test_a_table_for_people(emulator_home: Path, trained: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["--variant", "int8.tflite", "--on", "emulator:rpi-zero2w", "--on", "local", "--instructions"]
    assert run(["verify", str(trained), *arguments]) == 2
    assert "instructions are counted on emulated boards, not on local" in capsys.readouterr().err
    assert run(["verify", str(trained), *arguments[:4], "--instructions", "--threads", "2"]) == 2
    assert "instructions are counted with one thread" in capsys.readouterr().err
    assert run(["verify", str(trained), *arguments[:-1], "--quiet"]) == 0
    head, emulated, local, *_ = capsys.readouterr().out.splitlines()
    assert "off host" in head and "instructions" not in head
    assert emulated.split()[:3] == ["emulator:rpi-zero2w", "int8.tflite", "litert"]
    assert "same bits" in emulated and emulated.endswith("passed")
    assert local.split()[0] == "local" and local.endswith("passed")


def test_a_bundle_runs_on_a_board(
    emulator_home: Path, trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    image = Path(__file__).parents[3] / "examples/digits/seven.png"
    command = ["run", str(trained), "--input", str(image), "--variant", "int8.pte", "--json", "--quiet"]
    shown = []
    for device in ("local", "emulator:linux-arm64"):
        assert run([*command, "--on", device]) == 0
        shown.append(json.loads(capsys.readouterr().out))
    here, there = shown
    assert there["emulated"] is True and there["device"] == "emulator:linux-arm64" and there["threads"] == 1
    assert there["outputs"] == here["outputs"]
    assert there["outputs"]["output"]["top"][0]["label"] == "7"


def test_an_engine_that_dies_of_a_signal_is_a_failed_row(emulator_home: Path, trained: Path) -> None:
    """The board's files promise dot products, and the emulated core has none."""
    a76 = board.CORES["cortex-a76"]
    with EmulatedDevice("emulator:rpi4", load_target("rpi4"), replace(a76, name="cortex-a72")) as device:
        rows = device.verify(trained, VerifyRequest("int8.pte"), lambda line: None)
    (row,) = rows
    assert row.status == "failed" and row.reason.startswith("EK-CRASHED: executorch's process died (SIGILL: ")
    assert row.threads is None and row.host_rel_diff is None and row.guest_instructions is None


def test_threads_can_be_chosen_and_nothing_is_left_behind(emulator_home: Path, trained: Path) -> None:
    with EmulatedDevice("emulator:rpi4", load_target("rpi4")) as device:
        (row,) = device.verify(trained, VerifyRequest("fp32.pte", threads=2), lambda line: None)
        assert (row.status, row.threads, row.matches_host) == ("passed", 2, True)
        assert device._folder is not None
        folder = Path(device._folder.name)
        assert folder.is_dir()
    assert not folder.exists()
    device.close()


def test_a_profile_of_a_board_has_instructions_and_no_times(emulator_home: Path, trained: Path) -> None:
    profile = edgekit.profile(trained, on="emulator:rpi4", variants=["int8.pte"], mode="quick")
    (row,) = rows(profile)
    assert (row.device, row.emulated, row.engine) == ("emulator:rpi4", True, "executorch")
    assert row.guest_instructions is not None and row.guest_instructions > 100_000
    assert row.latency_ms is None and row.throughput is None and not profile.cells[0].processes
    assert profile.devices[0].target == "rpi4"
