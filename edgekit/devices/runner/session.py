"""Measuring where there is no Python: by repeats of the runner, one process for each."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from edgekit.devices.payload.runner_pack import versions
from edgekit.devices.runner.inference import RunnerRun, WithRunner
from edgekit.errors import DeviceError, UsageError
from edgekit.manifest import Variant
from edgekit.runtime.machine import Machine
from edgekit.runtime.profiler import readiness
from edgekit.runtime.profiler.events import Listener, Measured, Note, Progress
from edgekit.runtime.profiler.fairness import conditions, first_inputs
from edgekit.runtime.profiler.profile import BundleRecord, DeviceRecord
from edgekit.runtime.profiler.records import FAILED, MEASURED, NOT_RUN, BoardState, Cell, Process
from edgekit.runtime.profiler.samples import Samples, Spans
from edgekit.runtime.profiler.settings import Request
from edgekit.tensors import grouped

#: The first fifth of a process's inferences is its warm-up: nothing there could see durations settle.
_WARM_UP_SHARE = 0.2
#: Inferences of the process that shows how many the others need, and the most that any gets.
_TRIAL_CALLS, _MAX_CALLS = 20, 100_000
#: Inferences whose operators are recorded, in a process of their own.
_TRACED_CALLS = 20
#: How long the inferences that are taken apart may take, and how many they are.
_SPANS_S, _LEAST_SPANS, _MOST_SPANS = 0.25, 3, 256
_UNWATCHED = "degraded: nothing watched the device's temperature and clock"
_NO_ENERGY = "edgekit's runner reads no power meter"


@dataclass(frozen=True)
class _Runnable:
    """One variant that the runner can run, with its first check input."""

    runner: WithRunner
    variant: Variant
    inputs: tuple[np.ndarray, ...]


def run_session(
    device: str, machine: Machine, runners: Sequence[WithRunner], request: Request, *, listener: Listener
) -> tuple[DeviceRecord, tuple[Cell, ...]]:
    """Measure the bundles of *runners*, all of which are on one device.

    Each repeat is one process, and their order is drawn anew for each. Before it, the device has to be ready, as far as
    it can be looked at; it is looked at again afterwards. What a process does first is its first inference; the first
    fifth is its warm-up. A process more, which does little else than load the model, shows the pace and the memory.
    Operators take another one, at the end.

    Raises:
        DeviceError: ``EK-CONNECT``: the connection broke.
        UsageError: ``EK-ARGUMENT``: the device has no such core.
    """
    for core in request.settings.cpus or ():
        if not 0 <= core < machine.cores:
            raise UsageError("EK-ARGUMENT", f"{device} has no core {core}", f"it has 0 to {machine.cores - 1}")
    listener(Note(f"{device} has no Python that edgekit runs on: its runner measures there"))
    session = _Session(device, request, listener)
    for runner in runners:
        session.plan(runner)
    session.run()
    used = {cell.engine for cell in session.cells if cell.conditions is not None}
    engines = {name: version for name, version in versions().items() if name in used}
    return DeviceRecord(device, False, machine, None, engines), session.cells


class _Session:
    def __init__(self, device: str, request: Request, listener: Listener):
        self._device, self._request, self._listener = device, request, listener
        self._cells: list[Cell] = []
        self._runnable: dict[int, _Runnable] = {}
        #: How many inferences a process of each cell gets, and how many more are taken apart.
        self._paces: dict[int, tuple[int, int]] = {}
        self._wait_s = request.wait_s

    @property
    def cells(self) -> tuple[Cell, ...]:
        return tuple(self._cells)

    def plan(self, runner: WithRunner) -> None:
        """A cell for every variant that was asked for, and a `_Runnable` for each that can run."""
        manifest, settings = runner.bundle.manifest, self._request.settings
        sha256 = BundleRecord.of(runner.bundle).sha256
        sample = first_inputs(runner.bundle)
        for variant, engine in self._pairs(runner):
            reason = runner.why_not(variant, engine)
            cell = Cell(self._device, sha256, variant.name, engine, None, NOT_RUN, reason)
            if not reason:
                (inputs,) = grouped([sample], variant.batch)
                self._runnable[len(self._cells)] = _Runnable(runner, variant, tuple(inputs))
                signature = manifest.signature.batched(variant.batch)
                cell = replace(
                    cell,
                    engine_version=versions()[engine],
                    conditions=conditions(signature, inputs, variant.recipe, "cpu", settings.cpus),
                    energy=_NO_ENERGY,
                )
            self._cells.append(cell)

    def run(self) -> None:
        settings = self._request.settings
        draw = random.Random(settings.seed)
        keys = list(self._runnable)
        for repeat in range(settings.repeats):
            for order, key in enumerate(draw.sample(keys, len(keys))):
                share = (repeat * len(keys) + order) / (settings.repeats * len(keys))
                self._listener(Progress(share * settings.seconds, settings.seconds))
                if self._cells[key].status != FAILED:
                    self._add(key, self._process(key, repeat, order))
                    self._listener(Measured(self._cells[key]))
        for key in keys if settings.operators else ():
            if self._cells[key].status == MEASURED:
                self._cells[key] = self._traced(key)
                self._listener(Measured(self._cells[key]))

    def _pairs(self, runner: WithRunner) -> Iterator[tuple[Variant, str]]:
        """What was asked for; a quick session leaves out batches, unless they are named."""
        request = self._request
        for variant in runner.bundle.manifest.variants:
            named = variant.name in request.variants
            if named or not (request.variants or (variant.batch > 1 and request.settings.mode == "quick")):
                for engine in variant.engines:
                    if not request.engines or engine in request.engines:
                        yield variant, engine

    def _process(self, key: int, repeat: int, order: int) -> Process:
        runnable, settings = self._runnable[key], self._request.settings
        try:
            if key not in self._paces:
                self._try(key, runnable)
            ready = self._wait_until_ready(runnable, first=order == 0)
            run = self._measure(runnable, *self._paces[key])
            after = runnable.runner.host.look()
        except DeviceError as error:
            if error.code == "EK-CONNECT":
                raise
            return Process(repeat, order, cpus=settings.cpus, failure=error.message)
        told = run.document
        warm_up = max(1, round(len(told.elapsed_ns) * _WARM_UP_SHARE))
        return Process(
            repeat,
            order,
            threads=told.threads,
            cpus=settings.cpus,
            import_ms=told.import_ns / 1e6,
            load_ms=told.load_ns / 1e6,
            first_ms=told.elapsed_ns[0] / 1e6,
            warm_up_calls=warm_up,
            warm_up_s=sum(told.elapsed_ns[:warm_up]) / 1e9,
            elapsed_ns=Samples.pack(told.elapsed_ns[warm_up:]),
            round_sizes=(len(told.elapsed_ns) - warm_up,),
            spans=Spans(*map(Samples.pack, told.parts)),
            outputs_sha256=hashlib.sha256(b"".join(array.tobytes() for array in run.outputs.values())).hexdigest(),
            before=ready.state if ready else None,
            after=after,
            waited_s=ready.waited_s if ready else 0.0,
            marks=self._marks(ready, after),
        )

    def _try(self, key: int, runnable: _Runnable) -> None:
        """A first process, for the memory and the pace."""
        settings = self._request.settings
        trial = self._measure(runnable, _TRIAL_CALLS, 0).document
        self._cells[key] = replace(self._cells[key], memory=trial.memory())
        seconds = max(float(np.median(trial.elapsed_ns)) / 1e9, 1e-9)
        wanted = max(settings.samples, settings.seconds / seconds) / settings.repeats
        spans = max(_LEAST_SPANS, min(_MOST_SPANS, int(_SPANS_S / seconds)))
        self._paces[key] = min(_MAX_CALLS, round(wanted / (1 - _WARM_UP_SHARE)) + 1), spans

    def _measure(self, runnable: _Runnable, calls: int, spans: int) -> RunnerRun:
        settings = self._request.settings
        return runnable.runner.measure(
            runnable.variant, runnable.inputs, settings.threads, calls, spans=spans, cpus=settings.cpus
        )

    def _traced(self, key: int) -> Cell:
        """The cell with what is recorded of its operators, or with the reason why nothing is."""
        runnable, settings, cell = self._runnable[key], self._request.settings, self._cells[key]
        try:
            run = runnable.runner.measure(
                runnable.variant, runnable.inputs, settings.threads, _TRACED_CALLS, cpus=settings.cpus, trace=True
            )
        except DeviceError as error:
            if error.code == "EK-CONNECT":
                raise
            return replace(cell, operators_reason=error.message)
        return replace(cell, trace=run.trace)

    def _wait_until_ready(self, runnable: _Runnable, first: bool) -> readiness.Readiness | None:
        """Hold the gate before a process; None where nothing can be seen of the device.

        Args:
            first: Whether it is its repeat's first. The others find what those before them heated up.
        """
        host = runnable.runner.host
        if host.look() is None:
            return None
        ready = readiness.wait_until_ready(
            lambda: host.look() or BoardState(0.0),
            load_below=self._request.start_below_load_per_core,
            celsius_below=self._request.start_below_celsius if first else None,
            wait_s=self._wait_s,
        )
        self._wait_s = max(0.0, self._wait_s - ready.waited_s)
        return ready

    def _marks(self, ready: readiness.Readiness | None, after: BoardState | None) -> tuple[str, ...]:
        if ready is None or after is None:
            return (_UNWATCHED,)
        marks = readiness.marks_of(ready.state, (), after, load_below=self._request.start_below_load_per_core)
        return tuple(filter(None, (ready.mark, *marks)))

    def _add(self, key: int, process: Process) -> None:
        cell = self._cells[key]
        processes = (*cell.processes, process)
        if process.failure:
            self._cells[key] = replace(cell, status=FAILED, reason=process.failure, processes=processes)
            return
        assert cell.conditions is not None
        met = replace(cell.conditions, threads=process.threads)
        self._cells[key] = replace(cell, status=MEASURED, processes=processes, conditions=met)
