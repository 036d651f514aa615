"""Traces of operators: what an engine itself records of a few inferences, apart from the timing of whole ones."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from edgekit.engines import ENGINES
from edgekit.errors import EdgekitError
from edgekit.registry import import_name
from edgekit.runtime import children
from edgekit.runtime.engines.base import failure
from edgekit.runtime.native import command
from edgekit.runtime.profiler.samples import Trace
from edgekit.runtime.timing import warm_up
from edgekit.tensors import Signature

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
    """By the runner: LiteRT's library has a profiler, and its Python interface has none."""
    from edgekit.runtime.engines.litert import LiteRT, library
    from edgekit.runtime.native.build import runner_here

    libraries, runner = library().parent, runner_here()
    with tempfile.TemporaryDirectory(prefix="edgekit-trace-") as folder:
        model, events = Path(folder, "model"), Path(folder, "events")
        model.write_bytes(data)
        for file, array in zip(command.input_files(folder, signature), inputs, strict=True):
            Path(file).write_bytes(array.tobytes())
        options = command.options(
            LiteRT.name, str(model), signature, folder, threads=threads, repeat=runs, method=method, trace=str(events)
        )
        variables = children.environment(LD_LIBRARY_PATH=str(libraries))
        try:
            done = children.run([str(runner), *options], capture_output=True, env=variables)
        except OSError as error:
            raise failure(LiteRT.name, f"start {runner}", error) from error
        if done.returncode < 0:
            raise children.Death(done.returncode).error(f"{LiteRT.name}'s process")
        if done.returncode:
            raise failure(LiteRT.name, "trace the model", RuntimeError(_reason(done.stdout, done.stderr)))
        return Trace.pack("litert", events.read_bytes())


def _reason(output: str, errors: str) -> str:
    """Why the runner failed: in its own words, or in those of the system that did not start it."""
    try:
        return str(json.loads(output)["error"])
    except (ValueError, KeyError, TypeError):
        return next(iter(errors.strip().splitlines()[-1:]), "it gave no reason")
