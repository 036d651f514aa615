"""One repeat: a fresh process for each cell, and rounds in which they take turns."""

from __future__ import annotations

import math
import random
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any, Literal

import numpy as np

from edgekit.runtime.profiler import readiness
from edgekit.runtime.profiler.records import BoardState, Process
from edgekit.runtime.profiler.samples import Samples, Spans
from edgekit.runtime.profiler.site import Site, Task
from edgekit.runtime.profiler.worker import ProcessFailure, Worker

#: Of what goes before a turn, and does not count.
_DISCARD_NS = 5_000_000
#: A block that is a little short of time would need another round.
_MARGIN = 1.02
#: The least time between two looks at the machine.
_LOOK_S = 0.5
#: Of the passes for spans and for preprocessing, and of the one in which the power meter is read.
_SPANS_S = 0.25
_METER_S = 1.0
#: A turn hangs when it takes this many times as long as it is meant to, and 10 s more.
_HANG_FACTOR, _HANG_S = 20, 10.0


class SteadyState:
    """The steady state of one process, as its turns come in: durations and processor times, round by round.

    Attributes:
        turns: In how many rounds the process has taken part.
        count, elapsed_ns: How many inferences were timed, and how long they took together.
    """

    def __init__(self) -> None:
        self.turns, self.count, self.elapsed_ns = 0, 0, 0
        self._rounds: list[np.ndarray] = []
        self._cpu_ns: list[np.ndarray] = []
        self._waits: list[int | None] = []

    def add(self, number: int, elapsed_ns: np.ndarray, cpu_ns: np.ndarray, waits: int | None) -> None:
        """Take in the turn of round *number*: int64 durations, processor times (none where the system does not tell),
        and how often the process waited."""
        self._rounds += [np.empty(0, np.int64)] * (number - len(self._rounds))
        self._rounds.append(elapsed_ns)
        self._cpu_ns.append(cpu_ns)
        self._waits.append(waits)
        self.turns += 1
        self.count += elapsed_ns.size
        self.elapsed_ns += int(elapsed_ns.sum())

    def facts(self) -> dict[str, Any]:
        """What `edgekit.runtime.profiler.records.Process` says of it."""
        cpu_ns = np.concatenate(self._cpu_ns)
        known = [waits for waits in self._waits if waits is not None]
        return {
            "elapsed_ns": Samples.pack(np.concatenate(self._rounds)),
            "round_sizes": tuple(part.size for part in self._rounds),
            "cpu_ns": Samples.pack(cpu_ns) if cpu_ns.size == self.count else None,
            "waits": sum(known) if len(known) == len(self._waits) else None,
        }


