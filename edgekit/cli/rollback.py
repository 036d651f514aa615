"""``edgekit rollback``: the release before the current one, on a device."""

from __future__ import annotations

import click

from edgekit.cli import console, options

_EPILOG = """\b
Examples:
  edgekit rollback --on ssh://pi@raspberrypi.local
  edgekit rollback digits --on ssh://pi@raspberrypi.local       where several bundles are deployed
"""


@click.command("rollback", epilog=_EPILOG)
@click.argument("name", required=False)
@options.on("Deploys", required=True)
@options.output
def command(name: str | None, device: str, as_json: bool, quiet: bool) -> None:
    """Make the release before the current one current again; a second time swaps them back.

    NAME is that of the bundle, as edgekit deploy prints it.
    """
    from edgekit.devices import open_device
    from edgekit.devices.base import Deploys

    with open_device(device, Deploys) as board:
        done = board.rollback(name)
    said = f"{done.app} {done.release} is current on {device}, {done.previous} is kept"
    console.result(as_json, {"device": device, **vars(done)}, [said])
