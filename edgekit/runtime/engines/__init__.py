"""Inference engines, by name. An engine's library is imported when a model is opened, not before."""

from __future__ import annotations

from edgekit.engines import ENGINES
from edgekit.errors import EdgekitError, UsageError
from edgekit.runtime.contents import checked
from edgekit.runtime.engines.base import Engine, Session
from edgekit.tensors import Signature

__all__ = ["ENGINES", "Engine", "Session"]  # of other modules; the rest is defined here

NOT_INSTALLED = "not installed"


def engine(name: str) -> Engine:
    """The engine called *name*, whether or not its library is installed.

    Raises:
        UsageError: ``EK-ENGINE``: no such engine.
    """
    return ENGINES[name]


def browser_engines() -> tuple[str, ...]:
    """Names of those that only browsers have."""
    return tuple(found.name for found in ENGINES if found.in_browser)


def is_browser_engine(name: str) -> bool:
    """Whether the engine called *name*, which need not be known here, is one of them."""
    return (found := ENGINES.get(name)) is not None and found.in_browser


def is_reference_engine(name: str) -> bool:
    """Whether others are compared with the engine called *name*, which need not be known here."""
    return (found := ENGINES.get(name)) is not None and found.is_reference


def available(format: str | None = None) -> dict[str, str]:
    """Name -> version of each installed engine, optionally only of those that load *format*."""
    found = {each.name: each.version() for each in ENGINES if format is None or format in each.formats}
    return {name: version for name, version in found.items() if version is not None}


def why_missing(name: str) -> str:
    """Why the engine called *name* has no version here, in one line: its own reason, where it knows one."""
    return engine(name).why_missing() or NOT_INSTALLED


def open_session(
    name: str, data: bytes, format: str, signature: Signature, threads: int, method: str | None = None
) -> Session:
    """Read a model file as data, and load it on the engine called *name* (see `Engine.open`).

    Raises:
        BundleError: ``EK-CONTENTS`` or ``EK-BUNDLE``: the file holds more than data, or is damaged (see
            `edgekit.runtime.contents`).
        EdgekitError: ``EK-ENGINE`` when the engine is unknown, not installed or does not load *format*;
            ``EK-ARGUMENT`` for a thread count below 1; ``EK-RUN`` when it refuses the file.
    """
    chosen = engine(name)
    if format not in chosen.formats:
        raise UsageError("EK-ENGINE", f"{name} loads {', '.join(chosen.formats)} files, not {format}")
    if threads < 1:
        raise UsageError("EK-ARGUMENT", f"threads must be at least 1, not {threads}")
    if chosen.version() is None:
        raise EdgekitError("EK-ENGINE", f"{name} cannot run here: {why_missing(name)}", chosen.install_hint)
    return chosen.open(bytes(checked(data, format).data), signature, threads, method)
