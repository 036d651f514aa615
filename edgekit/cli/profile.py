"""``edgekit profile``: what each variant costs on each engine, measured on every device named."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edgekit.cli import console, options

if TYPE_CHECKING:
    from edgekit.errors import Interrupted
    from edgekit.profiling.session import Session

_EPILOG = """\b
Examples:
  edgekit profile digits.edgekit --quick
  edgekit profile digits.edgekit --on local --on ssh://pi@raspberrypi.local -o report.html
  edgekit profile digits-rpi4.edgekit digits-desktop.edgekit --baseline torch --baseline onnxruntime -o profile.json
  edgekit profile digits.edgekit --variant int8.tflite --variant int8.pte --threads 1 --cpus 2,3
  edgekit profile digits.edgekit --per-op -o report.html -o digits.trace.json -o digits.nodes.json
  edgekit profile digits.edgekit --on local --on browser:https --engine litert --engine litert-web
  edgekit profile digits.edgekit --on emulator:rpi4 --json
  edgekit profile face.tflite face.onnx --threads 1             model files as they are
"""


@click.command("profile", epilog=_EPILOG)
@options.bundles("BUNDLE...")
@options.on(
    "Measures", "Emulated boards have instructions, and no times. Repeatable.", multiple=True, default=("local",)
)
@click.option("--engine", "engines", metavar="NAME", multiple=True, help="Keep to this engine. Repeatable.")
@options.VARIANTS
@click.option(
    "--baseline",
    "baselines",
    metavar="ENGINE",
    multiple=True,
    help="Of the engines that only desktops have, keep to this one; measured on this machine. Repeatable.",
)
@click.option("--quick", is_flag=True, help="2 processes and 1 s for each row, instead of 5 and 10 s; no batches.")
@click.option("--strict", is_flag=True, help="10 processes and 60 s for each row; a row that fails is an error.")
@click.option("--per-op", "operators", is_flag=True, help="Also trace where the time of an inference goes.")
@options.threads()
@click.option("--cpus", metavar="LIST", help="Bind every process to these cores: 0,2-3.")
@options.SEED
@options.files(
    "Write .html, .json (everything measured), .csv, .md; with --per-op .trace.json (Perfetto) and .nodes.json "
    "(Model Explorer). Repeatable.",
)
@options.output
def command(
    bundles: tuple[Path, ...],
    devices: tuple[str, ...],
    quick: bool,
    strict: bool,
    operators: bool,
    cpus: str | None,
    outputs: tuple[Path, ...],
    as_json: bool,
    quiet: bool,
    **asked: Any,
) -> None:
    """Measure what BUNDLE's variants cost on every engine of every device.

    Each row is measured in fresh processes, and all rows of a device take turns, so that what else the machine does
    meets them all. Threads, input bytes and types are the same; where something differs, the row says so and has no
    ratio. A bundle that was built for a desktop is measured here, beside the others.
    """
    from edgekit.cli import findings, signals
    from edgekit.cli.measuring import Measuring
    from edgekit.profiling import outcome
    from edgekit.profiling import outputs as files
    from edgekit.profiling.options import ProfileOptions
    from edgekit.profiling.session import Session

    mode = options.mode_of(quick, strict)
    outcome.require_packages()
    files.check(outputs, operators=operators)
    cores = None if cpus is None else _cores(cpus)
    session = Session(bundles, devices, ProfileOptions(mode=mode, operators=operators, cpus=cores, **asked))
    try:
        with Measuring(quiet, several=session.several) as measuring:
            profile = session.run(measuring.update)
    except KeyboardInterrupt as stop:
        raise (_keep_part(session, outputs) or stop) from None
    except OSError as error:
        if signals.nobody_listens(error):
            signals.mute()
            _keep_part(session, outputs)
        raise
    unkept = findings.failure_of(lambda: findings.keep(profile, outputs))
    findings.show(profile, () if unkept else outputs, as_json=as_json, quiet=quiet or unkept is not None)
    if unkept is not None:
        raise unkept
    failed = outcome.failure(profile)
    if failed is not None and (strict or not outcome.is_measured(profile)):
        raise failed
    if failed is not None:
        console.note(f"{failed.message} (--strict makes this an error)", quiet)
    elif not outcome.is_measured(profile):
        raise outcome.nothing_measured(profile)


def _cores(text: str) -> tuple[int, ...]:
    """``0,2-3`` as (0, 2, 3).

    Raises:
        UsageError: ``EK-ARGUMENT``: it is no list of cores.
    """
    import re

    from edgekit.errors import UsageError

    cores: list[int] = []
    for part in text.split(","):
        found = re.fullmatch(r"\s*(\d{1,4})(?:-(\d{1,4}))?\s*", part)
        first, last = (int(found[1]), int(found[2] or found[1])) if found else (0, -1)
        if last < first:
            raise UsageError("EK-ARGUMENT", f"--cpus {text} is no list of cores", "as in --cpus 0,2-3")
        cores += range(first, last + 1)
    return tuple(dict.fromkeys(cores))


def _keep_part(session: Session, outputs: tuple[Path, ...]) -> Interrupted | None:
    """After a stop: what was measured so far goes where all of it would have gone. What says so, or None when nothing
    was kept."""
    from edgekit.cli import findings, signals
    from edgekit.profiling import outcome

    profile = session.so_far(f"stopped by {signals.cause()}: not everything was measured")
    if not outputs or not outcome.is_measured(profile):
        return None
    findings.keep(profile, outputs)
    return signals.stopped_with(f"what was measured until then is in {', '.join(map(str, outputs))}")
