"""The report's figures and tables: rows as charts with their words, and the same numbers as a table."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from edgekit.profiling.advice import pareto
from edgekit.profiling.measures import CPU, P10, WORDS
from edgekit.profiling.operators.steps import OVERHEAD
from edgekit.profiling.report import charts, words
from edgekit.profiling.report.marks import mark
from edgekit.profiling.report.svg import draw
from edgekit.profiling.rows import Row
from edgekit.profiling.statistics import Summary, sound
from edgekit.runtime.profiler.records import FAILED, Cell, DeviceRecord, Operators

#: Kinds of operators that a chart shows; the table has them all.
_KINDS_SHOWN = 10


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
        identifier: Unique in the report.
        heading: What the figure is.
        svg: The drawing, as trusted markup.
        notes: How to read it, and what it does not show.
        legend: Colour (CSS) and meaning of each part of a bar.
        key: What the numbers in the drawing stand for; whether each is one of the best.
        table: The same figures; None where they follow the figure.
    """

    identifier: str
    heading: str
    svg: str
    table: Table | None
    notes: tuple[str, ...] = ()
    legend: tuple[tuple[str, str], ...] = ()
    key: tuple[tuple[str, bool], ...] = ()


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


def latency(rows: Sequence[Row], identifier: str) -> Figure | None:
    """Medians of *rows* of one device, the lowest first; those out of the headline stand in the table only."""
    measured = _by_latency(rows)
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
    return Figure(identifier, "Median", draw(chart, identifier, title), None, tuple(notes))


def latency_table(rows: Sequence[Row]) -> Table:
    """All rows with a latency, those out of the headline among them."""
    return table(
        f"Latency on {rows[0].device}, in milliseconds, the lowest median first",
        _by_latency(rows),
        ("Median", _summary(lambda it: words.number(it.median)), True),
        ("95 % interval", _summary(lambda it: words.bounds(it.interval)), True),
        ("p90", _summary(lambda it: words.of_single(it, it.p90)), True),
        ("p99", _summary(lambda it: words.of_single(it, it.p99)), True),
        ("Verdict", words.verdict, False),
        ("Remarks", lambda row: "; ".join((*row.marks, *row.remarks)), False),
    )


def spread(pairs: Sequence[tuple[Row, Cell]], identifier: str) -> Figure | None:
    """How much single inferences vary around their own median."""
    rows = [row for row, _ in pairs]
    shown = [(row, cell) for row, cell in pairs if row.headline and row.latency_ms]
    if not shown:
        return None
    shown.sort(key=lambda pair: pair[0].latency_ms.median if pair[0].latency_ms else 0.0)
    lines = []
    for row, cell in shown:
        assert row.latency_ms is not None
        samples = np.concatenate([each.elapsed_ns.array() for each in sound(cell.processes) if each.elapsed_ns])
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
    return Figure(
        identifier, "How steady it is", draw(chart, identifier, title), _steadiness([row for row, _ in shown]), notes
    )


def _steadiness(rows: Sequence[Row]) -> Table:
    def column(header: str, text: Callable[[Row], str]) -> Column:
        return header, text, True

    return table(
        f"Spread of single inferences on {rows[0].device}, in milliseconds",
        rows,
        column("Mean", _summary(lambda it: words.number(it.mean))),
        column("Median absolute deviation", _summary(lambda it: words.of_single(it, it.mad))),
        column("p95", _summary(lambda it: words.of_single(it, it.p95))),
        column("Largest", _summary(lambda it: words.of_single(it, it.max))),
        column("Outliers", _summary(lambda it: it.why_none if it.outliers is None else words.count(it.outliers))),
        column("Drift", _summary(words.drift)),
        column("Samples", _summary(words.basis)),
    )


def against(rows: Sequence[Row], device: DeviceRecord, identifier: str) -> Figure | None:
    """Ratios to the reference, of the rows that can be compared with it."""
    compared = [row for row in _by_latency(rows) if row.comparison and row.comparison.ratio]
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
    return Figure(identifier, f"Against {references}", draw(chart, identifier, title), numbers, notes)


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


