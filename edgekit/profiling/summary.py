"""What a profile comes to in words, for the terminal and for Markdown."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from edgekit.profiling.advice import Advice
from edgekit.profiling.rows import Row
from edgekit.profiling.table import marks
from edgekit.runtime.profiler.profile import Profile


def sentences(profile: Profile, rows: Sequence[Row], advice: Sequence[Advice]) -> Iterator[str]:
    """What to ship, what else to know, where the time goes, what rows are marked for, and which devices failed."""
    marked = [mark.partition(": ")[2] for row in rows for mark in row.marks]
    for each in advice:
        yield each.why
        yield from (remark for remark in each.remarks if not any(reason in remark for reason in marked))
    for row in rows:
        if row.operators_headline or row.operators_reason:
            place = f"{row.device}: {row.name}" if len(profile.devices) > 1 else row.name
            yield f"{place}: {row.operators_headline or row.operators_reason}"
    yield from marks(rows)
    there = {row.device for row in rows}
    for device in profile.devices:
        if device.failure and device.name in there:  # of others the advice says it
            yield f"{device.name}: {device.failure}"
    yield from profile.notes
