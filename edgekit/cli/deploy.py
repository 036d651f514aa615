"""``edgekit deploy``: a bundle on a device, with everything it needs there."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edgekit.cli import console, options
from edgekit.cli.console import size

if TYPE_CHECKING:
    from edgekit.devices.ssh.deployment import Deployment, Sending
    from edgekit.runtime.profiler.events import Note

_EPILOG = """\b
Examples:
  edgekit deploy digits.edgekit --on ssh://pi@raspberrypi.local
  edgekit deploy digits.edgekit --on ssh://pi@192.168.1.20:2222 --json

\b
The device needs no Internet, and nothing is installed on its system: everything lies in ~/edgekit there.
ssh has to work without a password (ssh-copy-id). EDGEKIT_SSH_CONFIG names another file than ~/.ssh/config."""


@click.command("deploy", epilog=_EPILOG)
@options.bundle()
@options.on("Deploys", required=True)
@options.output
def command(bundle: Path, device: str, as_json: bool, quiet: bool) -> None:
    """Put BUNDLE, or a model file as it is, on a device and make it the current release there.

    Sends what the device lacks (engines, numpy, the bundle), tries the new release there, then switches to it in
    one step. Until then, and whatever happens, the release before it keeps working. What this machine lacks of
    what it sends is downloaded once.
    """
    from edgekit.devices import open_device
    from edgekit.devices.base import Deploys

    with open_device(device, Deploys) as board:
        done = board.deploy(bundle, _Progress(quiet or as_json))
    for warning in done.warnings:
        console.note(f"warning: {warning}")
    state, sent = "current", f" ({size(done.sent_bytes)} sent)"
    if not done.changed:
        state = "whole again" if done.sent_bytes else "already current"
        sent = sent if done.sent_bytes else ": nothing was sent"
    said = f"{done.app} {done.release} is {state} on {device}{sent}"
    console.result(as_json, _document(device, done), [said, *([] if quiet else ["", *_how_to_use(done)])])


def _how_to_use(done: Deployment) -> list[str]:
    go = f"  cd ~/edgekit/apps/{done.app}/current"
    if not done.has_python:
        run = f"  bin/edgekit-runner --model {done.app}.edgekit/variants/FILE --input input.raw --output-dir ."
        return ["There (raw files in and out):", go, run]
    return [
        "There:",
        go,
        f"  bin/edgekit run {done.app}.edgekit --input sample.npz",
        "or in bin/python:",
        "  import edgekit, numpy",
        f'  model = edgekit.load("{done.app}.edgekit")',
        '  scores = model(dict(numpy.load("sample.npz")))',
    ]


def _document(device: str, done: Deployment) -> dict[str, Any]:
    parts = [
        {"name": part.name, "digest": part.digest, "size_bytes": part.size_bytes, "sent": sent}
        for part, sent in done.parts
    ]
    return {**vars(done), "device": device, "parts": parts}


class _Progress:
    """A line that moves, on a terminal; otherwise one line when each archive is there, and one each ten seconds."""

    _EVERY_S = 10

    def __init__(self, quiet: bool):
        self._quiet = quiet
        self._moving = console.is_terminal()
        self._said = time.monotonic()

    def __call__(self, event: Note | Sending) -> None:
        if self._quiet:
            return
        from edgekit.runtime.profiler.events import Note

        if isinstance(event, Note):
            console.note(event.text)
            return
        name, done, total = event.name, event.done_bytes, event.total_bytes
        if self._moving:
            console.move(f"sending {name}: {size(done)} of {size(total)}")
            if done == total:
                console.say(err=True)
        elif done == total:
            console.say(f"sent {name}: {size(total)}", err=True)
        elif done == 0:
            self._said = time.monotonic()
        elif time.monotonic() - self._said > self._EVERY_S:
            console.say(f"sending {name}: {size(done)} of {size(total)}", err=True)
            self._said = time.monotonic()
