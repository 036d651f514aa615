"""Which of two is faster, and whether that can be said at all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from edgekit.profiling import ratios
from edgekit.profiling.measures import CPU, P10, WALL, Measure, is_degraded, measure_of, shows_equality
from edgekit.profiling.ratios import Ratio
from edgekit.profiling.resampling import numbered_rounds_ms, rounds_ms
from edgekit.profiling.statistics import succeeded
from edgekit.runtime.profiler.profile import BrowserRecord, DeviceRecord
from edgekit.runtime.profiler.records import MEASURED, Cell, Conditions

Verdict = Literal["faster", "slower", "no difference", "undecided", "not comparable"]

FASTER: Verdict = "faster"
SLOWER: Verdict = "slower"
NO_DIFFERENCE: Verdict = "no difference"
UNDECIDED: Verdict = "undecided"
NOT_COMPARABLE: Verdict = "not comparable"

_LOW_QUANTILE = 0.1
_HIDDEN = "other programs kept the machine busy, which hides differences"


@dataclass(frozen=True)
class Comparison:
    """One cell against another.

    Attributes:
        verdict: See `verdict`; or ``not comparable``.
        reason: Why they are not comparable, or why nothing can be decided whatever the interval; otherwise empty.
        ratio: The new one's time over that of the base: 2.0 is twice the time. None when they are not comparable.
        interval: Its 95 % interval.
        measure: Which time that is.
    """

    verdict: Verdict
    reason: str = ""
    ratio: float | None = None
    interval: tuple[float, float] | None = None
    measure: Measure | None = None


def compare(base: Cell, new: Cell, *, noise_floor_percent: float, seed: int = 0) -> Comparison:
    """*new* against *base*, both measured in one session on one machine.

    The same round of the same repeat was measured side by side in both, so what else the machine did then cancels out
    in the ratio of the round's medians. The ratio of a repeat is the median of those, and the whole ratio their
    geometric mean over the repeats. On a quiet machine that is the ratio of the two medians over all samples. On a busy
    one, those jump between the durations of busy and of idle rounds: on two cores that others kept three quarters busy,
    the ratios of a model to itself scattered by 1.3 %, and these by 0.2 %. Where a machine was busy, the ratio is one
    of processor times in the same way, or of tenth percentiles (see `edgekit.profiling.measures.measure_of`). Repeats
    and rounds that only one of them has are left out.

    Args:
        noise_floor_percent: Smaller differences are none, however narrow the interval (see `verdict`).
    """
    return _compare(base, new, why_not(base, new), noise_floor_percent, seed)


def race(base: Cell, new: Cell, *, noise_floor_percent: float, seed: int = 0) -> Comparison:
    """The same for two files of which one is to be shipped: whatever they compute in, and take and give."""
    return _compare(base, new, _unmeasured(base, new, "the other"), noise_floor_percent, seed)


def _compare(base: Cell, new: Cell, reason: str, noise_floor_percent: float, seed: int) -> Comparison:
    if reason:
        return Comparison(NOT_COMPARABLE, reason)
    one, other = ({process.repeat: process for process in succeeded(cell.processes)} for cell in (base, new))
    repeats = sorted(one.keys() & other.keys())
    if not repeats:
        return Comparison(NOT_COMPARABLE, "no repeat in which both ran to the end")
    measure = measure_of(base, new)
    before, after = (
        [numbered_rounds_ms(each[repeat], cpu=measure == CPU) for repeat in repeats] for each in (one, other)
    )
    pairs = ratios.side_by_side(before, after)
    if not pairs:  # there was no room for both in memory
        return Comparison(NOT_COMPARABLE, "no round in which both took part")
    rng = np.random.default_rng(seed)
    ratio = ratios.of_quantiles(pairs, _LOW_QUANTILE, rng) if measure == P10 else ratios.of_rounds(pairs, rng)
    found = _judged(ratio, measure, noise_floor_percent)
    if found.verdict == NO_DIFFERENCE and not shows_equality(measure, base, new):
        return replace(found, verdict=UNDECIDED, reason=_HIDDEN)
    return found


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
    is in the ratio, and no interval can know of it. So where one of them was degraded, they are undecided: processor
    time differs, too, by what others do to caches and frequencies.
    """
    reason = other_machine(base_device, new_device) or _why_not(base, new, "the base")
    if reason:
        return Comparison(NOT_COMPARABLE, reason)
    before, after = ([rounds_ms(process) for process in succeeded(cell.processes)] for cell in (base, new))
    found = _judged(ratios.of_sessions(before, after, np.random.default_rng(seed)), WALL, noise_floor_percent)
    degraded = [name for cell, name in ((base, "the base"), (new, "the new one")) if is_degraded(cell)]
    if degraded:
        reason = f"{' and '.join(degraded)} {'were' if len(degraded) > 1 else 'was'} degraded"
        return replace(found, verdict=UNDECIDED, reason=reason)
    return found


