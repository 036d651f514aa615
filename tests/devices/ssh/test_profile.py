"""Measuring on a device behind real SSH: this machine, with the parts that an x86_64 board gets."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from support.bundles import only
from support.ssh_server import SshServer

import edgekit
from edgekit.devices.payload.runner_pack import versions
from edgekit.devices.ssh import preflight
from edgekit.errors import DeviceError, UsageError
from edgekit.profiling.session import DeviceEvent
from edgekit.runtime.profiler.events import Measured, Note, Progress
from edgekit.runtime.profiler.profile import Profile
from edgekit.runtime.profiler.records import MEASURED

pytestmark = pytest.mark.usefixtures("ssh_config", "home")


@pytest.fixture
def home(fetched: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDGEKIT_HOME", str(fetched))


@pytest.fixture(scope="module")
def bundles(small_bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A bundle of a ``.tflite``, and one of the same name of a ``.pte``: each needs another engine."""
    folder = tmp_path_factory.mktemp("bundles")
    return tuple(only(small_bundle, (f"fp32.{kind}",), folder / f"{kind}.edgekit") for kind in ("tflite", "pte"))  # type: ignore[return-value]


def measured(profile: Profile) -> list[str]:
    return sorted(f"{cell.variant} on {cell.engine}" for cell in profile.cells if cell.status == MEASURED)


@pytest.mark.slow
def test_two_bundles_side_by_side_on_a_device(server: SshServer, bundles: tuple[Path, Path]) -> None:
    events: list[DeviceEvent] = []
    profile = edgekit.profile(
        bundles,
        on=server.url,
        mode="quick",
        threads=1,
        engines=["litert", "executorch"],
        operators=True,
        listener=events.append,
    )
    assert measured(profile) == ["fp32.pte on executorch", "fp32.tflite on litert"]
    (device,) = profile.devices
    assert device.name == server.url and not device.failure and device.machine is not None
    assert {"litert", "executorch"} <= device.engines.keys()
    for cell in profile.cells:
        assert cell.device == server.url and cell.memory is not None and len(cell.processes) in (2, 5)  # busy
        assert all(process.round_sizes and process.import_ms for process in cell.processes)
        assert cell.operators is not None and any(row.delegated for row in cell.operators.operators), (
            cell.operators_reason
        )
    kinds = [type(event.what) for event in events]
    assert {Note, Progress, Measured} == set(kinds) and {event.device for event in events} == {server.url}
    # They are heard while it goes on: a first figure comes before half of the work is done.
    first = kinds.index(Measured)
    done = [event.what.done / event.what.total for event in events[:first] if isinstance(event.what, Progress)]
    assert max(done, default=0.0) < 0.5


def test_what_was_heard_before_the_connection_broke_stays(server: SshServer, bundles: tuple[Path, Path]) -> None:
    def cut(event: DeviceEvent) -> None:
        if isinstance(event.what, Measured) and event.device == server.url:
            server.cut()

    profile = edgekit.profile(bundles[0], on=server.url, mode="quick", threads=1, engines=["litert"], listener=cut)
    assert measured(profile) == ["fp32.tflite on litert"]
    (device,) = profile.devices
    assert "the connection to bench broke" in device.failure and device.machine is not None


def test_a_device_out_of_reach_is_a_line_in_the_profile(server: SshServer, bundles: tuple[Path, Path]) -> None:
    away = "ssh://pi@127.0.0.1:1"
    profile = edgekit.profile(bundles[0], on=[away, "local"], mode="quick", threads=1, engines=["litert"])
    assert [bool(device.failure) for device in profile.devices] == [True, False]
    assert {cell.device for cell in profile.cells} == {"local"}
    with pytest.raises(DeviceError, match="refuses connections"):
        edgekit.profile(bundles[0], on=away, mode="quick")


@pytest.mark.slow
def test_a_device_without_python_is_measured_by_its_runner(
    server: SshServer, small_bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """This machine has Python; it is told that it has not."""
    monkeypatch.setattr(preflight, "PROGRAMS", ())
    core = max(os.sched_getaffinity(0))
    profile = edgekit.profile(small_bundle, on=server.url, mode="quick", threads=1, cpus=[core], operators=True)
    assert measured(profile) == ["fp32.pte on executorch", "fp32.tflite on litert", "int8-dynamic.tflite on litert"]
    assert profile.devices[0].engines == versions()
    for cell in profile.cells:
        assert cell.memory is not None and cell.memory.before_bytes < cell.memory.peak_rss_bytes < 64 << 20
        assert cell.operators is not None and any(row.delegated for row in cell.operators.operators), (
            cell.operators_reason
        )
        assert cell.conditions is not None and (cell.conditions.threads, cell.conditions.cpus) == (1, (core,))
        assert sorted(process.repeat for process in cell.processes) == [0, 1]
        for process in cell.processes:
            assert process.elapsed_ns is not None and sum(process.round_sizes) == process.elapsed_ns.count >= 25
            assert process.first_ms and process.import_ms and process.load_ms and process.cpus == (core,)
            assert process.spans is not None and process.spans.invoke_ns.count == process.spans.write_ns.count >= 3
            assert process.before is not None and process.after is not None and process.after.load_per_core is not None
            assert process.before.at_s < process.after.at_s and process.after.free_memory_bytes
            assert not any("nothing watched" in mark for mark in process.marks)


def test_a_core_that_a_device_lacks_is_said(
    server: SshServer, small_bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(preflight, "PROGRAMS", ())
    with pytest.raises(UsageError, match="has no core 4096"):
        edgekit.profile(small_bundle, on=server.url, mode="quick", cpus=[4096])
