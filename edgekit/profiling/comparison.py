"""Which of two is faster, and whether that can be said at all."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from edgekit.profiling.resampling import Rounds, draw_processes, draw_rounds, interval, rounds_ms
from edgekit.profiling.statistics import sound
from edgekit.runtime.profiler.records import MEASURED, Cell, Conditions

Verdict = Literal["faster", "slower", "no difference", "not comparable"]

FASTER: Verdict = "faster"
SLOWER: Verdict = "slower"
NO_DIFFERENCE: Verdict = "no difference"
NOT_COMPARABLE: Verdict = "not comparable"


@dataclass(frozen=True)
class Comparison:
    """One cell against another.

    Attributes:
        verdict: ``faster``, ``slower``, ``no difference`` or ``not comparable``.
        reason: Why they are not comparable; empty when they are.
        ratio: Median of the new one over that of the base: 2.0 is twice the time. None when they are not comparable.
        interval: Its 95 % interval.
    """

    verdict: Verdict
    reason: str = ""
    ratio: float | None = None
    interval: tuple[float, float] | None = None


def compare(base: Cell, new: Cell, *, noise_floor_percent: float, seed: int = 0) -> Comparison:
    """*new* against *base*, both measured in one session on one machine.

    What the two had in common cancels out: the same rounds of the same repeat were measured side by side, so repeats
    are drawn for both at once, and so are the rounds in them. Repeats that failed in one of them are left out in both.

    Args:
        noise_floor_percent: Smaller differences are none, however narrow the interval (see `verdict`).
    """
    reason = why_not(base, new)
    if reason:
        return Comparison(NOT_COMPARABLE, reason)
    one, other = ({process.repeat: rounds_ms(process) for process in sound(cell.processes)} for cell in (base, new))
    repeats = sorted(one.keys() & other.keys())
    if not repeats:
        return Comparison(NOT_COMPARABLE, "no repeat in which both ran to the end")
    return _judge([one[repeat] for repeat in repeats], [other[repeat] for repeat in repeats], noise_floor_percent, seed)


def why_not(base: Cell, new: Cell) -> str:
    """What makes two cells of one machine not comparable, in one line; empty when nothing does."""
    if base.device != new.device:
        return f"measured on {new.device} against {base.device}"
    for cell, name in ((base, f"{base.variant} on {base.engine}"), (new, "it")):
        if cell.status != MEASURED or cell.conditions is None or not sound(cell.processes):
            return f"{name} was not measured"
        if throttled(cell):
            return f"{name} was throttled while it was measured"
    assert base.conditions is not None and new.conditions is not None
    return "; ".join(differing(base.conditions, new.conditions))


def throttled(cell: Cell) -> bool:
    """Whether the machine slowed down while a process of the cell was measured."""
    return any(mark.startswith("throttled") for process in cell.processes for mark in process.marks)


def differing(base: Conditions, new: Conditions) -> list[str]:
    """What differs between the conditions of two cells, one phrase each: ``4 threads against 1``."""
    found = []
    if base.accelerator != new.accelerator:
        found.append(f"{new.accelerator} against {base.accelerator}")
    if base.precision != new.precision:
        found.append(f"precision {new.precision} against {base.precision}")
    if base.threads != new.threads:
        found.append(f"{_threads(new.threads)} against {base.threads or 'an unknown number'}")
    if base.cpus != new.cpus:
        found.append(f"bound to {_cores(new.cpus)} against {_cores(base.cpus)}")
    if base.batch != new.batch:
        found.append(f"batches of {new.batch} against {base.batch}")
    if base.inputs != new.inputs:
        found.append(f"inputs {', '.join(new.inputs)} against {', '.join(base.inputs)}")
    elif base.inputs_sha256 != new.inputs_sha256:
        found.append("other input values")
    if base.outputs != new.outputs:
        found.append(f"outputs {', '.join(new.outputs)} against {', '.join(base.outputs)}")
    return found


def _threads(count: int | None) -> str:
    return "an unknown number of threads" if count is None else f"{count} thread{'' if count == 1 else 's'}"


def _cores(cpus: Sequence[int] | None) -> str:
    return "no cores" if cpus is None else f"core{'' if len(cpus) == 1 else 's'} {', '.join(map(str, cpus))}"


def verdict(ratio: float, bounds: tuple[float, float], noise_floor_percent: float) -> Verdict:
    """Slower or faster takes both: an interval of the ratio without 1 in it, and a ratio beyond the noise floor."""
    floor = 1 + noise_floor_percent / 100
    if bounds[0] > 1 and ratio > floor:
        return SLOWER
    if bounds[1] < 1 and ratio < 1 / floor:
        return FASTER
    return NO_DIFFERENCE


def _judge(
    base: Sequence[Sequence[np.ndarray]], new: Sequence[Sequence[np.ndarray]], noise_floor_percent: float, seed: int
) -> Comparison:
    """From the rounds of each repeat of both."""
    rng = np.random.default_rng(seed)
    drawn = draw_processes(len(base), rng)
    common = [min(len(one), len(other)) for one, other in zip(base, new, strict=True)]
    shared = draw_rounds(drawn, common, rng)
    ratio, ratios = 1.0, np.ones(len(drawn))
    for repeats, power in ((new, 1), (base, -1)):
        rest = [len(rounds) - count for rounds, count in zip(repeats, common, strict=True)]
        weights = np.hstack([shared, draw_rounds(drawn, rest, rng)])
        parts = [part for rounds, count in zip(repeats, common, strict=True) for part in rounds[:count]]
        parts += [part for rounds, count in zip(repeats, common, strict=True) for part in rounds[count:]]
        ratio *= float(np.median(np.concatenate(parts))) ** power
        ratios *= Rounds.of(parts).medians(weights, rng, samples_too=max(map(len, repeats)) == 1) ** power
    low, high = interval(ratios)
    bounds = min(low, ratio), max(high, ratio)
    return Comparison(verdict(ratio, bounds, noise_floor_percent), "", ratio, bounds)
