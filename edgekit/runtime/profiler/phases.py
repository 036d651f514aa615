"""The phases of a measurement, each on a function that runs the model once."""

from __future__ import annotations

import gc
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import combinations, repeat
from pathlib import Path
from threading import get_native_id
from time import perf_counter, perf_counter_ns, sleep
from typing import Any

import numpy as np

from edgekit.runtime.engines.base import Steps

#: A trend smaller than this over the last windows of a warm-up is none.
_SETTLED_SHARE = 0.02
_WINDOWS = 6
#: A process is at rest when none of its threads wanted to run in so many looks, so far apart.
_QUIET_LOOKS, _REST_S = 2, 0.002
#: A clock of which none of so many pairs of readings is so close tells too little of an inference.
_FINE_NS, _READINGS = 50_000, 200


@dataclass(frozen=True)
class WarmUp:
    """Attributes:
    calls: Inferences in it.
    elapsed_s: Its duration.
    settled: Whether it ended because durations had settled, rather than by its time limit.
    last_ns: Durations in its last windows, over which they had settled, or had not.
    """

    calls: int
    elapsed_s: float
    settled: bool
    last_ns: list[int]

    @property
    def typical_ns(self) -> int:
        return int(statistics.median(self.last_ns))


def warm_up(
    call: Callable[[Any], object],
    argument: Any,
    *,
    least_s: float,
    most_s: float,
    clock: Callable[[], int] = perf_counter_ns,
) -> WarmUp:
    """Call until *least_s* have gone by and durations have settled, or until *most_s* have gone by.

    Durations come in windows of a sixth of *least_s*, at least one call each. They have settled when the trend of the
    medians of the last six windows adds up to less than 2 %.
    """
    window_ns = least_s * 1e9 / _WINDOWS
    elapsed_ns: list[int] = []
    starts, medians = [0], []
    began = window_began = clock()
    while True:
        before = clock()
        call(argument)
        now = clock()
        elapsed_ns.append(now - before)
        if now - window_began < window_ns:
            continue
        medians.append(statistics.median(elapsed_ns[starts[-1] :]))
        starts.append(len(elapsed_ns))
        window_began = now
        settled = now - began >= least_s * 1e9 and has_settled(medians[-_WINDOWS:])
        if settled or now - began >= most_s * 1e9:
            last = elapsed_ns[starts[max(0, len(medians) - _WINDOWS)] :]
            return WarmUp(len(elapsed_ns), (now - began) / 1e9, settled, last)


def has_settled(medians: Sequence[float]) -> bool:
    """Whether six values in a row have no trend worth mentioning.

    The trend is the median of the slopes between all pairs, which a few disturbed windows do not move (Theil 1950,
    https://doi.org/10.1007/978-94-011-2546-8_20).
    """
    if len(medians) < _WINDOWS:
        return False
    slopes = [(later - earlier) / (j - i) for (i, earlier), (j, later) in combinations(enumerate(medians), 2)]
    return abs(statistics.median(slopes)) * (_WINDOWS - 1) < _SETTLED_SHARE * statistics.median(medians)


@dataclass(frozen=True)
class CpuClock:
    """Processor time.

    Attributes:
        read: The time so far, in nanoseconds.
        cost_ns: What is between two readings when nothing else is.
    """

    read: Callable[[], int]
    cost_ns: int

    @classmethod
    def of(cls, read: Callable[[], int]) -> CpuClock | None:
        """None where the system counts processor time in ticks of milliseconds, whatever it says of the resolution."""
        gaps = []
        for _ in range(_READINGS):
            before = read()
            perf_counter_ns()
            perf_counter_ns()
            gaps.append(read() - before)
        moving = [gap for gap in gaps if 0 < gap <= _FINE_NS]
        return cls(read, int(statistics.median(moving))) if moving else None


@dataclass(frozen=True)
class Turn:
    """Inferences one after the other, in order.

    Attributes:
        elapsed_ns: Durations.
        cpu_ns: Processor time of each; empty where it is not taken.
        waits: How often the process gave up its core by itself meanwhile, to wait for something; None where the system
            does not count that.
    """

    elapsed_ns: list[int]
    cpu_ns: list[int]
    waits: int | None


def take_turn(
    call: Callable[[Any], object],
    argument: Any,
    calls: int,
    discard_ns: int,
    *,
    cpu_clock: CpuClock | None = None,
    begin: Callable[[], object] | None = None,
) -> Turn:
    """Time *calls* calls.

    Before them comes at least one call that does not count, and as many as *discard_ns* hold: another process has run
    in the meantime, and the processor's caches are full of its data.

    Args:
        cpu_clock: None where processor time is not taken. Reading it takes up to a microsecond, which is not in
            `Turn.elapsed_ns`.
        begin: Called before the first call that counts.
    """
    gc.collect()  # which is switched off while a model is measured
    clock = perf_counter_ns
    until = clock() + discard_ns
    while True:
        call(argument)
        if clock() >= until:
            break
    if begin is not None:
        begin()
    elapsed_ns: list[int] = []
    cpu_ns: list[int] = []
    append = elapsed_ns.append
    waits = _voluntary_switches()
    if cpu_clock is None:
        for _ in repeat(None, calls):
            before = clock()
            call(argument)
            append(clock() - before)
    else:
        read, cost_ns, append_cpu = cpu_clock.read, cpu_clock.cost_ns, cpu_ns.append
        for _ in repeat(None, calls):
            cpu_before = read()
            before = clock()
            call(argument)
            after = clock()
            append_cpu(max(0, read() - cpu_before - cost_ns))
            append(after - before)
    ended = _voluntary_switches()
    return Turn(elapsed_ns, cpu_ns, None if waits is None or ended is None else ended - waits)


def _voluntary_switches() -> int | None:
    """Of all threads of this process; see getrusage(2)."""
    try:
        import resource
    except ImportError:  # not Unix
        return None
    return resource.getrusage(resource.RUSAGE_SELF).ru_nvcsw


def rest(most_s: float = 1.0) -> None:
    """Wait until no other thread of this process runs or wants to, so that it does not disturb the next one's turn.

    Pools of threads spin for a while after their last work. Measured after a turn with two threads: ONNX Runtime
    1.32 takes 40 to 55 ms of processor time, torch 2.13 8 ms, LiteRT 2.3 and ExecuTorch 1.5.1 (XNNPACK's pool) less
    than 0.1 ms.
    """
    until = perf_counter() + most_s
    quiet = 0
    while quiet < _QUIET_LOOKS and perf_counter() < until:
        sleep(_REST_S)
        quiet = 0 if _others_run() else quiet + 1


def _others_run() -> bool:
    """Whether another thread of this process is in the state ``R``; see proc_pid_stat(5)."""
    own = str(get_native_id())
    for thread in Path("/proc/self/task").glob("[0-9]*"):
        try:
            state = (thread / "stat").read_bytes().rpartition(b")")[2].split()[0]
        except OSError:  # it has ended
            continue
        if state == b"R" and thread.name != own:
            return True
    return False


def time_steps(steps: Steps, inputs: list[np.ndarray], calls: int) -> np.ndarray:
    """Durations in nanoseconds of writing, invoking and reading: int64, (3, calls). One more call goes first."""
    clock = perf_counter_ns
    write, invoke, read = steps
    rows = np.empty((calls + 1, 3), np.int64)
    for row in rows:
        start = clock()
        write(inputs)
        written = clock()
        invoke()
        invoked = clock()
        read()
        row[:] = written - start, invoked - written, clock() - invoked
    return np.ascontiguousarray(rows[1:].T)
