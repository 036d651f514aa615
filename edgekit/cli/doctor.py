"""``edgekit doctor``: what this machine can build and run, and what is missing."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import click

from edgekit.cli.console import document, output_options, say, size, table

if TYPE_CHECKING:
    from edgekit.runtime.machine import Machine
    from edgekit.target import Target

#: A build of an ordinary model, its caches and its bundle fit into this.
_WANTED_DISK_BYTES = 2_000_000_000


@click.command(
    name="doctor",
    epilog="""\b
Examples:
  edgekit doctor                          packages, engines and facts of this machine
  edgekit doctor rpi4                     what building for a Raspberry Pi 4 takes, and whether it is here
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
@click.option("--codes", is_flag=True, help="Print every error code and what it means.")
@output_options
def command(target: str | None, setup: str | None, codes: bool, as_json: bool, quiet: bool) -> None:
    """Say what this machine can build and run, and what is missing.

    TARGET is what you want to build for: a name that `edgekit targets` lists, or a target file of your own; or a
    device, as edgekit run names it; or a bundle, to see which of its variants run here.
    """

    if codes:
        _codes(as_json)
        return
    if setup is not None:
        from edgekit.cli.setups import set_up

        set_up(setup, as_json, quiet)
        return
    if target is not None:
        from edgekit.cli import checkups

        check = checkups.for_name(target)
        if check is not None:
            check(target, as_json)
            return
    findings = _examine(target)
    if as_json:
        document(findings)
    else:
        say(*_report(findings))


def _codes(as_json: bool) -> None:
    from edgekit.errors import CODES

    if as_json:
        document({"codes": CODES})
    else:
        say(*table(("code", "meaning"), list(CODES.items())))


def _examine(name: str | None) -> dict[str, Any]:
    """Everything doctor knows, as the document that ``--json`` prints."""
    from pathlib import Path

    from edgekit.cli.checkups import matching
    from edgekit.runtime import engines, native, packages
    from edgekit.runtime.machine import free_disk_bytes, read_machine
    from edgekit.target import load_target

    wanted = None if name is None else load_target(name)
    machine = read_machine()
    found = packages.installed_packages()
    versions = engines.available()
    return {
        "advice": _advice(machine),
        "machine": machine.to_json(),
        "matches_target": matching(machine),
        "can_build": _can_build(machine),
        "free_disk_bytes": free_disk_bytes(Path.cwd()),
        "packages": [
            {
                "package": entry.package.name,
                "version": entry.version,
                "status": entry.status,
                "proven": _bounds(entry.package.least, entry.package.below),
                "extra": entry.package.extra,
                "purpose": entry.package.purpose,
            }
            for entry in found
        ],
        "engines": [
            {
                "engine": engine,
                "version": versions.get(engine),
                "formats": list(engines.engine(engine).formats),
                "install_hint": engines.engine(engine).install_hint,
            }
            for engine in engines.ENGINES.names()
        ],
        "executorch_core": {
            "library": None if (library := native.library()) is None else str(library),
            "why_not": native.why_not(),
        },
        "target": None if wanted is None else _outlook(wanted, machine),
    }


def _can_build(machine: Machine) -> bool:
    """No converter has a wheel for Linux on anything but x86_64."""
    return sys.platform != "linux" or machine.architecture == "x86_64"


def _advice(machine: Machine) -> list[str]:
    """What somebody on this machine has to know before anything else."""
    from edgekit.runtime.engines.base import version_numbers
    from edgekit.target import load_target, target_names

    lines = []
    if not _can_build(machine):
        lines.append(
            f"build on a desktop (x86_64 Linux), run here: no converter exists for {machine.architecture}. "
            "Copy the bundle here; edgekit run and edgekit.load work on this machine"
        )
    if machine.architecture == "armv7l":
        kernel = " under a 64-bit kernel" if machine.kernel_architecture == "aarch64" else ""
        lines.append(
            f"this is a 32-bit system{kernel}: only tflite-runtime runs here, with Python 3.11 and numpy below 2. "
            "A 64-bit system, which a Raspberry Pi 3 and later can run, takes every engine"
        )
    targets = [load_target(name) for name in target_names()]
    systems = [target.system for target in targets if target.cpu.architecture == machine.architecture and target.system]
    if not systems:
        return [f"no engine has a package for {machine.architecture}: nothing can be built or run here"]
    if machine.glibc is not None and version_numbers(machine.glibc) < version_numbers(systems[0].glibc):
        lines.append(
            f"glibc {machine.glibc} is too old for LiteRT, which needs {systems[0].glibc}: pip installs it, and it "
            "fails when it is imported. Raspberry Pi OS 12 (Bookworm) and newer have it"
        )
    if machine.python is not None and ".".join(machine.python.split(".")[:2]) not in systems[0].python:
        known = ", ".join(systems[0].python)
        lines.append(f"Python {machine.python} has no packages of the engines; Python {known} has them")
    return lines


