"""What a phone posts: read without trust, and judged here."""

from __future__ import annotations

import copy
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.posted import IPHONE, PIXEL, SETTINGS, cell, document, outputs, process, text

from edgekit.bundle import Bundle, write_bundle
from edgekit.devices.browser.posted import read_progress
from edgekit.devices.browser.result import read_result, system
from edgekit.errors import UsageError
from edgekit.manifest import Required
from edgekit.runtime.profiler.fairness import first_inputs
from edgekit.runtime.profiler.profile import DeviceRecord, Profile
from edgekit.runtime.profiler.records import Cell


def read(bundle: Path, value: object, **changes: Any) -> tuple[DeviceRecord, tuple[Cell, ...]]:
    with Bundle.open(bundle) as opened:
        return read_result(value, opened, replace(SETTINGS, **changes))


def refused(bundle: Path, value: object) -> str:
    with pytest.raises(UsageError) as caught:
        read(bundle, value)
    assert caught.value.code == "EK-INPUT" and caught.value.message.isprintable()
    assert len(caught.value.message) < 300
    return caught.value.message


def test_a_result_becomes_a_device_and_rows_with_what_was_really_used(small_bundle: Path) -> None:
    record, (made,) = read(small_bundle, document(small_bundle))
    assert record.machine is not None and record.browser is not None
    assert (record.machine.board, record.machine.architecture, record.machine.os) == (
        "Pixel 8",
        "wasm32",
        "Chrome 128 on Android",
    )
    assert record.machine.cpu is None and record.machine.memory_bytes is None and record.target == "browser"
    assert record.engines == {"litert-web": "2.5.3"} and record.browser.connection == "localhost"
    assert (made.status, made.reason, made.engine, made.engine_version) == ("measured", "", "litert-web", "2.5.3")
    assert (made.build, made.fully_accelerated, made.remarks) == ("threaded", True, ())
    assert made.conditions is not None and (made.conditions.threads, made.conditions.accelerator) == (4, "cpu")
    assert [each.repeat for each in made.processes] == [0, 1] and not any(each.marks for each in made.processes)
    elapsed = made.processes[0].elapsed_ns
    assert (
        elapsed is not None
        and elapsed.array()[0] == 1000 * document(small_bundle)["cells"][0]["processes"][0]["elapsed_us"][0]
    )


def test_it_ran_on_the_bytes_that_every_device_runs_on(small_bundle: Path) -> None:
    from edgekit.runtime.profiler.fairness import conditions

    _, (made,) = read(small_bundle, document(small_bundle))
    with Bundle.open(small_bundle) as opened:
        local = conditions(opened.manifest.signature, first_inputs(opened), "fp32", "cpu", None, 4)
    assert made.conditions == local


def test_a_profile_with_it_is_written_and_read_again(small_bundle: Path) -> None:
    from edgekit.runtime.profiler.profile import BundleRecord

    record, cells = read(small_bundle, document(small_bundle))
    with Bundle.open(small_bundle) as opened:
        bundle = BundleRecord.of(opened)
    profile = Profile("2026-11-23T12:00:00Z", "edgekit", (), SETTINGS, (bundle,), (record,), cells)
    assert Profile.from_json(json.loads(json.dumps(profile.to_json()))) == profile


def test_wrong_outputs_fail_the_row_whatever_the_page_says(small_bundle: Path) -> None:
    wrong = [[text(array[:, ::-1]) for array in sample] for sample in outputs(small_bundle, "fp32.tflite")]
    _, (made,) = read(small_bundle, document(small_bundle, cell(small_bundle, check_outputs=wrong)))
    assert made.status == "failed" and made.reason.startswith("wrong outputs: output[:, ")
    _, (made,) = read(small_bundle, document(small_bundle, cell(small_bundle, check_outputs=None)))
    assert (made.status, made.reason) == ("failed", "its outputs for the check samples were not posted")
    broken = [
        [text(np.full_like(array, np.nan)) for array in sample] for sample in outputs(small_bundle, "fp32.tflite")
    ]
    _, (made,) = read(small_bundle, document(small_bundle, cell(small_bundle, check_outputs=broken)))
    assert (made.status, made.reason) == ("failed", "wrong outputs: outputs not finite")


def test_a_process_whose_outputs_are_others_than_those_of_its_checks_failed(small_bundle: Path) -> None:
    found = outputs(small_bundle, "fp32.tflite")
    mixed = [process(0, found[0]), process(1, found[3])]
    _, (made,) = read(small_bundle, document(small_bundle, cell(small_bundle, processes=mixed)))
    assert made.status == "measured" and made.reason.startswith("1 of 2 processes failed: its outputs while it was")


