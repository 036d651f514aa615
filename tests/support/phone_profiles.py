"""Profiles of phones in browsers, made by hand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from support.posted import IPHONE, PIXEL
from support.profiles import BOARD_BUNDLE, QUIET, bundles, conditions, measured

from edgekit.runtime.machine import Machine
from edgekit.runtime.profiler.profile import BrowserRecord, DeviceRecord, Profile
from edgekit.runtime.profiler.records import FAILED, MEASURED, BoardState, Cell, Process
from edgekit.runtime.profiler.settings import Settings

PHONE = "Chrome 128 on Pixel 8"
DIFFERENT = "outputs differ from LiteRT's on this machine by up to 0.26; another label for 1 of 16 samples"


def record(name: str = PHONE, *, phone: dict[str, object] = PIXEL, **changes: object) -> DeviceRecord:
    browser = BrowserRecord(
        **{  # type: ignore[arg-type]
            **phone,
            "connection": "https" if phone["secure_context"] else "http",
            "why_threads": "4 threads: the page is cross-origin isolated",
            "started": "2026-11-24T00:10:00Z",
            **changes,
        }
    )
    machine = Machine(browser.model, "wasm32", "wasm32", None, browser.cores, (), None, "Chrome 128", None, None, 65536)
    return DeviceRecord(name, False, machine, "browser", {"litert-web": browser.litert_js}, browser=browser)


def cell(variant: str, engine: str, processes: Sequence[Process], *, name: str = PHONE, **changes: object) -> Cell:
    webgpu = engine == "litert-webgpu"
    made = Cell(
        device=name,
        bundle=BOARD_BUNDLE,
        variant=variant,
        engine=engine,
        engine_version="2.5.3",
        status=MEASURED,
        conditions=conditions(
            variant.rpartition(".")[0], threads=1 if webgpu else 4, accelerator="webgpu" if webgpu else "cpu"
        ),
        processes=tuple(processes),
        energy="a browser sees no power meter",
        build="default" if webgpu else "threaded",
        fully_accelerated=True,
    )
    return replace(made, **changes)  # type: ignore[arg-type]


def profile(*, together: int = 8, name: str = PHONE, phone: dict[str, object] = PIXEL) -> Profile:
    """A phone that measured *digits*: int8 so fast that *together* inferences were timed at once, on battery in the
    end; with WebGPU, which gave other outputs; and fp16, whose outputs were wrong."""
    medians = {
        ("fp32.tflite", "litert-web"): 2.9,
        ("int8.tflite", "litert-web"): 0.41,
        ("int8.tflite", "litert-webgpu"): 1.3,
        ("fp16.tflite", "litert-web"): 2.8,
    }
    repeats = 2
    steady = measured(list(medians.values()), noise=QUIET, repeats=repeats, rounds=12, per_round=6)
    cells = []
    for (variant, engine), states in zip(medians, steady, strict=True):
        fast = variant == "int8.tflite" and engine == "litert-web"
        ran = [
            Process(
                repeat=repeat,
                order=0,
                threads=4,
                import_ms=210.0,
                load_ms=31.0,
                first_ms=6.0,
                elapsed_ns=samples,
                round_sizes=sizes,
                before=BoardState(0.0, power_source="mains", battery_percent=82.0),
                after=BoardState(0.0, power_source="battery" if repeat else "mains", battery_percent=80.0),
                marks=("degraded: on battery",) if repeat else (),
                calls_per_sample=together if fast else 1,
            )
            for repeat, (samples, sizes) in enumerate(states)
        ]
        changes: dict[str, object] = {"remarks": (DIFFERENT,)} if engine == "litert-webgpu" else {}
        if variant == "fp16.tflite":
            changes = {"status": FAILED, "reason": "wrong outputs: SNR 3.1 dB, at least 69.0 dB are due"}
        cells.append(cell(variant, engine, ran, name=name, **changes))
    return Profile(
        created="2026-11-24T00:10:00Z",
        producer="edgekit 0.1.0",
        command=("edgekit", "phone", "digits-rpi4.edgekit", "--quick"),
        settings=Settings(mode="quick", seed=3, repeats=repeats, seconds=1.0, samples=64),
        bundles=bundles()[:1],
        devices=(record(name, phone=phone),),
        cells=tuple(cells),
    )


__all__ = ["DIFFERENT", "IPHONE", "PHONE", "PIXEL", "cell", "profile", "record"]
