"""From the steps of single inferences to one table of operators."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from edgekit.runtime.profiler.records import Operator, Operators

#: Types of what is no operator: what a delegate, and the runtime, took beside their operators. As XNNPACK cuts the time
#: of each operator down to whole microseconds, the cut-off fractions are in there too: half a microsecond for each on
#: average.
DELEGATE_OVERHEAD, RUNTIME_OVERHEAD = OVERHEAD = ("delegate overhead", "runtime overhead")


@dataclass(frozen=True)
class Step:
    """Something that took time in one inference.

    Attributes:
        key: What makes it the same step in another inference.
        node: As in `Operator.node`.
    """

    key: Hashable
    type: str
    time_us: float
    delegated: bool
    node: str | None = None


@dataclass(frozen=True)
class Run:
    """One traced inference: how long it took, and what it did, in this order."""

    whole_us: float
    steps: tuple[Step, ...]


def tabulate(runs: Sequence[Run], sources: Mapping[str, str] | None = None) -> Operators:
    """The table of what *runs* did.

    Args:
        runs: At least one.
        sources: `Operator.source` of nodes.

    Raises:
        ValueError: There are no runs.
    """
    if not runs:
        raise ValueError("no inference is in it")
    typical = _typical(runs)
    first: dict[Hashable, Step] = {}
    counts: Counter[Hashable] = Counter()
    for index in typical:
        for step in runs[index].steps:
            first.setdefault(step.key, step)
            counts[step.key] += 1
    times = _times(runs, list(first))
    whole = np.array([run.whole_us for run in runs])
    rest = np.maximum(0.0, whole - times.sum(axis=1))
    rest_us = max(0.0, float(whole[typical].mean() - times[typical].sum(axis=1).mean()))
    seen: Counter[str] = Counter()
    operators = []
    for column, (key, step) in zip(times.T, first.items(), strict=True):
        seen[step.type] += 1
        operators.append(
            Operator(
                f"{step.type} #{seen[step.type]}",
                step.type,
                max(1, round(counts[key] / len(typical))),
                float(column[typical].mean()),
                step.delegated,
                (sources or {}).get(step.node) if step.node is not None else None,
                step.node,
                *_least_and_median(column),
            )
        )
    overhead = Operator(RUNTIME_OVERHEAD, RUNTIME_OVERHEAD, 1, rest_us, False, None, None, *_least_and_median(rest))
    return Operators(len(runs), float(whole[typical].mean()), (*operators, overhead), *_least_and_median(whole))


def _times(runs: Sequence[Run], keys: Sequence[Hashable]) -> np.ndarray:
    """Microseconds that each of *keys* took in each of *runs* (runs x keys); 0 where it did not run."""
    columns = {key: column for column, key in enumerate(keys)}
    times = np.zeros((len(runs), len(keys)))
    for row, run in zip(times, runs, strict=True):
        for step in run.steps:
            if step.key in columns:
                row[columns[step.key]] += step.time_us
    return times


def _least_and_median(times_us: np.ndarray) -> tuple[float, float]:
    return float(times_us.min()), float(np.median(times_us))


def _typical(runs: Sequence[Run]) -> list[int]:
    """Which of *runs* are between the quartiles of the whole's time, in their order; all, of less than four."""
    order = np.argsort([run.whole_us for run in runs], kind="stable")
    cut = len(runs) // 4
    return sorted(int(index) for index in order[cut : len(runs) - cut])
