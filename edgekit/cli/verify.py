"""``edgekit verify``: a bundle's variants against its check vectors, here."""

from __future__ import annotations

from pathlib import Path

import click

_EPILOG = """\b
Examples:
  edgekit verify digits.edgekit
  edgekit verify digits.edgekit --variant int8.tflite --threads 1
  edgekit verify digits.edgekit --json
"""


@click.command("verify", epilog=_EPILOG)
@click.argument("bundle", type=click.Path(path_type=Path))
@click.option("--on", "device", type=click.Choice(["local"]), default="local", show_default=True, help="Where to run.")
@click.option("--variant", metavar="NAME", help="Only this variant.")
@click.option("--threads", type=click.IntRange(min=1), help="Threads to use; by default one per core, at most 4.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document on standard output.")
@click.option("--quiet", is_flag=True, help="Say nothing but the result.")
def command(bundle: Path, device: str, variant: str | None, threads: int | None, as_json: bool, quiet: bool) -> None:
    """Check BUNDLE: hash its files and compare every variant's outputs with the float model's.

    Each variant runs on each installed engine for its format, over the check vectors in the bundle. A variant
    passes when its SNR is at most 3 dB below that of the build; fp32 needs 80 dB.
    """
    from edgekit.bundle import Bundle
    from edgekit.cli import console
    from edgekit.errors import EdgekitError, LimitError
    from edgekit.runtime.machine import read_machine
    from edgekit.runtime.model import default_threads
    from edgekit.runtime.selection import choices
    from edgekit.runtime.verification import FAILED, NOT_RUN, verify

    with Bundle.open(bundle) as opened:
        features = read_machine().features
        choices(opened.manifest, features, variant)  # refuses a misspelled variant
        rows = verify(
            opened,
            features=features,
            threads=threads or default_threads(),
            variant=variant,
            report=lambda line: console.note(line, quiet),
        )
        random = bool(opened.manifest.checks.get("random"))
    if as_json:
        console.document({"bundle": str(bundle), "device": device, "rows": [row.to_json() for row in rows]})
    else:
        shown = [
            [
                row.variant,
                row.engine,
                "-" if row.snr_db is None else console.number(row.snr_db, 1),
                console.number(row.required_snr_db, 1),
                "-" if row.agreement is None else f"{row.agreement:.1f}",
                row.status + (f": {row.reason}" if row.reason else ""),
            ]
            for row in rows
        ]
        click.echo(console.table(["variant", "engine", "SNR dB", "at least", "agreement %", "result"], shown))
        if random:
            console.note("the check inputs are random: they prove the export, not the model's accuracy", quiet)
    failed = [row for row in rows if row.status == FAILED]
    if failed:
        first = failed[0]
        raise LimitError(
            "EK-VERIFY",
            f"{len(failed)} of {len(rows)} failed, first {first.variant} on {first.engine}: {first.reason}",
            "load another variant, or build again with this engine's version",
        )
    if all(row.status == NOT_RUN for row in rows):
        raise EdgekitError("EK-ENGINE", "no variant ran: no engine for them is installed", "pip install ai-edge-litert")