def test_outputs_that_differ_from_those_of_litert_here_are_a_remark(small_bundle: Path) -> None:
    """WebGPU computes int8 in float: nearer to the float model than int8 is, and not what LiteRT gives."""
    floats, found = outputs(small_bundle, "fp32.tflite"), outputs(small_bundle, "int8-dynamic.tflite")
    as_floats = [[text(array) for array in sample] for sample in floats]
    near = [[text(array + np.float32(1e-7)) for array in sample] for sample in found]
    webgpu = cell(small_bundle, "int8-dynamic.tflite", "webgpu", check_outputs=as_floats, outputs=as_floats[0])
    wasm = cell(small_bundle, "int8-dynamic.tflite", check_outputs=near)
    _, (gpu, cpu) = read(small_bundle, document(small_bundle, webgpu, wasm))
    assert (gpu.status, cpu.status, cpu.remarks) == ("measured", "measured", ())
    assert gpu.engine == "litert-webgpu" and gpu.conditions is not None and gpu.conditions.accelerator == "webgpu"
    worst = max(float(np.abs(one[0] - other[0]).max()) for one, other in zip(floats, found, strict=True))
    assert gpu.remarks == (f"outputs differ from LiteRT's on this machine by up to {worst:.2g}",)


def test_other_labels_are_counted(small_bundle: Path, tmp_path: Path) -> None:
    """In a bundle whose variant was so lossy at the build that a swapped label passes."""
    with Bundle.open(small_bundle) as opened:
        files = {name: opened.read(name) for name in opened.manifest.files}
        lossy = replace(opened.manifest.variant("int8-dynamic.tflite"), required=Required(-20.0, -40.0))
        write_bundle(replace(opened.manifest, variants=(lossy,), recommended={"variant": lossy.name, "reason": ""}), {
            name: data for name, data in files.items() if not name.startswith("variants/") or name == lossy.file
        }, tmp_path / "lossy.edgekit")  # fmt: skip
    bundle = tmp_path / "lossy.edgekit"
    swapped = [[array.copy() for array in sample] for sample in outputs(bundle, lossy.name)]
    swapped[2][0] = swapped[2][0][:, [1, 0, 2, 3]]
    posted = [[text(array) for array in sample] for sample in swapped]
    _, (made,) = read(bundle, document(bundle, cell(bundle, lossy.name, check_outputs=posted)))
    assert made.status == "measured"
    assert made.remarks[0].endswith("; another label for 1 of 8 samples")


def test_what_speaks_against_the_figures_is_marked(small_bundle: Path) -> None:
    disturbed = cell(
        small_bundle,
        build="compat",
        threads=1,
        fully_accelerated=False,
        hidden_changes=2,
        battery_after={"level": 0.4, "charging": False},
        calls_per_sample=8,
    )
    browser = {**IPHONE, "automated": True}
    _, (made,) = read(small_bundle, document(small_bundle, disturbed, browser=browser), threads=4)
    first = made.processes[0]
    assert first.marks == (
        "degraded: driven by a program: no phone's figure",
        "degraded: the page was hidden or shown 2 times while it measured",
        "degraded: on battery",
        "degraded: timed in spans of 7 steps of the browser's timer",
    )
    assert first.calls_per_sample == 8 and first.after is not None and first.after.battery_percent == 40.0
    assert made.remarks == (
        "not fully accelerated: some operators run outside the accelerated backend",
        "the build for browsers without relaxed SIMD",
        "1 thread, 4 were asked for",
    )


def test_what_a_page_says_of_failures_is_marked_as_its_own(small_bundle: Path) -> None:
    formula = cell(small_bundle, status="failed", reason="=HYPERLINK(0)", check_outputs=None, processes=[])
    absent = cell(
        small_bundle,
        "int8-dynamic.tflite",
        status="not run",
        reason="int8 tensors",
        threads=None,
        build=None,
        processes=[],
    )
    _, (failed, not_run) = read(small_bundle, document(small_bundle, formula, absent))
    assert (failed.status, failed.reason) == ("failed", "the page says: =HYPERLINK(0)")
    assert (not_run.status, not_run.reason) == ("not run", "the page says: int8 tensors")


