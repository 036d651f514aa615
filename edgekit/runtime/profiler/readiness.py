"""Whether a machine is fit to measure on, before and while it does."""

from __future__ import annotations

import time
from bisect import bisect_left, insort
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise, takewhile

from edgekit.runtime.profiler.records import BoardState

#: Load is that of so long a time just before: long enough for a hundred clock ticks, too short for what ran earlier.
_WINDOW_S = 0.25

#: How the reasons begin that are about other programs.
_LOAD, _OTHERS = "load", "other programs took"

#: The firmware's bits and what they say; see `BoardState`. Each has a second bit, 16 higher: since the board started.
_BITS = {0: "under-voltage", 1: "frequency capped", 2: "throttled", 3: "soft temperature limit"}
_SINCE_START = 16

#: Android's, by number (``PowerManager.THERMAL_STATUS_*``): from moderate on, the phone slows down noticeably.
_THERMAL_STATUSES = ("none", "light", "moderate", "severe", "critical", "emergency", "shutdown")

#: A frequency fell when for so many looks on end no core came near what it was before, and that is no chance.
_LOOKS = 4
_FALLEN_BELOW = 0.85
_CHANCE = 0.01


@dataclass(frozen=True)
class Readiness:
    """How a machine was when measuring began.

    Attributes:
        waited_s: How long it was waited for, beyond the first look.
        mark: ``degraded: REASON`` when it was not ready in the end; otherwise empty.
    """

    state: BoardState
    waited_s: float
    mark: str = ""


