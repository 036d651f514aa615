"""``edgekit doctor``: what this machine can build and run, and what is missing."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from edgekit.cli import bare, options
from edgekit.cli.console import note, result, size, table

if TYPE_CHECKING:
    from edgekit.runtime.checkup import CoreFinding, EngineFinding, Findings, Outlook, PackageFinding

#: A build of an ordinary model, its caches and its bundle fit into this.
_WANTED_DISK_BYTES = 2_000_000_000


@click.command(
    name="doctor",
    epilog="""\b
Examples:
  edgekit doctor                          packages, engines and facts of this machine
  edgekit doctor rpi4                     what building for a Raspberry Pi 4 takes, and whether it is here
  edgekit doctor model.py:build --calibration x.npy   what a build would refuse of a model, and what is delegated
  edgekit doctor digits.edgekit           which variants of a bundle run here, and why the others do not
  edgekit doctor emulator:rpi4            what emulating a Raspberry Pi 4 takes, and whether it is here
  edgekit doctor ssh://pi@raspberrypi     what that device is, what runs there, and what is deployed
  edgekit doctor adb:SERIAL               what that phone is, and what runs there (experimental)
  edgekit doctor --setup emulator         fetch what emulated boards run: Debian's Python, the engines
  edgekit doctor --setup deploy:rpi4      fetch what deploying there takes, to do so later without a network
  edgekit doctor --setup phone            fetch LiteRT.js, which runs models in phones' browsers
  edgekit doctor --setup tflite-runtime   make the separate environment that this engine needs
  edgekit doctor --codes                  every error code and what it means""",
)
@click.argument("target", required=False)
@click.option(
    "--setup",
    metavar="WHAT",
    help="Make what an engine (tflite-runtime), emulated boards (emulator), deploying (deploy:TARGET) or phones' "
    "browsers (phone) need.",
)
@bare.model
@click.option("--trust", is_flag=True, help="For a model: take a file that holds more than data.")
@click.option("--codes", is_flag=True, help="Print every error code and what it means.")
@options.output
def command(
    target: str | None,
    setup: str | None,
    trust: bool,
    codes: bool,
    as_json: bool,
    quiet: bool,
    **given: Any,
) -> None:
    """Say what this machine can build and run, and what is missing.

    TARGET is what you want to build for: a name that `edgekit targets` lists, or a target file of your own; or a
    device, as edgekit run names it; or a bundle, to see which of its variants run here; or a model or project, as
    edgekit build takes it, with the same options, to see before the build what each format will refuse and what its
    backend will take.
    """

    if codes:
        _codes(as_json)
        return
    if setup is not None:
        from edgekit.cli.setups import set_up

        set_up(setup, as_json, quiet)
        return
    if target is not None:
        from pathlib import Path

        from edgekit.devices.kinds import find_kind

        kind = find_kind(target)
        if kind is not None and "Examines" in kind.abilities:  # `browser` is a target as well
            bare.refuse(given, trust, target)
            _device(target, as_json)
            return
        if target.endswith(".edgekit") or Path(target, "manifest.json").is_file():
            bare.refuse(given, trust, target)
            _bundle(target, as_json)
            return
        from edgekit.cli import outlook

        if outlook.is_model(target):
            outlook.show(target, given, trust, as_json, quiet)
            return
        outlook.refuse(target)
    bare.refuse(given, trust, target)
    from edgekit.runtime.checkup import examine

    findings = examine(target)
    result(as_json, asdict(findings), _report(findings))


def _device(name: str, as_json: bool) -> None:
    """What a device is, what could run there, and what is missing."""
    from edgekit.devices import open_device
    from edgekit.devices.base import Examines

    with open_device(name, Examines) as device:
        found = device.examine()
    for line in () if as_json else found.notes:
        note(line)
    result(as_json, found.document, found.lines)


def _bundle(name: str, as_json: bool) -> None:
    """Each variant of a bundle on each of its engines: whether it runs here, and why or why not."""
    from edgekit.runtime.model import load
    from edgekit.runtime.selection import choose

    choices = load(name, explain=True)
    rows = [(choice.variant, choice.engine, "yes" if choice.usable else "no", choice.reason) for choice in choices]
    lines = table(("variant", "engine", "runs here", "reason"), rows)
    result(as_json, {"bundle": name, "choices": [vars(choice) for choice in choices]}, lines)
    choose(choices)


def _codes(as_json: bool) -> None:
    from edgekit.errors import CODES

    result(as_json, {"codes": CODES}, table(("code", "meaning"), list(CODES.items())))


def _report(findings: Findings) -> list[str]:
    from edgekit.runtime.checkup import machine_lines

    free = size(findings.free_disk_bytes)
    if findings.free_disk_bytes < _WANTED_DISK_BYTES:
        free += f" (little: a build wants {size(_WANTED_DISK_BYTES)})"
    package_rows = [
        (row.package, row.version or "-", row.proven, _package_verdict(row, findings.can_build))
        for row in findings.packages
    ]
    engine_rows = [
        (row.engine, row.version or "-", " ".join(f".{format}" for format in row.formats), _engine_verdict(row))
        for row in findings.engines
    ]
    lines = [
        *(f"! {advice}" for advice in findings.advice),
        *machine_lines(findings.machine, findings.matches_target),
        f"disk      {free} free here",
        "",
        *table(("package", "version", "proven", ""), package_rows),
        "",
        *table(("engine", "version", "loads", ""), engine_rows),
        _core_line(findings.executorch_core),
    ]
    if findings.target is not None:
        lines += ["", *_target_report(findings.target)]
    return lines


def _engine_verdict(row: EngineFinding) -> str:
    from edgekit.runtime.engines import is_browser_engine

    if is_browser_engine(row.engine):
        return "in browsers: edgekit phone BUNDLE"
    return "ok" if row.version else f"missing: {row.install_hint}"


def _core_line(core: CoreFinding) -> str:
    """How ``.pte`` files run without torch."""
    if core.why_not is not None:
        return f"executorch without torch: no: {core.why_not}"
    return f"executorch without torch: {core.library or 'yes: its core is built at first use'}"


def _target_report(target: Outlook) -> list[str]:
    lines = [f"building for {target.title} ({target.name}):"]
    for entry in target.formats:
        built = ", ".join(entry.built) or "only when asked for"
        if not entry.runs_on_host:
            checked = f"exported, not run: no engine on a desktop has the {entry.backend} backend"
        elif entry.checked_here_by:
            checked = f"checked here by {', '.join(entry.checked_here_by)}"
        else:
            checked = f"cannot be checked here: no engine for .{entry.format} is installed"
        lines.append(f"  .{entry.format} ({built}): {checked}; runs there on {', '.join(entry.engines)}")
    return lines


def _package_verdict(row: PackageFinding, can_build: bool) -> str:
    if row.status == "ok":
        return "ok"
    if row.status == "unproven":
        return f"not proven: pip install '{row.package}{row.proven}'"
    if not can_build:
        return "not needed here"
    extra = f"[{row.extra}]" if row.extra else ""
    return f"missing: pip install 'edgekit{extra}' (for {row.purpose})"
