"""``edgekit integrate``: a starter for an app that runs a bundle."""

from __future__ import annotations

from pathlib import Path

import click

from edgekit.cli import console, options

_EPILOG = """\b
Examples:
  edgekit integrate digits.edgekit --for android
  edgekit integrate digits.edgekit --for ios --variant fp32.pte -o MyApp/Digits
  edgekit integrate digits.edgekit --for web --json
"""


@click.command("integrate", epilog=_EPILOG)
@options.bundle()
@click.option(
    "--for", "platform", metavar="PLATFORM", required=True, help="android, ios, react-native, flutter or web."
)
@click.option("--variant", metavar="NAME", help="The variant; by default the recommended one, or the first that fits.")
@click.option("-o", "--out", type=click.Path(path_type=Path), help="Folder to make; by default BUNDLE-PLATFORM here.")
@options.output
def command(bundle: Path, platform: str, variant: str | None, out: Path | None, as_json: bool, quiet: bool) -> None:
    """Write a starter for an app on PLATFORM that runs a variant of BUNDLE.

    It has the model, its labels, the source that loads it, prepares its inputs and ranks its scores, a check vector
    for the app to test itself with, and a README.md that says what to do.
    """
    from edgekit.bundle import Bundle
    from edgekit.integration import integrate

    with Bundle.open(bundle) as opened:
        starter = integrate(opened, platform, out or Path(f"{options.named(bundle).stem}-{platform}"), variant)
    console.note(f"{starter.variant} with {starter.library}, {len(starter.files)} files", quiet or as_json)
    value = {**vars(starter), "bundle": str(options.named(bundle)), "folder": str(starter.folder)}
    console.result(as_json, value, [str(starter.folder / "README.md")])
