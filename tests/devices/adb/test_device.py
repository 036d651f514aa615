"""A phone as a device of edgekit's commands: the real adb, a simulated device, the runner as it is sent to phones."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from small_models import SmallModels
from support.android.client import Adb, both_clients
from support.android.device import SimulatedDevice
from support.bundles import only
from support.commands import document

from edgekit.cli.main import run
from edgekit.devices.adb import connection
from edgekit.devices.adb.device import EXPERIMENTAL

MakeDevice = Callable[..., SimulatedDevice]

_STORE = "data/local/tmp/edgekit"


@pytest.fixture
def home(fetched: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDGEKIT_HOME", str(fetched))


def said(capfd: pytest.CaptureFixture[str], *arguments: str, exit_code: int = 0) -> str:
    """Everything that a command writes."""
    assert run(list(arguments)) == exit_code, capfd.readouterr().err
    captured = capfd.readouterr()
    return captured.out + captured.err


def on_device(
    capfd: pytest.CaptureFixture[str], device: SimulatedDevice, bundle: Path, source: Path, variant: str
) -> Any:
    """The outputs of *variant* there, by name."""
    output = source.with_suffix(".npz")
    words = ("run", str(bundle), "--input", str(source), "--variant", variant, "--output", str(output))
    said(capfd, *words, "--on", f"adb:{device.serial}")
    return np.load(output)


def leave_behind(store: Path, *names: str, days: float) -> None:
    """Folders that a session made so many days ago."""
    for name in names:
        (store / name).mkdir(parents=True)
        os.utime(store / name, times=(time.time() - days * 86400,) * 2)
    for path in (store, *store.rglob("*")):
        os.chown(path, 2000, 2000)


def when_it_runs(device: SimulatedDevice, action: Callable[[], None]) -> threading.Thread:
    """Do *action* as soon as the runner runs there."""

    def wait() -> None:
        deadline = time.monotonic() + 60
        while not any("--repeat" in line for line in device.programs) and time.monotonic() < deadline:
            time.sleep(0.02)
        action()

    thread = threading.Thread(target=wait, daemon=True)
    thread.start()
    return thread


def kill_runner(device: SimulatedDevice) -> None:
    """As Android's low-memory killer does, as soon as the runner runs."""
    namespace = os.readlink(f"/proc/{device.files.parts[2]}/ns/pid")
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        for process in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                words = (process / "cmdline").read_bytes().split(b"\0")
                # The shell that waits for the runner has all options in one word.
                if b"--repeat" in words and os.readlink(process / "ns/pid") == namespace:
                    os.kill(int(process.name), signal.SIGKILL)
                    return
        time.sleep(0.02)


def test_doctor_shows_the_phone_that_is_connected(
    simulated_device: MakeDevice, capfd: pytest.CaptureFixture[str]
) -> None:
    device = simulated_device()
    device.set_heat(status=2, cpu_celsius=71.5)
    shown = said(capfd, "doctor", "adb:")
    assert "Edgekit Simulated_1 (simulated)" in shown and "Android 14 (API 34), pages of 4 KiB" in shown
    assert "cores     0-3: 4 x cortex-a55 up to 1.78 GHz\ncores     4-7: 4 x cortex-a76 up to 2.42 GHz\n" in shown
    assert "now       71.5 °C, on mains, throttled: thermal status moderate" in shown
    assert ".pte      runs there" in shown and ".tflite   runs there" in shown and EXPERIMENTAL in shown