class Run:
    """One process of one task, as far as it has come.

    Attributes:
        failed: Whether it has ended, with nothing to show.
        last_calls: Inferences in its last turn.
        core: Where that ended, as far as the system tells.
    """

    def __init__(self, site: Site, task: Task, repeat: int, order: int):
        settings = site.request.settings
        self.task = task
        self.failed = False
        self.last_calls = 1
        self.core: int | None = None
        self._site = site
        self._worker: Worker | None = None
        self._facts: dict[str, Any] = {"repeat": repeat, "order": order, "cpus": settings.cpus}
        self._typical_ns = 0
        self._steady = SteadyState()
        self._due_s, self._due = settings.seconds / settings.repeats, math.ceil(settings.samples / settings.repeats)
        self._looks: list[BoardState] = []

    @property
    def threads(self) -> int | None:
        """That the engine really uses, once the model is loaded."""
        return self._facts.get("threads")

    @property
    def done(self) -> bool:
        """Whether it has its share of rounds, of samples and of time."""
        steady = self._steady
        enough = steady.count >= self._due and steady.elapsed_ns >= self._due_s * 1e9
        return enough and steady.turns >= self._site.rounds

    def start(self) -> None:
        """From nothing to a settled model. Raises `ProcessFailure`: see `failure`."""
        site, task, facts = self._site, self.task, self._facts
        ready = site.wait_until_ready(first=facts["order"] == 0)
        facts["before"], facts["waited_s"] = ready.state, ready.waited_s
        self._mark = ready.mark
        self._worker = worker = site.open_worker(task)
        facts |= worker.ask("import", "importing its library")[0]
        cache: Literal["cold", "warm"] = "warm" if facts["repeat"] % 2 else "cold"
        loaded = worker.ask("load", "loading the model", file=str(task.file), threads=site.threads, cache=cache)[0]
        facts |= loaded
        facts |= worker.ask("first", "running its first inference")[0]
        # Where an inference takes seconds, the limit holds too few of them.
        longest_s = max(site.most_warm_up_s, 8 * facts["first_ms"] / 1000)
        warm, last = worker.ask(
            "warm_up", "warming up", expected_s=longest_s, shortest_s=site.least_warm_up_s, longest_s=longest_s
        )
        self._typical_ns = max(1, warm.pop("typical_ns"))
        facts |= warm
        site.needed_bytes[task.key] = max(site.needs(task), worker.resident_bytes)
        settled = Samples.pack(np.frombuffer(last, "<i8"))
        site.on_work(task.start_s)
        site.on_first(task, Process(**facts, elapsed_ns=settled, round_sizes=(settled.count,)))

    def take_turn(self, number: int, core: int | None = None) -> None:
        """Its part of the round *number* of its block, begun on *core*, or wherever the system has it."""
        rounds = self._site.rounds
        fit = round(_MARGIN * self._due_s * 1e9 / rounds / self._typical_ns)
        self.last_calls = calls = max(1, math.ceil(self._due / rounds), fit)
        expected_s = (calls * self._typical_ns + _DISCARD_NS) / 1e9
        answer, times_ns = self._ask_for_times(
            "turn", "running", expected_s, calls=calls, discard_ns=_DISCARD_NS, core=core
        )
        self.core = answer["core"]
        elapsed_ns = times_ns[:calls]
        self._steady.add(number, elapsed_ns, times_ns[calls:], answer["waits"])
        self._typical_ns = max(1, int(np.mean(elapsed_ns)))  # the mean, since time is what is to be filled
        if self._steady.turns <= rounds:
            self._site.on_work(self._due_s / rounds)

    def see(self, look: BoardState) -> None:
        self._looks.append(look)

    def finish(self) -> None:
        """What comes after the steady state: spans, preprocessing, the power meter."""
        assert self._worker is not None
        calls = max(3, min(256, int(_SPANS_S * 1e9 / self._typical_ns)))
        expected_s = calls * self._typical_ns / 1e9
        answer, body = self._worker.ask("spans", "running", expected_s=expected_s, calls=calls)
        if answer["spans"]:
            self._facts["spans"] = Spans(*map(Samples.pack, np.frombuffer(body, "<i8").reshape(3, -1)))
        if self.task.preprocessing is not None:
            preprocessing = self.task.preprocessing
            _, elapsed_ns = self._ask_for_times(
                "preprocess", "preprocessing", _SPANS_S, preprocessing=preprocessing, seconds=_SPANS_S
            )
            if elapsed_ns.size:
                self._facts["preprocess_ns"] = Samples.pack(elapsed_ns)
        if not self._site.board.energy_reason:
            self._read_meter()

    def close(self) -> None:
        if self._worker is not None:
            self._worker.close()

    def record(self, after: BoardState) -> Process:
        """The process that did all it was asked to."""
        before = self._facts["before"]
        load_below = self._site.request.start_below_load_per_core
        marks = readiness.marks_of(before, self._looks, after, load_below=load_below)
        return Process(
            **self._facts,
            **self._steady.facts(),
            during=tuple(self._looks),
            after=after,
            marks=tuple(filter(None, (self._mark, *marks))),
        )

    def failure(self, failure: ProcessFailure) -> Process:
        """The process that *failure* ended: what came before its steady state, and why."""
        self.failed = True
        return Process(
            **self._facts, during=tuple(self._looks), failure=failure.reason, signal=failure.signal, log=failure.log
        )

    def _ask_for_times(
        self, do: str, doing: str, expected_s: float, **arguments: Any
    ) -> tuple[dict[str, Any], np.ndarray]:
        assert self._worker is not None
        most_s = _HANG_FACTOR * expected_s + _HANG_S
        answer, body = self._worker.ask(do, doing, expected_s=expected_s, most_s=most_s, **arguments)
        return answer, np.frombuffer(body, "<i8")

    def _read_meter(self) -> None:
        """Look at the power meter while inferences run that are not timed: reading it takes the processor some work."""
        assert self._worker is not None
        calls = max(1, int(_METER_S * 1e9 / self._typical_ns))
        looks: list[BoardState] = []
        self._worker.ask(
            "turn",
            "running",
            expected_s=calls * self._typical_ns / 1e9,
            meanwhile=lambda: looks.append(self._site.board.look(meter=True)),
            calls=calls,
            discard_ns=0,
        )
        self._looks += looks