def wait_until_ready(
    look: Callable[[], BoardState],
    *,
    load_below: float,
    celsius_below: float | None,
    wait_s: float,
    window_s: float = _WINDOW_S,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> Readiness:
    """Wait until the machine is below both limits. What it does not tell counts as below.

    Args:
        look: Looks at it; load is that since the look before.
        load_below: Load of each core, 0 to 1; this process sleeps meanwhile, so it is that of others.
        celsius_below: None for no limit.
        wait_s: The longest to wait; with 0 there is one look.
        window_s: How long the load is taken over, and between two looks: several clock ticks.
    """
    look()  # the load counts from here
    sleep(window_s)
    state, began = look(), clock()
    while excesses := tuple(_excesses(state, load_below, celsius_below)):
        waited_s = clock() - began
        if waited_s >= wait_s:
            when = f"after {waited_s:.0f} s" if wait_s > 0 else "at the start"
            return Readiness(state, waited_s, f"degraded: {', '.join(excesses)} {when}")
        sleep(window_s)
        state = look()
    return Readiness(state, clock() - began)


def marks_of(
    before: BoardState, during: Sequence[BoardState], after: BoardState, *, load_below: float = 0.25
) -> tuple[str, ...]:
    """What speaks against figures that were taken between *before* and *after*: ``throttled: REASON`` and ``degraded:
    REASON``, each kind of reason once.

    Args:
        load_below: What the programs of others may take of each core.
    """
    looks = (before, *during, after)
    throttled = (*_firmware(before, looks), *_heat(looks), *(tuple(_limit(looks)) or _fall(looks)))
    degraded = (*_changes(looks), *_others((*during, after), load_below))
    return (*(f"throttled: {reason}" for reason in throttled), *(f"degraded: {reason}" for reason in degraded))


def is_busy(marks: Sequence[str]) -> bool:
    """Whether *marks*, of a process, say that other programs kept the machine busy."""
    return any(mark.startswith((f"degraded: {_LOAD}", f"degraded: {_OTHERS}")) for mark in marks)


def _excesses(state: BoardState, load_below: float, celsius_below: float | None) -> Iterator[str]:
    if state.load_per_core is not None and state.load_per_core >= load_below:
        yield f"{_LOAD} {state.load_per_core:.2f} per core (the limit is {load_below:g})"
    if (
        celsius_below is not None
        and state.temperature_celsius is not None
        and state.temperature_celsius >= celsius_below
    ):
        yield f"{state.temperature_celsius:.1f} °C (the limit is {celsius_below:g})"


def _firmware(before: BoardState, looks: Sequence[BoardState]) -> Iterator[str]:
    bits = [look.throttled for look in looks if look.throttled is not None]
    for bit, meaning in _BITS.items():
        if seen := sum(value >> bit & 1 for value in bits):
            yield f"{meaning} in {seen} of {len(bits)} looks"
        elif not _has(before.throttled or 0, bit) and any(_has(value, bit) for value in bits):
            yield f"{meaning} between two looks"


def _has(bits: int, bit: int) -> bool:
    """Whether it happened since the board was started."""
    return bool(bits >> (bit + _SINCE_START) & 1)


def _heat(looks: Sequence[BoardState]) -> Iterator[str]:
    counts = [look.throttle_count for look in looks if look.throttle_count is not None]
    if len(counts) > 1 and counts[-1] > counts[0]:
        yield f"slowed down for its heat {counts[-1] - counts[0]} times"
    worst = max((look.thermal_status for look in looks if look.thermal_status is not None), default=0)
    if worst >= _THERMAL_STATUSES.index("moderate"):
        yield f"thermal status {_THERMAL_STATUSES[min(worst, len(_THERMAL_STATUSES) - 1)]}"


def _limit(looks: Sequence[BoardState]) -> Iterator[str]:
    limits = [look.frequency_limit_hz for look in looks if look.frequency_limit_hz]
    highest = 0
    falls = []
    for limit in limits:
        highest = max(highest, limit)
        falls.append((limit / highest, highest, limit))
    share, high, low = min(falls, default=(1.0, 0, 0))
    if share < 1:
        yield f"frequency limit fell from {high / 1e6:.0f} to {low / 1e6:.0f} MHz"


def _fall(looks: Sequence[BoardState]) -> Iterator[str]:
    """Of the fastest core: others may idle. And of several looks: between two turns, it may idle as well.

    A processor that idles in some looks already will be found idle in several on end sooner or later. So the run of
    slow looks has to be longer, the more of the looks before it were slow: so long that a hundred sessions would have
    one by chance (each look for itself, with Laplace's rule of succession).
    """
    fastest = [max(look.frequencies_hz) for look in looks if look.frequencies_hz]
    earlier: list[int] = []
    for at, hertz in enumerate(fastest):
        if at >= _LOOKS:
            high = earlier[3 * at // 4]
            floor = _FALLEN_BELOW * high
            run = list(takewhile(floor.__gt__, fastest[at:]))
            slow = bisect_left(earlier, floor)
            if len(run) >= _LOOKS and len(fastest) * ((slow + 1) / (at + 2)) ** len(run) < _CHANCE:
                yield f"frequency fell from {high / 1e6:.0f} to {max(run) / 1e6:.0f} MHz"
                return
        insort(earlier, hertz)


def _changes(looks: Sequence[BoardState]) -> Iterator[str]:
    for name, values in (
        ("governor", [" + ".join(dict.fromkeys(look.governors)) for look in looks]),
        ("power source", [look.power_source or "" for look in looks]),
    ):
        known = list(dict.fromkeys(filter(None, values)))
        if len(known) > 1:
            yield f"{name} changed from {known[0]} to {known[1]}"


def _others(looks: Sequence[BoardState], load_below: float) -> Iterator[str]:
    """Each look tells of the time since the one before; the first, of what came before the steady state."""
    seconds = work = 0.0
    for earlier, look in pairwise(looks):
        if look.others_load_per_core is not None:
            seconds += look.at_s - earlier.at_s
            work += look.others_load_per_core * (look.at_s - earlier.at_s)
    if seconds > 0 and work / seconds >= load_below:
        yield f"{_OTHERS} {work / seconds:.2f} of each core (the limit is {load_below:g})"
