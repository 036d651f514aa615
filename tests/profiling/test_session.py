"""A session over bundles, devices and baselines: what is asked of whom, and what becomes of failures."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from support import profiles
from support.bundles import only
from support.desktop_bundles import onnx_bundle

import edgekit
from edgekit.bundle import Bundle
from edgekit.errors import BundleError, DeviceError, UsageError
from edgekit.profiling import session as session_module
from edgekit.profiling.options import ProfileOptions
from edgekit.profiling.rows import rows
from edgekit.profiling.session import DeviceEvent, Failed, Session, profile
from edgekit.runtime.machine import Machine
from edgekit.runtime.profiler.events import Measured, Progress
from edgekit.runtime.profiler.profile import BundleRecord, DeviceRecord, Profile
from edgekit.runtime.profiler.records import MEASURED, Cell
from edgekit.runtime.profiler.settings import Request

Work = Callable[[Sequence[Path], Request, Callable[[dict[str, Any]], None]], None]


class FakeDevice:
    """Stands in for hardware that is not here: gives one measured cell for each bundle, after *work*."""

    def __init__(self, name: str, machine: Machine | None, work: Work | None = None):
        self.name = name
        self.emulated = machine is None
        self.asked: list[tuple[list[Path], Request]] = []
        self._machine = machine
        self._work = work

    def machine(self) -> Machine | None:
        return self._machine

    def profile(
        self, bundles: Sequence[Path], request: Request, listener: Callable[[dict[str, Any]], None]
    ) -> tuple[DeviceRecord, tuple[Cell, ...]]:
        self.asked.append((list(bundles), request))
        listener(Progress(0.0, 1.0))
        cells = []
        for path in bundles:
            with Bundle.open(path) as opened:
                record = BundleRecord.of(opened)
            cells.append(profiles.cell(device=self.name, bundle=record.sha256, variant=record.variants[0].name))
            listener(Measured(cells[-1]))
        if self._work is not None:
            self._work(bundles, request, listener)
        return DeviceRecord(self.name, self.emulated, self._machine, None, {"litert": "2.3.0"}), tuple(cells)

    def __enter__(self) -> FakeDevice:
        return self

    def __exit__(self, *_: object) -> None: ...


@pytest.fixture
def devices(monkeypatch: pytest.MonkeyPatch) -> dict[str, FakeDevice]:
    """Devices by name; the test fills it."""
    made: dict[str, FakeDevice] = {}
    monkeypatch.setattr(session_module, "open_device", lambda name, ability: made[name])
    return made


@pytest.fixture(scope="module")
def board(small_bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return only(small_bundle, ("fp32.tflite",), tmp_path_factory.mktemp("board") / "board.edgekit")


@pytest.fixture(scope="module")
def desktop(small_bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return onnx_bundle(small_bundle, tmp_path_factory.mktemp("desktop") / "desktop.edgekit")


@pytest.fixture(scope="module")
def measured(board: Path, desktop: Path) -> Profile:
    """A real session on this machine: what a board's bundle holds next to a baseline from a desktop's."""
    return profile(
        [board, desktop], variants=["fp32.tflite"], baselines=["onnxruntime"], mode="quick", threads=1, seed=5
    )


def pi(name: str, work: Work | None = None) -> FakeDevice:
    return FakeDevice(name, profiles.devices()[0].machine, work)


def here(work: Work | None = None) -> FakeDevice:
    return FakeDevice("local", profiles.devices()[2].machine, work)


def test_a_baseline_is_measured_beside_the_bundle_of_a_board(measured: Profile) -> None:
    found = {(cell.variant, cell.engine): cell for cell in measured.cells if cell.status == MEASURED}
    assert found.keys() == {("fp32.tflite", "litert"), ("fp32.onnx", "onnxruntime")}
    one, other = found.values()
    assert one.conditions is not None and other.conditions is not None
    assert one.conditions.inputs_sha256 == other.conditions.inputs_sha256
    for first, second in zip(one.processes, other.processes, strict=True):  # the same turns, so that they compare
        assert first.repeat == second.repeat and len(first.round_sizes) == len(second.round_sizes) > 0
    (row,) = (row for row in rows(measured) if row.engine == "onnxruntime")
    assert row.reference == "litert" and row.comparison is not None and row.comparison.ratio is not None
    (device,) = measured.devices
    assert device.name == "local" and device.machine is not None and {"litert", "onnxruntime"} <= device.engines.keys()


def test_a_profile_says_how_to_repeat_it(measured: Profile, board: Path, desktop: Path) -> None:
    assert measured.command[:4] == ("edgekit", "profile", str(board), str(desktop))
    rest = " ".join(measured.command[4:])
    assert rest == "--on local --variant fp32.tflite --baseline onnxruntime --quick --threads 1 --seed 5"
    assert (measured.settings.repeats, measured.settings.seed) == (2, 5)


def test_a_desktops_bundle_stays_here(devices: dict[str, FakeDevice], board: Path, desktop: Path) -> None:
    devices |= {"local": here(), "ssh://pi@one": pi("ssh://pi@one")}
    profile([board, desktop], on=list(devices))
    assert devices["local"].asked[0][0] == [board, desktop] and devices["ssh://pi@one"].asked[0][0] == [board]
    profile(desktop, on="ssh://pi@one")  # unless there is no other
    assert devices["ssh://pi@one"].asked[1][0] == [desktop]
    with pytest.raises(UsageError, match="was built for desktops"):
        Session([board, desktop], ["ssh://pi@one"], ProfileOptions())


def test_baselines_run_here_whatever_devices_are_named(
    devices: dict[str, FakeDevice], board: Path, desktop: Path
) -> None:
    devices |= {"local": here(), "ssh://pi@one": pi("ssh://pi@one")}
    found = profile([board, desktop], on="ssh://pi@one", variants=["fp32.tflite"], baselines=["onnxruntime"])
    (_, there), (_, local) = devices["ssh://pi@one"].asked[0], devices["local"].asked[0]
    assert there.variants == ("fp32.tflite",) and "onnxruntime" not in there.engines
    assert (local.variants, local.engines) == (("fp32.onnx",), ("onnxruntime",))
    assert "local" not in found.command


def test_what_limits_hold_is_the_machines(devices: dict[str, FakeDevice], board: Path) -> None:
    devices |= {"local": here(), "ssh://pi@one": pi("ssh://pi@one")}
    found = {device.name: device for device in profile(board, on=list(devices)).devices}
    assert found["ssh://pi@one"].target == "rpi4" and found["local"].target is None
    assert devices["ssh://pi@one"].asked[0][1].start_below_celsius == 60
    assert devices["local"].asked[0][1].start_below_celsius is None


def test_different_machines_side_by_side_and_never_two_on_one(devices: dict[str, FakeDevice], board: Path) -> None:
    at_work: set[str] = set()
    together: list[set[str]] = []
    lock = threading.Lock()

    def work(name: str) -> Work:
        def measure(*_: object) -> None:
            with lock:
                at_work.add(name)
                together.append(set(at_work))
            time.sleep(0.3)
            with lock:
                at_work.remove(name)

        return measure

    devices["local"] = here(work("local"))
    devices["emulator:rpi4"] = FakeDevice("emulator:rpi4", None, work("emulator:rpi4"))
    for name in ("ssh://pi@one", "ssh://root@one", "ssh://pi@two"):
        devices[name] = pi(name, work(name))
    found = profile(board, on=list(devices))
    assert [device.name for device in found.devices] == list(devices) and len(found.cells) == 5
    assert max(map(len, together)) == 3
    for group in together:
        assert not {"local", "emulator:rpi4"} <= group and not {"ssh://pi@one", "ssh://root@one"} <= group


def test_a_device_that_fails_hides_nothing(devices: dict[str, FakeDevice], board: Path) -> None:
    def fail(*_: object) -> None:
        raise DeviceError("EK-CONNECT", "the cable was pulled")

    heard: list[DeviceEvent] = []
    devices |= {"local": here(), "ssh://pi@one": pi("ssh://pi@one", fail)}
    found = profile(board, on=list(devices), listener=heard.append)
    assert [device.failure for device in found.devices] == ["", "the cable was pulled"]
    assert {cell.device for cell in found.cells} == {"local", "ssh://pi@one"}  # what was heard before stays
    assert [event.device for event in heard if isinstance(event.what, Failed)] == ["ssh://pi@one"]

    class Unreachable(FakeDevice):
        def machine(self) -> Machine | None:
            raise DeviceError("EK-CONNECT", "nobody is there")

    devices["ssh://pi@two"] = Unreachable("ssh://pi@two", None)
    with pytest.raises(DeviceError, match="nobody is there"):
        profile(board, on="ssh://pi@two")


def test_what_was_measured_before_ctrl_c_is_there(devices: dict[str, FakeDevice], board: Path) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    devices["local"] = here(interrupt)
    session = Session([board], ["local"], ProfileOptions())
    with pytest.raises(KeyboardInterrupt):
        session.run()
    part = session.so_far("stopped")
    assert [cell.status for cell in part.cells] == [MEASURED] and part.notes == ("stopped",)
    assert part.devices[0].machine is not None


def test_wrong_names_are_refused_before_anything_is_measured(board: Path, desktop: Path, tmp_path: Path) -> None:
    for arguments, words in (
        ({"on": "mars"}, "there is no device 'mars'"),
        ({"on": ()}, "no device is named"),
        ({"engines": ["litter"]}, "unknown engine 'litter'"),
        ({"engines": ["executorch"]}, "no bundle has a .pte file for executorch"),
        ({"variants": ["int9.tflite"]}, "no bundle has a variant 'int9.tflite'"),
        ({"baselines": ["torch"]}, "no bundle has a .pt2 file for torch"),
        ({"mode": "slow"}, "there is no mode 'slow'"),
        ({"threads": 0}, "threads must be at least 1"),
        ({"cpus": [4096]}, "no core 4096"),
    ):
        with pytest.raises(UsageError, match=words) as raised:
            profile([board, desktop], **arguments)  # type: ignore[arg-type]
        assert raised.value.hint or "threads" in words
    with pytest.raises(UsageError) as raised:
        profile(board, baselines=["torch"])
    assert raised.value.hint == "edgekit build PROJECT --target desktop-x86_64 --format pt2  makes one"
    with pytest.raises(BundleError):
        profile(tmp_path / "none.edgekit")


def test_one_bundle_under_two_names_is_measured_once(
    devices: dict[str, FakeDevice], board: Path, tmp_path: Path
) -> None:
    copy = tmp_path / "copy.edgekit"
    copy.write_bytes(board.read_bytes())
    devices["local"] = here()
    assert len(edgekit.profile([board, copy, board]).cells) == 1


def test_seeds_differ_unless_they_are_given(board: Path) -> None:
    seeds = {Session([board], ["local"], ProfileOptions()).settings.seed for _ in range(3)}
    assert len(seeds) == 3
