"""One model file on one engine: does it run, what comes out, how fast, in how much memory."""

from __future__ import annotations

import json
import tempfile
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from time import perf_counter_ns

import numpy as np

from edgekit import npz
from edgekit.errors import EdgekitError, UsageError
from edgekit.runtime import environments, frames, memory
from edgekit.runtime.children import Child, Death
from edgekit.runtime.confinement import end_with_parent
from edgekit.runtime.engines import engine as find_engine
from edgekit.runtime.engines import open_session
from edgekit.runtime.engines.base import Session, failure
from edgekit.runtime.samples import Column, open_samples
from edgekit.runtime.signals import leave_to_parent
from edgekit.runtime.timing import Latency, latency_ms, time_calls
from edgekit.schema import conform
from edgekit.tensors import Signature, TensorSpec


@dataclass(frozen=True)
class Trial:
    """How it went.

    Attributes:
        threads: In use.
        samples: That were run.
        latency_ms: None where it was not timed.
    """

    engine: str
    engine_version: str | None
    threads: int
    samples: int
    load_ms: float
    latency_ms: Latency | None
    peak_rss_bytes: int | None


@dataclass(frozen=True)
class Job:
    """What is tried.

    Attributes:
        file: The model file.
        format, engine: See `edgekit.runtime.engines.open_session`.
        signature: Its batch size is that of an inference.
        inputs: ``.npz`` of inputs by name, samples first; other arrays in it are ignored. It is read as it goes.
        outputs: ``.npz`` to write, outputs by name, samples first.
        threads: Threads to ask the engine for.
        samples: Calls to time; 0 for no timing.
        names: What inputs are called in the file, if not as in the signature (see
            `edgekit.runtime.samples.open_samples`).
        rows: Numbers of the samples to run, in this order; all of them with None.
    """

    file: str
    format: str
    engine: str
    signature: Signature
    inputs: str
    outputs: str
    threads: int
    samples: int
    names: Mapping[str, str] | None = None
    rows: tuple[int, ...] | None = None


def run_trial(job: Job) -> Trial:
    """Run samples once each, keep the outputs, then time the model on the first sample.

    An engine that needs an environment of its own is run there. Memory is that of the whole process: for a
    figure worth keeping, run this one in a fresh process (``python -m edgekit.runtime.trial``).

    Raises:
        EdgekitError: ``EK-RUN``: the engine fails, or gives another output for the same input later on;
            ``EK-CRASHED``: the process of its environment died; ``EK-ENGINE``: not installed.
    """
    if environments.is_needed(job.engine):
        return _run_elsewhere(job)
    specs, engine = job.signature, job.engine
    given = _open_inputs(job.inputs, specs.inputs, job.names, job.rows)
    data = Path(job.file).read_bytes()
    before = perf_counter_ns()
    session = open_session(engine, data, job.format, specs, job.threads)
    load_ms = (perf_counter_ns() - before) / 1e6
    try:
        answers = _run_all(session, given, engine)
        columns = zip(specs.outputs, zip(*answers, strict=True), strict=True)
        npz.save(job.outputs, {spec.name: np.concatenate(column)[: given.samples] for spec, column in columns})
        first = given[0]
        timing = latency_ms(time_calls(lambda: session.run(first), job.samples)) if job.samples else None
    finally:
        session.close()
    return Trial(
        engine,
        find_engine(engine).version(),
        session.threads,
        given.samples,
        load_ms=round(load_ms, 3),
        latency_ms=timing,
        peak_rss_bytes=memory.own_bytes().get("VmHWM"),
    )


class _Inputs:
    """What goes into each inference, read when it is asked for; the last one is filled up with its last sample."""

    def __init__(self, columns: Sequence[Column], batch: int, rows: Sequence[int] | None):
        self.samples = len(columns[0]) if rows is None else len(rows)
        self._columns = columns
        self._batch = batch
        self._rows = rows

    def __len__(self) -> int:
        return -(-self.samples // self._batch)

    def __getitem__(self, index: int) -> list[np.ndarray]:
        begin = index * self._batch
        missing = max(0, begin + self._batch - self.samples)
        chosen = slice(begin, begin + self._batch)
        given = [column[chosen if self._rows is None else self._rows[chosen]] for column in self._columns]
        return [np.concatenate([array, *[array[-1:]] * missing]) if missing else array for array in given]


def _open_inputs(
    path: str, specs: tuple[TensorSpec, ...], names: Mapping[str, str] | None, rows: Sequence[int] | None
) -> _Inputs:
    try:
        columns = list(open_samples(path, specs, names).values())
    except KeyError as error:
        known = ", ".join(npz.open_rows(path))
        raise UsageError("EK-INPUT", f"{path} has no input {error.args[0]!r}", f"it has: {known}") from error
    except (ValueError, zipfile.BadZipFile) as error:
        raise UsageError("EK-INPUT", f"{path} holds no samples ({error})", "save it with numpy.savez") from error
    counts = {len(column) for column in columns}
    if len(counts) != 1 or 0 in counts:
        raise UsageError("EK-INPUT", f"{path} needs the same number of samples, at least one, for each input")
    for spec, column in zip(specs, columns, strict=True):
        replace(spec, shape=(1, *spec.shape[1:])).check(column[:1])
    return _Inputs(columns, specs[0].shape[0], rows)


def _run_all(session: Session, inputs: _Inputs, engine: str) -> list[list[np.ndarray]]:
    """Outputs of each sample; the first runs twice at the start and once more at the end."""
    again = session.run(inputs[0])
    rows = [session.run(inputs[index]) for index in range(len(inputs))]
    for repeated in (again, session.run(inputs[0])):
        if any(a.tobytes() != b.tobytes() for a, b in zip(rows[0], repeated, strict=True)):
            raise EdgekitError(
                "EK-RUN",
                f"{engine} gives different outputs for the same input from one run to the next",
                "memory of an input may be reused for intermediate values; build the variant again",
            )
    return rows


def _run_elsewhere(job: Job) -> Trial:
    """Run *job* in its engine's environment, as a process of its own."""
    engine = job.engine
    with tempfile.TemporaryFile(prefix="edgekit-trial-") as log:
        child = Child(environments.command(engine, "edgekit.runtime.trial"), log)
        try:
            result, _ = child.ask({}, json.dumps(asdict(job)).encode(), take=frames.receive)
        except Death as death:
            error = death.error(f"{engine}'s process")
            log.seek(0)
            last = log.read().decode(errors="replace").strip().splitlines()[-1:]
            raise EdgekitError(error.code, error.message, *last) if last else error from death
        finally:
            child.kill()
    trial: Trial = conform(Trial, result)
    return trial


def main() -> None:
    """Run jobs at the host's word."""
    leave_to_parent()
    end_with_parent()
    frames.serve(
        lambda _, job: (asdict(run_trial(conform(Job, json.loads(job)))), b""),
        lambda error: failure("the engine", "run the file", error),
    )


if __name__ == "__main__":
    main()