def other_machine(base: DeviceRecord, new: DeviceRecord) -> str:
    """How two machines differ in what decides their speed, in one line; empty when they are of a kind."""
    if base.emulated != new.emulated:
        return f"{_kind(new.emulated)} against {_kind(base.emulated)}"
    if base.machine is None or new.machine is None:
        return "a machine was not read"
    if base.browser is not None and new.browser is not None:
        return _other_phone(base.browser, new.browser)
    facts = {"board": "board", "cpu": "processor", "architecture": "architecture", "cores": "number of cores"}
    return _first_difference("another machine", base.machine, new.machine, facts)


def _other_phone(base: BrowserRecord, new: BrowserRecord) -> str:
    """The same for browsers, which hide most of what decides: without a model's name, two phones can look alike."""
    if base.model is None or new.model is None:
        return "a browser did not tell which phone it is on"
    facts = {name: name.removesuffix("_gib") for name in ("model", "platform", "cores", "memory_gib", "screen")}
    return _first_difference("another phone", base, new, facts)


def _first_difference(what: str, base: object, new: object, facts: Mapping[str, str]) -> str:
    for name, words in facts.items():
        one, other = getattr(base, name), getattr(new, name)
        if one != other:
            return f"{what}: {words} {other or 'unknown'} against {one or 'unknown'}"
    return ""


def _kind(emulated: bool) -> str:
    return "an emulated board" if emulated else "a real one"


def why_not(base: Cell, new: Cell) -> str:
    """What makes two cells of one session not comparable, in one line; empty when nothing does."""
    if base.device != new.device:
        return f"measured on {new.device} against {base.device}"
    return _why_not(base, new, f"{base.variant} on {base.engine}")


def _why_not(base: Cell, new: Cell, name_of_base: str) -> str:
    reason = _unmeasured(base, new, name_of_base)
    if reason:
        return reason
    assert base.conditions is not None and new.conditions is not None
    return "; ".join(differing(base.conditions, new.conditions))


def _unmeasured(base: Cell, new: Cell, name_of_base: str) -> str:
    for cell, name in ((base, name_of_base), (new, "it")):
        if cell.status != MEASURED or cell.conditions is None or not succeeded(cell.processes):
            return f"{name} was not measured"
        if throttled(cell):
            return f"{name} was throttled while it was measured"
    return ""


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
    """What an interval of the ratio proves.

    *Slower* or *faster* takes both: a ratio beyond the noise floor, and an interval of which all is beyond half of it.
    *No difference* takes as much proof: the whole interval within the noise floor, on both sides of 1 (an equivalence
    test: D. J. Schuirmann, "A comparison of the two one-sided tests procedure and the power approach", Journal of
    Pharmacokinetics and Biopharmaceutics 15, 1987). All else is *undecided*: a wide interval is no proof of anything.
    """
    margin = noise_floor_percent / 100
    low, high = bounds
    if ratio > 1 + margin and low >= 1 + margin / 2:
        return SLOWER
    if ratio < 1 - margin and high <= 1 - margin / 2:
        return FASTER
    return NO_DIFFERENCE if low >= 1 - margin and high <= 1 + margin else UNDECIDED


def _judged(ratio: Ratio, measure: Measure, noise_floor_percent: float) -> Comparison:
    found = verdict(ratio.value, ratio.interval, noise_floor_percent)
    return Comparison(found, "", ratio.value, ratio.interval, measure)
