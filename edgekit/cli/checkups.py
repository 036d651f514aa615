"""What ``edgekit doctor`` says of a bundle, an emulated board or a device; and of any machine."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgekit.cli.console import document, note, say, size, table

if TYPE_CHECKING:
    from edgekit.runtime.machine import Cluster, Machine
    from edgekit.runtime.profiler.records import BoardState


def for_name(name: str) -> Callable[[str, bool], None] | None:
    """What examines *name* and prints its findings, as JSON or not; None where *name* is a target's."""
    kind = name.partition(":")[0]
    if kind == "emulator":
        return _emulator
    if kind == "ssh":
        return _device
    if kind == "adb":
        return _phone
    is_bundle = name.endswith(".edgekit") or Path(name, "manifest.json").is_file()
    return _bundle if is_bundle else None


def matching(machine: Machine) -> str | None:
    from edgekit.target import load_target, target_names

    for name in target_names():
        if load_target(name).is_machine(machine.board, machine.architecture):
            return name
    return None


def machine_lines(machine: dict[str, Any], target: str | None) -> list[str]:
    memory = "memory unknown" if machine["memory_bytes"] is None else f"{machine['memory_bytes'] >> 20} MiB memory"
    matches = f", target {target}" if target else ""
    return [
        f"machine   {machine['board'] or machine['os']}{matches}",
        f"          {machine['architecture']}, {machine['cores']} x {machine['cpu'] or 'unknown processor'}, {memory}",
        f"features  {', '.join(machine['features']) or 'none that edgekit relies on'}",
        f"python    {machine['python'] or 'none'}, glibc {machine['glibc'] or 'none'}",
    ]


def _bundle(name: str, as_json: bool) -> None:
    """Each variant of a bundle on each of its engines: whether it runs here, and why or why not."""
    from edgekit.runtime.model import load
    from edgekit.runtime.selection import choose

    choices = load(name, explain=True)
    if as_json:
        document({"bundle": name, "choices": [vars(choice) for choice in choices]})
    else:
        rows = [(choice.variant, choice.engine, "yes" if choice.usable else "no", choice.reason) for choice in choices]
        say(*table(("variant", "engine", "runs here", "reason"), rows))
    choose(choices)


def _emulator(name: str, as_json: bool) -> None:
    """What emulating a board takes, and whether it is here."""
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
    say(*table((name, "", ""), [(item.name, "ok" if item.ok else "missing", item.found) for item in items]))
    for step in steps:
        say(f"to do: {step}")


def _device(name: str, as_json: bool) -> None:
    """What a device behind SSH is, what could run there, and what is deployed."""
    from dataclasses import asdict

    from edgekit.cli.places import open_ssh
    from edgekit.devices.payload import why_not

    with open_ssh(name) as place:
        facts = place.facts()
    formats = {format: why_not(format, facts.machine, facts.numpy) for format in ("tflite", "pte")}
    machine = facts.machine.to_json()
    findings = {
        "device": name,
        "machine": machine,
        "matches_target": matching(facts.machine),
        "free_disk_bytes": facts.free_disk_bytes,
        "python_path": facts.python_path,
        "formats": [{"format": format, "runs": reason is None, "reason": reason} for format, reason in formats.items()],
        "apps": {app: asdict(known) for app, known in facts.inventory.apps.items()},
    }
    if as_json:
        document(findings)
        return
    memory = facts.machine.free_memory_bytes
    lines = [
        *machine_lines(machine, matching(facts.machine)),
        f"free      {size(facts.free_disk_bytes)} of disk, {size(memory)} of memory",
        "",
        *(f".{format:<8} {'runs there' if reason is None else reason}" for format, reason in formats.items()),
        "",
    ]
    apps = facts.inventory.apps
    deployed = [f"{name}: {app.current} is current" for name, app in sorted(apps.items()) if app.current]
    say(*lines, *(deployed or ["nothing is deployed there"]))


def _phone(name: str, as_json: bool) -> None:
    """What a phone behind adb is, what could run there, and how hot it is."""
    from dataclasses import asdict

    from edgekit.devices.adb import EXPERIMENTAL
    from edgekit.devices.adb import open as open_phone
    from edgekit.devices.payload import why_not

    with open_phone(name) as place:
        phone, state = place.phone(), place.state()
    machine = phone.machine.to_json()
    formats = {format: why_not(format, phone.machine) for format in ("tflite", "pte")}
    if as_json:
        document(
            {
                "device": name,
                "experimental": True,
                "machine": machine,
                "free_disk_bytes": phone.free_disk_bytes,
                "state": asdict(state),
                "formats": [
                    {"format": format, "runs": reason is None, "reason": reason} for format, reason in formats.items()
                ],
            }
        )
        return
    note(EXPERIMENTAL)
    memory = phone.machine.free_memory_bytes
    lines = [
        *machine_lines(machine, None)[:3],
        *(f"cores     {_cluster(cluster)}" for cluster in phone.machine.clusters),
        f"system    {phone.machine.os}, pages of {phone.machine.page_bytes >> 10} KiB",
        f"free      {size(phone.free_disk_bytes)} of disk, {size(memory)} of memory",
        f"now       {_now(state)}",
        "",
        *(f".{format:<8} {'runs there' if reason is None else reason}" for format, reason in formats.items()),
    ]
    say(*lines)


def _cluster(cluster: Cluster) -> str:
    """As in ``4-7: 4 x cortex-a78 up to 2.40 GHz``."""
    numbers = cluster.cpus
    whole = numbers == tuple(range(numbers[0], numbers[-1] + 1))
    shown = f"{numbers[0]}-{numbers[-1]}" if whole and len(numbers) > 1 else ",".join(map(str, numbers))
    speed = "" if cluster.frequency_hz is None else f" up to {cluster.frequency_hz / 1e9:.2f} GHz"
    return f"{shown}: {len(numbers)} x {cluster.cpu or 'unknown processor'}{speed}"


def _now(state: BoardState) -> str:
    from edgekit.runtime.profiler.gate import marks_of

    heat = "temperature unknown" if state.temperature_celsius is None else f"{state.temperature_celsius:.1f} °C"
    power = f"on {state.power_source}" if state.power_source else "power source unknown"
    return ", ".join([heat, power, *marks_of(state, (), state)])
