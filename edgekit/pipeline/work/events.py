"""Events: what a build says while it goes on."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from edgekit.errors import EdgekitError
from edgekit.schema import conform


@dataclass(frozen=True)
class Step:
    """What a task is doing now, and how far that is, where it is known."""

    step: str
    done: int | None = None
    total: int | None = None


@dataclass(frozen=True)
class Epoch:
    """An epoch of training is over.

    Attributes:
        score: On evaluation data, the higher the better: the percentage of labels met, or the negative loss; None
            without such data. *best* is the best one so far.
        counts_labels: Whether it is the first of the two.
    """

    epoch: int
    epochs: int
    loss: float
    score: float | None
    best: float | None
    counts_labels: bool
    seconds: float


def shown_score(score: float, counts_labels: bool) -> str:
    """A score (see `Epoch`) as people read it."""
    return f"accuracy {score:.2f} %" if counts_labels else f"evaluation loss {-score:.4f}"


@dataclass(frozen=True)
class Reading:
    """What a task has read since it last said so; for the cache (`edgekit.pipeline.work.watching`)."""

    notes: tuple[Any, ...]


#: What tasks in workers say. It reaches the host as JSON.
TaskEvent = Step | Epoch | Reading

_KINDS: dict[str, type[TaskEvent]] = {kind.__name__.lower(): kind for kind in (Step, Epoch, Reading)}


@dataclass(frozen=True)
class Started:
    """A worker has begun."""


@dataclass(frozen=True)
class Done:
    """There is a result; *cached* where it was there already."""

    cached: bool
    seconds: float


@dataclass(frozen=True)
class Answered:
    """There is an answer that is asked for anew by every build."""


@dataclass(frozen=True)
class Damaged:
    """What was in the cache is made anew."""


@dataclass(frozen=True)
class Failed:
    """There will be no result."""

    error: EdgekitError


@dataclass(frozen=True)
class Warned:
    """The user ought to know of something."""

    text: str


@dataclass(frozen=True)
class StageEvent:
    """What happened in a stage, on what is called *label* towards the user."""

    stage: str
    label: str
    what: Step | Epoch | Started | Done | Answered | Damaged | Failed | Warned


Listener = Callable[[StageEvent], None]


_listeners: list[Callable[[TaskEvent], None]] = []


def emit(event: TaskEvent) -> None:
    """Tell whoever listens, as a task inside a worker; nobody does outside one."""
    for listener in _listeners:
        listener(event)


def listen(listener: Callable[[TaskEvent], None]) -> None:
    _listeners.append(listener)


def to_json(event: TaskEvent) -> dict[str, Any]:
    return {"kind": type(event).__name__.lower(), **asdict(event)}


def from_json(value: Mapping[str, Any]) -> TaskEvent:
    event: TaskEvent = conform(_KINDS[value["kind"]], {name: fact for name, fact in value.items() if name != "kind"})
    return event
