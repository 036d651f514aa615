"""What a figure and a table of the report are made of."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from edgekit.profiling.report import charts
from edgekit.profiling.report.svg import draw
from edgekit.profiling.rows import Row
from edgekit.profiling.statistics import Summary


@dataclass(frozen=True)
class Table:
    """Columns whose number is in *numeric* are figures and stand to the right; the first one names the row."""

    caption: str
    headers: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    numeric: frozenset[int]


@dataclass(frozen=True)
class Figure:
    """A chart with all that belongs to it.

    Attributes:
        heading: What the figure is.
        chart: Of Altair.
        title: The chart in words, for a screen reader.
        notes: How to read it, and what it does not show.
        legend: Colour (CSS) and meaning of each part of a bar.
        key: What the numbers in the drawing stand for; whether each is one of the best.
        table: The same figures; None where they follow the figure.
    """

    heading: str
    chart: Any
    title: str
    table: Table | None
    notes: tuple[str, ...] = ()
    legend: tuple[tuple[str, str], ...] = ()
    key: tuple[tuple[str, bool], ...] = ()

    def svg(self, identifier: str) -> str:
        """The drawing, as trusted markup; *identifier* is the figure's, and no other's in the report."""
        return draw(self.chart, identifier, self.title)


Column = tuple[str, Callable[[Row], str], bool]


def label(row: Row, rows: Sequence[Row]) -> str:
    """``fp32.tflite on litert``, with what else tells it from others of *rows*."""
    text = row.name
    alike = [other for other in rows if (other.device, other.name) == (row.device, row.name)]
    if len({(other.bundle, other.target) for other in alike}) > 1:
        text += f", {row.bundle} for {row.target}"
    if len({other.batch for other in alike}) > 1 or row.batch != 1:
        text += f", batch {row.batch}"
    return text + (", degraded" if any(mark.startswith("degraded") for mark in row.marks) else "")


def table(caption: str, rows: Sequence[Row], *columns: Column) -> Table:
    """*rows* under *columns*: header, text, and whether it is a figure."""
    return Table(
        caption,
        ("Variant and engine", *(header for header, _, _ in columns)),
        tuple((label(row, rows), *(text(row) for _, text, _ in columns)) for row in rows),
        frozenset(index for index, (_, _, numeric) in enumerate(columns, 1) if numeric),
    )


def bar_figure(
    heading: str,
    caption: str,
    bars: Sequence[charts.Bar],
    axis: str,
    numbers: Table,
    notes: Sequence[str] = (),
    legend: Sequence[tuple[str, str]] = (),
) -> Figure:
    """*bars* along *axis*, which a screen reader is told after *caption*."""
    title = f"{caption}. " + " ".join(f"{bar.label}: {bar.value or bar.below}." for bar in bars)
    return Figure(heading, charts.bars(bars, axis), title, numbers, tuple(notes), tuple(legend))


def by_latency(rows: Sequence[Row]) -> list[Row]:
    """Those that have one, the lowest first."""
    measured = [(row.latency_ms.median, row) for row in rows if row.latency_ms]
    return [row for _, row in sorted(measured, key=lambda pair: pair[0])]


def of_latency(text: Callable[[Summary], str]) -> Callable[[Row], str]:
    """*text* of a row's latency, where it has one."""
    return lambda row: "" if row.latency_ms is None else text(row.latency_ms)
