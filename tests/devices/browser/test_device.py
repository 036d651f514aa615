"""A browser as a device: the page is served, and what a phone posts lands beside other devices."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support.phones import Phone, fetch_litert_js
from support.posted import PIXEL, cell

from edgekit.devices import open_device
from edgekit.devices.base import Measures, Runs
from edgekit.devices.browser.device import BrowserDevice
from edgekit.errors import DeviceError, UsageError
from edgekit.profiling.options import ProfileOptions
from edgekit.profiling.rows import rows
from edgekit.profiling.session import DeviceEvent, Session, _by_machine
from edgekit.runtime.profiler.events import Event, Measured, Note, Progress
from edgekit.runtime.profiler.records import Cell
from edgekit.runtime.profiler.settings import Request, Settings

QUICK = Request(Settings(mode="quick", seed=1, repeats=2, seconds=0.2, samples=8))


@pytest.fixture(scope="module", autouse=True)
def litert_js() -> None:
    fetch_litert_js()


def when_invited(act: Callable[[Phone], object], events: list[Any]) -> Callable[[Event | DeviceEvent], None]:
    """Hears events; the address in the first note starts *act* in a thread, as a person would open it."""

    def hear(event: Event | DeviceEvent) -> None:
        events.append(event.what if isinstance(event, DeviceEvent) else event)
        notes = [each.text for each in events if isinstance(each, Note) and "http" in each.text]
        if isinstance(events[-1], Note) and len(notes) == 1 and (found := re.search(r"https?://\S+/", notes[0])):
            threading.Thread(target=act, args=(Phone(found[0]),)).start()

    return hear


def measured(phone: Phone, bundle: Path, *cells: dict[str, Any]) -> None:
    progress = {"run": "00f1e2d3c4b5a697", "device": "Pixel 8", "done": 0.5, "text": "fp32.tflite on the CPU"}
    assert phone.ask("progress", progress).status == 204
    assert phone.ask("result", {"schema_version": 1}).status == 400
    assert phone.post_result(bundle, cells=list(cells) or [cell(bundle)]).status == 204


def test_a_phone_that_opens_the_page_is_a_device_of_the_profile(small_bundle: Path) -> None:
    events: list[Any] = []
    session = Session([small_bundle], ["browser"], ProfileOptions(mode="quick", seed=1))
    both = (cell(small_bundle), cell(small_bundle, "int8-dynamic.tflite"))
    profile = session.run(when_invited(lambda phone: measured(phone, small_bundle, *both), events))
    (record,) = profile.devices
    assert (record.name, record.target, record.failure) == ("browser", "browser", "")
    assert record.browser is not None and record.browser.model == PIXEL["model"]
    assert [(row.engine, row.status, row.threads) for row in rows(profile)] == [("litert-web", "measured", 4)] * 2
    assert [event.text for event in events if isinstance(event, Note)][1:] == ["Pixel 8 measures"]
    assert any(isinstance(event, Progress) and 0 < event.done < event.total for event in events)
    assert profile.command[:5] == ("edgekit", "profile", str(small_bundle), "--on", "browser")


def test_webgpu_is_measured_when_it_is_named_and_only_rows_that_were_named_stay(small_bundle: Path) -> None:
    events: list[Any] = []
    jobs: list[dict[str, Any]] = []

    def visit(phone: Phone) -> None:
        import json

        jobs.append(json.loads(phone.ask("job.json").body))
        measured(phone, small_bundle, cell(small_bundle), cell(small_bundle, accelerator="webgpu"))

    with open_device("browser", Measures) as device:
        request = Request(QUICK.settings, variants=("fp32.tflite",), engines=("litert-webgpu",))
        _, cells = device.profile([small_bundle], request, when_invited(visit, events))
    assert jobs[0]["settings"]["accelerators"] == ["wasm", "webgpu"]
    assert [entry["name"] for entry in jobs[0]["variants"]] == ["fp32.tflite"]
    assert [(each.engine, each.conditions and each.conditions.accelerator) for each in cells] == [
        ("litert-webgpu", "webgpu")
    ]


def test_nobody_comes_or_who_came_falls_silent(small_bundle: Path) -> None:
    events: list[Any] = []
    progress = {"run": "00f1e2d3c4b5a697", "device": "Pixel 8", "done": 0.1, "text": ""}
    alone = BrowserDevice("browser", "127.0.0.1", False, come_s=0.05)
    with pytest.raises(DeviceError, match="browser: nobody opened the page and measured for 0 s") as caught:
        alone.profile([small_bundle], QUICK, events.append)
    assert caught.value.code == "EK-CONNECT"
    events.clear()
    silent = BrowserDevice("browser", "127.0.0.1", False, silent_s=0.05)
    with pytest.raises(DeviceError, match="browser: nothing was heard of Pixel 8 for 0 s"):
        silent.profile([small_bundle], QUICK, when_invited(lambda phone: phone.ask("progress", progress), events))


def test_a_bundle_without_anything_for_browsers_is_one_line(small_bundle: Path, tmp_path: Path) -> None:
    from support.bundles import only

    from edgekit.errors import EdgekitError

    native = only(small_bundle, ("fp32.pte",), tmp_path / "native.edgekit")
    with (
        open_device("browser", Measures) as device,
        pytest.raises(EdgekitError, match=r"no browser runs .*no \.tflite variant"),
    ):
        device.profile([native], QUICK, lambda _: None)


def test_a_browser_runs_no_single_input_and_says_what_does() -> None:
    with pytest.raises(UsageError, match="neither run nor verified on browser") as caught:
        open_device("browser", Runs)
    assert caught.value.hint is not None and "edgekit phone BUNDLE" in caught.value.hint
    for name in ("browser:", "browser:wan", "browser:lan:8000"):
        with pytest.raises(UsageError, match="there is no device"):
            open_device(name)


def test_browsers_have_this_machine_to_themselves_and_go_first() -> None:
    """Whether it runs here or on a phone: its page is served here, and its outputs are judged here."""
    names = ["local", "ssh://pi@one", "browser:https", "emulator:rpi4"]
    groups = _by_machine([open_device(name, Measures) for name in names])
    assert {key: [place.name for place in places] for key, places in groups.items()} == {
        "local": ["browser:https", "local", "emulator:rpi4"],
        "one": ["ssh://pi@one"],
    }


def test_engines_of_browsers_are_for_browsers(small_bundle: Path) -> None:
    with pytest.raises(UsageError, match="litert-web runs in a browser, and local is none"):
        Session([small_bundle], ["local"], ProfileOptions(engines=("litert-web",)))
    with pytest.raises(UsageError, match="no browser has litert"):
        Session([small_bundle], ["browser"], ProfileOptions(engines=("litert",)))
    session = Session([small_bundle], ["local", "browser"], ProfileOptions(engines=("litert", "litert-webgpu")))
    assert [session._kept(device)[1] for device in session._devices] == [("litert",), ("litert-webgpu",)]


@pytest.mark.slow
def test_a_bundle_for_phones_has_no_rows_of_browsers_on_other_devices(small_bundle: Path, tmp_path: Path) -> None:
    from dataclasses import replace

    from edgekit.bundle import Bundle, write_bundle

    with Bundle.open(small_bundle) as opened:
        manifest = opened.manifest
        named = tuple(
            replace(entry, engines=("litert", "litert-web")) for entry in manifest.variants if entry.format == "tflite"
        )
        kept = {entry.file for entry in named}
        files = {name: opened.read(name) for name in manifest.files if "variants/" not in name or name in kept}
    write_bundle(replace(manifest, variants=named), files, tmp_path / "phone.edgekit")
    heard: list[Cell] = []
    session = Session(
        [tmp_path / "phone.edgekit"], ["local"], ProfileOptions(mode="quick", variants=("fp32.tflite",), seed=1)
    )
    profile = session.run(lambda event: heard.append(event.what.cell) if isinstance(event.what, Measured) else None)
    assert {each.engine for each in (*profile.cells, *heard)} == {"litert"}
