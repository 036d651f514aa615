"""Verdicts on a noisy machine: the same variant against itself, and against an engine that is 5 % slower.

Each run is a whole session of LiteRT, of LiteRT under another name, and of LiteRT that spins after each inference for
5 % of the time that it took. Run with ``pytest -s -n 0 tests/benchmarks/test_profiler_verdicts.py``, which takes half
an hour for each model; prints every verdict.

Environment: ``EDGEKIT_BENCHMARK_RUNS`` (20), ``EDGEKIT_BENCHMARK_MODE`` (default).
"""

from __future__ import annotations

import os
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import cast

import numpy as np
import pytest
from support import bad_engines
from support.bare import pte_bundle
from support.mobilenet import MOBILENET, export_mobilenet
from support.shared import Shared

from edgekit.bundle import Bundle, write_bundle
from edgekit.profiling.comparison import compare
from edgekit.runtime.profiler.records import MEASURED, Cell, Mode, Request
from edgekit.runtime.profiler.session import run_session, settings_for

_RUNS = int(os.environ.get("EDGEKIT_BENCHMARK_RUNS", "20"))
_MODE = cast(Mode, os.environ.get("EDGEKIT_BENCHMARK_MODE", "default"))
_NOISE_FLOOR_PERCENT = 2.0


@pytest.mark.parametrize("model", ["digits", "mobilenet"])
def test_verdicts(model: str, request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bad_engines.install(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setenv(bad_engines.PERCENT, "5")
    path = request.getfixturevalue("digits_bundle") if model == "digits" else _mobilenet(tmp_path)
    counts: dict[str, Counter[str]] = {"twin": Counter(), "slower": Counter()}
    with Bundle.open(path) as bundle:
        for seed in range(_RUNS):
            base, *others = _measure(bundle, seed)
            for cell in others:
                found = compare(base, cell, noise_floor_percent=_NOISE_FLOOR_PERCENT)
                counts[cell.engine][found.verdict] += 1
                low, high = found.interval or (float("nan"), float("nan"))
                print(
                    f"{model}, run {seed}: {cell.engine} is {found.verdict} {found.reason}: ratio {found.ratio:.4f}, "
                    f"{low:.4f} to {high:.4f}; {_medians_us(cell)} us against {_medians_us(base)} us",
                    flush=True,
                )
    print(f"{model}, mode {_MODE}, {_RUNS} runs: against itself {counts['twin']}, 5 % slower {counts['slower']}")


def _measure(bundle: Bundle, seed: int) -> tuple[Cell, ...]:
    request = Request(
        settings_for(_MODE, seed=seed, threads=1),
        variants=("fp32.tflite",),
        engines=("litert", "twin", "slower"),
    )
    _, cells = run_session([bundle], request, hear=lambda event: None)
    assert [cell.status for cell in cells] == [MEASURED] * 3, [cell.reason for cell in cells]
    return cells


def _medians_us(cell: Cell) -> list[float]:
    """Of each process."""
    durations = [process.elapsed_ns.array() for process in cell.processes if process.elapsed_ns is not None]
    return [round(float(np.median(values)) / 1e3, 2) for values in durations]


def _mobilenet(folder: Path) -> Path:
    """A bundle of MobileNetV2 in float, with random inputs."""
    data = (Shared.once("mobilenet", export_mobilenet) / "mobilenet-fp32.tflite").read_bytes()
    images = np.random.default_rng(0).standard_normal(MOBILENET.inputs[0].shape, np.float32)
    made = pte_bundle(data, MOBILENET, images, np.zeros((1, 1000), np.float32), folder / "pte.edgekit")
    with Bundle.open(made) as bundle:
        manifest = bundle.manifest
        files = {name: bundle.read(name) for name in manifest.files}
    variant = replace(manifest.variants[0], name="fp32.tflite", format="tflite", engines=("litert",))
    recommended = {"variant": variant.name, "reason": "the only one"}
    path = folder / "mobilenet.edgekit"
    write_bundle(replace(manifest, variants=(variant,), recommended=recommended), files, path)
    return path
