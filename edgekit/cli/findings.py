"""A profile shown: the table, the summary in words, and the files it is kept in."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from edgekit.cli import console

if TYPE_CHECKING:
    from edgekit.errors import EdgekitError
    from edgekit.runtime.profiler.profile import Profile


def keep(profile: Profile, outputs: Sequence[Path]) -> None:
    """Write the files that were asked for.

    Raises:
        Interrupted: It was stopped meanwhile; the message says what is written.
    """
    from edgekit.cli import signals
    from edgekit.profiling.outputs import is_profile, write_all

    written: list[Path] = []

    def word() -> tuple[str, str | None]:
        hint = f"edgekit report {written[0]} -o FILE  makes the others" if is_profile(written[0]) else None
        return f"what was measured is in {', '.join(map(str, written))}", hint

    def note(path: Path) -> None:
        written.append(path)
        signals.leave_word(*word())

    try:
        write_all(profile, outputs, note)
    except KeyboardInterrupt:
        if not written:
            raise
        raise signals.stopped_with(*word()) from None


def failure_of(work: Callable[[], None]) -> EdgekitError | None:
    """The error that *work* ends in, for what has to be done before it is raised; but a stop is a stop."""
    from edgekit.errors import EdgekitError, Interrupted

    try:
        work()
    except Interrupted:
        raise
    except EdgekitError as error:
        return error
    return None


def show(profile: Profile, outputs: Sequence[Path], *, as_json: bool, quiet: bool) -> None:
    """Print the findings on standard output."""
    from edgekit.profiling import outcome
    from edgekit.profiling.advice import advise
    from edgekit.profiling.outcome import sentences
    from edgekit.profiling.rows import rows
    from edgekit.profiling.table import table

    found = rows(profile)
    advice = advise(profile, found)
    if as_json:
        console.document(outcome.document(profile, found, advice, outputs))
        return
    if found:
        console.say(*console.table(*table(found)))
    for text in ("", *sentences(profile, found, advice)):
        console.say(text)
    written = ", ".join(map(str, outputs))
    console.note(f"written: {written}" if outputs else "-o report.html -o profile.json  keep this", quiet)
