"""``edgekit phone``: a page that tries and measures a bundle in a phone's browser."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edgekit.cli import console, options

if TYPE_CHECKING:
    from edgekit.devices.browser.server import PhoneServer

_EPILOG = """\b
Examples:
  edgekit doctor --setup phone                         once: fetch LiteRT.js, which runs models in browsers
  edgekit phone digits.edgekit --lan                   any phone in this network; one thread
  edgekit phone digits.edgekit --lan --https           with threads; phones warn of the certificate
  edgekit phone digits.edgekit --usb                   an Android phone on a cable, with threads and no warning
  edgekit phone digits.edgekit --lan -o phone.html     keep a report of all phones
  edgekit phone digits.edgekit --lan -o phone.json && edgekit report pi.json phone.json -o report.html
"""


@click.command("phone", epilog=_EPILOG)
@options.bundle()
@click.option("--lan", is_flag=True, help="Serve this machine's networks, not only this machine.")
@click.option("--https", is_flag=True, help="With --lan: a certificate made now, for threads and WebGPU.")
@click.option("--usb", is_flag=True, help="Have adb lead an Android phone on a cable here.")
@click.option("--port", type=click.IntRange(0, 65535), default=0, help="By default one that is free.")
@click.option("--webgpu", is_flag=True, help="Measure on the phone's GPU besides.")
@options.VARIANTS
@options.threads()
@click.option("--quick", is_flag=True, help="2 workers and 1 s for each row, instead of 5 and 5 s; no batches.")
@click.option("--strict", is_flag=True, help="10 workers and 60 s for each row; a row that fails is an error.")
@options.SEED
@options.files(
    "Write .json (everything measured; each phone's as it comes), and at the end .html, .csv or .md. Repeatable.",
)
@click.option("--once", is_flag=True, help="End after the first result.")
@options.output
def command(
    bundle: Path,
    lan: bool,
    https: bool,
    usb: bool,
    quick: bool,
    strict: bool,
    outputs: tuple[Path, ...],
    once: bool,
    as_json: bool,
    quiet: bool,
    **asked: Any,
) -> None:
    """Serve a page that runs BUNDLE's .tflite variants in a phone's browser; nothing is installed there.

    A .tflite as it is will do for BUNDLE.

    The page lets one try the model, measures every variant as edgekit profile does, checks the outputs, and sends what
    it measured back here. Any number of phones may come until Ctrl-C ends it. With three variants, a phone takes about
    a minute (--quick: 15 s). Only this machine is served unless --lan is given; the address holds a password.

    With -o, a phone is told that its result has arrived once it is on disk here, and sends it again when it could not
    be written. Where no .json is named, FILE.html.json keeps the results until FILE.html is written.
    """
    from edgekit.bundle import Bundle
    from edgekit.cli import signals
    from edgekit.cli.phone_display import PhoneDisplay
    from edgekit.errors import UsageError
    from edgekit.profiling.outcome import require_packages
    from edgekit.profiling.phone_session import PhoneOptions, PhoneSession

    mode = options.mode_of(quick, strict)
    if https and not lan:
        raise UsageError("EK-ARGUMENT", "--https is for phones in the network", "add --lan; localhost needs no https")
    require_packages()
    measuring = PhoneOptions(mode, lan=lan, https=https, usb=usb, **asked)
    display = PhoneDisplay(outputs, as_json=as_json, quiet=quiet)
    with Bundle.open(bundle) as opened:
        session = PhoneSession(opened, measuring, outputs, listener=display.show)
        display.results = session.results
        try:
            with signals.instead(display.stop), session:
                if not quiet and (session.server.addresses or usb):
                    console.picture(_picture(session.server))
                console.say(*_invitation(session.server, lan=lan, usb=usb, quiet=quiet), err=True)
                for path in filter(Path.exists, session.results.kept_in):
                    console.note(f"{path} is there already: the first result replaces it")
                display.wait(once=once)
            display.end(strict=strict)
        except KeyboardInterrupt:
            raise display.stopped() from None


def _picture(server: PhoneServer) -> str:
    """The address to open on the phone, for its camera."""
    from edgekit.devices.browser.address import qr_code

    return f"\n{qr_code(server.addresses[0] if server.addresses else server.url)}\n"


def _invitation(server: PhoneServer, *, lan: bool, usb: bool, quiet: bool) -> list[str]:
    """The address to open on the phone; what a page from there may use, and why."""
    if quiet:
        return [*server.addresses, server.url]
    lines = []
    for address in server.addresses:
        lines.append(f"open on the phone:  {address}")
    if lan and not server.addresses:
        lines.append("this machine is in no network")
    if server.addresses and server.fingerprint:
        lines += [
            "  threads and WebGPU, where the phone has them; it warns of the certificate, whose SHA-256 is",
            f"  {server.fingerprint}",
        ]
    elif server.addresses:
        lines.append("  one thread and no WebGPU: browsers keep them for https and localhost (--https, or --usb)")
    lines.append(f"on {'the phone with the cable' if usb else 'this machine'}:  {server.url}")
    if not server.fingerprint:
        lines.append("  threads and WebGPU, where the browser has them: it trusts localhost")
    if not usb:
        lines.append(
            f"an Android phone on a cable opens that too, after:  adb reverse tcp:{server.port} tcp:{server.port}"
        )
    if not lan and not usb:
        lines.append("other phones cannot come: --lan serves this network")
    lines.append("Ctrl-C ends it")
    return lines