def test_nothing_is_deployed_to_phones(capfd: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    for words in (("deploy", str(tmp_path), "--on", "adb:"), ("rollback", "--on", "adb:28161FDH2000XY")):
        assert "edgekit integrate BUNDLE" in said(capfd, *words, exit_code=2)


@pytest.mark.slow
@pytest.mark.usefixtures("home")
class TestRunning:
    def test_every_variant_gives_what_it_gives_here_and_is_sent_once(
        self,
        simulated_device: MakeDevice,
        small_bundle: Path,
        sample: Path,
        small_models: SmallModels,
        capfd: pytest.CaptureFixture[str],
    ) -> None:
        device = simulated_device()
        store = device.files / _STORE
        leave_behind(store, "runners/replaced", "models/replaced.pte", "work/lost", days=3)
        leave_behind(store, "runners/of-another-bundle", days=0.5)
        words = ("run", str(small_bundle), "--input", str(sample), "--on", f"adb:{device.serial}")
        first = said(capfd, *words, "--variant", "fp32.pte")
        assert EXPERIMENTAL in first and "sending the runner" in first and "sending fp32.pte" in first
        again = said(capfd, *words, "--variant", "fp32.pte")
        assert EXPERIMENTAL in again and "sending" not in again
        for variant in ("fp32.pte", "fp32.tflite"):
            outputs = on_device(capfd, device, small_bundle, sample, variant)
            np.testing.assert_allclose(outputs["output"], small_models.scores[3:4], atol=1e-5)
        names = {path.name for folder in store.iterdir() for path in folder.iterdir()}
        assert not names & {"replaced", "replaced.pte", "lost"} and "of-another-bundle" in names
        assert not list((store / "work").iterdir())

    def test_verify_checks_every_file_there(
        self, simulated_device: MakeDevice, small_bundle: Path, capfd: pytest.CaptureFixture[str]
    ) -> None:
        device = simulated_device()
        rows = document(capfd, "verify", str(small_bundle), "--on", f"adb:{device.serial}")["rows"]
        passed = {(row["variant"], row["engine"]): row["status"] for row in rows}
        assert passed == {
            ("fp32.tflite", "litert"): "passed",
            ("int8-dynamic.tflite", "litert"): "passed",
            ("fp32.pte", "executorch"): "passed",
        }
        assert not any(row["emulated"] for row in rows)

    @both_clients
    def test_pulled_out_in_the_middle_it_is_an_error_and_works_again_at_once(
        self,
        simulated_device: MakeDevice,
        adb: Adb,
        small_bundle: Path,
        sample: Path,
        capfd: pytest.CaptureFixture[str],
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        monkeypatch.setattr(connection, "PATIENCE_S", 1.0)
        device = simulated_device()
        words = ("run", str(small_bundle), "--input", str(sample), "--variant", "fp32.pte", "--on", "adb:")
        device.drop(after_bytes=5 << 20)
        in_push = said(capfd, *words, exit_code=4)
        assert f"the connection to adb:{device.serial} broke" in in_push and "do the same again" in in_push
        assert "score" in said(capfd, *words)
        pulling_out = when_it_runs(device, device.unplug)
        in_run = said(capfd, *words, exit_code=4)
        assert f"the connection to adb:{device.serial} broke" in in_run and "EK-CONNECT" in in_run
        pulling_out.join()
        device.plug()
        adb.connect(device.serial)
        assert "score" in said(capfd, *words)
        assert not any("edgekit" in line for line in device.programs)

    @both_clients
    def test_a_connection_lost_for_a_moment_costs_a_run_nothing(
        self,
        simulated_device: MakeDevice,
        adb: Adb,
        small_bundle: Path,
        sample: Path,
        capfd: pytest.CaptureFixture[str],
    ) -> None:
        device = simulated_device()
        words = ("run", str(small_bundle), "--input", str(sample), "--variant", "fp32.pte", "--on", "adb:")
        said(capfd, *words)
        dropping = when_it_runs(device, device.drop)
        in_run = said(capfd, *words)
        dropping.join()
        assert "score" in in_run and "broke: waiting for it, what runs there goes on" in in_run
        assert not list((device.files / _STORE / "work").iterdir())

    def test_a_runner_that_android_ends_for_want_of_memory_is_said(
        self,
        simulated_device: MakeDevice,
        small_bundle: Path,
        sample: Path,
        capfd: pytest.CaptureFixture[str],
    ) -> None:
        device = simulated_device()
        words = ("run", str(small_bundle), "--input", str(sample), "--variant", "fp32.pte", "--on", "adb:")
        said(capfd, *words)
        killing = threading.Thread(target=kill_runner, args=(device,), daemon=True)
        killing.start()
        ended = said(capfd, *words, exit_code=4)
        killing.join()
        assert "died (SIGKILL" in ended and "out of memory, most likely" in ended

    def test_a_phone_without_room_is_refused_before_anything_is_sent(
        self,
        simulated_device: MakeDevice,
        small_bundle: Path,
        sample: Path,
        capfd: pytest.CaptureFixture[str],
    ) -> None:
        device = simulated_device(storage_mib=16)
        refused = said(capfd, "run", str(small_bundle), "--input", str(sample), "--on", "adb:", exit_code=4)
        assert "16 MB of disk free" in refused or "17 MB of disk free" in refused
        assert not list((device.files / _STORE / "runners").iterdir())

    def test_a_profile_has_the_phone_and_what_speaks_against_its_figures(
        self, simulated_device: MakeDevice, small_bundle: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
    ) -> None:
        device = simulated_device()
        device.set_heat(status=3, cpu_celsius=88.0)
        device.set_battery(charging=False, level=42)
        bundle = only(small_bundle, ("fp32.tflite", "fp32.pte"), tmp_path / "both.edgekit")
        words = ("profile", str(bundle), "--on", f"adb:{device.serial}", "--quick", "--threads", "1", "--cpus", "0")
        words += ("--per-op",)
        profile = tmp_path / "profile.json"
        shown = said(capfd, *words, "-o", str(profile))
        assert EXPERIMENTAL in shown
        value = json.loads(profile.read_text())
        (record,) = value["devices"]
        clusters = record["machine"]["clusters"]
        assert [(cluster["cpus"][0], cluster["frequency_hz"]) for cluster in clusters] == [
            (0, 1_785_000_000),
            (4, 2_419_000_000),
        ]
        assert {cell["variant"]: cell["status"] for cell in value["cells"]} == {
            "fp32.tflite": "measured",
            "fp32.pte": "measured",
        }
        assert all(len(cell["operators"]["operators"]) > 3 for cell in value["cells"])
        for process in (process for cell in value["cells"] for process in cell["processes"]):
            assert process["cpus"] == [0] and process["threads"] == 1
            for state in (process["before"], process["after"]):
                assert (state["thermal_status"], state["temperature_celsius"]) == (3, 88.0)
                assert (state["power_source"], state["battery_percent"]) == ("battery", 42)
                assert len(state["frequencies_hz"]) == 8
            assert "throttled: thermal status severe" in process["marks"]
