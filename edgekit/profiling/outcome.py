"""What a profile comes to: whether anything was measured, the error for what failed, and its document for programs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from edgekit.errors import DeviceError, EdgekitError
from edgekit.profiling.advice import Advice
from edgekit.profiling.rows import Row
from edgekit.profiling.table import marks
from edgekit.runtime.packages import installed_packages
from edgekit.runtime.profiler.profile import Profile
from edgekit.runtime.profiler.records import FAILED, MEASURED


def require_packages() -> None:
    """Refuse to begin what could not be evaluated.

    Raises:
        EdgekitError: ``EK-MISSING-PACKAGE``: one of the extra ``profile`` is missing.
    """
    missing = [
        each.package.name for each in installed_packages() if each.package.extra == "profile" and each.version is None
    ]
    if missing:
        message = f"evaluating a profile needs {', '.join(missing)}"
        raise EdgekitError("EK-MISSING-PACKAGE", message, 'pip install "edgekit[profile]"')


def is_measured(profile: Profile) -> bool:
    """Whether anything was."""
    return any(cell.status == MEASURED for cell in profile.cells)


def failure(profile: Profile) -> EdgekitError | None:
    """The error for a profile in which something failed; None when nothing did."""
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


def nothing_measured(profile: Profile) -> EdgekitError:
    """The error for a profile in which nothing failed, and nothing was measured."""
    if not profile.cells:
        return EdgekitError("EK-NO-VARIANT", "nothing was measured", "edgekit doctor BUNDLE says what runs here")
    first = profile.cells[0]
    message = f"nothing was measured: {first.variant} on {first.engine}: {first.reason}"
    return EdgekitError("EK-NO-VARIANT", message, "edgekit doctor BUNDLE has the reason for every variant")


def document(
    profile: Profile, rows: Sequence[Row], advice: Sequence[Advice], outputs: Sequence[Path]
) -> dict[str, Any]:
    """All of it as JSON has it, with the files it is kept in."""
    return {
        "created": profile.created,
        "producer": profile.producer,
        "command": list(profile.command),
        "settings": asdict(profile.settings),
        "devices": [asdict(record) for record in profile.devices],
        "rows": [asdict(row) for row in rows],
        "summary": [asdict(each) for each in advice],
        "notes": list(profile.notes),
        "outputs": [str(path) for path in outputs],
    }


def sentences(profile: Profile, rows: Sequence[Row], advice: Sequence[Advice]) -> Iterator[str]:
    """What to ship, what else to know, where the time goes, what rows are marked for, and which devices failed."""
    marked = [mark.partition(": ")[2] for row in rows for mark in row.marks]
    for each in advice:
        yield each.why
        yield from (remark for remark in each.remarks if not any(reason in remark for reason in marked))
    for row in rows:
        if row.operators_headline or row.operators_reason:
            what = f"{row.device}: {row.name}" if len(profile.devices) > 1 else row.name
            yield f"{what}: {row.operators_headline or row.operators_reason}"
    yield from marks(rows)
    there = {row.device for row in rows}
    for device in profile.devices:
        if device.failure and device.name in there:  # of others the advice says it
            yield f"{device.name}: {device.failure}"
    yield from profile.notes
