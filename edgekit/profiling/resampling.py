"""Resampling of measurements: processes first, then the rounds in each, or the samples where there are no rounds.

Samples of one process are alike in what differs between processes (where its memory came to lie, how its threads were
placed), those of one round in what the machine did meanwhile. Drawing samples as though each were independent gives
intervals that are many times too narrow (Kalibera and Jones, "Rigorous benchmarking in reasonable time", ISMM 2013).
The samples of a round that is drawn are all taken: their own spread is in the differences between rounds already.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from edgekit.runtime.profiler.records import Process

#: How often is drawn; and points of the grid on which distributions are held.
DRAWS = 2000
_GRID = 256
_CONFIDENCE = 0.95


@dataclass(frozen=True)
class Rounds:
    """The durations of one cell, round by round, as counts on a grid of values.

    Drawing needs no sample then, only how many of a round fall between which values: that keeps half a million
    samples as quick as a thousand.

    Attributes:
        grid: Values in ms, rising (points): quantiles of all durations together, so that it is fine where they lie
            close; every value there is when there are few.
        counts: Of each round, how many durations are above the grid's value before and at most this one
            (rounds x points).
        samples: All durations together.
    """

    grid: np.ndarray
    counts: np.ndarray
    samples: int

    @classmethod
    def of(cls, rounds: Sequence[np.ndarray]) -> Rounds:
        pooled = np.concatenate(list(rounds))
        grid = np.unique(pooled)
        if grid.size > 2 * _GRID:
            grid = np.unique(np.quantile(pooled, np.linspace(0, 1, _GRID), method="higher"))
        indices = np.searchsorted(grid, pooled)
        owners = np.repeat(np.arange(len(rounds)), [each.size for each in rounds])
        flat = np.bincount(owners * grid.size + indices, minlength=len(rounds) * grid.size)
        return cls(grid, flat.reshape(len(rounds), grid.size).astype(np.float32), pooled.size)

    def quantiles(
        self, weights: np.ndarray, level: float, rng: np.random.Generator, *, samples_too: bool = False
    ) -> np.ndarray:
        """A quantile of each draw, in ms.

        Args:
            weights: How often each round was drawn (draws x rounds).
            level: Which one: 0.5 is the median.
            samples_too: Draw samples from the rounds that were drawn, too: where there is one to a process. The
                quantile of n values drawn from a distribution F is ``F^-1(U)``, where U, the same quantile of n uniform
                numbers, has a Beta distribution: so they need not be drawn one by one.
        """
        below = np.cumsum(weights.astype(np.float32) @ self.counts, axis=1)
        size = self.samples + 1
        levels = np.full(len(weights), level)
        if samples_too:
            levels = rng.beta(level * size, (1 - level) * size, size=len(weights))
        wanted = (levels * below[:, -1])[:, np.newaxis]
        return self.grid[np.minimum((below < wanted).sum(axis=1), self.grid.size - 1)]


def rounds_ms(process: Process) -> list[np.ndarray]:
    """The durations of each of a process's rounds, in ms; all in one when it had none; empty ones left out."""
    return [part for part in numbered_rounds_ms(process) if part.size]


def numbered_rounds_ms(process: Process, *, cpu: bool = False) -> list[np.ndarray]:
    """The same with empty arrays for rounds it took no part in, so that equal places are the same round.

    Args:
        cpu: Processor times rather than durations.
    """
    samples = process.cpu_ns if cpu else process.elapsed_ns
    if samples is None:
        return []
    return np.split(samples.array() / 1e6, np.cumsum(process.round_sizes)[:-1])


def draw_processes(processes: int, rng: np.random.Generator) -> np.ndarray:
    """How often each process is in each draw (draws x processes)."""
    return rng.multinomial(processes, np.full(processes, 1 / processes), size=DRAWS)


def draw_rounds(drawn: np.ndarray, rounds: Sequence[int], rng: np.random.Generator) -> np.ndarray:
    """How often each round is in each draw (draws x all rounds).

    Args:
        drawn: How often each process is, which is how often as many rounds as it has are drawn from them.
        rounds: How many each process has.
    """
    counts = []
    for index, count in enumerate(rounds):
        owners = np.repeat(np.arange(len(drawn)), drawn[:, index] * count)
        picked = owners * count + rng.integers(count, size=owners.size)  # many times as fast as rng.multinomial
        counts.append(np.bincount(picked, minlength=len(drawn) * count).reshape(len(drawn), count))
    return np.hstack(counts)


def interval(values: np.ndarray, processes: int | None = None) -> tuple[float, float]:
    """The 95 % interval of what was drawn: percentiles.

    Args:
        processes: Drawn from so few, plain percentiles are too narrow: take them further out. T. Hesterberg, "What
            Teachers Should Know About the Bootstrap", The American Statistician 69 (2015), section 5.3. From two
            processes no interval can be 95 %: it goes from the one's figure to the other's.
    """
    from scipy.special import ndtr, stdtrit

    tail = (1 - _CONFIDENCE) / 2
    if processes is not None and processes > 1:
        tail = float(ndtr(stdtrit(processes - 1, tail) * np.sqrt(processes / (processes - 1))))
    low, high = np.quantile(values, [tail, 1 - tail])
    return float(low), float(high)
