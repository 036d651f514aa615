"""What a model costs besides its latency: its file, memory, the start, and instructions."""

from __future__ import annotations

from collections.abc import Sequence

from edgekit.profiling import words
from edgekit.profiling.report import charts
from edgekit.profiling.report.figures.elements import Figure, Table, bar_figure, label, table
from edgekit.profiling.rows import Row


def sizes(rows: Sequence[Row]) -> Figure:
    """Files of one bundle."""
    files = sorted({row.variant: row for row in rows}.values(), key=lambda row: row.size_bytes)
    unit, scale = ("MB", 1e6) if files[-1].size_bytes >= 1e6 else ("KB", 1e3)
    bars = [charts.Bar(row.variant, words.size(row.size_bytes), (row.size_bytes / scale,)) for row in files]
    name = f"{rows[0].bundle} for {rows[0].target}"
    caption = f"Size of the files of {name}"
    numbers = Table(
        caption,
        ("Variant", "Size", "Bytes", "Operators delegated", "Outputs checked at the build"),
        tuple(
            (
                row.variant,
                words.size(row.size_bytes),
                words.count(row.size_bytes),
                words.percent(row.delegated_share, 0)
                if row.delegated_share is not None
                else "the format has no delegate",
                "given, not built" if row.is_given else "yes" if row.checked else "exported, not run",
            )
            for row in files
        ),
        frozenset({1, 2, 3}),
    )
    return bar_figure(f"Size: {name}", caption, bars, unit, numbers)


def memory(rows: Sequence[Row]) -> Figure | None:
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
    heading = f"Memory on {rows[0].device}"
    numbers = table(
        heading,
        shown,
        ("Peak", lambda row: words.size(row.peak_rss_bytes), True),
        ("Anonymous, at the end", lambda row: words.size(row.anonymous_bytes), True),
        ("Of files, at the end", lambda row: words.size(row.file_bytes), True),
    )
    return bar_figure(
        heading,
        f"{heading}, most that was resident",
        bars,
        "MB, of a process that only loads and runs the model",
        numbers,
        ("Line across: the peak. Interpreter and numpy are in it.",),
        (("--bar-1", "anonymous"), ("--bar-2", "pages of files")),
    )


def start(rows: Sequence[Row]) -> Figure | None:
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
    heading = f"Time to the first answer on {rows[0].device}"
    numbers = table(
        f"Loading on {rows[0].device}, in milliseconds",
        shown,
        ("Import", lambda row: words.number(row.import_ms), True),
        ("Load, cold file cache", lambda row: words.number(row.load_cold_ms), True),
        ("Load, warm file cache", lambda row: words.number(row.load_warm_ms), True),
        ("First inference", lambda row: words.number(row.first_ms), True),
    )
    return bar_figure(
        heading,
        heading,
        bars,
        "milliseconds",
        numbers,
        ("Medians over processes; load from cold and warm file cache together, which the table has apart.",),
        (("--bar-1", "import of the engine"), ("--bar-2", "load"), ("--bar-3", "first inference")),
    )


def instructions(rows: Sequence[Row]) -> Figure | None:
    """What an emulated board can count."""
    shown = sorted((row for row in rows if row.guest_instructions), key=lambda row: row.guest_instructions or 0)
    if not shown:
        return None
    bars = [
        charts.Bar(label(row, rows), words.count(row.guest_instructions), ((row.guest_instructions or 0) / 1e6,))
        for row in shown
    ]
    caption = f"Instructions for one inference on {rows[0].device}"
    numbers = table(
        caption,
        shown,
        ("Instructions", lambda row: words.count(row.guest_instructions), True),
    )
    return bar_figure(
        f"Instructions on {rows[0].device}",
        caption,
        bars,
        "million instructions for one inference",
        numbers,
        ("Emulated: exact and the same at every run, but no time. Such a board has no latency.",),
    )
