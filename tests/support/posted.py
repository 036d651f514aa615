"""What a page would post: documents made here, with the outputs that LiteRT gives on this machine."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from edgekit.bundle import Bundle
from edgekit.digests import sha256
from edgekit.manifest import manifest_bytes
from edgekit.runtime.check_runs import check_vectors
from edgekit.runtime.engines import open_session
from edgekit.runtime.profiler.settings import Settings

#: A session of two repeats.
SETTINGS = Settings(mode="quick", seed=7, repeats=2, seconds=1.0, samples=64)

PIXEL = {
    "user_agent": "Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/128.0.0.0 "
    "Mobile Safari/537.36",
    "platform": "Android",
    "mobile": True,
    "model": "Pixel 8",
    "cores": 9,
    "memory_gib": 8,
    "secure_context": True,
    "cross_origin_isolated": True,
    "relaxed_simd": True,
    "webgpu": True,
    "webgpu_adapter": "arm valhall",
    "automated": False,
    "timer_resolution_us": 5.0,
    "screen": "412x839@2.625",
    "litert_js": "2.5.3",
}
IPHONE = {
    **PIXEL,
    "user_agent": "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) "
    "Version/18.5 Mobile/15E148 Safari/604.1",
    "platform": "iPhone",
    "mobile": None,
    "model": None,
    "cores": 4,
    "memory_gib": None,
    "secure_context": False,
    "cross_origin_isolated": False,
    "relaxed_simd": False,
    "webgpu": False,
    "webgpu_adapter": None,
    "timer_resolution_us": 1000.0,
    "screen": "390x844@3",
}


def text(array: np.ndarray) -> str:
    """A tensor as a page posts it."""
    return base64.b64encode(np.asarray(array, "<f4").tobytes()).decode()


@cache
def outputs(bundle: Path, variant: str) -> tuple[tuple[np.ndarray, ...], ...]:
    """What LiteRT gives here for each check sample; each with a batch axis of one."""
    with Bundle.open(bundle) as opened:
        entry, vectors = opened.manifest.variant(variant), check_vectors(opened)
        session = open_session("litert", opened.read(entry.file), entry.format, vectors.signature, 1)
        found = tuple(tuple(session.run(sample)) for sample in vectors.samples)
        session.close()
    return found


def process(
    repeat: int, expected: Sequence[np.ndarray], *, median_us: float = 850.0, samples: int = 48, **changes: Any
) -> dict[str, Any]:
    """One worker's share: rounds of four samples around a median."""
    rng = np.random.default_rng(repeat)
    elapsed = median_us * np.exp(rng.normal(0, 0.02, samples))
    return {
        "repeat": repeat,
        "order": repeat % 2,
        "import_ms": 140.5,
        "load_ms": 31.25,
        "first_ms": 6.5,
        "warm_up_calls": 200,
        "warm_up_s": 0.4,
        "settled": True,
        "calls_per_sample": 1,
        "elapsed_us": [round(value, 1) for value in elapsed.tolist()],
        "round_sizes": [4] * (samples // 4),
        "hidden_changes": 0,
        "battery_before": {"level": 0.81, "charging": True},
        "battery_after": {"level": 0.81, "charging": True},
        "outputs": [text(array) for array in expected],
        "failure": "",
        **changes,
    }


def cell(
    bundle: Path, variant: str = "fp32.tflite", accelerator: str = "wasm", *, repeats: int = 2, **changes: Any
) -> dict[str, Any]:
    """A measured cell with right outputs; keys of its processes may be changed as well as its own."""
    found = outputs(bundle, variant)
    own = ("build", "threads", "fully_accelerated", "status", "reason", "check_outputs", "processes", "variant")
    inner = {key: value for key, value in changes.items() if key not in own}
    return {
        "variant": variant,
        "accelerator": accelerator,
        "build": "threaded" if accelerator == "wasm" else "default",
        "threads": 4 if accelerator == "wasm" else 1,
        "fully_accelerated": True,
        "status": "measured",
        "reason": "",
        "check_outputs": [[text(array) for array in sample] for sample in found],
        "processes": [process(repeat, found[0], **inner) for repeat in range(repeats)],
        **{key: value for key, value in changes.items() if key in own},
    }


def document(bundle: Path, *cells: dict[str, Any], browser: dict[str, Any] = PIXEL, **changes: Any) -> dict[str, Any]:
    """A result of *bundle*; without *cells*, with one measured cell."""
    with Bundle.open(bundle) as opened:
        digest = sha256(manifest_bytes(opened.manifest))
    return {
        "schema_version": 1,
        "run": "00f1e2d3c4b5a697",
        "bundle_sha256": digest,
        "started": "2026-11-23T12:00:00Z",
        "browser": dict(browser),
        "connection": "localhost" if browser["secure_context"] else "http",
        "why_threads": "4 threads: the page is cross-origin isolated",
        "cells": list(cells) or [cell(bundle)],
        **changes,
    }
