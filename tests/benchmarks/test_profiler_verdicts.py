"""Verdicts on a noisy machine: the same variant against itself, and against an engine that is 5 % slower.

Each run is a whole session of LiteRT, of LiteRT under another name, and of LiteRT that does something else after each
inference for 5 % of the time that it took. A false verdict fails; so do more than a quarter undecided of the slower
one, if there are enough runs. Prints every verdict. Run with
``pytest -s -n 0 tests/benchmarks/test_profiler_verdicts.py``, which takes half an hour for each model. Two busy loops
beside a quick session, on an otherwise quiet machine of two cores, which takes 20 minutes:

    EDGEKIT_BENCHMARK_LOOPS=2 EDGEKIT_BENCHMARK_MODE=quick pytest -s -n 0 tests/benchmarks/test_profiler_verdicts.py \
        -k mobilenet

Environment: ``EDGEKIT_BENCHMARK_RUNS`` (20), ``EDGEKIT_BENCHMARK_MODE`` (default), ``EDGEKIT_BENCHMARK_LOOPS`` (0:
other programs that are kept busy meanwhile), ``EDGEKIT_BENCHMARK_THREADS`` (1; processor time does not tell of more, so
that beside two loops most of those are undecided).
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import cast

import numpy as np
import pytest
from support import bad_engines
from support.bare import pte_bundle
from support.mobilenet import MOBILENET, export_mobilenet
from support.shared import Shared

from edgekit.bundle import Bundle, write_bundle
from edgekit.profiling.comparison import NO_DIFFERENCE, SLOWER, UNDECIDED, compare
from edgekit.profiling.session import WAIT_S
from edgekit.runtime.profiler.records import MEASURED, Cell
from edgekit.runtime.profiler.session import run_session, settings_for
from edgekit.runtime.profiler.settings import Mode, Request

_RUNS = int(os.environ.get("EDGEKIT_BENCHMARK_RUNS", "20"))
_MODE = cast(Mode, os.environ.get("EDGEKIT_BENCHMARK_MODE", "default"))
_LOOPS = int(os.environ.get("EDGEKIT_BENCHMARK_LOOPS", "0"))
_THREADS = int(os.environ.get("EDGEKIT_BENCHMARK_THREADS", "1"))
_NOISE_FLOOR_PERCENT = 2.0
#: Which engine is slower: what counts processor time takes a microsecond, which is too much beside digits.
_SLOWER = {"digits": "slower", "mobilenet": "busier"}
#: What a verdict may be; and the least share of runs in which the slower engine has to be found, from so many runs on.
_TRUE = {"twin": {NO_DIFFERENCE, UNDECIDED}, "slower": {SLOWER, UNDECIDED}, "busier": {SLOWER, UNDECIDED}}
_FOUND, _ENOUGH_RUNS = 0.75, 20


@contextlib.contextmanager
def busy_loops() -> Iterator[None]:
    loops = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(_LOOPS)]
    try:
        yield
    finally:
        for loop in loops:
            loop.kill()
            loop.wait()


@pytest.mark.parametrize("model", list(_SLOWER))
def test_verdicts(model: str, request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bad_engines.install(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setenv(bad_engines.PERCENT, "5")
    path = request.getfixturevalue("digits_bundle") if model == "digits" else _mobilenet(tmp_path)
    counts: dict[str, Counter[str]] = {"twin": Counter(), _SLOWER[model]: Counter()}
    with Bundle.open(path) as bundle, busy_loops():
        for seed in range(_RUNS):
            base, *others = _measure(bundle, seed, ("litert", *counts))
            for cell in others:
                found = compare(base, cell, noise_floor_percent=_NOISE_FLOOR_PERCENT)
                counts[cell.engine][found.verdict] += 1
                low, high = found.interval or (float("nan"), float("nan"))
                print(
                    f"{model}, run {seed}: {cell.engine} is {found.verdict} {found.reason}: ratio {found.ratio:.4f}, "
                    f"{low:.4f} to {high:.4f} ({found.measure}); {_medians_us(cell)} us against {_medians_us(base)} us",
                    flush=True,
                )
    same, slower = counts.values()
    print(f"{model}, mode {_MODE}, {_LOOPS} loops, {_RUNS} runs: against itself {same}, 5 % slower {slower}")
    for engine, verdicts in counts.items():
        assert verdicts.keys() <= _TRUE[engine]
    assert _RUNS < _ENOUGH_RUNS or slower[SLOWER] >= _FOUND * _RUNS


def _measure(bundle: Bundle, seed: int, engines: tuple[str, ...]) -> tuple[Cell, ...]:
    settings = settings_for(_MODE, seed=seed, threads=_THREADS)
    request = Request(settings, variants=("fp32.tflite",), engines=engines, wait_s=WAIT_S[_MODE])
    _, cells = run_session([bundle], request, listener=lambda event: None)
    assert [cell.status for cell in cells] == [MEASURED] * 3, [cell.reason for cell in cells]
    return cells


def _medians_us(cell: Cell) -> list[float]:
    """Of each process."""
    durations = [process.elapsed_ns.array() for process in cell.processes if process.elapsed_ns is not None]
    return [round(float(np.median(values)) / 1e3, 2) for values in durations]


def _mobilenet(folder: Path) -> Path:
    """A bundle of MobileNetV2 in float, with random inputs."""
    export = partial(export_mobilenet, recipes=())  # no .pte
    data = (Shared.once("mobilenet_tflite", export) / "mobilenet-fp32.tflite").read_bytes()
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
