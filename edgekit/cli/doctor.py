"""``edgekit doctor``: what this machine can build and run, and what is missing."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import click

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
  edgekit doctor --setup emulator         fetch what emulated boards run: Debian's Python, the engines
  edgekit doctor --setup deploy:rpi4      fetch what deploying there takes, to do so later without a network
  edgekit doctor --setup tflite-runtime   make the separate environment that this engine needs
  edgekit doctor --codes                  every error code and what it means""",
)
@click.argument("target", required=False)
@click.option(
    "--setup",
    metavar="WHAT",
    help="Make what an engine (tflite-runtime), emulated boards (emulator) or deploying (deploy:TARGET) needs.",
)
@click.option("--codes", is_flag=True, help="Print every error code and what it means.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@click.option("--quiet", is_flag=True, help="Print the result only.")
def command(target: str | None, setup: str | None, codes: bool, as_json: bool, quiet: bool) -> None:
    """Say what this machine can build and run, and what is missing.

    TARGET is what you want to build for: a name that `edgekit targets` lists, or a target file of your own; or a
    device, as edgekit run names it; or a bundle, to see which of its variants run here.
    """
    from edgekit.cli.console import document, note

    if codes:
        _codes(as_json)
        return
    if setup is not None and setup.partition(":")[0] == "emulator":
        _set_up_emulator(setup, as_json, quiet)
        return
    if setup is not None and setup.partition(":")[0] == "deploy":
        _set_up_deploying(setup.partition(":")[2], as_json, quiet)
        return
    if target is not None and target.partition(":")[0] == "emulator":
        _emulator(target, as_json)
        return
    if target is not None and target.startswith("ssh:"):
        _device(target, as_json)
        return
    if target is not None and _is_bundle(target):
        _bundle(target, as_json)
        return
    if setup is not None:
        from edgekit.runtime import environments

        python = environments.create(setup, lambda line: note(line, quiet))
        if as_json:
            document({"environment": setup, "python": str(python)})
        else:
            click.echo(f"{setup} is ready: {python}")
        return
    findings = _examine(target)
    if as_json:
        document(findings)
    else:
        click.echo("\n".join(_report(findings)))


def _is_bundle(name: str) -> bool:
    from pathlib import Path

    return name.endswith(".edgekit") or Path(name, "manifest.json").is_file()


def _bundle(name: str, as_json: bool) -> None:
    """Each variant of a bundle on each of its engines: whether it runs here, and why or why not."""
    from edgekit.cli.console import document, table
    from edgekit.runtime.model import load
    from edgekit.runtime.selection import choose

    choices = load(name, explain=True)
    if as_json:
        document({"bundle": name, "choices": [vars(choice) for choice in choices]})
    else:
        rows = [(choice.variant, choice.engine, "yes" if choice.usable else "no", choice.reason) for choice in choices]
        click.echo(table(("variant", "engine", "runs here", "reason"), rows))
    choose(choices)


def _set_up_deploying(name: str, as_json: bool, quiet: bool) -> None:
    from edgekit.cli.console import document, note, size, table
    from edgekit.devices.stock import lay_in
    from edgekit.target import load_target

    stocks = lay_in(load_target(name), lambda line: note(line, quiet))
    if as_json:
        parts = [
            [{"part": part.name, "digest": part.digest, "size_bytes": part.size_bytes} for part in stock.parts]
            for stock in stocks
        ]
        document(
            {"target": name, "stocks": [{"python": s.python, "parts": p} for s, p in zip(stocks, parts, strict=True)]}
        )
        return
    rows = [
        (
            stock.python or "none",
            size(sum(part.size_bytes for part in stock.parts)),
            " ".join(p.name for p in stock.parts),
        )
        for stock in stocks
    ]
    click.echo(table(("python there", "size", "what is sent"), rows))
    click.echo(f"edgekit deploy needs no network now for {name}")


def _set_up_emulator(name: str, as_json: bool, quiet: bool) -> None:
    from edgekit.cli.console import document, note
    from edgekit.devices.emulator import guest, system_of

    system = system_of(name)
    guest.set_up(system, lambda line: note(line, quiet))
    engines = guest.engines(system)
    if as_json:
        document({"system": system.name, "engines": engines})
    else:
        shown = ", ".join(f"{engine} {version}" for engine, version in engines.items())
        click.echo(f"{system.name} is ready for emulated boards, with {shown}")


def _emulator(name: str, as_json: bool) -> None:
    """What emulating a board takes, and whether it is here."""
    from edgekit.cli.console import document, table
    from edgekit.devices import emulator
    from edgekit.devices.emulator import condition

    system = emulator.system_of(name)
    items = condition.examine(system)
    steps = condition.steps(items, "emulator" if system is emulator.system_of("emulator") else name)
    if as_json:
        ready = all(item.ok or item.optional for item in items)
        shown = [item.to_json() for item in items]
        document({"device": name, "ready": ready, "items": shown, "steps": list(steps)})
        return
    click.echo(table((name, "", ""), [(item.name, "ok" if item.ok else "missing", item.found) for item in items]))
    for step in steps:
        click.echo(f"to do: {step}")


def _device(name: str, as_json: bool) -> None:
    """What a device behind SSH is, what could run there, and what is deployed."""
    from dataclasses import asdict

    from edgekit.cli.console import document, size
    from edgekit.cli.places import open_ssh
    from edgekit.devices.payload import why_not

    with open_ssh(name) as place:
        facts = place.facts()
    formats = {format: why_not(format, facts.machine, facts.numpy) for format in ("tflite", "pte")}
    machine = facts.machine.to_json()
    findings = {
        "device": name,
        "machine": machine,
        "matches_target": _matching(facts.machine),
        "free_disk_bytes": facts.free_disk_bytes,
        "free_memory_bytes": facts.free_memory_bytes,
        "python_path": facts.python_path,
        "formats": [{"format": format, "runs": reason is None, "reason": reason} for format, reason in formats.items()],
        "apps": {app: asdict(known) for app, known in facts.inventory.apps.items()},
    }
    if as_json:
        document(findings)
        return
    memory = facts.free_memory_bytes
    lines = [
        *_machine_lines(machine, _matching(facts.machine)),
        f"free      {size(facts.free_disk_bytes)} of disk, {'unknown' if memory is None else size(memory)} of memory",
        "",
        *(f".{format:<8} {'runs there' if reason is None else reason}" for format, reason in formats.items()),
        "",
    ]
    apps = facts.inventory.apps
    deployed = [f"{name}: {app.current} is current" for name, app in sorted(apps.items()) if app.current]
    click.echo("\n".join(lines + (deployed or ["nothing is deployed there"])))


def _codes(as_json: bool) -> None:
    from edgekit.cli.console import document, table
    from edgekit.errors import CODES

    if as_json:
        document({"codes": CODES})
    else:
        click.echo(table(("code", "meaning"), list(CODES.items())))


def _examine(name: str | None) -> dict[str, Any]:
    """Everything doctor knows, as the document that ``--json`` prints."""
    from pathlib import Path

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
        "matches_target": _matching(machine),
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
            for engine in engines.engine_names()
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
    if machine.glibc is not None and _numbers(machine.glibc) < _numbers(systems[0].glibc):
        lines.append(
            f"glibc {machine.glibc} is too old for LiteRT, which needs {systems[0].glibc}: pip installs it, and it "
            "fails when it is imported. Raspberry Pi OS 12 (Bookworm) and newer have it"
        )
    if machine.python is not None and ".".join(machine.python.split(".")[:2]) not in systems[0].python:
        known = ", ".join(systems[0].python)
        lines.append(f"Python {machine.python} has no packages of the engines; Python {known} has them")
    return lines


def _numbers(version: str) -> list[int]:
    return [int(number) for number in version.split(".")]


def _matching(machine: Machine) -> str | None:
    from edgekit.target import load_target, target_names

    for name in target_names():
        if load_target(name).is_machine(machine.board, machine.architecture):
            return name
    return None


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
    from edgekit.cli.console import size, table

    machine = findings["machine"]
    lines = [f"! {advice}" for advice in findings["advice"]]
    free = size(findings["free_disk_bytes"])
    if findings["free_disk_bytes"] < _WANTED_DISK_BYTES:
        free += f" (little: a build wants {size(_WANTED_DISK_BYTES)})"
    lines += [
        *_machine_lines(machine, findings["matches_target"]),
        f"disk      {free} free here",
        "",
    ]
    rows = [
        (row["package"], row["version"] or "-", row["proven"], _package_verdict(row, findings["can_build"]))
        for row in findings["packages"]
    ]
    lines += [table(("package", "version", "proven", ""), rows), ""]
    engine_rows = [
        (
            row["engine"],
            row["version"] or "-",
            " ".join(f".{format}" for format in row["formats"]),
            "ok" if row["version"] else f"missing: {row['install_hint']}",
        )
        for row in findings["engines"]
    ]
    lines += [table(("engine", "version", "loads", ""), engine_rows), _core_line(findings["executorch_core"])]
    if findings["target"] is not None:
        lines += ["", *_target_report(findings["target"])]
    return lines


def _core_line(core: dict[str, str | None]) -> str:
    """How ``.pte`` files run without torch."""
    if core["why_not"] is not None:
        return f"executorch without torch: no: {core['why_not']}"
    return f"executorch without torch: {core['library'] or 'yes: its core is built at first use'}"


def _machine_lines(machine: dict[str, Any], target: str | None) -> list[str]:
    memory = "memory unknown" if machine["memory_bytes"] is None else f"{machine['memory_bytes'] >> 20} MiB memory"
    matches = f", target {target}" if target else ""
    return [
        f"machine   {machine['board'] or machine['os']}{matches}",
        f"          {machine['architecture']}, {machine['cores']} x {machine['cpu'] or 'unknown processor'}, {memory}",
        f"features  {', '.join(machine['features']) or 'none that edgekit relies on'}",
        f"python    {machine['python'] or 'none'}, glibc {machine['glibc'] or 'none'}",
    ]


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
