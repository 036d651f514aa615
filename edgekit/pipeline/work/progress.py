"""How a task inside a worker tells the host what it is doing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

_listeners: list[Callable[[dict[str, Any]], None]] = []


def emit(**event: Any) -> None:
    """Report progress, as plain values, to whoever listens; nobody does outside a worker.

    Training reports ``emit(kind="epoch", epoch=3, epochs=12, loss=0.12, metric=97.4, best=97.4, seconds=4.1)``;
    anything else ``emit(kind="step", step="calibrating")``, with ``done=32, total=128`` where that is known.
    """
    for listener in _listeners:
        listener(event)


def listen(listener: Callable[[dict[str, Any]], None]) -> None:
    _listeners.append(listener)
