"""Progress of a build on standard error: one line per finished stage, and one that moves on a terminal."""

from __future__ import annotations

import threading

from edgekit.cli import console
from edgekit.pipeline.work.events import (
    Answered,
    Damaged,
    Done,
    Epoch,
    Failed,
    StageEvent,
    Started,
    Step,
    Warned,
    shown_score,
)

_NAMES = {
    "data": "data",
    "load": "model",
    "prepare": "model",
    "train": "training",
    "describe": "model",
    "reference": "float reference",
    "bridge": "conversion to",
    "export": "export",
    "forecast": "forecast",
    "check": "check",
}


class Progress:
    """Shows the events of a build. Used as a context manager; safe to call from several threads."""

    def __init__(self, quiet: bool):
        self._quiet = quiet
        self._moving = console.is_terminal()
        self._lock = threading.Lock()
        self._at_work: dict[tuple[str, str], str] = {}
        self._done: set[tuple[str, str]] = set()

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, *_: object) -> None:
        self._erase()

    def update(self, event: StageEvent) -> None:
        """Show one event."""
        if isinstance(event.what, Warned):
            console.say(f"warning: {event.what.text}", err=True)
            return
        if self._quiet:
            return
        with self._lock:
            self._erase()
            key = (event.stage, event.label)
            name = f"{_NAMES.get(event.stage, event.stage):<16}{event.label:<20}"
            match event.what:
                case Started():
                    self._at_work[key] = name.strip()
                    if event.stage == "train":
                        console.say(f"{name}started (Ctrl-C keeps the best so far)", err=True)
                case Done(cached, seconds):
                    # One conversion serves several variants; only the one that made it has something to say.
                    if key in self._done or (cached and key in self._at_work):
                        return
                    self._at_work.pop(key, None)
                    self._done.add(key)
                    console.say(f"{name}{'cached' if cached else _seconds(seconds)}", err=True)
                case Failed(error):
                    self._at_work.pop(key, None)
                    console.say(f"{name}failed: {error.message}", alarm="failed", err=True)
                case Answered():
                    self._at_work.pop(key, None)
                case Damaged():
                    console.say(f"{name}damaged in the cache, is made anew", err=True)
                case Epoch() as epoch:
                    console.say(f"{name}{_epoch(epoch)}", err=True)
                case Step(step, done, total):
                    share = "" if total is None else f" {done}/{total}"
                    self._at_work[key] = f"{name.strip()} {step}{share}"
            self._draw()

    def _draw(self) -> None:
        if self._moving and self._at_work:
            console.move("... " + " | ".join(" ".join(item.split()) for item in self._at_work.values()))

    def _erase(self) -> None:
        if self._moving:
            console.erase()


def _seconds(seconds: float) -> str:
    return f"{seconds:.1f} s"


def _epoch(epoch: Epoch) -> str:
    words = [f"epoch {epoch.epoch}/{epoch.epochs}", f"loss {epoch.loss:.4f}"]
    for name, score in (("", epoch.score), ("best ", epoch.best)):
        if score is not None:
            words.append(f"{name}{shown_score(score, epoch.counts_labels)}")
    return "  ".join([*words, _seconds(epoch.seconds)])
