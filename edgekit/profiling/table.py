"""Rows as a table of words: only the columns that say something of these rows."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import partial

from edgekit.metric import Metric
from edgekit.profiling.comparison import NOT_COMPARABLE
from edgekit.profiling.measures import WALL, WORDS
from edgekit.profiling.rows import Row, without_numbers
from edgekit.profiling.statistics import TOO_FEW
from edgekit.profiling.words import number
from edgekit.runtime.profiler.records import MEASURED

#: Where there is no figure.
NONE = "-"


def table(rows: Sequence[Row]) -> tuple[list[str], list[list[str]]]:
    """Headers, and the cells of each row."""
    columns: list[tuple[str, list[str]]] = []

    def add(header: str, text: Callable[[Row], str], *, when: bool | None = None) -> None:
        cells = [text(row) for row in rows]
        if any(cell not in ("", NONE) for cell in cells) if when is None else when:
            columns.append((header, cells))

    add("device", lambda row: row.device, when=_differ(row.device for row in rows))
    add("bundle", lambda row: f"{row.bundle} ({row.target})", when=_differ((row.bundle, row.target) for row in rows))
    add("variant", lambda row: row.variant)
    add("engine", lambda row: row.engine)
    add("on", lambda row: row.accelerator or NONE, when=any(row.accelerator not in (None, "cpu") for row in rows))
    add("batch", lambda row: str(row.batch), when=any(row.batch != 1 for row in rows))
    add(
        "threads",
        lambda row: NONE if row.threads is None else str(row.threads),
        when=_differ(row.threads for row in rows if row.threads),
    )
    add("median ms", lambda row: _latency(row, "median"))
    add("95 % interval", _interval)
    add("p90 ms", lambda row: _latency(row, "p90"))
    add("p99 ms", lambda row: _latency(row, "p99"))
    add("against", _against)
    add("load ms", lambda row: _number(row.load_ms))
    add("first ms", lambda row: _number(row.first_ms))
    add("peak MB", lambda row: NONE if row.peak_rss_bytes is None else f"{row.peak_rss_bytes / 1e6:.0f}")
    add("energy mJ", lambda row: _number(row.energy_mj))
    add("instructions", lambda row: NONE if row.guest_instructions is None else f"{row.guest_instructions:,}")
    add("size KB", lambda row: f"{row.size_bytes / 1e3:.1f}")
    for metric in dict.fromkeys(row.metric for row in rows):
        add(metric.title, partial(_score, metric))
    add("note", note)
    return [header for header, _ in columns], [
        list(cells) for cells in zip(*(cells for _, cells in columns), strict=True)
    ]


def note(row: Row) -> str:
    """What there is to say of a row: why there is no figure, or what speaks against it (see `marks`)."""
    words = [] if row.status == MEASURED else [f"{row.status}: {row.reason}"]
    words += dict.fromkeys(mark.partition(":")[0] for mark in row.marks)
    if row.status == MEASURED and row.reason:
        words.append(row.reason)
    if row.status == MEASURED and not row.checked:
        words.append("its outputs were never checked")
    if row.latency_ms is not None and row.latency_ms.calls_per_sample != 1:
        words.append(row.latency_ms.why_none)
    if row.latency_ms is not None and row.latency_ms.drifting:
        words.append(f"drifting {row.latency_ms.drift_percent:+.0f} %")
    if row.comparison is not None and row.comparison.verdict == NOT_COMPARABLE and row.status == MEASURED:
        words.append(f"not comparable: {row.comparison.reason}")
    words += row.remarks
    return "; ".join(words)


def marks(rows: Sequence[Row]) -> list[str]:
    """What the rows are marked for, one line each; what differs by its numbers alone is said once."""
    found: dict[tuple[str, ...], str] = {}
    several = _differ(row.device for row in rows)
    for row in rows:
        for mark in row.marks:
            text = f"{row.device}: {mark}" if several else mark
            found.setdefault((row.device, without_numbers(mark)), text)
    return list(found.values())


def _score(metric: Metric, row: Row) -> str:
    return NONE if row.accuracy is None or row.metric != metric else metric.number(row.accuracy)


def _latency(row: Row, figure: str) -> str:
    if row.latency_ms is None:
        return NONE
    value = getattr(row.latency_ms, figure)
    if value is not None:
        return _number(value)
    together = row.latency_ms.calls_per_sample
    return TOO_FEW if together == 1 else f"means of {together}"


def _interval(row: Row) -> str:
    if row.latency_ms is None:
        return NONE
    low, high = row.latency_ms.interval
    return f"{_number(low)} to {_number(high)}"


def _against(row: Row) -> str:
    """``2.4 x litert: slower``, ``1.05 x litert (processor time): slower``; no ratio where there is none."""
    found = row.comparison
    if found is None or found.ratio is None or found.measure is None:
        return NONE
    measure = "" if found.measure == WALL else f" ({WORDS[found.measure]})"
    return f"{found.ratio:.2f} x {row.reference}{measure}: {found.verdict}"


def _number(value: float | None) -> str:
    return NONE if value is None else number(value)


def _differ(values: Iterable[object]) -> bool:
    return len(set(values)) > 1
