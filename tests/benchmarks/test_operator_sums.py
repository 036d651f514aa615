"""Sums of traced operators against the latency of inferences without a trace, on both runtimes.

Run with ``pytest -s -n 0 tests/benchmarks/test_operator_sums.py``; prints the figures.
"""

from __future__ import annotations

import json
import time

import numpy as np
import pytest
from support.mobilenet import MOBILENET, export_mobilenet
from support.shared import Shared

from edgekit.fidelity import near_constant
from edgekit.profiling.operators import decode, headline
from edgekit.profiling.operators.steps import OVERHEAD
from edgekit.runtime.engines import open_session
from edgekit.runtime.engines.executorch import traced_session
from edgekit.runtime.profiler.samples import Trace
from edgekit.runtime.profiler.tracing import trace

_TURNS, _CALLS = 40, 5


@pytest.mark.parametrize("recipe", ["fp32", "int8"])
@pytest.mark.parametrize(("engine", "format"), [("litert", "tflite"), ("executorch", "pte")])
def test_operators_take_what_an_inference_takes(engine: str, format: str, recipe: str) -> None:
    data = (Shared.once("mobilenet", export_mobilenet) / f"mobilenet-{recipe}.{format}").read_bytes()
    images = np.random.default_rng(0).standard_normal((4, *MOBILENET.inputs[0].shape), np.float32)
    session = open_session(engine, data, format, MOBILENET, 1)
    assert not near_constant(np.concatenate([session.run([image])[0] for image in images]))
    traced = _Litert(data) if engine == "litert" else _ExecuTorch(data)
    inputs = [images[0]]
    traced.take(inputs)
    taken_ns = []
    for _ in range(_TURNS):
        session.run(inputs)
        for _ in range(_CALLS):
            began = time.perf_counter_ns()
            session.run(inputs)
            taken_ns.append(time.perf_counter_ns() - began)
        traced.take(inputs)
    operators = decode(traced.trace())
    untraced_us = float(np.median(taken_ns)) / 1000
    inside = sum(row.time_us for row in operators.operators if row.type not in OVERHEAD) / untraced_us
    whole = sum(row.time_us for row in operators.operators) / untraced_us
    print(
        f"\nMobileNetV2 {recipe} on {engine}, 1 thread, {_TURNS} turns of {_CALLS} calls: untraced median"
        f" {untraced_us:.0f} us; operators alone {100 * inside:.1f} % of it, all {len(operators.operators)} rows"
        f" {100 * whole:.1f} %; {headline(operators)}"
    )
    session.close()
    assert all(row.type for row in operators.operators)
    assert abs(inside - 1) < 0.1
    assert abs(whole - 1) < 0.1


class _Litert:
    """Records a few inferences at a time."""

    def __init__(self, data: bytes):
        self._data = data
        self._records: list[dict[str, list[object]]] = []

    def take(self, inputs: list[np.ndarray]) -> None:
        self._records.append(json.loads(trace("litert", self._data, MOBILENET, 1, inputs, runs=_CALLS).recorded()))

    def trace(self) -> Trace:
        runs = [run for record in self._records for run in record["runs"]]
        return Trace.pack("litert", json.dumps({**self._records[0], "runs": runs}).encode())


class _ExecuTorch:
    """Records a few inferences at a time."""

    def __init__(self, data: bytes):
        self._session = traced_session(data, MOBILENET, 1)

    def take(self, inputs: list[np.ndarray]) -> None:
        for _ in range(_CALLS):
            self._session.run(inputs)

    def trace(self) -> Trace:
        return Trace.pack("etdump", self._session.take_trace())
