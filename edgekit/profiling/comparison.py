"""Which of two is faster, and whether that can be said at all."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from edgekit.profiling.resampling import Rounds, draw_processes, draw_rounds, interval, numbered_rounds_ms, rounds_ms
from edgekit.profiling.statistics import sound
from edgekit.runtime.profiler.records import MEASURED, BrowserRecord, Cell, Conditions, DeviceRecord

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
        ratio: Median of the new one over that of the base, round by round where they took turns (see `compare`): 2.0 is
            twice the time. None when they are not comparable.
        interval: Its 95 % interval.
    """

    verdict: Verdict
    reason: str = ""
    ratio: float | None = None
    interval: tuple[float, float] | None = None


def compare(base: Cell, new: Cell, *, noise_floor_percent: float, seed: int = 0) -> Comparison:
    """*new* against *base*, both measured in one session on one machine.

    The same round of the same repeat was measured side by side in both, so what else the machine did then cancels out
    in the ratio of the round's medians. The ratio is the median of those. On a quiet machine that is the ratio of the
    two medians over all samples. On a busy one, those jump between the durations of busy and of idle rounds: on two
    cores that others kept three quarters busy, the ratios of a model to itself scattered by 1.3 %, and these by 0.2 %.
    Repeats and rounds that only one of them has are left out.

    Args:
        noise_floor_percent: Smaller differences are none, however narrow the interval (see `verdict`).
    """
    reason = why_not(base, new)
    if reason:
        return Comparison(NOT_COMPARABLE, reason)
    one, other = (
        {process.repeat: numbered_rounds_ms(process) for process in sound(cell.processes)} for cell in (base, new)
    )
    repeats = sorted(one.keys() & other.keys())
    if not repeats:
        return Comparison(NOT_COMPARABLE, "no repeat in which both ran to the end")
    before, after = ([each[repeat] for repeat in repeats] for each in (one, other))
    return _judged(*_paired(before, after, np.random.default_rng(seed)), noise_floor_percent)


def compare_sessions(
    base: Cell,
    new: Cell,
    base_device: DeviceRecord,
    new_device: DeviceRecord,
    *,
    noise_floor_percent: float,
    seed: int = 0,
) -> Comparison:
    """*new* against *base*, measured in two sessions on one machine, or on two of a kind.

    Nothing that disturbed one of them was there for the other, so nothing cancels out, and the interval is the wider
    for it: each cell is drawn for itself. What differs between the sessions as a whole (another kernel, a warmer room)
    is in the ratio, and no interval can know of it.
    """
    reason = other_machine(base_device, new_device) or _why_not(base, new, "the base")
    if reason:
        return Comparison(NOT_COMPARABLE, reason)
    before, after = ([rounds_ms(process) for process in sound(cell.processes)] for cell in (base, new))
    return _judged(*_apart(before, after, np.random.default_rng(seed)), noise_floor_percent)


def other_machine(base: DeviceRecord, new: DeviceRecord) -> str:
    """How two machines differ in what decides their speed, in one line; empty when they are of a kind."""
    if base.emulated != new.emulated:
        return f"{_kind(new.emulated)} against {_kind(base.emulated)}"
    if base.machine is None or new.machine is None:
        return "a machine was not read"
    if base.browser is not None and new.browser is not None:
        return _other_phone(base.browser, new.browser)
    facts = {"board": "board", "cpu": "processor", "architecture": "architecture", "cores": "number of cores"}
    for name, words in facts.items():
        one, other = getattr(base.machine, name), getattr(new.machine, name)
        if one != other:
            return f"another machine: {words} {other or 'unknown'} against {one or 'unknown'}"
    return ""


def _other_phone(base: BrowserRecord, new: BrowserRecord) -> str:
    """The same for browsers, which hide most of what decides: without a model's name, two phones can look alike."""
    if base.model is None or new.model is None:
        return "a browser did not tell which phone it is on"
    for name in ("model", "platform", "cores", "memory_gib", "screen"):
        one, other = getattr(base, name), getattr(new, name)
        if one != other:
            return f"another phone: {name.removesuffix('_gib')} {other or 'unknown'} against {one or 'unknown'}"
    return ""


def _kind(emulated: bool) -> str:
    return "an emulated board" if emulated else "a real one"


def why_not(base: Cell, new: Cell) -> str:
    """What makes two cells of one session not comparable, in one line; empty when nothing does."""
    if base.device != new.device:
        return f"measured on {new.device} against {base.device}"
    return _why_not(base, new, f"{base.variant} on {base.engine}")


def _why_not(base: Cell, new: Cell, name_of_base: str) -> str:
    for cell, name in ((base, name_of_base), (new, "it")):
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


def _judged(ratio: float, bounds: tuple[float, float], noise_floor_percent: float) -> Comparison:
    low, high = bounds
    # A median between two samples can lie a hair outside what is drawn from the samples.
    bounds = min(low, ratio), max(high, ratio)
    return Comparison(verdict(ratio, bounds, noise_floor_percent), "", ratio, bounds)


#: Durations that were measured in one go, without rounds, are cut into so many.
_PARTS = 20
#: For each repeat the durations of its rounds.
_Repeats = Sequence[Sequence[np.ndarray]]


def _paired(base: _Repeats, new: _Repeats, rng: np.random.Generator) -> tuple[float, tuple[float, float]]:
    """Ratio of medians and its interval: repeats are drawn for both at once, and so are the rounds in them.

    The interval is of plain percentiles. Rounds of a repeat that is drawn are drawn once more, which makes up for what
    few repeats take away: ``tests/profiling/test_comparison.py`` tries it on simulated machines.
    """
    ratios = [_round_ratios(one, other) for one, other in zip(base, new, strict=True)]
    weights = draw_rounds(draw_processes(len(ratios), rng), [each.size for each in ratios], rng)
    pooled = np.concatenate(ratios)
    order = np.argsort(pooled)
    below = np.cumsum(weights[:, order], axis=1)
    medians = pooled[order][(below < below[:, -1:] / 2).sum(axis=1)]
    return float(np.median(pooled)), interval(medians)


def _round_ratios(base: Sequence[np.ndarray], new: Sequence[np.ndarray]) -> np.ndarray:
    """Of each round that both had in a repeat, the ratio of its medians. What was measured in one go is cut up."""
    if len(base) == len(new) == 1:
        parts = min(_PARTS, base[0].size, new[0].size)
        base, new = np.array_split(base[0], parts), np.array_split(new[0], parts)
    pairs = zip(base, new, strict=False)
    return np.array([np.median(other) / np.median(one) for one, other in pairs if one.size and other.size])


def _apart(base: _Repeats, new: _Repeats, rng: np.random.Generator) -> tuple[float, tuple[float, float]]:
    """Ratio of medians and its interval: each cell is drawn for itself."""
    medians, centres = [], []
    for repeats in (base, new):
        parts = [part for rounds in repeats for part in rounds]
        weights = draw_rounds(draw_processes(len(repeats), rng), [len(rounds) for rounds in repeats], rng)
        medians.append(Rounds.of(parts).medians(weights, rng, samples_too=_one_round_each(repeats)))
        centres.append(float(np.median(np.concatenate(parts))))
    return centres[1] / centres[0], interval(medians[1] / medians[0], len(base) + len(new) - 1)


def _one_round_each(repeats: _Repeats) -> bool:
    return max(map(len, repeats)) == 1
