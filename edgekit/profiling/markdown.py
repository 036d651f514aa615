"""A profile as GitHub-flavoured Markdown: the summary in words, then the table."""

from __future__ import annotations

import re
from collections.abc import Sequence

from edgekit import display
from edgekit.profiling.advice import advise
from edgekit.profiling.outcome import sentences
from edgekit.profiling.rows import rows
from edgekit.profiling.table import table
from edgekit.runtime.profiler.profile import Profile


def render(profile: Profile) -> str:
    """What a pull request or a wiki page takes."""
    found = rows(profile)
    lines = [f"- {cell(text)}" for text in sentences(profile, found, advise(profile, found))]
    lines += ["", *_table(*table(found))] if found else []
    command = display.one_line(" ".join(profile.command)).replace("`", "'")
    lines += ["", f"`{command}`, {cell(profile.producer)}, {cell(profile.created)}", ""]
    return "\n".join(lines)


def _table(headers: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    align = ["---:" if header.split()[-1] in ("ms", "MB", "KB", "mJ", "%") else "---" for header in headers]
    return [_line(headers), _line(align), *map(_line, rows)]


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(map(cell, cells))} |"


def cell(text: str) -> str:
    """*text* as it stands in a table: a bar would end the cell, an angle bracket begin a tag, a bracket a link or a
    picture, a backtick code."""
    line = " ".join(display.one_line(text).split()).replace("<", "&lt;")
    return re.sub(r"[\\|\[`]", r"\\\g<0>", line)
