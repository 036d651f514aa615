"""Where the time of an inference goes, by kind of operator."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence

from edgekit.profiling import words
from edgekit.profiling.operators.steps import OVERHEAD
from edgekit.profiling.report import charts
from edgekit.profiling.report.figures.elements import Figure, Table, bar_figure, label
from edgekit.profiling.rows import Row
from edgekit.runtime.profiler.records import Cell, Operators

#: Kinds of operators that a chart shows; the table has them all.
_KINDS_SHOWN = 10


def operators(row: Row, rows: Sequence[Row], cell: Cell) -> Figure | None:
    """Where the time of an inference goes, by kind of operator."""
    traced = cell.operators
    if traced is None or not traced.operators:
        return None
    times: defaultdict[tuple[str, bool], float] = defaultdict(float)
    counts: Counter[tuple[str, bool]] = Counter()
    for operator in traced.operators:
        times[operator.type, operator.delegated] += operator.time_us
        counts[operator.type, operator.delegated] += operator.count
    bars = [
        charts.Bar(
            f"{kind} ({counts[kind, delegated]})" if counts[kind, delegated] > 1 else kind,
            f"{words.number(time)} µs, {_share(time, traced.whole_us)}",
            (time,),
            color="var(--bar-3)" if kind in OVERHEAD else None,
            hollow=not delegated and kind not in OVERHEAD,
        )
        for (kind, delegated), time in sorted(times.items(), key=lambda item: -item[1])[:_KINDS_SHOWN]
    ]
    name = label(row, rows)
    median_us = None if row.latency_ms is None else 1e3 * row.latency_ms.median
    whole = (
        "Bars: means of the typical half of the traced inferences. "
        f"All operators together {words.microseconds(row.operators_sum_us)}; the traced inference as a whole "
        f"{words.microseconds(row.operators_whole_us)}; untraced median {words.microseconds(median_us)}."
    )
    notes = [whole]
    if len(times) > len(bars):
        notes.append(f"The {len(bars)} kinds that take the most time, of {len(times)}.")
    numbers = _operators_table(f"Operators of {name} on {row.device}, in the order in which they run", traced)
    return bar_figure(
        name,
        f"Time by kind of operator, {name} on {row.device}",
        bars,
        "microseconds for one inference",
        numbers,
        (f"{row.operators_headline}.", *notes) if row.operators_headline else tuple(notes),
        (("--bar-1", "inside the accelerated backend"), ("--paper", "outside it"), ("--bar-3", "no operator")),
    )


def _operators_table(caption: str, traced: Operators) -> Table:
    """One line for each; profiles of before minima and medians were kept have neither."""
    spread = any(each.median_us is not None for each in traced.operators)
    return Table(
        caption,
        (
            *("Operator", "Count", "Mean, µs"),
            *(("Median, µs", "Least, µs") if spread else ()),
            *("Share", "Delegated", "Source or node"),
        ),
        tuple(
            (
                each.name,
                words.count(each.count),
                words.number(each.time_us),
                *((words.number(each.median_us), words.number(each.min_us)) if spread else ()),
                _share(each.time_us, traced.whole_us),
                "yes" if each.delegated else "no",
                each.source or each.node or "",
            )
            for each in traced.operators
        ),
        frozenset(range(1, 6 if spread else 4)),
    )


def _share(time_us: float, whole_us: float) -> str:
    return f"{100 * time_us / whole_us:.1f} %" if whole_us else words.NOT_KNOWN
