"""Latency: medians, how they spread, and against the reference."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np

from edgekit.profiling import words
from edgekit.profiling.measures import CPU, P10, WORDS
from edgekit.profiling.report import charts
from edgekit.profiling.report.figures.elements import Column, Figure, Table, by_latency, label, of_latency, table
from edgekit.profiling.report.marks import mark
from edgekit.profiling.rows import Row
from edgekit.profiling.statistics import succeeded
from edgekit.runtime.profiler.profile import DeviceRecord
from edgekit.runtime.profiler.records import Cell


def latency(rows: Sequence[Row]) -> Figure | None:
    """Medians of *rows* of one device, the lowest first; those out of the headline stand in the table only."""
    measured = by_latency(rows)
    shown = [row for row in measured if row.headline]
    if not shown:
        return None
    lines = [
        charts.Latency(
            label(row, rows),
            words.milliseconds(row.latency_ms.median),
            mark(row.engine, row.accelerator),
            row.latency_ms.median,
            row.latency_ms.interval,
            tuple(value for value in (row.latency_ms.p90, row.latency_ms.p99) if value is not None),
        )
        for row in shown
        if row.latency_ms
    ]
    out = [label(row, rows) for row in measured if not row.headline]
    notes = [
        "Point: median. Thick bar: its 95 % interval. Thin line with ticks: 90th and 99th percentile, where known."
    ]
    if out:
        notes.append(f"Not drawn, because the machine was throttled meanwhile: {words.listing(out)}.")
    chart = charts.latencies(lines, "milliseconds for one inference")
    title = (
        f"Median latency on {rows[0].device}, {words.plural(len(lines), 'row')}. "
        f"Lowest: {lines[0].label}, {lines[0].value}; highest: {lines[-1].label}, {lines[-1].value}."
    )
    return Figure("Median", chart, title, None, tuple(notes))


def latency_table(rows: Sequence[Row]) -> Table:
    """All rows with a latency, those out of the headline among them."""
    return table(
        f"Latency on {rows[0].device}, in milliseconds, the lowest median first",
        by_latency(rows),
        ("Median", of_latency(lambda it: words.number(it.median)), True),
        ("95 % interval", of_latency(lambda it: words.bounds(it.interval)), True),
        ("p90", of_latency(lambda it: words.of_single(it, it.p90)), True),
        ("p99", of_latency(lambda it: words.of_single(it, it.p99)), True),
        ("Verdict", words.verdict, False),
        ("Remarks", lambda row: "; ".join((*row.marks, *row.remarks)), False),
    )


def spread(pairs: Sequence[tuple[Row, Cell]]) -> Figure | None:
    """How much single inferences vary around their own median."""
    rows = [row for row, _ in pairs]
    shown = [(row, cell) for row, cell in pairs if row.headline and row.latency_ms]
    if not shown:
        return None
    shown.sort(key=lambda pair: pair[0].latency_ms.median if pair[0].latency_ms else 0.0)
    lines = []
    for row, cell in shown:
        assert row.latency_ms is not None
        samples = np.concatenate([each.elapsed_ns.array() for each in succeeded(cell.processes) if each.elapsed_ns])
        together = row.latency_ms.calls_per_sample
        value = f"{row.latency_ms.samples:,} {'samples' if together == 1 else f'means of {together}'}"
        percent = samples / (row.latency_ms.median * 1e4)
        lines.append(charts.Spread(label(row, rows), value, mark(row.engine, row.accelerator), percent))
    chart = charts.spreads(lines, "percent of the row's own median")
    title = f"Distribution of all samples on {rows[0].device}, each around its own median. The table has the figures."
    notes = (
        "Shape: all samples of all processes. Line: the median. "
        "Samples beyond the right edge are not drawn; they count in every figure.",
    )
    return Figure("How steady it is", chart, title, _steadiness([row for row, _ in shown]), notes)


def _steadiness(rows: Sequence[Row]) -> Table:
    def column(header: str, text: Callable[[Row], str]) -> Column:
        return header, text, True

    return table(
        f"Spread of single inferences on {rows[0].device}, in milliseconds",
        rows,
        column("Mean", of_latency(lambda it: words.number(it.mean))),
        column("Median absolute deviation", of_latency(lambda it: words.of_single(it, it.mad))),
        column("p95", of_latency(lambda it: words.of_single(it, it.p95))),
        column("Largest", of_latency(lambda it: words.of_single(it, it.max))),
        column("Outliers", of_latency(lambda it: it.why_none if it.outliers is None else words.count(it.outliers))),
        column("Drift", of_latency(words.drift)),
        column("Samples", of_latency(words.basis)),
    )


def against(rows: Sequence[Row], device: DeviceRecord) -> Figure | None:
    """Ratios to the reference, of the rows that can be compared with it."""
    compared = [row for row in by_latency(rows) if row.comparison and row.comparison.ratio]
    if not compared:
        return None
    lines = [
        charts.Ratio(
            label(row, rows),
            words.ratio(row),
            mark(row.engine, row.accelerator),
            row.comparison.ratio,
            row.comparison.interval or (row.comparison.ratio, row.comparison.ratio),
        )
        for row in compared
        if row.comparison and row.comparison.ratio
    ]
    references = words.listing(sorted({row.reference for row in compared if row.reference}))
    chart = charts.ratios(lines, f"times {references}", device.noise_floor_percent)
    title = f"Latency on {device.name} against {references}. " + " ".join(f"{x.label}: {x.value}." for x in lines)
    floor = words.number(device.noise_floor_percent, 2)
    notes = (
        f"Each row against {references} with the same precision. Bar: 95 % interval of the ratio. Grey: the noise "
        f"floor of {floor} %. A bar within it shows that there is no difference. One that reaches out of it, but not "
        "clear of it on one side, shows nothing: undecided.",
        *_measured_by(compared),
    )
    numbers = table(
        f"Against {references} on {device.name}",
        compared,
        ("Reference", lambda row: row.reference or "", False),
        ("Verdict", lambda row: row.comparison.verdict if row.comparison else "", False),
        ("Ratio of", _measure, False),
        ("Ratio", lambda row: words.number(row.comparison.ratio if row.comparison else None), True),
        ("95 % interval", lambda row: words.bounds(row.comparison.interval if row.comparison else None), True),
    )
    return Figure(f"Against {references}", chart, title, numbers, notes)


def _measure(row: Row) -> str:
    measure = None if row.comparison is None else row.comparison.measure
    return "" if measure is None else WORDS[measure]


def _measured_by(rows: Sequence[Row]) -> Iterator[str]:
    """What ratios are of that are not of wall time."""
    used = {row.comparison.measure for row in rows if row.comparison}
    if CPU in used:
        yield "Ratios of processor time: the machine was busy or hot, and processor time leaves other programs out."
    if P10 in used:
        yield (
            "Ratios of 10th percentiles: the machine was busy or hot, and processor time does not tell of several "
            "threads, nor of what waits."
        )


def parts(rows: Sequence[Row]) -> Table | None:
    """The steps of an inference, timed apart."""
    shown = [row for row in rows if row.invoke_us is not None]
    if not shown:
        return None
    return table(
        f"Parts of an inference on {rows[0].device}, timed apart from the rest, in microseconds",
        shown,
        ("Inputs in", lambda row: words.number(row.write_us), True),
        ("Inference", lambda row: words.number(row.invoke_us), True),
        ("Outputs out", lambda row: words.number(row.read_us), True),
        (
            "Preprocessing of a sample",
            lambda row: "none" if row.preprocess_ms is None else words.number(1e3 * row.preprocess_ms),
            True,
        ),
        ("Samples per second", lambda row: words.number(row.throughput), True),
    )
