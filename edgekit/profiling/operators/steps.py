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
    whole_us = float(np.mean([run.whole_us for run in typical]))
    times: dict[Hashable, float] = {}
    counts: Counter[Hashable] = Counter()
    first: dict[Hashable, Step] = {}
    for run in typical:
        for step in run.steps:
            first.setdefault(step.key, step)
            counts[step.key] += 1
            times[step.key] = times.get(step.key, 0.0) + step.time_us
    rest_us = whole_us - sum(times.values()) / len(typical)
    return Operators(
        len(runs),
        whole_us,
        (
            *_named(
                [
                    (step, max(1, round(counts[key] / len(typical))), times[key] / len(typical))
                    for key, step in first.items()
                ],
                sources or {},
            ),
            Operator(RUNTIME_OVERHEAD, RUNTIME_OVERHEAD, 1, max(0.0, rest_us), delegated=False),
        ),
    )


def _typical(runs: Sequence[Run]) -> list[Run]:
    """The runs between the quartiles of the whole's time, in their order; all, of less than four."""
    order = np.argsort([run.whole_us for run in runs], kind="stable")
    cut = len(runs) // 4
    return [runs[index] for index in sorted(order[cut : len(runs) - cut])]


def _named(rows: Sequence[tuple[Step, int, float]], sources: Mapping[str, str]) -> list[Operator]:
    seen: Counter[str] = Counter()
    named = []
    for step, count, time_us in rows:
        seen[step.type] += 1
        named.append(
            Operator(
                f"{step.type} #{seen[step.type]}",
                step.type,
                count,
                time_us,
                step.delegated,
                sources.get(step.node) if step.node is not None else None,
                step.node,
            )
        )
    return named