def trade(rows: Sequence[Row], identifier: str) -> Figure | None:
    """Quality against latency, and the Pareto front, of one bundle's rows on one device."""
    shown = [row for row in _by_latency(rows) if row.headline and row.snr_db is not None]
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
        ("Median, ms", _summary(lambda it: words.number(it.median)), True),
        (metric.name.capitalize(), words.score, True),
        ("Worse than the source", words.drop, True),
        ("SNR, dB", lambda row: words.number(row.snr_db), True),
        ("Agreement", lambda row: words.percent(row.agreement, 1), True),
        ("On the front", lambda row: "yes" if any(row is other for other in best) else "", False),
    )
    return Figure(
        identifier,
        f"{rows[0].bundle} on {rows[0].device}",
        draw(chart, identifier, title),
        numbers,
        ("Dashed line: the front. Nothing measured has both a lower median and more quality than what stands on it.",),
        key=tuple(
            (f"{dot.label}: {words.milliseconds(dot.x)}, {_quality(row)}", dot.best)
            for dot, row in zip(dots, shown, strict=True)
        ),
    )


def _quality(row: Row) -> str:
    return f"SNR {words.number(row.snr_db)} dB" if row.accuracy is None else words.score(row)


def sizes(rows: Sequence[Row], identifier: str) -> Figure:
    """Files of one bundle."""
    files = sorted({row.variant: row for row in rows}.values(), key=lambda row: row.size_bytes)
    unit, scale = _unit(max(row.size_bytes for row in files))
    bars = [charts.Bar(row.variant, words.size(row.size_bytes), (row.size_bytes / scale,)) for row in files]
    name = f"{rows[0].bundle} for {rows[0].target}"
    title = f"Size of the files of {name}. " + " ".join(f"{bar.label}: {bar.value}." for bar in bars)
    numbers = Table(
        f"Size of the files of {name}",
        ("Variant", "Size", "Bytes", "Operators delegated", "Outputs checked at the build"),
        tuple(
            (
                row.variant,
                words.size(row.size_bytes),
                words.count(row.size_bytes),
                words.percent(row.delegated_share, 0)
                if row.delegated_share is not None
                else "the format has no delegate",
                "yes" if row.checked else "exported, not run",
            )
            for row in files
        ),
        frozenset({1, 2, 3}),
    )
    return Figure(identifier, f"Size: {name}", draw(charts.bars(bars, unit), identifier, title), numbers)


def memory(rows: Sequence[Row], identifier: str) -> Figure | None:
    shown = sorted((row for row in rows if row.peak_rss_bytes), key=lambda row: row.peak_rss_bytes or 0)
    if not shown:
        return None
    bars = [
        charts.Bar(
            label(row, rows),
            words.size(row.peak_rss_bytes),
            ((row.anonymous_bytes or 0) / 1e6, (row.file_bytes or 0) / 1e6),
            tick=(row.peak_rss_bytes or 0) / 1e6,
        )
        for row in shown
    ]
    title = f"Memory on {rows[0].device}, most that was resident. " + " ".join(f"{x.label}: {x.value}." for x in bars)
    numbers = table(
        f"Memory on {rows[0].device}",
        shown,
        ("Peak", lambda row: words.size(row.peak_rss_bytes), True),
        ("Anonymous, at the end", lambda row: words.size(row.anonymous_bytes), True),
        ("Of files, at the end", lambda row: words.size(row.file_bytes), True),
    )
    return Figure(
        identifier,
        f"Memory on {rows[0].device}",
        draw(charts.bars(bars, "MB, of a process that only loads and runs the model"), identifier, title),
        numbers,
        ("Line across: the peak. Interpreter and numpy are in it.",),
        (("--bar-1", "anonymous"), ("--bar-2", "pages of files")),
    )


