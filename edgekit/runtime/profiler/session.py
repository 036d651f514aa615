"""A session: what a device measures at one request, in which order, and what becomes of it."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from edgekit.bundle import Bundle
from edgekit.errors import UsageError, did_you_mean
from edgekit.manifest import Manifest
from edgekit.runtime import frames
from edgekit.runtime.contents import read_variant
from edgekit.runtime.engines import available
from edgekit.runtime.engines import engine as find_engine
from edgekit.runtime.machine import Machine, default_threads, read_machine
from edgekit.runtime.profiler.block import run_block
from edgekit.runtime.profiler.board import Board
from edgekit.runtime.profiler.events import Listener, Measured, Progress, log_to
from edgekit.runtime.profiler.fairness import conditions, first_inputs
from edgekit.runtime.profiler.profile import BundleRecord, DeviceRecord
from edgekit.runtime.profiler.readiness import is_busy
from edgekit.runtime.profiler.records import FAILED, MEASURED, NOT_RUN, Cell, Memory, Process
from edgekit.runtime.profiler.samples import Trace
from edgekit.runtime.profiler.settings import Mode, Request, Settings
from edgekit.runtime.profiler.site import Site, Task
from edgekit.runtime.profiler.worker import MemoryLimit, ProcessFailure
from edgekit.runtime.selection import Choice, choices, needed_memory_bytes
from edgekit.schema import conform
from edgekit.tensors import grouped


@dataclass(frozen=True)
class ModeSettings:
    """What a mode stands for; see `Settings`. Warm-ups end between *least_warm_up_s* and *most_warm_up_s*.

    Two equal processes differ by 1 % or more for as long as they live, by where their memory lies, and most on a busy
    machine: two of each do not show whether one is 2 % slower. There a quick session that has something to compare
    takes as many as a longer one.
    """

    repeats: int
    seconds: float
    samples: int
    least_warm_up_s: float
    most_warm_up_s: float
    busy_repeats: int | None = None


MODES: dict[Mode, ModeSettings] = {
    "quick": ModeSettings(repeats=2, seconds=1.0, samples=64, least_warm_up_s=0.2, most_warm_up_s=1.5, busy_repeats=5),
    "default": ModeSettings(repeats=5, seconds=10.0, samples=1024, least_warm_up_s=1.0, most_warm_up_s=10.0),
    "strict": ModeSettings(repeats=10, seconds=60.0, samples=1024, least_warm_up_s=2.0, most_warm_up_s=20.0),
}

#: What an engine's library and Python take, about, before one has been seen to; torch and TensorFlow take more.
_ENGINE_BYTES, _FRAMEWORK_BYTES = 64 << 20, 512 << 20
_FRAMEWORKS = ("torch", "pytorch", "tensorflow", "keras")
#: Inferences in the memory pass; and in the operators' pass, as many as one second holds, within bounds.
_MEMORY_CALLS = 5
_TRACE_S, _LEAST_TRACED, _MOST_TRACED = 1.0, 5, 50
#: A cell that failed twice is not tried again; one that failed at the first try was not going to work.
_MOST_FAILURES = 2


def settings_for(
    mode: Mode = "default",
    *,
    seed: int,
    threads: int | None = None,
    cpus: tuple[int, ...] | None = None,
    operators: bool = False,
) -> Settings:
    """The settings that *mode* stands for."""
    its = MODES[mode]
    return Settings(
        mode, seed, its.repeats, its.seconds, its.samples, threads, cpus, operators, busy_repeats=its.busy_repeats
    )


def run_session(
    bundles: Sequence[Bundle], request: Request, *, listener: Listener, board: Board | None = None
) -> tuple[DeviceRecord, tuple[Cell, ...]]:
    """Measure every variant of *bundles* on every engine that *request* asks for, on this machine.

    Each cell is measured in one fresh process per repeat; the processes of one repeat take turns (see
    `edgekit.runtime.profiler.block`). Memory and operators have passes of their own. An engine that refuses, crashes,
    hangs or takes too much memory costs its own cell and nothing else.

    Args:
        board: Reads the machine.

    Returns:
        The machine, under the name ``local``, and the cells in the order of the bundles and of
        `edgekit.runtime.selection.choices`.

    Raises:
        UsageError: ``EK-ARGUMENT``, ``EK-ENGINE``: there is no such variant, engine or core, or no number of threads
            like that.
        BundleError: A bundle is damaged.
    """
    settings = request.settings
    _check(settings)
    known = {variant.name for bundle in bundles for variant in bundle.manifest.variants}
    for name in request.variants:
        if name not in known:
            raise UsageError("EK-ARGUMENT", f"there is no variant {name!r}", did_you_mean(name, known))
    machine = read_machine()
    with tempfile.TemporaryDirectory(prefix="edgekit-profile-") as folder:
        session = _Session(bundles, request, machine, Path(folder), listener, board or Board())
        session.run()
    return DeviceRecord("local", False, machine, None, available()), session.cells


class _Session:
    def __init__(
        self,
        bundles: Sequence[Bundle],
        request: Request,
        machine: Machine,
        folder: Path,
        listener: Listener,
        board: Board,
    ):
        self._request = request
        self._listener = listener
        self._cells: list[Cell] = []
        self._tasks: list[Task] = []
        settings = request.settings
        cores = default_threads() if settings.cpus is None else min(default_threads(), len(set(settings.cpus)))
        mode = MODES[settings.mode]
        self._site = Site(
            request=request,
            threads=settings.threads or cores,
            least_warm_up_s=mode.least_warm_up_s,
            most_warm_up_s=mode.most_warm_up_s,
            board=board,
            limit=MemoryLimit(request.memory_bytes),
            wait_s=request.wait_s,
            log=log_to(listener),
            on_work=self._add_work,
            on_first=self._tell_first,
        )
        for index, bundle in enumerate(bundles):
            self._plan(bundle, machine, folder / str(index))
        start_s = sum(task.start_s for task in self._tasks)
        passes = settings.repeats + 1 + settings.operators
        self._done_s = 0.0
        self._total_s = passes * start_s + len(self._tasks) * settings.seconds

    @property
    def cells(self) -> tuple[Cell, ...]:
        return tuple(self._cells)

    def run(self) -> None:
        processes: dict[int, list[Process]] = {task.key: [] for task in self._tasks}
        settings = self._request.settings
        for repeat in range(settings.repeats):
            self._repeat(repeat, processes)
        more = range(settings.repeats, settings.busy_repeats or 0)
        compared = len(self._tasks) > 1
        if more and compared and any(is_busy(process.marks) for each in processes.values() for process in each):
            self._site.log(f"other programs keep this machine busy: {len(more)} more repeats")
            share_s = settings.seconds / settings.repeats
            self._total_s += len(more) * sum(task.start_s + share_s for task in self._tasks)
            for repeat in more:
                self._repeat(repeat, processes)
        for task in self._tasks:
            if self._cells[task.key].status == MEASURED:
                self._look_inside(task)
        self._add_work(self._total_s)

    def _repeat(self, number: int, processes: dict[int, list[Process]]) -> None:
        """One block, whose processes are added to *processes*."""
        tasks = [task for task in self._tasks if not _is_hopeless(processes[task.key])]
        if tasks:
            for key, process in run_block(self._site, tasks, number).items():
                processes[key].append(process)
        for task in tasks:
            self._cells[task.key] = self._with(task, processes[task.key])
            self._tell(self._cells[task.key])

    def _plan(self, bundle: Bundle, machine: Machine, folder: Path) -> None:
        """A cell for each choice; a task for each that can run."""
        manifest, settings = bundle.manifest, self._request.settings
        sha = BundleRecord.of(bundle).sha256
        sample = first_inputs(bundle)
        folder.mkdir()
        for choice in _choices(manifest, machine, self._request):
            variant, key = manifest.variant(choice.variant), len(self._cells)
            engine = find_engine(choice.engine)
            cell = Cell(
                device="local",
                bundle=sha,
                variant=variant.name,
                engine=choice.engine,
                engine_version=engine.version(),
                status=NOT_RUN,
                reason="" if choice.usable else choice.reason,
                energy=self._site.board.energy_reason,
            )
            self._cells.append(cell)
            if not choice.usable:
                self._tell(cell)
                continue
            signature = manifest.signature.batched(variant.batch)
            (inputs,) = grouped([sample], variant.batch)
            (folder / f"inputs-{variant.batch}").write_bytes(frames.pack(inputs))
            expected = conditions(signature, inputs, variant.recipe, engine.accelerator, settings.cpus)
            self._cells[key] = replace(cell, conditions=expected)
            slow = choice.engine.startswith(_FRAMEWORKS)
            needed = needed_memory_bytes(manifest, variant) + (_FRAMEWORK_BYTES if slow else _ENGINE_BYTES)
            file = folder / variant.sha256
            if not file.exists():
                _write_to_disk(file, bytes(read_variant(bundle, variant).data))
            task = Task(
                key=key,
                variant=variant.name,
                engine=choice.engine,
                file=file,
                inputs=folder / f"inputs-{variant.batch}",
                signature=signature,
                # It is for one sample.
                preprocessing=dict(manifest.preprocessing) if manifest.preprocessing and variant.batch == 1 else None,
                needed_bytes=needed,
                slow_to_import=slow,
            )
            self._tasks.append(task)

    def _with(self, task: Task, processes: Sequence[Process]) -> Cell:
        """The task's cell with what *processes* came to."""
        cell = self._cells[task.key]
        failures = [process.failure for process in processes if process.failure]
        worked = [process for process in processes if not process.failure]
        reason = failures[0] if failures else ""
        if worked and failures:
            reason = f"{len(failures)} of {len(processes)} processes failed: {reason}"
        met = cell.conditions
        if worked and met is not None:
            met = replace(met, threads=worked[0].threads)
        status = MEASURED if worked else FAILED
        return replace(cell, status=status, reason=reason, conditions=met, processes=tuple(processes))

    def _look_inside(self, task: Task) -> None:
        """The passes for memory and for operators, each in a fresh process."""
        cell = self._cells[task.key]
        try:
            cell = replace(cell, memory=self._memory(task))
        except ProcessFailure as failure:
            self._site.log(f"{task.name}: no figures of memory: {failure.reason}")
        self._add_work(task.start_s)
        if self._request.settings.operators:
            try:
                cell = replace(cell, trace=self._trace(task, cell))
            except ProcessFailure as failure:
                cell = replace(cell, operators_reason=failure.reason)
            self._add_work(task.start_s)
        self._cells[task.key] = cell
        self._tell(cell)

    def _memory(self, task: Task) -> Memory | None:
        worker = self._site.open_worker(task)
        try:
            worker.ask("import", "importing its library")
            worker.ask("load", "loading the model", file=str(task.file), threads=self._site.threads, cache="warm")
            facts, _ = worker.ask("memory", "running", calls=_MEMORY_CALLS)
        finally:
            worker.close()
        memory: Memory | None = conform(Memory | None, facts["memory"])
        return memory

    def _trace(self, task: Task, cell: Cell) -> Trace:
        durations = [process.elapsed_ns.array() for process in cell.processes if process.elapsed_ns is not None]
        fit = int(_TRACE_S * 1e9 / max(1.0, float(np.median(np.concatenate(durations)))))
        runs = min(_MOST_TRACED, max(_LEAST_TRACED, fit))
        worker = self._site.open_worker(task)
        try:
            threads = self._site.threads
            facts, body = worker.ask("trace", "tracing", file=str(task.file), threads=threads, runs=runs)
        finally:
            worker.close()
        return Trace(facts["kind"], body.decode("ascii"))

    def _tell_first(self, task: Task, process: Process) -> None:
        if not self._cells[task.key].processes:
            self._tell(self._with(task, [process]))

    def _tell(self, cell: Cell) -> None:
        self._listener(Measured(cell))

    def _add_work(self, seconds: float) -> None:
        self._done_s = min(self._total_s, self._done_s + seconds)
        self._listener(Progress(round(self._done_s, 3), round(self._total_s, 3)))


