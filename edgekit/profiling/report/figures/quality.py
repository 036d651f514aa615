"""Quality against latency."""

from __future__ import annotations

from collections.abc import Sequence

from edgekit.profiling import words
from edgekit.profiling.advice import pareto
from edgekit.profiling.report import charts
from edgekit.profiling.report.figures.elements import Figure, by_latency, label, of_latency, table
from edgekit.profiling.report.marks import mark
from edgekit.profiling.rows import Row


def trade(rows: Sequence[Row]) -> Figure | None:
    """Quality against latency, and the Pareto front, of one bundle's rows on one device."""
    shown = [row for row in by_latency(rows) if row.headline and row.snr_db is not None]
    labelled = [row for row in shown if row.accuracy is not None]
    shown = labelled or shown
    if not shown:
        return None
    best = pareto(shown)
    dots = [
        charts.Dot(
            label(row, rows),
            mark(row.engine, row.accelerator),
            row.latency_ms.median,
            row.snr_db if row.accuracy is None else row.accuracy,
            row.latency_ms.interval,
            any(row is other for other in best),
        )
        for row in shown
        if row.latency_ms and row.snr_db is not None
    ]
    metric = shown[0].metric
    quality = (
        ", ".join(filter(None, (metric.name, metric.unit)))
        if labelled
        else "SNR against the source model, dB (no labels)"
    )
    chart = charts.front(dots, "milliseconds for one inference", quality)
    names = words.listing([dot.label for dot in dots if dot.best])
    title = f"{quality.split(',')[0].capitalize()} against latency on {rows[0].device}. On the front: {names}."
    numbers = table(
        f"Quality and latency on {rows[0].device}",
        shown,
        ("Median, ms", of_latency(lambda it: words.number(it.median)), True),
        (metric.name.capitalize(), words.score, True),
        ("Worse than the source", words.drop, True),
        ("SNR, dB", lambda row: words.number(row.snr_db), True),
        ("Agreement", lambda row: words.percent(row.agreement, 1), True),
        ("On the front", lambda row: "yes" if any(row is other for other in best) else "", False),
    )
    return Figure(
        f"{rows[0].bundle} on {rows[0].device}",
        chart,
        title,
        numbers,
        ("Dashed line: the front. Nothing measured has both a lower median and more quality than what stands on it.",),
        key=tuple(
            (f"{dot.label}: {words.milliseconds(dot.x)}, {_quality(row)}", dot.best)
            for dot, row in zip(dots, shown, strict=True)
        ),
    )


def _quality(row: Row) -> str:
    return f"SNR {words.number(row.snr_db)} dB" if row.accuracy is None else words.score(row)