REFUSED: dict[str, tuple[tuple[str | int, ...], Any]] = {
    "it has schema version 2": (("schema_version",), 2),
    "run is not as it should be": (("run",), "../../etc/passwd"),
    "it is of another bundle": (("bundle_sha256",), "0" * 64),
    "started is no date": (("started",), "yesterday"),
    "the bundle has no .tflite variant 'fp32.pte'": (("cells", 0, "variant"), "fp32.pte"),
    "cells[0].accelerator is 'npu'": (("cells", 0, "accelerator"), "npu"),
    "model holds characters that cannot be shown": (("browser", "model"), "Pixel\n8"),
    "user_agent has 501 characters": (("browser", "user_agent"), "x" * 501),
    "platform holds characters": (("browser", "platform"), "\x1b[2J"),
    "webgpu_adapter holds": (("browser", "webgpu_adapter"), "\ud800"),
    "model holds": (("browser", "model"), "\u202egnp.exe"),
    "browser.cores is of type bool": (("browser", "cores"), True),
    "cores is out of bounds": (("browser", "cores"), 10**400),
    "browser.surprise is unknown": (("browser", "surprise"), 1),
    "timer_resolution_us is out of bounds": (("browser", "timer_resolution_us"), float("nan")),
    "screen is not as": (("browser", "screen"), "=1+1"),
    "elapsed_us is out of bounds": (("cells", 0, "processes", 0, "elapsed_us", 3), float("inf")),
    "elapsed_us is out of": (("cells", 0, "processes", 0, "elapsed_us", 3), -1),
    "an inference takes no time": (("cells", 0, "processes", 0, "elapsed_us", 3), 0),
    "check_outputs has 10001 items": (("cells", 0, "check_outputs"), [[]] * 10_001),
    "rounds and samples do not fit": (("cells", 0, "processes", 0, "round_sizes"), [1]),
    "repeats are not those that were asked for": (("cells", 0, "processes", 0, "repeat"), 2),
    "repeats are not those": (("cells", 0, "processes", 0, "repeat"), 1),
    "5 threads, at most 4 were asked for": (("cells", 0, "threads"), 5),
    "4 threads in the compat build, which has 1": (("cells", 0, "build"), "compat"),
    "threads or build are missing": (("cells", 0, "threads"), None),
    "output 'output' is not base64": (("cells", 0, "check_outputs", 0, 0), "<script>"),
    "output 'output' has 4 bytes, not 16": (("cells", 0, "check_outputs", 0, 0), "AAAAAA=="),
    "has 2 outputs, the model 1": (("cells", 0, "check_outputs", 0), ["", ""]),
    "1 check samples, the bundle has 8": (("cells", 0, "check_outputs"), [[""]]),
    "level is out of bounds": (("cells", 0, "processes", 0, "battery_before", "level"), 1.5),
}


@pytest.mark.parametrize("message", REFUSED)
def test_what_does_not_fit_is_refused_in_one_line(small_bundle: Path, message: str) -> None:
    value = copy.deepcopy(document(small_bundle))
    path, wrong = REFUSED[message]
    place: Any = value
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = wrong
    assert message in refused(small_bundle, value)


def test_a_cell_that_is_there_twice_is_refused(small_bundle: Path) -> None:
    twice = document(small_bundle, cell(small_bundle), cell(small_bundle))
    assert "fp32.tflite on wasm is there twice" in refused(small_bundle, twice)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
    max_leaves=12,
)


@st.composite
def hostile(draw: st.DrawFn, valid: Any) -> Any:
    """A valid document with something else in one place of it."""
    value = copy.deepcopy(valid)
    place: Any = value
    while True:
        keys = list(place) if isinstance(place, dict) else list(range(len(place)))
        key = draw(st.sampled_from(keys))
        if isinstance(place[key], (dict, list)) and place[key] and draw(st.booleans()):
            place = place[key]
            continue
        place[key] = draw(JSON)
        return value


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_whatever_is_posted_becomes_rows_that_can_be_written_or_one_line(
    small_bundle: Path, data: st.DataObject
) -> None:
    short = cell(small_bundle, samples=8)
    value = data.draw(hostile(document(small_bundle, short)) | JSON)
    try:
        record, cells = read(small_bundle, value)
    except UsageError as error:
        assert error.message.isprintable() and len(error.message) < 300
        return
    texts = [record.machine.os if record.machine else "", *(each.reason for each in cells)]
    assert all(each.isprintable() for each in texts)
    for each in cells:
        for one in each.processes:
            assert one.elapsed_ns is None or (one.elapsed_ns.array() > 0).all()


def test_progress_is_bounded_as_well() -> None:
    good = {"run": "00f1e2d3c4b5a697", "device": "Pixel 8", "done": 0.5, "text": "fp32.tflite"}
    assert read_progress(good).done == 0.5
    for wrong in (
        {**good, "done": 1.5},
        {**good, "text": "\x07"},
        {**good, "done": float("nan")},
        [],
        {**good, "x": 1},
    ):
        with pytest.raises(UsageError):
            read_progress(wrong)


@pytest.mark.parametrize(
    ("user_agent", "name"),
    [
        (PIXEL["user_agent"], "Chrome 128 on Android"),
        (IPHONE["user_agent"], "Safari 18 on iPhone"),
        (
            "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 HeadlessChrome/156.0.0.0 Safari/537.36",
            "Chrome 156 on Linux",
        ),
        ("Mozilla/5.0 (Windows NT 10.0) Chrome/130.0 Safari/537.36 Edg/130.0", "Edge 130 on Windows"),
        ("curl/8", "a browser on an unknown system"),
    ],
)
def test_browsers_are_called_what_people_call_them(user_agent: str, name: str) -> None:
    assert system(user_agent) == name
