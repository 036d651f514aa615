"""``edgekit verify``: a bundle's variants against its check vectors, on every device named."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from edgekit.cli import console, options

if TYPE_CHECKING:
    from edgekit.devices.verifier import DeviceVerification
    from edgekit.manifest import Manifest
    from edgekit.runtime.verification import Verification

_EPILOG = """\b
Examples:
  edgekit verify digits.edgekit
  edgekit verify digits.edgekit --variant int8.tflite --threads 1
  edgekit verify digits.edgekit --on local --on ssh://pi@raspberrypi.local
  edgekit verify digits.edgekit --on emulator:rpi3 --on emulator:rpi4 --on emulator:rpi5
  edgekit verify digits.edgekit --on emulator:rpi4 --instructions --json
  edgekit verify face.tflite --on local --on emulator:rpi4      a model file as it is
"""


@click.command("verify", epilog=_EPILOG)
@options.bundle()
@options.on("Runs", "Repeatable.", multiple=True, default=("local",))
@click.option("--variant", metavar="NAME", help="Only this variant.")
@options.threads("; on emulated boards 1")
@click.option("--instructions", is_flag=True, help="Count guest instructions per inference (emulated boards only).")
@options.output
def command(
    bundle: Path,
    devices: tuple[str, ...],
    variant: str | None,
    threads: int | None,
    instructions: bool,
    as_json: bool,
    quiet: bool,
) -> None:
    """Check BUNDLE: hash its files and compare every variant's outputs with the float model's.

    Each variant runs on each installed engine for its format, over the check vectors in the bundle. A variant
    passes when its SNR is at most 3 dB below that of the build; fp32 needs 80 dB.

    A model file as it is has no float model: its outputs are held against those of an engine of this machine.

    Emulated boards are also compared with this machine. Their instruction counts are exact, and the same at every
    run: a cost that two builds can be compared by, though no time.
    """
    from edgekit.bundle import Bundle
    from edgekit.devices import verifier

    names = tuple(dict.fromkeys(devices))
    found = verifier.verify(
        bundle,
        names,
        variant=variant,
        threads=threads,
        instructions=instructions,
        log=lambda device, line: console.note(f"{device}: {line}" if len(names) > 1 else line, quiet),
    )
    if as_json:
        console.document(
            {
                "bundle": str(options.named(bundle)),
                "rows": [
                    {"device": each.device, "emulated": each.emulated, **asdict(row)}
                    for each in found
                    for row in each.rows
                ],
                "devices_failed": [
                    {"device": each.device, "error": each.error.to_json()} for each in found if each.error is not None
                ],
            }
        )
    elif any(each.rows for each in found):
        console.say(*_table(found))
        with Bundle.open(bundle) as opened:
            console.note(_caution(opened.manifest), quiet or not _caution(opened.manifest))
    failure = verifier.failure(found)
    for error in filter(None, (each.error for each in found)):
        if error is not failure:
            console.note(f"{error.message} [{error.code}]")
    if failure is not None:
        raise failure


def _caution(manifest: Manifest) -> str:
    """What the check vectors do not prove; empty where they prove what they should."""
    random = bool(manifest.checks.get("random"))
    if manifest.is_given:
        against = {variant.given.reference for variant in manifest.variants if variant.given} - {""}
        held = f"outputs are held against {', '.join(sorted(against))}" if against else "there is nothing to compare"
        return f"no float model goes with the file, so there is no SNR: {held}{' on random inputs' if random else ''}"
    return "the check inputs are random: they prove the export, not the model's accuracy" if random else ""


def _table(found: Sequence[DeviceVerification]) -> list[str]:
    """Only columns that say something: one device needs no name, and only emulated boards have a host."""
    pairs = [(each.device, row) for each in found for row in each.rows]
    rows = [row for _, row in pairs]
    columns: dict[str, list[str]] = {}
    if len({device for device, _ in pairs}) > 1:
        columns["device"] = [device for device, _ in pairs]
    columns["variant"] = [row.variant for row in rows]
    columns["engine"] = [row.engine for row in rows]
    given = any(row.is_given for row in rows)
    if not given:
        columns["SNR dB"] = ["-" if row.snr_db is None else console.number(row.snr_db, 1) for row in rows]
        columns["at least"] = [console.number(row.required_snr_db, 1) for row in rows]
        columns["agreement %"] = ["-" if row.agreement is None else f"{row.agreement:.1f}" for row in rows]
    if given or any(each.emulated and each.rows for each in found):
        columns["off host"] = [_difference(row) for row in rows]
    if any(row.guest_instructions is not None for row in rows):
        columns["instructions"] = [
            "-" if row.guest_instructions is None else f"{row.guest_instructions:,}" for row in rows
        ]
    columns["result"] = [row.status + (f": {row.reason}" if row.reason else "") for row in rows]
    return console.table(list(columns), [list(cells) for cells in zip(*columns.values(), strict=True)])


def _difference(row: Verification) -> str:
    """How far a board's outputs are from what the same engine gives here."""
    if row.host_rel_diff is None:
        return "-"
    if row.host_rel_diff == 0:
        return "same bits"
    return f"{row.host_rel_diff:.0e}" + (" (too far)" if row.matches_host is False else "")