def run_block(site: Site, tasks: Sequence[Task], repeat: int) -> dict[int, Process]:
    """Measure each of *tasks* in a process of its own; by their keys.

    Processes are started one at a time, in an order that is drawn anew for each block, and then take turns. Where they
    do not all fit into memory, they are measured in several groups, beside the first of *tasks* in each.
    """
    planned = site.request.settings.repeats
    site.log(f"repeat {repeat + 1} of {planned}" if repeat < planned else f"repeat {repeat + 1}")
    block = _Block(site, repeat)
    try:
        for task in _in_order(site, tasks, repeat):
            block.add(task, reference=task is tasks[0])
        block.measure()
        block.end()
    finally:
        block.close()
    return block.records


class _Block:
    def __init__(self, site: Site, repeat: int):
        self.records: dict[int, Process] = {}
        self._site = site
        self._repeat = repeat
        self._started = 0
        self._runs: list[Run] = []
        self._reference: Run | None = None
        self._number = 0
        self._looked_s = 0.0

    def add(self, task: Task, reference: bool) -> None:
        room = self._site.limit.room_bytes()
        if room is not None and room < self._site.needs(task) and any(run is not self._reference for run in self._runs):
            self.measure()
            self.end(but=self._reference)
        run = Run(self._site, task, self._repeat, self._started)
        self._started += 1
        self._runs.append(run)
        if self._try(run, run.start) and reference:
            self._reference = run

    def measure(self) -> None:
        """Rounds, until each process has its share. Every process takes part in every round: one that had its share and
        left would make the others' last rounds quieter than its own."""
        while any(not run.done for run in self._runs):
            order = list(self._runs)
            _random(self._site, self._repeat, self._number).shuffle(order)
            core = None
            for run in order:
                # Where the system puts the first one, the others follow; several threads have several cores.
                alone = run.threads == 1
                self._try(run, partial(run.take_turn, self._number, core if alone else None))
                core = run.core if alone and core is None else core
            self._number += 1
            if time.monotonic() - self._looked_s >= _LOOK_S:
                self._looked_s = time.monotonic()
                self._look()
        self._look()

    def end(self, but: Run | None = None) -> None:
        """Finish all processes of the group, except one that stays for the next."""
        ending = [run for run in self._runs if run is not but]
        for run in ending:
            self._try(run, run.finish)
        after = self._site.board.look()
        for run in ending:
            if not run.failed:
                self.records[run.task.key] = run.record(after)
            run.close()
        self._runs = [run for run in self._runs if run is but]

    def close(self) -> None:
        for run in self._runs:
            run.close()

    def _look(self) -> None:
        look = self._site.board.look()
        for run in self._runs:
            run.see(look)

    def _try(self, run: Run, step: Callable[[], None]) -> bool:
        """Whether *run* is still there after *step*."""
        try:
            step()
        except ProcessFailure as failure:
            self._site.log(f"{run.task.name}: {failure.reason}")
            self.records[run.task.key] = run.failure(failure)
            run.close()
            self._runs = [other for other in self._runs if other is not run]
            if self._reference is run:
                self._reference = None
            return False
        return True


def _in_order(site: Site, tasks: Sequence[Task], repeat: int) -> Iterator[Task]:
    """The tasks in the order of their start.

    In a quick session, what is soon imported comes first, for the first figures to come soon. What all others are to
    be measured beside comes first when they do not fit into memory together.
    """
    order = list(tasks)
    _random(site, repeat, -1).shuffle(order)
    if site.request.settings.mode == "quick":
        order.sort(key=lambda task: task.slow_to_import)
    room = site.limit.room_bytes()
    if room is not None and room < sum(map(site.needs, tasks)):
        order.sort(key=lambda task: task is not tasks[0])
    return iter(order)


def _random(site: Site, repeat: int, number: int) -> random.Random:
    return random.Random(f"{site.request.settings.seed}/{repeat}/{number}")
