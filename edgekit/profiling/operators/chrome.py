"""Operators as a trace for chrome://tracing and https://ui.perfetto.dev.

The format is Chrome's Trace Event Format in its object form, with complete events
(https://docs.google.com/document/d/1CvAClvFfyA5R-PhYUmn5OOQtYMH4h6I0nSsKchNAySU).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from edgekit.runtime.profiler.profile import Profile
from edgekit.runtime.profiler.records import Cell, Operator

_ARGUMENTS = ("type", "delegated", "count", "min_us", "median_us", "source", "node")


def trace(profile: Profile) -> dict[str, Any]:
    """The JSON document: a process for each device, a track for each cell with operators, which lie one after the
    other as they run and as long as they take in a typical inference."""
    events: list[dict[str, Any]] = []
    cells = [cell for cell in profile.cells if cell.operators is not None]
    devices = list(dict.fromkeys(cell.device for cell in cells))
    for number, device in enumerate(devices, 1):
        events.append(_label("process_name", number, 0, device))
    for number, cell in enumerate(cells, 1):
        process = devices.index(cell.device) + 1
        name = f"{profile.bundle(cell).name} {cell.variant} on {cell.engine} {cell.engine_version or ''}".rstrip()
        events.append(_label("thread_name", process, number, name))
        events += _events(cell, process, number)
    return {"traceEvents": events, "displayTimeUnit": "ms"}


def _events(cell: Cell, process: int, track: int) -> Iterator[dict[str, Any]]:
    operators = cell.operators
    assert operators is not None
    begin = {"ph": "X", "pid": process, "tid": track}
    yield {
        **begin,
        "name": "inference",
        "cat": "inference",
        "ts": 0.0,
        "dur": operators.whole_us,
        "args": {"traced inferences": operators.runs},
    }
    start_us = 0.0
    for row in operators.operators:
        category = "delegated" if row.delegated else "not delegated"
        yield {**begin, "name": row.name, "cat": category, "ts": start_us, "dur": row.time_us, "args": _arguments(row)}
        start_us += row.time_us


def _arguments(row: Operator) -> dict[str, Any]:
    return {name: value for name in _ARGUMENTS if (value := getattr(row, name)) is not None}


def _label(kind: str, process: int, track: int, name: str) -> dict[str, Any]:
    return {"ph": "M", "name": kind, "pid": process, "tid": track, "args": {"name": name}}
