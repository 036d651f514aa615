"""Whether records that come from elsewhere, a device or a file, can be worked with: what is taken for granted of those
that a session of this very program made."""

from __future__ import annotations

from edgekit.runtime.profiler.records import Cell, Process
from edgekit.schema import walk

#: Repeats of a cell; rounds of a process, cores of a machine, operators of a model, looks at a board.
_MOST_PROCESSES, _MOST_ITEMS = 1000, 100_000
#: Of any figure: seconds, bytes, hertz.
_LARGEST = 1e18


def check(cell: Cell) -> None:
    """Raise `ValueError`, which says what is wrong, for a cell that cannot be."""
    if len(cell.processes) > _MOST_PROCESSES:
        raise ValueError(f"{len(cell.processes)} processes")
    for _, each in walk(cell):
        if isinstance(each, (int, float)) and not abs(each) <= _LARGEST:
            raise ValueError(f"a figure of {each:g}")
        if isinstance(each, tuple) and len(each) > _MOST_ITEMS:
            raise ValueError(f"{len(each)} items in a list")
    counts = [cell.guest_instructions or 0]
    if cell.operators is not None:
        counts += [cell.operators.runs - 1, *(each.count for each in cell.operators.operators)]
        if cell.operators.whole_us <= 0 or any(each.time_us < 0 for each in cell.operators.operators):
            raise ValueError("operators that took no time")
    if cell.memory is not None:
        counts += [value for value in vars(cell.memory).values() if value is not None]
    if cell.conditions is not None:
        counts += [cell.conditions.batch - 1]
    if min(counts) < 0:
        raise ValueError("a count below zero")
    for process in cell.processes:
        _check_process(process)


def _check_process(process: Process) -> None:
    times = [process.import_ms, process.load_ms, process.first_ms, process.warm_up_s, process.waited_s]
    if process.calls_per_sample < 1 or min([0, *process.round_sizes]) < 0 or any(time < 0 for time in times if time):
        raise ValueError("a time or a count below zero")
    steady = process.elapsed_ns
    if sum(process.round_sizes) != (0 if steady is None else steady.count):
        raise ValueError("rounds that are not those of the samples")
    if steady is not None and steady.count and steady.array().min() <= 0:
        raise ValueError("inferences that took no time")
    if min(0, process.waits or 0) < 0:
        raise ValueError("a count below zero")
    if process.cpu_ns is not None and process.cpu_ns.count not in (0, 0 if steady is None else steady.count):
        raise ValueError("processor times of other samples")
    parts = [] if process.spans is None else list(vars(process.spans).values())
    parts += [each for each in (process.preprocess_ns, process.cpu_ns) if each is not None]
    for part in parts:
        if part.count and part.array().min() < 0:
            raise ValueError("durations below zero")
