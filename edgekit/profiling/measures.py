"""Which time of an inference two cells are compared by."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from edgekit.profiling.statistics import succeeded
from edgekit.runtime.profiler.readiness import is_busy
from edgekit.runtime.profiler.records import Cell, Process

#: ``wall``: by the clock on the wall. On a machine that others use or that is hot: ``cpu``, processor time, or ``p10``,
#: the tenth percentile by the clock on the wall.
Measure = Literal["wall", "cpu", "p10"]

WALL: Measure = "wall"
CPU: Measure = "cpu"
P10: Measure = "p10"

#: What people call them, behind "by".
WORDS: dict[Measure, str] = {WALL: "wall time", CPU: "processor time", P10: "10th percentile"}

#: An engine that waits more often than once in so many inferences has a time that processor time does not show.
_INFERENCES_PER_WAIT = 20


def measure_of(base: Cell, new: Cell) -> Measure:
    """What tells most of two cells that were measured side by side.

    On a quiet machine that is the time on the wall, which is what a user waits. On a busy one, that is mostly the time
    that others ran: two busy loops on two cores hid an engine that was 5 % slower. Processor time leaves that out. It
    is no measure of whatever else an inference waits for (its other threads, an accelerator, a disk), nor of how well
    threads share the work; so it takes an engine that runs on one thread of the processor, and does not wait. All
    others are judged by the inferences that were disturbed least.
    """
    if not (is_degraded(base) or is_degraded(new)):
        return WALL
    return CPU if all(map(_processor_time_tells, (base, new))) else P10


def is_degraded(cell: Cell) -> bool:
    """Whether something speaks against the figures of a process that was measured to its end."""
    return any(mark.startswith("degraded") for process in succeeded(cell.processes) for mark in process.marks)


def shows_equality(measure: Measure, base: Cell, new: Cell) -> bool:
    """Whether what *measure* finds to be as long in both cells takes as long. Where others keep a machine busy, even
    the inferences that were disturbed least may have waited for a core. That adds the same to both and hides what they
    differ by: it leaves a difference that is seen, but not one that is not."""
    busy = any(is_busy(process.marks) for cell in (base, new) for process in succeeded(cell.processes))
    return measure != P10 or not busy


def _processor_time_tells(cell: Cell) -> bool:
    conditions = cell.conditions
    if conditions is None or conditions.threads != 1 or conditions.accelerator != "cpu":
        return False
    return _complete(succeeded(cell.processes))


def _complete(processes: Sequence[Process]) -> bool:
    for process in processes:
        elapsed_ns, cpu_ns, waits = process.elapsed_ns, process.cpu_ns, process.waits
        if elapsed_ns is None or cpu_ns is None or waits is None or cpu_ns.count != elapsed_ns.count:
            return False
        if waits * _INFERENCES_PER_WAIT > elapsed_ns.count or cpu_ns.array().min() <= 0:
            return False
    return True
