"""``edgekit verify``: a bundle's variants against its check vectors, on every device named."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from edgekit.devices.base import Device
    from edgekit.runtime.verification import Verification

_EPILOG = """\b
Examples:
  edgekit verify digits.edgekit
  edgekit verify digits.edgekit --variant int8.tflite --threads 1
  edgekit verify digits.edgekit --on local --on ssh://pi@raspberrypi.local
  edgekit verify digits.edgekit --json
"""


@click.command("verify", epilog=_EPILOG)
@click.argument("bundle", type=click.Path(path_type=Path))
@click.option(
    "--on",
    "devices",
    metavar="DEVICE",
    multiple=True,
    default=("local",),
    show_default=True,
    help="local, ssh://USER@HOST or emulator:BOARD. Repeatable.",
)
@click.option("--variant", metavar="NAME", help="Only this variant.")
@click.option("--threads", type=click.IntRange(min=1), help="Threads to use; by default one per core, at most 4.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document on standard output.")
@click.option("--quiet", is_flag=True, help="Say nothing but the result.")
def command(
    bundle: Path, devices: tuple[str, ...], variant: str | None, threads: int | None, as_json: bool, quiet: bool
) -> None:
    """Check BUNDLE: hash its files and compare every variant's outputs with the float model's.

    Each variant runs on each installed engine for its format, over the check vectors in the bundle. A variant
    passes when its SNR is at most 3 dB below that of the build; fp32 needs 80 dB.
    """
    from edgekit.bundle import Bundle
    from edgekit.cli import console
    from edgekit.devices import open_device
    from edgekit.errors import DeviceError, EdgekitError, LimitError
    from edgekit.runtime.selection import choices
    from edgekit.runtime.verification import FAILED, NOT_RUN

    with Bundle.open(bundle) as opened:
        choices(opened.manifest, (), variant)  # refuses a misspelled variant
        random = bool(opened.manifest.checks.get("random"))
    places = [open_device(name) for name in dict.fromkeys(devices)]  # refuses misspelled devices
    rows: list[tuple[Device, Verification]] = []
    lost: list[tuple[Device, DeviceError]] = []
    for place in places:
        try:
            with place:
                report = partial(_report, place.name if len(places) > 1 else None, quiet)
                found = place.verify(bundle, variant=variant, threads=threads, report=report)
                rows += [(place, row) for row in found]
        except DeviceError as error:  # it does not hide what the others found
            lost.append((place, error))
    if as_json:
        console.document(
            {
                "bundle": str(bundle),
                "rows": [{"device": place.name, "emulated": place.emulated, **row.to_json()} for place, row in rows],
                "devices_failed": [{"device": place.name, "error": error.to_json()} for place, error in lost],
            }
        )
    elif rows:
        headers = ["variant", "engine", "SNR dB", "at least", "agreement %", "result"]
        shown = [_cells(row) for _, row in rows]
        if len(places) > 1:
            headers.insert(0, "device")
            shown = [[place.name, *cells] for (place, _), cells in zip(rows, shown, strict=True)]
        click.echo(console.table(headers, shown))
        if random:
            console.note("the check inputs are random: they prove the export, not the model's accuracy", quiet)
    failed = [row for _, row in rows if row.status == FAILED]
    if failed:
        first = failed[0]
        raise LimitError(
            "EK-VERIFY",
            f"{len(failed)} of {len(rows)} failed, first {first.variant} on {first.engine}: {first.reason}",
            "load another variant, or build again with this engine's version",
        )
    for _, loss in lost[1:]:
        console.note(f"{loss.message} [{loss.code}]")
    if lost:
        raise lost[0][1]
    if all(row.status == NOT_RUN for _, row in rows):
        raise EdgekitError("EK-ENGINE", "no variant ran: no engine for them is installed", "pip install ai-edge-litert")


def _report(device: str | None, quiet: bool, line: str) -> None:
    from edgekit.cli import console

    console.note(f"{device}: {line}" if device else line, quiet)


def _cells(row: Verification) -> list[str]:
    from edgekit.cli import console

    return [
        row.variant,
        row.engine,
        "-" if row.snr_db is None else console.number(row.snr_db, 1),
        console.number(row.required_snr_db, 1),
        "-" if row.agreement is None else f"{row.agreement:.1f}",
        row.status + (f": {row.reason}" if row.reason else ""),
    ]
