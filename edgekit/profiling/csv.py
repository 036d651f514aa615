"""Rows as flat records, one column for each figure: for spreadsheets."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import fields
from typing import Any

from edgekit import display
from edgekit.metric import Metric
from edgekit.profiling.comparison import Comparison
from edgekit.profiling.rows import Row
from edgekit.profiling.statistics import Summary

#: Fields of a row that are records themselves.
_NESTED = {"metric": fields(Metric), "latency_ms": fields(Summary), "comparison": fields(Comparison)}


def flat(row: Row) -> dict[str, Any]:
    """``latency_ms.median``, ``latency_ms.interval.0`` and so on; the same keys for every row."""
    value = vars(row)
    record: dict[str, Any] = {}
    for key, item in value.items():
        if key in _NESTED:
            for name in (field.name for field in _NESTED[key]):
                part = getattr(item, name, None)
                if name == "interval":
                    low, high = part or (None, None)
                    record |= {f"{key}.interval.0": low, f"{key}.interval.1": high}
                else:
                    record[f"{key}.{name}"] = part
        else:
            record[key] = "; ".join(item) if isinstance(item, tuple) else item
    return {key: display.cell(item) if isinstance(item, str) else item for key, item in record.items()}


def render(rows: Sequence[Row]) -> str:
    """A CSV file: one line of headers, one for each row; what is not known is empty."""
    records = [flat(row) for row in rows]
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, list(records[0]) if records else ["device"], lineterminator="\n")
    writer.writeheader()
    writer.writerows(records)
    return text.getvalue()
