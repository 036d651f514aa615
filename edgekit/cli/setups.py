"""What ``edgekit doctor --setup`` makes: what engines, emulated boards, deploying and phones need."""

from __future__ import annotations

from edgekit.cli.console import document, note, say, size, table


def set_up(what: str, as_json: bool, quiet: bool) -> None:
    """Make what an engine (its name), emulated boards (``emulator``), deploying (``deploy:TARGET``) or phones' browsers
    (``phone``) need.

    Raises:
        UsageError: ``EK-ARGUMENT``: it is none of these.
    """
    kind, _, target = what.partition(":")
    if kind == "emulator":
        _emulator(what, as_json, quiet)
    elif kind == "deploy":
        _deploying(target, as_json, quiet)
    elif what == "phone":
        _phones(as_json, quiet)
    else:
        _engine(what, as_json, quiet)


def _engine(name: str, as_json: bool, quiet: bool) -> None:
    from edgekit.errors import UsageError, did_you_mean
    from edgekit.runtime import environments

    if name not in environments.ENVIRONMENTS:
        known = (*environments.ENVIRONMENTS, "emulator", "deploy:TARGET", "phone")
        raise UsageError("EK-ARGUMENT", f"there is no setup {name!r}", did_you_mean(name, known))
    python = environments.create(name, lambda line: note(line, quiet))
    if as_json:
        document({"environment": name, "python": str(python)})
    else:
        say(f"{name} is ready: {python}")


def _emulator(name: str, as_json: bool, quiet: bool) -> None:
    from edgekit.devices.emulator import guest, system_of

    system = system_of(name)
    guest.set_up(system, lambda line: note(line, quiet))
    engines = guest.engines(system)
    if as_json:
        document({"system": system.name, "engines": engines})
    else:
        shown = ", ".join(f"{engine} {version}" for engine, version in engines.items())
        say(f"{system.name} is ready for emulated boards, with {shown}")


def _deploying(name: str, as_json: bool, quiet: bool) -> None:
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
    say(*table(("python there", "size", "what is sent"), rows))
    say(f"edgekit deploy needs no network now for {name}")


def _phones(as_json: bool, quiet: bool) -> None:
    from edgekit.devices.browser import assets

    folder = assets.set_up(lambda line: note(line, quiet))
    if as_json:
        document({"runtime": "LiteRT.js", "version": assets.version(), "folder": str(folder)})
    else:
        say(f"LiteRT.js {assets.version()} is ready for phones: {folder}")
