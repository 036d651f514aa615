"""Progress of a profile on standard error: the first figure of each row, and a line that moves on a terminal."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

from edgekit.cli import console

if TYPE_CHECKING:
    from edgekit.profiling.session import DeviceEvent
    from edgekit.runtime.profiler.records import Cell

#: Writing more often would be work that the measurement sees.
_SECONDS_BETWEEN_LINES = 1.0


class Measuring:
    """Shows the events of `edgekit.profiling.session`. Used as a context manager; safe to call from several threads."""

    def __init__(self, quiet: bool, several: bool):
        """*several* devices are measured on, so that each line names its own."""
        self._quiet = quiet
        self._several = several
        self._moving = console.is_terminal()
        self._lock = threading.Lock()
        self._shown: set[tuple[str, ...]] = set()
        self._began: dict[str, float] = {}
        self._progress: dict[str, tuple[float, float]] = {}
        self._drawn_at = 0.0

    def __enter__(self) -> Measuring:
        return self

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._erase()

    def update(self, event: DeviceEvent) -> None:
        """Show one event."""
        from edgekit.profiling.session import Failed
        from edgekit.runtime.profiler.events import Measured, Note, Progress

        if self._quiet:
            return
        device = event.device
        with self._lock:
            self._began.setdefault(device, time.monotonic())
            match event.what:
                case Note(text):
                    self._say(device, text)
                case Failed(error):
                    self._say(device, f"failed: {error.message}", alarm="failed")
                case Progress(done, total):
                    self._progress[device] = done, total
                case Measured(cell):
                    self._show(cell)
            self._draw()

    def _show(self, cell: Cell) -> None:
        """What is known of a row, once when there is something, and once more if it fails after that."""
        words = _words(cell)
        key = (cell.device, cell.bundle, cell.variant, cell.engine, cell.status)
        if words and key not in self._shown:
            self._shown.add(key)
            self._say(cell.device, f"{cell.variant} on {cell.engine}: {words}")

    def _say(self, device: str, text: str, alarm: str = "") -> None:
        self._erase()
        console.say(f"{device}: {text}" if self._several else text, alarm=alarm, err=True)

    def _draw(self) -> None:
        now = time.monotonic()
        if not self._moving or not self._progress or now - self._drawn_at < _SECONDS_BETWEEN_LINES:
            return
        self._drawn_at = now
        done, total = (sum(column) for column in zip(*self._progress.values(), strict=True))
        lefts = [
            (now - self._began[device]) * (total - done) / done
            for device, (done, total) in self._progress.items()
            if done > 0
        ]
        left = f", about {_duration(max(lefts))} left" if lefts else ""
        share = 100 * done / total if total else 0
        console.move(f"... {share:.0f} %{left}")

    def _erase(self) -> None:
        if self._moving:
            console.erase()
            self._drawn_at = 0.0


def _words(cell: Cell) -> str:
    import numpy as np

    from edgekit.runtime.profiler.records import MEASURED

    if cell.status != MEASURED:
        return f"{cell.status}: {cell.reason}"
    if cell.guest_instructions is not None:
        return f"{cell.guest_instructions:,} instructions"
    parts = [process.elapsed_ns.array() for process in cell.processes if process.elapsed_ns is not None]
    durations = np.concatenate(parts) if parts else np.empty(0)
    return f"about {np.median(durations) / 1e6:.3g} ms so far" if durations.size else ""


def _duration(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 90 else f"{seconds / 60:.0f} min"
