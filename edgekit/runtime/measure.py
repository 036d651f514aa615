"""Raw measurements of this process: durations of calls, and memory."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter_ns

#: A p90 from fewer samples than this says more about the one call that was disturbed than about the model.
MIN_SAMPLES_FOR_P90 = 64

_MIN_WARM_UPS = 3
_WARM_UP_NS = 50_000_000


def time_calls(call: Callable[[], object], samples: int) -> list[int]:
    """Durations of *samples* calls in nanoseconds, in order, after a warm-up of at least 3 calls and 50 ms."""
    started = perf_counter_ns()
    warm_ups = 0
    while warm_ups < _MIN_WARM_UPS or perf_counter_ns() - started < _WARM_UP_NS:
        call()
        warm_ups += 1
    elapsed_ns = []
    for _ in range(samples):
        before = perf_counter_ns()
        call()
        elapsed_ns.append(perf_counter_ns() - before)
    return elapsed_ns


@dataclass(frozen=True)
class Latency:
    """Of so many single inferences, in milliseconds; ``p90`` (nearest rank) is None from fewer than 64."""

    median: float
    p90: float | None
    samples: int


def latency_ms(elapsed_ns: Sequence[int]) -> Latency:
    ordered = sorted(elapsed_ns)
    p90 = None
    if len(ordered) >= MIN_SAMPLES_FOR_P90:
        p90 = round(ordered[-(-9 * len(ordered) // 10) - 1] / 1e6, 6)
    return Latency(round(statistics.median(ordered) / 1e6, 6), p90, len(ordered))


def peak_rss_bytes() -> int | None:
    """The most memory this process has had resident, in bytes, or None where the system does not say.

    From ``VmHWM`` in ``/proc/self/status`` (in KiB): ``getrusage`` would carry over what the parent had.
    """
    try:
        status = Path("/proc/self/status").read_text(encoding="ascii", errors="replace")
    except OSError:
        return None
    for line in status.splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    return None
