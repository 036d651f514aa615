"""What all blocks of a session share, and the cells that they measure."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from edgekit.display import Log
from edgekit.runtime.profiler import readiness
from edgekit.runtime.profiler.board import Board
from edgekit.runtime.profiler.records import Process
from edgekit.runtime.profiler.settings import Request
from edgekit.runtime.profiler.worker import MemoryLimit, Worker
from edgekit.tensors import Signature

#: Of a turn, when that suffices for the samples.
TURN_S = 0.05
#: The least of rounds, so that processes are compared in more than one.
_LEAST_ROUNDS = 5


@dataclass(frozen=True)
class Task:
    """One cell, ready to be measured.

    Attributes:
        key: Of the cell.
        file, inputs: The model file; the bytes of its inputs, one after the other.
        preprocessing: As in the manifest.
        needed_bytes: An estimate of the memory that it takes.
        slow_to_import: Whether its engine takes seconds to import.
    """

    key: int
    variant: str
    engine: str
    file: Path
    inputs: Path
    signature: Signature
    preprocessing: dict[str, Any] | None
    needed_bytes: int
    slow_to_import: bool

    @property
    def name(self) -> str:
        return f"{self.variant} on {self.engine}"

    @property
    def start_s(self) -> float:
        """About how long it takes from nothing to a settled model."""
        return 6.0 if self.slow_to_import else 1.5


@dataclass
class Site:
    """What all blocks of a session share.

    Attributes:
        threads: What engines are asked for.
        least_warm_up_s, most_warm_up_s: Of each warm-up.
        wait_s: How long it may still wait for the machine.
        needed_bytes: What processes were seen to take, by task.
        hot: Whether the block at work began above the limit of the temperature.
        log: Called with a line for people.
        on_work: Called with the seconds that what was just done was planned to take.
        on_first: Called with the first record of a process that has settled.
    """

    request: Request
    threads: int
    least_warm_up_s: float
    most_warm_up_s: float
    board: Board
    limit: MemoryLimit
    wait_s: float
    log: Log
    on_work: Callable[[float], None]
    on_first: Callable[[Task, Process], None]
    needed_bytes: dict[int, int] = field(default_factory=dict)
    hot: bool = False

    @property
    def rounds(self) -> int:
        """In how many rounds each process takes part, at least."""
        settings = self.request.settings
        fit = min(settings.seconds / TURN_S, settings.samples) / settings.repeats
        return max(_LEAST_ROUNDS, math.ceil(fit))

    def needs(self, task: Task) -> int:
        return self.needed_bytes.get(task.key, task.needed_bytes)

    def open_worker(self, task: Task) -> Worker:
        """A fresh process that knows the task's engine, signature and inputs, and has imported nothing yet."""
        worker = Worker(task.engine, self.limit, self.request.cell_timeout_s)
        try:
            cpus = self.request.settings.cpus
            worker.ask(
                "start",
                "starting",
                engine=task.engine,
                signature=task.signature.to_json(),
                inputs=str(task.inputs),
                cpus=None if cpus is None else list(cpus),
            )
        except BaseException:
            worker.close()
            raise
        return worker

    def wait_until_ready(self, *, first: bool) -> readiness.Readiness:
        """Hold the gate before a process starts.

        Args:
            first: Whether it is its block's first. The others find what those before them heated up, and that does not
                count, unless the block began above the limit already.
        """
        celsius_below = self.request.start_below_celsius if first or self.hot else None
        ready = readiness.wait_until_ready(
            self.board.look,
            load_below=self.request.start_below_load_per_core,
            celsius_below=celsius_below,
            wait_s=self.wait_s,
            clock=time.monotonic,
            sleep=time.sleep,
        )
        self.wait_s = max(0.0, self.wait_s - ready.waited_s)
        if first:
            celsius = ready.state.temperature_celsius
            self.hot = celsius_below is not None and celsius is not None and celsius >= celsius_below
        return ready