def _check(settings: Settings) -> None:
    if settings.threads is not None and settings.threads < 1:
        raise UsageError("EK-ARGUMENT", f"threads must be at least 1, not {settings.threads}")
    check_cpus(settings.cpus)


def check_cpus(cpus: Sequence[int] | None) -> None:
    """Raise `UsageError` ``EK-ARGUMENT`` for cores that this machine does not have for this process."""
    usable = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else set()
    if cpus is not None and not set() < set(cpus) <= usable:
        missing = next(iter(sorted(set(cpus) - usable)), "")
        known = ", ".join(map(str, sorted(usable))) or "none: this system binds no process to a core"
        raise UsageError("EK-ARGUMENT", f"this machine has no core {missing}", f"it has: {known}")


def _choices(manifest: Manifest, machine: Machine, request: Request) -> list[Choice]:
    """What was asked for of a bundle; of engines that were named, only the variants that they load.

    A quick session leaves out batches, unless they are named.
    """
    found: list[Choice] = []
    for engine in dict.fromkeys(request.engines) or (None,):
        of_engine = list(choices(manifest, machine, engine=engine))
        if engine is not None:
            formats = find_engine(engine).formats
            of_engine = [one for one in of_engine if manifest.variant(one.variant).format in formats]
        found += of_engine
    if request.variants:
        return [choice for choice in found if choice.variant in request.variants]
    quick = request.settings.mode == "quick"
    return [choice for choice in found if not quick or manifest.variant(choice.variant).batch == 1]


def _write_to_disk(file: Path, data: bytes) -> None:
    """To the disk itself: what is not yet there cannot be taken out of the file cache."""
    with file.open("wb") as stream:
        stream.write(data)
        stream.flush()
        os.fsync(stream.fileno())


def _is_hopeless(processes: Sequence[Process]) -> bool:
    failures = sum(bool(process.failure) for process in processes)
    return failures > 0 and (failures == len(processes) or failures >= _MOST_FAILURES)
