"""What many durations come to: figures that say how far they can be trusted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np

from edgekit.profiling.resampling import Rounds, draw_processes, draw_rounds, interval, rounds_ms
from edgekit.runtime.profiler.records import Process

#: A change between the first and the last third of a steady state that is called drift.
DRIFT_PERCENT = 5.0
#: With this confidence ...
_TAIL_CONFIDENCE = 0.99
#: ... so many samples lie beyond a percentile that is reported.
_TAIL_SAMPLES = 2
#: What stands in place of a percentile that there are too few samples for.
TOO_FEW = "n too small"
#: A sample further from its process's median than this is an outlier, in robust standard deviations: B. Iglewicz and
#: D. Hoaglin, "How to Detect and Handle Outliers" (1993).
_OUTLIER_Z = 3.5


@dataclass(frozen=True)
class Summary:
    """The durations of one cell, over its processes. Milliseconds, unless the name says otherwise.

    Attributes:
        samples, processes: How many durations, from how many processes.
        median: Of all samples together.
        interval: The median's 95 % interval: bootstrap over processes, then over the rounds in each, then over
            samples. From one process it says nothing of how processes differ.
        mad: Median absolute deviation, unscaled.
        p90, p95, p99: None where there are too few samples to tell (see `least_samples`).
        max: The largest.
        outliers: Samples further than 3.5 robust standard deviations (1.4826 MAD) from the median of their process.
            They are counted, and stay in every figure.
        calls_per_sample: Inferences that were timed together. Where it is not 1, samples are means, which hide how
            single inferences vary: *mad*, the percentiles, *max* and *outliers* are None.
        drift_percent: How much slower the last third of a process's samples was than the first: the medians'
            ratio, in the process that changed most. None from fewer than 30 samples.
        drifting: Whether that is more than 5 %, up or down.
    """

    samples: int
    processes: int
    median: float
    interval: tuple[float, float]
    mean: float
    mad: float | None
    p90: float | None
    p95: float | None
    p99: float | None
    max: float | None
    outliers: int | None
    drift_percent: float | None
    drifting: bool
    calls_per_sample: int = 1

    @property
    def why_none(self) -> str:
        """What stands in place of a figure of single inferences."""
        return TOO_FEW if self.calls_per_sample == 1 else f"samples are means of {self.calls_per_sample} inferences"


def summarise(processes: Sequence[Process], *, seed: int = 0) -> Summary | None:
    """The figures of the processes that did not fail; None when nothing was measured.

    Args:
        seed: Of the bootstrap's draws: the same samples give the same interval.
    """
    from scipy.stats import median_abs_deviation

    measured = [rounds for rounds in map(rounds_ms, succeeded(processes)) if rounds]
    if not measured:
        return None
    each = [np.concatenate(rounds) for rounds in measured]
    pooled = np.concatenate(each)
    median = float(np.median(pooled))
    drifts = [drift for drift in map(_drift_percent, each) if drift is not None]
    drift = max(drifts, key=abs, default=None)
    together = max(process.calls_per_sample for process in succeeded(processes))
    single = together == 1
    return Summary(
        samples=pooled.size,
        processes=len(each),
        median=median,
        interval=_interval(measured, median, seed),
        mean=float(pooled.mean()),
        mad=float(median_abs_deviation(pooled)) if single else None,
        p90=percentile(pooled, 90) if single else None,
        p95=percentile(pooled, 95) if single else None,
        p99=percentile(pooled, 99) if single else None,
        max=float(pooled.max()) if single else None,
        outliers=sum(map(_outliers, each)) if single else None,
        drift_percent=drift,
        drifting=drift is not None and abs(drift) > DRIFT_PERCENT,
        calls_per_sample=together,
    )


def succeeded(processes: Sequence[Process]) -> list[Process]:
    """Those that did not fail and have samples."""
    return [process for process in processes if not process.failure and process.elapsed_ns and process.elapsed_ns.count]


def percentile(samples: np.ndarray, percent: int) -> float | None:
    """That percentile, or None when there are too few samples for it."""
    return float(np.percentile(samples, percent)) if samples.size >= least_samples(percent) else None


@cache
def least_samples(percent: int) -> int:
    """The number of samples from which on a percentile is reported: 64 for p90, 130 for p95, 662 for p99.

    It is the least number of which, with 99 % confidence, two or more lie beyond the percentile: so it is surely not
    the largest sample, of which there is always one. That is the one-sided tolerance limit of the second order (S. S.
    Wilks, "Determination of sample sizes for setting tolerance limits", Annals of Mathematical Statistics 12, 1941).
    """
    from scipy.stats import binom

    numbers = np.arange(_TAIL_SAMPLES, 10_000)
    too_few = binom.cdf(_TAIL_SAMPLES - 1, numbers, 1 - percent / 100) > 1 - _TAIL_CONFIDENCE
    return int(numbers[np.argmin(too_few)])


def _interval(measured: Sequence[Sequence[np.ndarray]], median: float, seed: int) -> tuple[float, float]:
    rng = np.random.default_rng(seed)
    rounds = Rounds.of([part for parts in measured for part in parts])
    drawn = draw_processes(len(measured), rng)
    counts = [len(parts) for parts in measured]
    medians = rounds.quantiles(draw_rounds(drawn, counts, rng), 0.5, rng, samples_too=max(counts) == 1)
    low, high = interval(medians, len(measured))
    # A median between two samples can lie a hair outside what is drawn from the samples.
    return min(low, median), max(high, median)


def _outliers(samples: np.ndarray) -> int:
    from scipy.stats import median_abs_deviation

    spread = median_abs_deviation(samples, scale="normal")
    return int((np.abs(samples - np.median(samples)) > _OUTLIER_Z * spread).sum()) if spread > 0 else 0


def _drift_percent(samples: np.ndarray) -> float | None:
    third = samples.size // 3
    if third < 10:
        return None
    return float(100 * (np.median(samples[-third:]) / np.median(samples[:third]) - 1))
