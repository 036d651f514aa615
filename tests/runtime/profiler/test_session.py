"""A session on this machine: real engines, in processes of their own, and engines that do not behave."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support import bad_engines

from edgekit.bundle import Bundle
from edgekit.digests import sha256
from edgekit.errors import UsageError
from edgekit.runtime.engines import open_session
from edgekit.runtime.profiler import worker
from edgekit.runtime.profiler.events import Event, Measured, Note, Progress, event_from_json, event_to_json
from edgekit.runtime.profiler.records import FAILED, MEASURED, NOT_RUN, Cell
from edgekit.runtime.profiler.session import MODES, run_session, settings_for
from edgekit.runtime.profiler.settings import Request, Settings

_QUICK = Settings("quick", seed=7, repeats=2, seconds=0.2, samples=40, threads=1)


@pytest.fixture(autouse=True)
def strange_engines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "engines"
    folder.mkdir()
    bad_engines.install(folder)
    monkeypatch.syspath_prepend(str(folder))
    monkeypatch.setenv("PYTHONPATH", str(folder))


@pytest.fixture
def bundle(small_bundle: Path) -> Iterator[Bundle]:
    with Bundle.open(small_bundle) as opened:
        yield opened


def measure(bundle: Bundle, **request: Any) -> tuple[dict[str, Cell], list[Event]]:
    """The cells by engine (or, for several variants, by variant), and what was heard."""
    events: list[Event] = []
    settings = request.pop("settings", _QUICK)
    device, cells = run_session([bundle], Request(settings, wait_s=0, **request), listener=events.append)
    assert device.name == "local" and not device.emulated and device.failure == ""
    assert [event_from_json(json.loads(json.dumps(event_to_json(event)))) for event in events] == events
    names = [cell.engine if request.get("engines") else cell.variant for cell in cells]
    assert len(set(names)) == len(names)
    return dict(zip(names, cells, strict=True)), events


def test_every_variant_is_measured_in_fresh_processes_phase_by_phase(bundle: Bundle) -> None:
    cells, events = measure(bundle)
    assert list(cells) == ["fp32.tflite", "int8-dynamic.tflite", "fp32.pte"]
    inputs = bundle.array("checks/input_0.npy")[:1]
    for name, cell in cells.items():
        variant = bundle.manifest.variant(name)
        assert (cell.status, cell.reason) == (MEASURED, "")
        assert cell.conditions is not None
        assert cell.conditions.inputs_sha256 == sha256(inputs.tobytes())
        assert cell.conditions.inputs == ("float32[1, 1, 12, 12]",) and cell.conditions.outputs == ("float32[1, 4]",)
        assert (cell.conditions.precision, cell.conditions.threads) == (variant.recipe, 1)
        session = open_session(cell.engine, bundle.read(variant.file), variant.format, bundle.manifest.signature, 1)
        outputs = hashlib.sha256(session.run([inputs])[0].tobytes()).hexdigest()
        session.close()
        assert [process.repeat for process in cell.processes] == [0, 1]
        for process in cell.processes:
            assert (process.threads, process.failure, process.outputs_sha256) == (1, "", outputs)
            assert process.import_ms and process.load_ms and process.first_ms
            assert process.load_cache in (("cold", "warm")[process.repeat], None)
            assert process.warm_up_calls > 6 and process.warm_up_s >= MODES["quick"].least_warm_up_s
            assert process.elapsed_ns is not None and process.elapsed_ns.count == sum(process.round_sizes) >= 20
            assert process.elapsed_ns.array().sum() >= 0.1e9 and process.elapsed_ns.array().min() > 0
            assert process.cpu_ns is not None and process.cpu_ns.count == process.elapsed_ns.count
            reading = 2000 * process.cpu_ns.count  # its own clock, which the other does not count
            assert 0 < process.cpu_ns.array().sum() < 1.05 * process.elapsed_ns.array().sum() + reading
            assert process.waits is not None and process.waits >= 0
            assert len(process.round_sizes) >= 5 and min(process.round_sizes) >= 4
            assert process.spans is not None and process.spans.invoke_ns.count == process.spans.write_ns.count == 256
            assert process.preprocess_ns is not None and process.preprocess_ns.count >= 3
            assert process.before is not None and process.during and process.after is not None
            assert process.before.at_s < process.during[0].at_s < process.after.at_s
        assert cell.memory is not None
        assert cell.memory.peak_rss_bytes > cell.memory.before_bytes > 1 << 20
        assert cell.memory.anonymous_bytes and cell.memory.file_bytes
    heard = [event.cell for event in events if isinstance(event, Measured)]
    assert {cell.variant for cell in heard[:3]} == set(cells), "each as soon as it has settled"
    assert heard[-3:] == list(cells.values())
    known = [len(cell.processes) for cell in heard if cell.variant == "fp32.pte"]
    assert known == sorted(known), "nothing that was known is taken back"
    progress = [(event.done, event.total) for event in events if isinstance(event, Progress)]
    assert progress == sorted(progress) and progress[-1][0] == progress[-1][1]


def test_engines_that_misbehave_cost_their_own_row_and_their_time(bundle: Bundle) -> None:
    engines = ("litert", "segfaults", "hangs", "eats", "refuses", "segfaults_late")
    cells, events = measure(
        bundle, variants=("fp32.tflite",), engines=engines, cell_timeout_s=8.0, memory_bytes=160 << 20
    )
    assert list(cells) == list(engines)
    good = cells["litert"]
    assert good.status == MEASURED and len(good.processes) == 2 and good.memory is not None
    reasons = {
        "segfaults": ("died (SIGSEGV) while running its first inference", "SIGSEGV"),
        "hangs": ("hung while running its first inference: no answer for", "SIGKILL"),
        "eats": ("took more than 160 MiB of memory while loading the model", "SIGKILL"),
        "refuses": ("this file is not to my taste and I say so in two lines", None),
        "segfaults_late": ("died (SIGSEGV) while running", "SIGSEGV"),
    }
    for name, (reason, signal) in reasons.items():
        cell = cells[name]
        assert cell.status == FAILED and reason in cell.reason and "\n" not in cell.reason
        (process,) = cell.processes  # no second try, which would cost as much again
        assert (process.failure, process.signal, process.elapsed_ns) == (cell.reason, signal, None)
        assert cell.memory is None
        assert any(isinstance(event, Note) and reason in event.text for event in events)
    log = cells["segfaults"].processes[0].log
    assert "about to read what is not there" in log and "Segmentation fault" in log
    assert "to my taste" in cells["refuses"].processes[0].log
    assert children() == []


def test_what_cannot_run_is_not_tried(bundle: Bundle, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("EDGEKIT_HOME", str(tmp_path))
    cells, events = measure(bundle, engines=("tflite-runtime",), variants=("fp32.tflite",))
    cell = cells["tflite-runtime"]
    assert (cell.status, cell.reason, cell.processes) == (NOT_RUN, "not installed", ())
    assert [event.cell.reason for event in events if isinstance(event, Measured)] == ["not installed"]


def test_wrong_requests_are_refused_before_anything_runs(bundle: Bundle) -> None:
    for request, code in (
        (Request(_QUICK, variants=("none",)), "EK-ARGUMENT"),
        (Request(_QUICK, engines=("none",)), "EK-ENGINE"),
        (Request(settings_for("quick", seed=0, cpus=(0, 4711))), "EK-ARGUMENT"),
        (Request(settings_for("quick", seed=0, cpus=())), "EK-ARGUMENT"),
        (Request(settings_for("quick", seed=0, threads=0)), "EK-ARGUMENT"),
    ):
        with pytest.raises(UsageError) as refused:
            run_session([bundle], request, listener=pytest.fail)
        assert refused.value.code == code


def test_what_does_not_fit_into_memory_together_is_measured_in_groups(
    bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The free memory is made up; the rest is not."""
    monkeypatch.setattr(worker.MemoryLimit, "room_bytes", lambda self: 1)
    settings = Settings("quick", seed=7, repeats=1, seconds=0.1, samples=20, threads=1)
    cells, _ = measure(bundle, settings=settings)
    sizes = [np.array(cell.processes[0].round_sizes) for cell in cells.values()]
    reference, *others = sizes
    assert reference.all() and len(reference) == max(map(len, others)), "in every round, beside all others"
    first, second = sorted(others, key=len)
    assert first.all() and not second[: len(first)].any() and second[len(first) :].all(), "one group after the other"
    assert all(part.sum() >= 20 for part in sizes)


def test_processes_are_bound_to_the_cores_that_are_asked_for(bundle: Bundle) -> None:
    core = max(os.sched_getaffinity(0))
    settings = Settings("quick", seed=0, repeats=1, seconds=0.02, samples=2, cpus=(core,))
    cells, _ = measure(bundle, settings=settings, variants=("fp32.tflite",), engines=("litert", "tells_cores"))
    assert cells["litert"].conditions is not None and cells["litert"].conditions.cpus == (core,)
    assert cells["litert"].conditions.threads == 1, "as many as it has cores"
    assert cells["litert"].processes[0].cpus == (core,)
    assert cells["tells_cores"].reason == f"EK-RUN: RuntimeError: bound to [{core}]"


def children() -> list[str]:
    """Processes that this one has started and that still are."""
    lists = [file.read_text() for file in Path("/proc/self/task").glob("*/children")]
    pids = " ".join(lists).split()
    names = [Path(f"/proc/{pid}/cmdline").read_bytes().decode().replace("\0", " ") for pid in pids]
    return [name for name in names if "profiler.child" in name]
