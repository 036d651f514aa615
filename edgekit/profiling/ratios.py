"""The ratio of two cells' times, and how far it can be trusted.

Every process gives one logarithm: of its ratio to the other cell's process in the same repeat, or of its own time where
the cells were measured apart. What they differ by gives the ratio's 95 % interval, which is Student's. Two or five of
them show too little of that, and agree by chance too often: so what is known beforehand counts as much as three repeats
more (a moderated t statistic: G. K. Smyth, "Linear models and empirical Bayes methods for assessing differential
expression in microarray experiments", Statistical Applications in Genetics and Molecular Biology 3, 2004).

``tests/profiling/test_verdicts_under_load.py`` tries it on simulated machines.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from edgekit.profiling.resampling import DRAWS, Rounds, draw_rounds

_CONFIDENCE = 0.95

#: What processes that do the same differ by for as long as they live (standard deviation of the logarithm), beside what
#: their rounds show. It was 0.2 to 2 % for MobileNetV2 on two virtual cores, by where their memory happened to lie.
_SPREAD = 0.007
#: The same where there is one process, which shows nothing of it.
_SPREAD_UNSEEN = 0.014
#: As how many repeats that counts.
_PRIOR = 3
#: Durations that were measured in one go, without rounds, are cut into so many.
_PARTS = 20

#: For each repeat the times of its rounds; empty where it took no part in one.
Repeats = Sequence[Sequence[np.ndarray]]
#: For each repeat the times of the base and of the new one in each round that both had; no repeat is empty.
Pairs = Sequence[Sequence[tuple[np.ndarray, np.ndarray]]]


@dataclass(frozen=True)
class Ratio:
    """Attributes:
    value: New over base: 2.0 is twice the time.
    interval: Its 95 % interval.
    """

    value: float
    interval: tuple[float, float]


@dataclass(frozen=True)
class _Logarithms:
    """Attributes:
    values: One of each repeat, or process.
    errors: What each may be off by, as its rounds vary (standard deviations).
    processes: How many each is made of.
    """

    values: np.ndarray
    errors: np.ndarray
    processes: int


def side_by_side(base: Repeats, new: Repeats) -> Pairs:
    """What two cells that took turns have in common. What was measured in one go is cut up."""
    return [pairs for pairs in map(_matched, base, new) if pairs]


def of_rounds(repeats: Pairs, rng: np.random.Generator) -> Ratio:
    """Of two cells that took turns: in each repeat, the median of the ratios of the rounds' medians."""
    values, errors = [], []
    for pairs in repeats:
        ratios = np.log([np.median(after) / np.median(before) for before, after in pairs])
        drawn = ratios[rng.integers(ratios.size, size=(DRAWS, ratios.size))]
        values.append(np.median(ratios))
        errors.append(np.median(drawn, axis=1).std())
    return _ratio(_Logarithms(np.array(values), np.array(errors), processes=2))


def of_quantiles(repeats: Pairs, level: float, rng: np.random.Generator) -> Ratio:
    """Of two cells that took turns: in each repeat, the ratio of that quantile of all times. The rounds that are drawn
    are the same of both."""
    values, errors = [], []
    for pairs in repeats:
        before, after = zip(*pairs, strict=True)
        weights = _draw(len(pairs), rng)
        drawn = [Rounds.of(parts).quantiles(weights, level, rng) for parts in (before, after)]
        found = [np.quantile(np.concatenate(parts), level) for parts in (before, after)]
        values.append(np.log(found[1] / found[0]))
        errors.append(np.log(drawn[1] / drawn[0]).std())
    return _ratio(_Logarithms(np.array(values), np.array(errors), processes=2))


def of_sessions(base: Repeats, new: Repeats, rng: np.random.Generator) -> Ratio:
    """Of two cells that were measured apart: the medians of their processes."""
    cells = []
    for processes in (base, new):
        values, errors = [], []
        for rounds in processes:
            alone = len(rounds) == 1
            drawn = Rounds.of(rounds).quantiles(_draw(len(rounds), rng), 0.5, rng, samples_too=alone)
            values.append(np.log(np.median(np.concatenate(list(rounds)))))
            errors.append(np.log(drawn).std())
        cells.append(_Logarithms(np.array(values), np.array(errors), processes=1))
    return _ratio(cells[1], cells[0])


def _matched(base: Sequence[np.ndarray], new: Sequence[np.ndarray]) -> list[tuple[np.ndarray, np.ndarray]]:
    """The rounds of a repeat that both had."""
    if len(base) == len(new) == 1:
        parts = min(_PARTS, base[0].size, new[0].size)
        base, new = np.array_split(base[0], parts), np.array_split(new[0], parts)
    return [(one, other) for one, other in zip(base, new, strict=False) if one.size and other.size]


def _draw(rounds: int, rng: np.random.Generator) -> np.ndarray:
    """How often each round of one process is in each draw."""
    return draw_rounds(np.ones((DRAWS, 1), np.int64), [rounds], rng)


def _ratio(new: _Logarithms, base: _Logarithms | None = None) -> Ratio:
    from scipy.special import stdtrit

    groups = [new] if base is None else [new, base]
    counts = [each.values.size for each in groups]
    freedom = _PRIOR + sum(counts) - len(groups)
    spread = _SPREAD if min(counts) > 1 else _SPREAD_UNSEEN
    expected = new.processes * spread**2 + np.mean(np.concatenate([each.errors for each in groups]) ** 2)
    seen = sum(((each.values - each.values.mean()) ** 2).sum() for each in groups)
    error = np.sqrt((_PRIOR * expected + seen) / freedom * sum(1 / count for count in counts))
    logarithm = new.values.mean() - (0.0 if base is None else base.values.mean())
    reach = stdtrit(freedom, (1 + _CONFIDENCE) / 2) * error
    low, value, high = np.exp([logarithm - reach, logarithm, logarithm + reach])
    return Ratio(float(value), (float(low), float(high)))
