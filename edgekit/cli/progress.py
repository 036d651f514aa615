"""Progress of a build on standard error: one line per finished stage, and one that moves on a terminal."""

from __future__ import annotations

import threading
from types import TracebackType
from typing import Any

from edgekit.cli import console

_NAMES = {
    "data": "data",
    "load": "model",
    "prepare": "model",
    "train": "training",
    "describe": "model",
    "reference": "float reference",
    "export": "export",
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

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._erase()

    def hear(self, event: dict[str, Any]) -> None:
        """Show one event of `edgekit.pipeline.work.stages.Listener`."""
        if event["kind"] in ("trusted", "warning"):
            console.say(f"warning: {event['text']}", err=True)
            return
        if self._quiet:
            return
        with self._lock:
            self._erase()
            key = (event["stage"], event["label"])
            name = f"{_NAMES.get(event['stage'], event['stage']):<16}{event['label']:<20}"
            match event["kind"]:
                case "start":
                    self._at_work[key] = name.strip()
                    if event["stage"] == "train":
                        console.say(f"{name}started (Ctrl-C keeps the best so far)", err=True)
                case "done":
                    # One conversion serves several variants; only the one that made it has something to say.
                    if key in self._done or (event["cached"] and key in self._at_work):
                        return
                    self._at_work.pop(key, None)
                    self._done.add(key)
                    console.say(f"{name}{'cached' if event['cached'] else _seconds(event['seconds'])}", err=True)
                case "failed":
                    self._at_work.pop(key, None)
                    console.say(f"{name}failed: {event['error'].message}", alarm="failed", err=True)
                case "asked":
                    self._at_work.pop(key, None)
                case "damaged":
                    console.say(f"{name}damaged in the cache, is made anew", err=True)
                case "epoch":
                    console.say(f"{name}{_epoch(event)}", err=True)
                case "step":
                    share = f" {event['done']}/{event['total']}" if "total" in event else ""
                    self._at_work[key] = f"{name.strip()} {event['step']}{share}"
            self._draw()

    def _draw(self) -> None:
        if self._moving and self._at_work:
            console.move("... " + " | ".join(" ".join(item.split()) for item in self._at_work.values()))

    def _erase(self) -> None:
        if self._moving:
            console.erase()


def _seconds(seconds: float) -> str:
    return f"{seconds:.1f} s"


def _epoch(event: dict[str, Any]) -> str:
    metric = "" if event.get("metric") is None else f"  metric {event['metric']:.2f}  best {event['best']:.2f}"
    return f"epoch {event['epoch']}/{event['epochs']}  loss {event['loss']:.4f}{metric}  {_seconds(event['seconds'])}"
