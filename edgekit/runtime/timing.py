"""Raw measurements of this process: durations of calls."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from time import perf_counter_ns

#: A p90 from fewer samples than this says more about the one call that was disturbed than about the model.
MIN_SAMPLES_FOR_P90 = 64

_MIN_WARM_UPS = 3
_WARM_UP_S = 0.05


def warm_up(call: Callable[[], object], least_s: float) -> None:
    """Call at least three times, and until *least_s* have gone by."""
    started, done = perf_counter_ns(), 0
    while done < _MIN_WARM_UPS or perf_counter_ns() - started < least_s * 1e9:
        call()
        done += 1


def time_calls(call: Callable[[], object], samples: int) -> list[int]:
    """Durations of *samples* calls in nanoseconds, in order, after a warm-up of at least 3 calls and 50 ms."""
    warm_up(call, _WARM_UP_S)
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
