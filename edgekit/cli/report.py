"""``edgekit report``: profiles rendered again, without measuring."""

from __future__ import annotations

from pathlib import Path

import click

from edgekit.cli import options

_EPILOG = """\b
Examples:
  edgekit report profile.json
  edgekit report profile.json -o report.html -o table.md
  edgekit report desktop.json rpi4.json rpi5.json -o all.html
"""


@click.command("report", epilog=_EPILOG)
@click.argument("profiles", metavar="PROFILE...", nargs=-1, required=True, type=click.Path(path_type=Path))
@options.files("Write .html, .json, .csv, .md, .trace.json or .nodes.json. Repeatable.")
@options.output
def command(profiles: tuple[Path, ...], outputs: tuple[Path, ...], as_json: bool, quiet: bool) -> None:
    """Show profiles that `edgekit profile -o FILE.json` wrote, several as one.

    All figures are worked out again from the samples in the files. Rows of different sessions are never compared.
    """
    from edgekit.cli import findings
    from edgekit.profiling import outcome
    from edgekit.profiling import outputs as files
    from edgekit.profiling.files import merge, read_profile

    outcome.require_packages()
    profile = merge([read_profile(path) for path in profiles])
    files.check(outputs, operators=any(cell.operators is not None for cell in profile.cells))
    findings.keep(profile, outputs)
    findings.show(profile, outputs, as_json=as_json, quiet=quiet)
