"""Traces of operators: what an engine itself records of a few inferences, apart from the timing of whole ones."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import astuple
from typing import TYPE_CHECKING

import numpy as np

from edgekit.engines import ENGINES
from edgekit.errors import EdgekitError
from edgekit.registry import import_name
from edgekit.runtime.profiler.samples import Trace
from edgekit.runtime.timing import warm_up
from edgekit.tensors import Signature

if TYPE_CHECKING:
    from edgekit.runtime.engines.litert_profiler import Event, Node

#: A trace of ExecuTorch grows by some 20 KB with each run.
MAX_RUNS = 100

_WARM_UP_S = 0.3


def trace(
    engine: str,
    data: bytes,
    signature: Signature,
    threads: int,
    inputs: Sequence[np.ndarray],
    *,
    runs: int = MAX_RUNS,
    method: str | None = None,
) -> Trace:
    """Run a model with its engine's tracer on, after a short warm-up without record.

    Args:
        engine: Name of one that has a tracer; *data*, *signature*, *threads* and *method* as in `Engine.open`.
        inputs: One array per input.
        runs: Inferences to trace, at most `MAX_RUNS`.

    Returns:
        What was recorded, for `edgekit.profiling.operators.decode`.

    Raises:
        EdgekitError: ``EK-ENGINE``: the engine has no tracer here; ``EK-RUN``: it failed.
    """
    tracer = ENGINES[engine].tracer
    if not tracer:
        traced = ", ".join(each.name for each in ENGINES if each.tracer)
        raise EdgekitError("EK-ENGINE", f"{engine} has no operator trace here", f"traced: {traced}")
    found: Trace = import_name(tracer)(data, signature, threads, inputs, min(runs, MAX_RUNS), method)
    return found


def trace_executorch(
    data: bytes, signature: Signature, threads: int, inputs: Sequence[np.ndarray], runs: int, method: str | None
) -> Trace:
    from edgekit.runtime.engines.executorch import traced_session

    session = traced_session(data, signature, threads, method)
    try:
        warm_up(lambda: session.run(inputs), _WARM_UP_S)
        session.take_trace()
        for _ in range(runs):
            session.run(inputs)
        return Trace.pack("etdump", session.take_trace())
    finally:
        session.close()


def trace_litert(
    data: bytes, signature: Signature, threads: int, inputs: Sequence[np.ndarray], runs: int, method: str | None
) -> Trace:
    from edgekit.runtime.engines.litert_profiler import ProfiledModel

    model = ProfiledModel(data, signature, threads, method)
    try:
        warm_up(lambda: model.run(inputs), _WARM_UP_S)
        return litert_trace(model.nodes, model.record(inputs, runs))
    finally:
        model.close()


def litert_trace(nodes: Sequence[Node], runs: Sequence[Sequence[Event]]) -> Trace:
    """A JSON document of the file's nodes, and the profiler's events of each run."""
    value = {
        "nodes": [astuple(node) for node in nodes],
        "runs": [[astuple(event) for event in events] for events in runs],
    }
    return Trace.pack("litert", json.dumps(value, separators=(",", ":")).encode())
