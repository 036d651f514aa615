"""What ``edgekit doctor --setup`` makes: what engines, emulated boards, deploying and phones need."""

from __future__ import annotations

from typing import Any

from edgekit.cli.console import note, result, size, table
from edgekit.display import Log

#: What was made: for programs, and in lines for people.
Made = tuple[dict[str, Any], list[str]]


def set_up(what: str, as_json: bool, quiet: bool) -> None:
    """Make what an engine (its name), emulated boards (``emulator``), deploying (``deploy:TARGET``) or phones' browsers
    (``phone``) need.

    Raises:
        UsageError: ``EK-ARGUMENT``: it is none of these.
    """
    makers = {"emulator": _emulator, "deploy": _deploying}  # which take more after a colon
    make = _phones if what == "phone" else makers.get(what.partition(":")[0], _engine)
    made, lines = make(what, lambda line: note(line, quiet))
    result(as_json, made, lines)


def _engine(name: str, log: Log) -> Made:
    from edgekit.errors import UsageError, did_you_mean
    from edgekit.runtime import environments

    if name not in environments.ENVIRONMENTS:
        known = (*environments.ENVIRONMENTS, "emulator", "deploy:TARGET", "phone")
        raise UsageError("EK-ARGUMENT", f"there is no setup {name!r}", did_you_mean(name, known))
    python = environments.create(name, log)
    return {"environment": name, "python": str(python)}, [f"{name} is ready: {python}"]


def _emulator(name: str, log: Log) -> Made:
    from edgekit.devices.emulator import guest

    system = guest.system_of(name)
    guest.set_up(system, log)
    engines = guest.engines(system)
    shown = ", ".join(f"{engine} {version}" for engine, version in engines.items())
    made = {"system": system.name, "engines": engines}
    return made, [f"{system.name} is ready for emulated boards, with {shown}"]


def _deploying(what: str, log: Log) -> Made:
    from edgekit.devices.payload.assembly import prefetch
    from edgekit.target import load_target

    name = what.partition(":")[2]
    stocks, rows = [], []
    for each in prefetch(load_target(name), log):
        parts = [{"part": part.name, "digest": part.digest, "size_bytes": part.size_bytes} for part in each.parts]
        stocks.append({"python": each.python, "parts": parts})
        whole = size(sum(part.size_bytes for part in each.parts))
        rows.append((each.python or "none", whole, " ".join(part.name for part in each.parts)))
    lines = [*table(("python there", "size", "what is sent"), rows), f"edgekit deploy needs no network now for {name}"]
    return {"target": name, "stocks": stocks}, lines


def _phones(what: str, log: Log) -> Made:
    from edgekit.devices.browser import assets

    folder = assets.set_up(log)
    made = {"runtime": "LiteRT.js", "version": assets.version(), "folder": str(folder)}
    return made, [f"LiteRT.js {assets.version()} is ready for phones: {folder}"]
