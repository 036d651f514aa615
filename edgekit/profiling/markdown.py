"""A profile as GitHub-flavoured Markdown: the summary in words, then the table."""

from __future__ import annotations

import re
from collections.abc import Sequence

from edgekit.profiling.advice import advise
from edgekit.profiling.rows import rows
from edgekit.profiling.summary import sentences
from edgekit.profiling.table import table
from edgekit.runtime.profiler.records import Profile


def render(profile: Profile) -> str:
    """What a pull request or a wiki page takes."""
    found = rows(profile)
    lines = [f"- {_safe(text)}" for text in sentences(profile, found, advise(profile, found))]
    lines += ["", *_table(*table(found))] if found else []
    lines += ["", f"`{' '.join(profile.command)}`, {profile.producer}, {profile.created}", ""]
    return "\n".join(lines)


def _table(headers: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    align = ["---:" if header.split()[-1] in ("ms", "MB", "KB", "mJ", "%") else "---" for header in headers]
    return [_line(headers), _line(align), *map(_line, rows)]


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(map(_safe, cells))} |"


def _safe(text: str) -> str:
    """A bar would end the cell, an angle bracket begin a tag, a bracket a link or a picture, a backtick code."""
    line = " ".join(text.split()).replace("<", "&lt;")
    return re.sub(r"[\\|\[`]", r"\\\g<0>", line)
