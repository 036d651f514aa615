"""Sums of traced operators against the latency of inferences without a trace, on both runtimes.

Run with ``pytest -s -n 0 tests/benchmarks/test_operator_sums.py``; prints the figures.
"""

from __future__ import annotations

import time

import numpy as np
import pytest
from support.mobilenet import MOBILENET, export_mobilenet
from support.shared import Shared

from edgekit.profiling.operators import decode, headline
from edgekit.profiling.operators.steps import OVERHEAD
from edgekit.runtime.engines import open_session
from edgekit.runtime.profiler.tracing import trace
from edgekit.tensors import near_constant

_ROUNDS, _CALLS, _WARM_UP_CALLS = 10, 50, 10


@pytest.mark.parametrize("recipe", ["fp32", "int8"])
@pytest.mark.parametrize(("engine", "format"), [("litert", "tflite"), ("executorch", "pte")])
def test_operators_take_what_an_inference_takes(engine: str, format: str, recipe: str) -> None:
    data = (Shared.once("mobilenet", export_mobilenet) / f"mobilenet-{recipe}.{format}").read_bytes()
    images = np.random.default_rng(0).standard_normal((4, *MOBILENET.inputs[0].shape), np.float32)
    whole_ratios, operator_ratios, untraced = [], [], []
    for _ in range(_ROUNDS):
        before_us = _latency_us(engine, format, data, images)
        operators = decode(trace(engine, data, MOBILENET, 1, [images[0]], runs=_CALLS))
        latency_us = (before_us + _latency_us(engine, format, data, images)) / 2
        assert all(row.type for row in operators.operators)
        inside_us = sum(row.time_us for row in operators.operators if row.type not in OVERHEAD)
        untraced.append(latency_us)
        whole_ratios.append(sum(row.time_us for row in operators.operators) / latency_us)
        operator_ratios.append(inside_us / latency_us)
    whole, inside = float(np.median(whole_ratios)), float(np.median(operator_ratios))
    print(
        f"\nMobileNetV2 {recipe} on {engine}, 1 thread, {_ROUNDS} rounds: untraced median {np.median(untraced):.0f} us;"
        f" operators alone {100 * inside:.1f} % of it ({_range(operator_ratios)}),"
        f" all {len(operators.operators)} rows {100 * whole:.1f} % ({_range(whole_ratios)}); {headline(operators)}"
    )
    assert abs(inside - 1) < 0.1
    assert abs(whole - 1) < 0.1


def _range(ratios: list[float]) -> str:
    return f"{100 * min(ratios):.1f} to {100 * max(ratios):.1f}"


def _latency_us(engine: str, format: str, data: bytes, images: np.ndarray) -> float:
    session = open_session(engine, data, format, MOBILENET, 1)
    try:
        assert not near_constant(np.concatenate([session.run([image])[0] for image in images]))
        taken = []
        for _ in range(_WARM_UP_CALLS + _CALLS):
            began = time.perf_counter_ns()
            session.run([images[0]])
            taken.append(time.perf_counter_ns() - began)
        return float(np.median(taken[_WARM_UP_CALLS:])) / 1000
    finally:
        session.close()
