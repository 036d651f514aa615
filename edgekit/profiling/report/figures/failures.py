"""Rows that failed, as the report lists them."""

from __future__ import annotations

from collections.abc import Iterable

from edgekit.profiling import words
from edgekit.profiling.report.figures.elements import label
from edgekit.profiling.rows import Row
from edgekit.runtime.profiler.records import FAILED, Cell


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