def start(rows: Sequence[Row], identifier: str) -> Figure | None:
    """Importing the engine, loading the file, and the first inference."""
    shown = [row for row in rows if row.import_ms is not None and row.load_ms is not None and row.first_ms is not None]
    if not shown:
        return None
    shown.sort(key=lambda row: (row.import_ms or 0) + (row.load_ms or 0) + (row.first_ms or 0))
    bars = [
        charts.Bar(
            label(row, rows),
            "",
            (row.import_ms or 0, row.load_ms or 0, row.first_ms or 0),
            below=f"import {words.number(row.import_ms)}, load {words.number(row.load_ms)}, "
            f"first {words.number(row.first_ms)} ms",
        )
        for row in shown
    ]
    title = f"Time to the first answer on {rows[0].device}. " + " ".join(f"{x.label}: {x.below}." for x in bars)
    numbers = table(
        f"Loading on {rows[0].device}, in milliseconds",
        shown,
        ("Import", lambda row: words.number(row.import_ms), True),
        ("Load, cold file cache", lambda row: words.number(row.load_cold_ms), True),
        ("Load, warm file cache", lambda row: words.number(row.load_warm_ms), True),
        ("First inference", lambda row: words.number(row.first_ms), True),
    )
    return Figure(
        identifier,
        f"Time to the first answer on {rows[0].device}",
        draw(charts.bars(bars, "milliseconds"), identifier, title),
        numbers,
        ("Medians over processes; load from cold and warm file cache together, which the table has apart.",),
        (("--bar-1", "import of the engine"), ("--bar-2", "load"), ("--bar-3", "first inference")),
    )


def instructions(rows: Sequence[Row], identifier: str) -> Figure | None:
    """What an emulated board can count."""
    shown = sorted((row for row in rows if row.guest_instructions), key=lambda row: row.guest_instructions or 0)
    if not shown:
        return None
    bars = [
        charts.Bar(label(row, rows), words.count(row.guest_instructions), ((row.guest_instructions or 0) / 1e6,))
        for row in shown
    ]
    title = f"Instructions for one inference on {rows[0].device}. " + " ".join(f"{x.label}: {x.value}." for x in bars)
    numbers = table(
        f"Instructions for one inference on {rows[0].device}",
        shown,
        ("Instructions", lambda row: words.count(row.guest_instructions), True),
    )
    return Figure(
        identifier,
        f"Instructions on {rows[0].device}",
        draw(charts.bars(bars, "million instructions for one inference"), identifier, title),
        numbers,
        ("Emulated: exact and the same at every run, but no time. Such a board has no latency.",),
    )


def operators(row: Row, rows: Sequence[Row], cell: Cell, identifier: str) -> Figure | None:
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
    title = f"Time by kind of operator, {name} on {row.device}. " + " ".join(f"{x.label}: {x.value}." for x in bars)
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
    return Figure(
        identifier,
        name,
        draw(charts.bars(bars, "microseconds for one inference"), identifier, title),
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
        ("Preprocessing of a sample", lambda row: _preprocess(row), True),
        ("Samples per second", lambda row: words.number(row.throughput), True),
    )


def failures(pairs: Iterable[tuple[Row, Cell]]) -> list[dict[str, object]]:
    """Rows that failed, did not run, or lost a process, with what their processes wrote at the end."""
    found: list[dict[str, object]] = []
    pairs = list(pairs)
    rows = [row for row, _ in pairs]
    for row, cell in pairs:
        broken = [process for process in cell.processes if process.failure]
        if row.reason or broken:
            some = row.status not in (FAILED,) and broken
            first = broken[0] if broken else None
            found.append(
                {
                    "name": label(row, rows),
                    "device": row.device,
                    "status": f"{len(broken)} of {words.plural(len(cell.processes), 'repeat')} failed"
                    if some
                    else row.status,
                    "reason": row.reason or (first.failure if first else ""),
                    "signal": first.signal if first else None,
                    "log": first.log if first else "",
                }
            )
    return found


def _summary(text: Callable[[Summary], str]) -> Callable[[Row], str]:
    return lambda row: "" if row.latency_ms is None else text(row.latency_ms)


def _preprocess(row: Row) -> str:
    return "none" if row.preprocess_ms is None else words.number(1e3 * row.preprocess_ms)


def _share(time_us: float, whole_us: float) -> str:
    return f"{100 * time_us / whole_us:.1f} %" if whole_us else words.NOT_KNOWN


def _unit(largest: int) -> tuple[str, float]:
    return ("MB", 1e6) if largest >= 1e6 else ("KB", 1e3)


def _by_latency(rows: Sequence[Row]) -> list[Row]:
    return sorted(
        (row for row in rows if row.latency_ms), key=lambda row: row.latency_ms.median if row.latency_ms else 0
    )
