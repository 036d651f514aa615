"""What a profile comes to, for people and programs: the table, the summary in words, and the files it is kept in."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgekit.cli import console

if TYPE_CHECKING:
    from edgekit.errors import EdgekitError
    from edgekit.profiling.advice import Advice
    from edgekit.profiling.rows import Row
    from edgekit.runtime.profiler.records import Profile


def require_packages() -> None:
    """Refuse to begin what could not be evaluated.

    Raises:
        EdgekitError: ``EK-MISSING-PACKAGE``: one of the extra ``profile`` is missing.
    """
    from edgekit.errors import EdgekitError
    from edgekit.runtime.packages import installed_packages

    missing = [
        each.package.name for each in installed_packages() if each.package.extra == "profile" and each.version is None
    ]
    if missing:
        message = f"evaluating a profile needs {', '.join(missing)}"
        raise EdgekitError("EK-MISSING-PACKAGE", message, 'pip install "edgekit[profile]"')


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
    from edgekit.profiling.advice import advise
    from edgekit.profiling.rows import rows
    from edgekit.profiling.summary import sentences
    from edgekit.profiling.table import table

    found = rows(profile)
    advice = advise(profile, found)
    if as_json:
        console.document(_document(profile, found, advice, outputs))
        return
    if found:
        console.say(*console.table(*table(found)))
    for text in ("", *sentences(profile, found, advice)):
        console.say(text)
    written = ", ".join(map(str, outputs))
    console.note(f"written: {written}" if outputs else "-o report.html -o profile.json  keep this", quiet)


def measured(profile: Profile) -> bool:
    """Whether anything was."""
    from edgekit.runtime.profiler.records import MEASURED

    return any(cell.status == MEASURED for cell in profile.cells)


def failure(profile: Profile) -> EdgekitError | None:
    """The error for a profile in which something failed; None when nothing did."""
    from edgekit.errors import DeviceError, EdgekitError
    from edgekit.runtime.profiler.records import FAILED

    lost = [record for record in profile.devices if record.failure]
    if lost:
        count = f"{len(lost)} of {len(profile.devices)} devices failed, first "
        return DeviceError("EK-DEVICE", f"{count}{lost[0].name}: {lost[0].failure}")
    failed = [cell for cell in profile.cells if cell.status == FAILED]
    if failed:
        first = failed[0]
        count = f"{len(failed)} of {len(profile.cells)} rows failed, first "
        return EdgekitError("EK-RUN", f"{count}{first.variant} on {first.engine} ({first.device}): {first.reason}")
    return None


def _document(
    profile: Profile, rows: Sequence[Row], advice: Sequence[Advice], outputs: Sequence[Path]
) -> dict[str, Any]:
    from dataclasses import asdict

    return {
        "created": profile.created,
        "producer": profile.producer,
        "command": list(profile.command),
        "settings": asdict(profile.settings),
        "devices": [asdict(record) for record in profile.devices],
        "rows": [row.to_json() for row in rows],
        "summary": [asdict(each) for each in advice],
        "notes": list(profile.notes),
        "outputs": [str(path) for path in outputs],
    }
