"""``edgekit verify``: a bundle's variants against its check vectors, on every device named."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from edgekit.cli import console

if TYPE_CHECKING:
    from edgekit.devices.base import Device
    from edgekit.runtime.verification import Verification

_EPILOG = """\b
Examples:
  edgekit verify digits.edgekit
  edgekit verify digits.edgekit --variant int8.tflite --threads 1
  edgekit verify digits.edgekit --on local --on ssh://pi@raspberrypi.local
  edgekit verify digits.edgekit --on emulator:rpi3 --on emulator:rpi4 --on emulator:rpi5
  edgekit verify digits.edgekit --on emulator:rpi4 --instructions --json
"""

#: Devices that are worked on at a time: each is a process that computes, or a connection that waits.
_AT_A_TIME = 2


@click.command("verify", epilog=_EPILOG)
@click.argument("bundle", type=click.Path(path_type=Path))
@click.option(
    "--on",
    "devices",
    metavar="DEVICE",
    multiple=True,
    default=("local",),
    show_default=True,
    help="local, ssh://USER@HOST, adb:SERIAL (a phone; experimental) or emulator:BOARD. Repeatable.",
)
@click.option("--variant", metavar="NAME", help="Only this variant.")
@click.option(
    "--threads",
    type=click.IntRange(min=1),
    help="Threads to use; by default one per core, at most 4; on emulated boards 1.",
)
@click.option("--instructions", is_flag=True, help="Count guest instructions per inference (emulated boards only).")
@console.output_options
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

    Emulated boards are also compared with this machine. Their instruction counts are exact, and the same at every
    run: a cost that two builds can be compared by, though no time.
    """
    from edgekit.bundle import Bundle
    from edgekit.devices import open_device
    from edgekit.errors import DeviceError, EdgekitError, LimitError, UsageError
    from edgekit.runtime.selection import check_names
    from edgekit.runtime.verification import FAILED, NOT_RUN

    with Bundle.open(bundle) as opened:
        check_names(opened.manifest, variant)
        random = bool(opened.manifest.checks.get("random"))
    places = [open_device(name) for name in dict.fromkeys(devices)]  # refuses misspelled devices
    for place in places:
        if instructions and not place.emulated:
            hint = "emulator:rpi4, for example; leave out --instructions elsewhere"
            raise UsageError("EK-ARGUMENT", f"instructions are counted on emulated boards, not on {place.name}", hint)

    def work(place: Device) -> tuple[Verification, ...]:
        def report(line: str) -> None:
            console.note(f"{place.name}: {line}" if len(places) > 1 else line, quiet)

        with place:
            if instructions:
                from edgekit.devices.emulator import EmulatedDevice  # which is not on devices

                assert isinstance(place, EmulatedDevice)
                return place.verify(bundle, variant=variant, threads=threads, report=report, instructions=True)
            return place.verify(bundle, variant=variant, threads=threads, report=report)

    rows: list[tuple[Device, Verification]] = []
    lost: list[tuple[Device, DeviceError]] = []
    for place, result in zip(places, _side_by_side(work, places), strict=True):
        if isinstance(result, DeviceError):  # it does not hide what the others found
            lost.append((place, result))
        elif isinstance(result, BaseException):
            raise result
        else:
            rows += [(place, row) for row in result]
    if as_json:
        console.document(
            {
                "bundle": str(bundle),
                "rows": [{"device": place.name, "emulated": place.emulated, **row.to_json()} for place, row in rows],
                "devices_failed": [{"device": place.name, "error": error.to_json()} for place, error in lost],
            }
        )
    elif rows:
        console.say(*_table(rows))
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
    if all(row.required_snr_db is None for _, row in rows):
        first = rows[0][1]
        hint = "edgekit integrate makes the start of one"
        raise EdgekitError("EK-NO-VARIANT", f"nothing ran: {first.variant}: {first.reason}", hint)
    if all(row.status == NOT_RUN for _, row in rows):
        raise EdgekitError("EK-ENGINE", "no variant ran: no engine for them is installed", "pip install ai-edge-litert")


def _side_by_side(
    work: Callable[[Device], tuple[Verification, ...]], places: Sequence[Device]
) -> list[tuple[Verification, ...] | BaseException]:
    """What *work* returns or raises for each of *places*, in their order.

    Ctrl-C ends the program at once: the threads are daemons, and what they started ends with this process.
    """
    from threading import Thread

    results: dict[int, tuple[Verification, ...] | BaseException] = {}
    waiting = iter(enumerate(places))

    def worker() -> None:
        for index, place in waiting:
            try:
                results[index] = work(place)
            except BaseException as error:
                results[index] = error

    workers = [Thread(target=worker, daemon=True) for _ in range(min(_AT_A_TIME, len(places)))]
    for thread in workers:
        thread.start()
    for thread in workers:
        thread.join()
    return [results[index] for index in range(len(places))]


def _table(rows: Sequence[tuple[Device, Verification]]) -> list[str]:
    """Only columns that say something: one device needs no name, and only emulated boards have a host."""

    columns: dict[str, list[str]] = {}
    if len({place.name for place, _ in rows}) > 1:
        columns["device"] = [place.name for place, _ in rows]
    found = [row for _, row in rows]
    columns["variant"] = [row.variant for row in found]
    columns["engine"] = [row.engine for row in found]
    columns["SNR dB"] = ["-" if row.snr_db is None else console.number(row.snr_db, 1) for row in found]
    columns["at least"] = [console.number(row.required_snr_db, 1) for row in found]
    columns["agreement %"] = ["-" if row.agreement is None else f"{row.agreement:.1f}" for row in found]
    if any(place.emulated for place, _ in rows):
        columns["off host"] = [_difference(row) for row in found]
    if any(row.guest_instructions is not None for row in found):
        columns["instructions"] = [
            "-" if row.guest_instructions is None else f"{row.guest_instructions:,}" for row in found
        ]
    columns["result"] = [row.status + (f": {row.reason}" if row.reason else "") for row in found]
    return console.table(list(columns), [list(cells) for cells in zip(*columns.values(), strict=True)])


def _difference(row: Verification) -> str:
    """How far a board's outputs are from what the same engine gives here."""
    if row.host_rel_diff is None:
        return "-"
    if row.host_rel_diff == 0:
        return "same bits"
    return f"{row.host_rel_diff:.0e}" + (" (too far)" if row.matches_host is False else "")
