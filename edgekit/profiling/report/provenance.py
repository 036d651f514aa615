"""What a device was while it was measured, and what was the same for all of its rows."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import reduce
from operator import or_

from edgekit.profiling import words
from edgekit.profiling.report.figures.elements import Table
from edgekit.runtime.machine import Machine
from edgekit.runtime.profiler.profile import BrowserRecord, DeviceRecord
from edgekit.runtime.profiler.records import BoardState, Cell, Conditions

#: Bits of a Raspberry Pi's ``get_throttled``, and how far to the left those are that hold since the start.
_BITS = ("under-voltage", "frequency capped", "throttled", "soft temperature limit")
_SINCE_START = 16


def facts(device: DeviceRecord) -> list[tuple[str, str]]:
    """The machine itself: what does not change while it is measured."""
    found = [] if device.machine is None else _machine(device.machine)
    if device.browser is not None:
        found = _browser(device.browser)
    found += [
        ("Target", device.target),
        ("Engines", ", ".join(f"{name} {version}" for name, version in sorted(device.engines.items()))),
        ("Noise floor", f"{words.number(device.noise_floor_percent, 2)} %"),
        ("Not reached", device.failure),
    ]
    return [(name, value) for name, value in found if value]


def _machine(machine: Machine) -> list[tuple[str, str | None]]:
    bits = machine.architecture
    if machine.kernel_architecture != machine.architecture:
        bits += f" on a {machine.kernel_architecture} kernel"
    return [
        ("Board", machine.board),
        ("Processor", f"{machine.cpu or 'unknown'}, {words.plural(machine.cores, 'core')}"),
        ("Architecture", bits),
        ("CPU features", ", ".join(machine.features) or "none that edgekit looks for"),
        ("Memory", words.size(machine.memory_bytes)),
        ("Operating system", machine.os),
        ("Python", machine.python),
        ("glibc", machine.glibc),
        ("Memory page", f"{machine.page_bytes} bytes"),
    ]


def _browser(browser: BrowserRecord) -> list[tuple[str, str | None]]:
    """What a browser says of itself and of the machine that it hides."""
    memory = None if browser.memory_gib is None else f"{words.number(browser.memory_gib, 2)} GiB or more, as it says"
    gpu = browser.webgpu_adapter or "yes, the adapter is not told" if browser.webgpu else "no"
    return [
        ("Driven by", "a program: its figures are no phone's" if browser.automated else None),
        ("Model", browser.model or "not told"),
        ("Platform", browser.platform),
        ("Processor", f"not told, {words.plural(browser.cores, 'core')} as it says"),
        ("Memory", memory),
        ("Screen", browser.screen),
        ("Browser", browser.user_agent),
        ("Reached by", browser.connection),
        ("Secure context", _yes(browser.secure_context)),
        ("Cross-origin isolated", _yes(browser.cross_origin_isolated)),
        ("Threads", browser.why_threads),
        ("Relaxed SIMD", _yes(browser.relaxed_simd)),
        ("WebGPU", gpu),
        ("Timer", f"steps of {words.microseconds(browser.timer_resolution_us)}"),
        ("LiteRT.js", browser.litert_js),
        ("Began, by its clock", browser.started),
    ]


def _yes(value: bool) -> str:
    return "yes" if value else "no"


def states(device: DeviceRecord, cells: Iterable[Cell]) -> Table | None:
    """The machine before, during and after: first look, extremes of all looks between, last look."""
    processes = [process for cell in cells if cell.device == device.name for process in cell.processes]
    looks = [
        state
        for process in processes
        for state in (process.before, *process.during, process.after)
        if state is not None
    ]
    if not looks:
        return None
    looks.sort(key=lambda state: state.at_s)
    lines = [
        (name, text(looks[:1]), text(looks), text(looks[-1:]))
        for name, text in _STATES
        if text(looks) != words.NOT_KNOWN
    ]
    waited = sum(process.waited_s for process in processes)
    if device.browser is None:  # where nothing waits
        lines.append(("Waited to be ready", "", f"{words.number(waited)} s in all", ""))
    headers = ("", "Before", "While measured", "After")
    return Table(f"State of {device.name}", headers, tuple(lines), frozenset())


def conditions(cells: Sequence[Cell]) -> Table | None:
    """What has to be the same for a ratio, as it was: a line for each set of conditions."""
    groups: dict[tuple[str, Conditions, str], list[str]] = {}
    for cell in cells:
        if cell.conditions is not None:
            build = "" if cell.build is None else f", {cell.build} build"
            groups.setdefault((cell.device, cell.conditions, build), []).append(f"{cell.variant} on {cell.engine}")
    if not groups:
        return None
    headers = (
        *("Device", "Precision", "Threads", "Batch", "Runs on", "Bound to cores", "Inputs", "Outputs"),
        *("Input bytes (SHA-256)", "Rows"),
    )
    lines = tuple(
        (
            device,
            each.precision,
            words.count(each.threads),
            words.count(each.batch),
            f"{each.accelerator}{build}",
            "none" if each.cpus is None else ", ".join(map(str, each.cpus)),
            ", ".join(each.inputs),
            ", ".join(each.outputs),
            each.inputs_sha256[:16],
            ", ".join(names),
        )
        for (device, each, build), names in groups.items()
    )
    return Table("Conditions of every row that ran", headers, lines, frozenset({2, 3}))


def _throttled(looks: Sequence[BoardState]) -> str:
    known = [look.throttled for look in looks if look.throttled is not None]
    if not known:
        return words.NOT_KNOWN
    value = reduce(or_, known)
    now = [name for bit, name in enumerate(_BITS) if value >> bit & 1]
    before = [
        f"{name} since the board was started" for bit, name in enumerate(_BITS) if value >> bit + _SINCE_START & 1
    ]
    return ", ".join([*now, *before]) or "none"


def _memory(looks: Sequence[BoardState]) -> str:
    known = [look.free_memory_bytes for look in looks if look.free_memory_bytes is not None]
    return _ends(words.size(min(known)), words.size(max(known))) if known else words.NOT_KNOWN


def _names(names: Iterable[str | None]) -> str:
    return ", ".join(sorted(filter(None, set(names)))) or words.NOT_KNOWN


def _range(values: Iterable[float | None], unit: str, decimals: int) -> str:
    known = [value for value in values if value is not None]
    if not known:
        return words.NOT_KNOWN
    return f"{_ends(f'{min(known):.{decimals}f}', f'{max(known):.{decimals}f}')} {unit}"


def _ends(low: str, high: str) -> str:
    return low if low == high else f"{low} to {high}"


_STATES: tuple[tuple[str, Callable[[Sequence[BoardState]], str]], ...] = (
    (
        "Frequency of the cores",
        lambda looks: _range((hz / 1e9 for look in looks for hz in look.frequencies_hz), "GHz", 2),
    ),
    ("Governor", lambda looks: _names(name for look in looks for name in look.governors)),
    ("Temperature", lambda looks: _range((look.temperature_celsius for look in looks), "°C", 1)),
    ("Throttling", _throttled),
    (
        "Load of a core",
        lambda looks: _range([100 * x.load_per_core for x in looks if x.load_per_core is not None], "%", 0),
    ),
    ("Free memory", _memory),
    ("Power source", lambda looks: _names(look.power_source for look in looks)),
    ("Battery", lambda looks: _range((look.battery_percent for look in looks), "%", 0)),
    ("Power", lambda looks: _range((look.power_w for look in looks), "W", 2)),
)
