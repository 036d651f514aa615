"""The steady state of one process, as its turns come in."""

from __future__ import annotations

from typing import Any

import numpy as np

from edgekit.runtime.profiler.samples import Samples


class SteadyState:
    """Durations and processor times, round by round.

    Attributes:
        turns: In how many rounds the process has taken part.
        count, elapsed_ns: How many inferences were timed, and how long they took together.
    """

    def __init__(self) -> None:
        self.turns, self.count, self.elapsed_ns = 0, 0, 0
        self._rounds: list[np.ndarray] = []
        self._cpu_ns: list[np.ndarray] = []
        self._waits: list[int | None] = []

    def add(self, number: int, elapsed_ns: np.ndarray, cpu_ns: np.ndarray, waits: int | None) -> None:
        """Take in the turn of round *number*: int64 durations, processor times (none where the system does not tell),
        and how often the process waited."""
        self._rounds += [np.empty(0, np.int64)] * (number - len(self._rounds))
        self._rounds.append(elapsed_ns)
        self._cpu_ns.append(cpu_ns)
        self._waits.append(waits)
        self.turns += 1
        self.count += elapsed_ns.size
        self.elapsed_ns += int(elapsed_ns.sum())

    def facts(self) -> dict[str, Any]:
        """What `edgekit.runtime.profiler.records.Process` says of it."""
        cpu_ns = np.concatenate(self._cpu_ns)
        known = [waits for waits in self._waits if waits is not None]
        return {
            "elapsed_ns": Samples.pack(np.concatenate(self._rounds)),
            "round_sizes": tuple(part.size for part in self._rounds),
            "cpu_ns": Samples.pack(cpu_ns) if cpu_ns.size == self.count else None,
            "waits": sum(known) if len(known) == len(self._waits) else None,
        }