def _outlook(target: Target, machine: Machine) -> dict[str, Any]:
    """What building for *target* means here: per format, what is built and which engine can check it."""
    from edgekit.runtime import engines

    formats = []
    for entry in target.formats:
        here = engines.available(entry.format) if entry.runs_on_host else {}
        formats.append(
            {
                "format": entry.format,
                "backend": entry.backend,
                "built": list(entry.recipes),
                "engines": list(entry.engines),
                "checked_here_by": list(here),
                "runs_on_host": entry.runs_on_host,
            }
        )
    return {
        "name": target.name,
        "title": target.title,
        "formats": formats,
        "is_this_machine": target.is_machine(machine.board, machine.architecture),
    }


def _report(findings: dict[str, Any]) -> list[str]:
    from edgekit.cli.checkups import machine_lines

    machine = findings["machine"]
    lines = [f"! {advice}" for advice in findings["advice"]]
    free = size(findings["free_disk_bytes"])
    if findings["free_disk_bytes"] < _WANTED_DISK_BYTES:
        free += f" (little: a build wants {size(_WANTED_DISK_BYTES)})"
    lines += [
        *machine_lines(machine, findings["matches_target"]),
        f"disk      {free} free here",
        "",
    ]
    rows = [
        (row["package"], row["version"] or "-", row["proven"], _package_verdict(row, findings["can_build"]))
        for row in findings["packages"]
    ]
    lines += [*table(("package", "version", "proven", ""), rows), ""]
    engine_rows = [
        (
            row["engine"],
            row["version"] or "-",
            " ".join(f".{format}" for format in row["formats"]),
            _engine_verdict(row),
        )
        for row in findings["engines"]
    ]
    lines += [*table(("engine", "version", "loads", ""), engine_rows), _core_line(findings["executorch_core"])]
    if findings["target"] is not None:
        lines += ["", *_target_report(findings["target"])]
    return lines


def _engine_verdict(row: dict[str, Any]) -> str:
    from edgekit.runtime.engines import BROWSER_ENGINES

    if row["engine"] in BROWSER_ENGINES:
        return "in browsers: edgekit phone BUNDLE"
    return "ok" if row["version"] else f"missing: {row['install_hint']}"


def _core_line(core: dict[str, str | None]) -> str:
    """How ``.pte`` files run without torch."""
    if core["why_not"] is not None:
        return f"executorch without torch: no: {core['why_not']}"
    return f"executorch without torch: {core['library'] or 'yes: its core is built at first use'}"


def _target_report(target: dict[str, Any]) -> list[str]:
    lines = [f"building for {target['title']} ({target['name']}):"]
    for entry in target["formats"]:
        built = ", ".join(entry["built"]) or "only when asked for"
        if not entry["runs_on_host"]:
            checked = f"exported, not run: no engine on a desktop has the {entry['backend']} backend"
        elif entry["checked_here_by"]:
            checked = f"checked here by {', '.join(entry['checked_here_by'])}"
        else:
            checked = f"cannot be checked here: no engine for .{entry['format']} is installed"
        lines.append(f"  .{entry['format']} ({built}): {checked}; runs there on {', '.join(entry['engines'])}")
    return lines


def _package_verdict(row: dict[str, Any], can_build: bool) -> str:
    if row["status"] == "ok":
        return "ok"
    if row["status"] == "unproven":
        return f"not proven: pip install '{row['package']}{row['proven']}'"
    if not can_build:
        return "not needed here"
    extra = f"[{row['extra']}]" if row["extra"] else ""
    return f"missing: pip install 'edgekit{extra}' (for {row['purpose']})"


def _bounds(least: str, below: str | None) -> str:
    return f">={least}" + (f",<{below}" if below else "")
