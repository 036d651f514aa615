"""Events: what a session says while it goes on."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from edgekit.display import Log
from edgekit.runtime.profiler.records import Cell
from edgekit.schema import conform


@dataclass(frozen=True)
class Note:
    """A line for people."""

    text: str


@dataclass(frozen=True)
class Progress:
    """How far it is, in seconds of work."""

    done: float
    total: float


@dataclass(frozen=True)
class Measured:
    """A cell as far as it is known: for the first time when its first process has settled, with the durations of the
    end of its warm-up."""

    cell: Cell


Event = Note | Progress | Measured
#: Called with each event as it comes.
Listener = Callable[[Event], None]

_KINDS: dict[str, type[Event]] = {"note": Note, "progress": Progress, "cell": Measured}


def log_to(listener: Callable[[Note], None]) -> Log:
    """What passes a line for people on to *listener*."""
    return lambda text: listener(Note(text))


def to_json(record: Any) -> Any:
    """A record as what JSON would give back: lists in place of tuples."""
    return json.loads(json.dumps(dataclasses.asdict(record)))


def event_to_json(event: Event) -> dict[str, Any]:
    (kind,) = (name for name, kind in _KINDS.items() if isinstance(event, kind))
    return {"event": kind, **to_json(event)}


def event_from_json(value: Mapping[str, Any]) -> Event | None:
    """The event that `event_to_json` wrote; None for one of a kind that is not known here.

    Raises:
        ValueError: It does not fit.
    """
    kind = value["event"]
    if not isinstance(kind, str) or kind not in _KINDS:
        return None
    event: Event = conform(_KINDS[kind], {name: fact for name, fact in value.items() if name != "event"})
    return event
