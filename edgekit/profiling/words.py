"""Figures as words: numbers with their units, and sentences around them."""

from __future__ import annotations

from collections.abc import Sequence

from edgekit import display
from edgekit.profiling.comparison import NO_DIFFERENCE, NOT_COMPARABLE
from edgekit.profiling.measures import WALL, WORDS
from edgekit.profiling.rows import Row
from edgekit.profiling.statistics import TOO_FEW, Summary

NOT_KNOWN = "not known"


def number(value: float | None, digits: int = 3) -> str:
    """So many significant digits, never an exponent: ``0.0812``, ``1.23``, ``45.0``, ``1,234``."""
    if value is None:
        return NOT_KNOWN
    decimals = digits - 1 if value == 0 else digits - 1 - int(f"{value:.{digits - 1}e}".split("e")[1])
    return f"{value:,.{max(0, decimals)}f}"


def count(value: int | None) -> str:
    return NOT_KNOWN if value is None else f"{value:,}"


def milliseconds(value: float | None) -> str:
    return NOT_KNOWN if value is None else f"{number(value)} ms"


def microseconds(value: float | None) -> str:
    return NOT_KNOWN if value is None else f"{number(value)} µs"


def size(value: int | None) -> str:
    return display.size(value, NOT_KNOWN)


def percent(value: float | None, digits: int = 2) -> str:
    return NOT_KNOWN if value is None else f"{value:.{digits}f} %"


def of_single(summary: Summary, value: float | None) -> str:
    """A figure of single inferences in milliseconds, without the unit; or why there is none."""
    return summary.why_none if value is None else number(value)


def bounds(interval: tuple[float, float] | None) -> str:
    """Both ends with as many decimals: enough to tell them apart."""
    if interval is None:
        return NOT_KNOWN
    low, high = interval
    decimals = max(_decimals(number(low)), _decimals(number(high)))
    return f"{low:,.{decimals}f} to {high:,.{decimals}f}"


def plural(amount: int, noun: str) -> str:
    return f"{amount:,} {noun}{'' if amount == 1 else 's'}"


def listing(names: Sequence[str]) -> str:
    """``a``; ``a and b``; ``a, b and c``."""
    return " and ".join(filter(None, [", ".join(names[:-1]), names[-1]])) if names else ""


def latency(summary: Summary) -> str:
    """``1.23 ms (95 % interval 1.21 to 1.25)``."""
    return f"{milliseconds(summary.median)} (95 % interval {bounds(summary.interval)})"


def basis(summary: Summary) -> str:
    """``1,200 inferences in 5 processes``; ``300 means of 4 inferences in 5 processes``."""
    processes = f"{summary.processes} process{'' if summary.processes == 1 else 'es'}"
    if summary.calls_per_sample == 1:
        return f"{plural(summary.samples, 'inference')} in {processes}"
    return f"{plural(summary.samples, 'mean')} of {summary.calls_per_sample} inferences in {processes}"


def score(row: Row) -> str:
    """The metric's value."""
    return NOT_KNOWN if row.accuracy is None else row.metric.value(row.accuracy)


def drop(row: Row) -> str:
    """How much worse than the source model it is."""
    return NOT_KNOWN if row.accuracy_drop is None else row.metric.number(row.accuracy_drop)


def below(row: Row) -> str:
    """How the metric lies to the source model's."""
    if row.accuracy_drop is None:
        return ""
    behind = row.metric.difference(row.accuracy_drop)
    return f"{behind} the source model" if behind else "as the source model"


def drift(summary: Summary) -> str:
    if summary.drift_percent is None:
        return TOO_FEW
    text = f"{summary.drift_percent:+.1f} %".replace("-", "\N{MINUS SIGN}")
    return f"{text}, drifting" if summary.drifting else text


def verdict(row: Row) -> str:
    """``slower: 1.32 times (1.30 to 1.35) against litert``, with what it is judged by where that is not wall time; a
    reason in place of the ratio where the two cannot be compared, and after it where nothing can be decided."""
    if row.comparison is None:
        return "the reference" if row.latency_ms is not None else ""
    found = row.comparison
    if found.verdict == NOT_COMPARABLE or found.measure is None:
        return f"not comparable: {found.reason}"
    by = "" if found.measure == WALL else f" by {WORDS[found.measure]}"
    text = f"{found.verdict}: {number(found.ratio)} times{by} ({bounds(found.interval)}) against {row.reference}"
    return f"{text}, since {found.reason}" if found.reason else text


def ratio(row: Row) -> str:
    """The verdict in a few words, for a chart: ``1.32 x, slower``, with the sign for times."""
    assert row.comparison is not None and row.comparison.ratio is not None
    times = f"{number(row.comparison.ratio)} \N{MULTIPLICATION SIGN}"
    return times if row.comparison.verdict == NO_DIFFERENCE else f"{times}, {row.comparison.verdict}"


def energy(row: Row) -> str:
    if row.energy_mj is not None:
        return f"{number(row.energy_mj)} mJ"
    return f"not available: {row.energy_reason}" if row.energy_reason else "not available"


def _decimals(text: str) -> int:
    return len(text.partition(".")[2])
