"""Machines that others use, too: what their schedulers make of inferences that take turns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from edgekit.runtime.profiler.records import Process
from edgekit.runtime.profiler.samples import Samples

_SLICE_MS = 3.0


@dataclass(frozen=True)
class Machine:
    """What disturbs inferences on one core of a machine. Spreads are standard deviations of a logarithm.

    The figures of the defaults are those of MobileNetV2 on LiteRT on two virtual cores (AMD EPYC 9004).

    Attributes:
        rivals: Busy loops that share the core, in slices of 3 ms.
        there: Share of the rounds in which they are there.
        bursts_per_s, burst_ms: Short work of others that goes before all else, and how long it takes.
        refill_ms: What the caches cost after somebody else ran.
        layout: Spread of what a process has for its whole life, by where its memory lies. One in ten is three times
            as far off.
        common: Spread of what all processes have in common in a round.
        turn: Spread of what one turn has alone.
        sample: Spread of single inferences.
    """

    rivals: int = 0
    there: float = 1.0
    bursts_per_s: float = 0.0
    burst_ms: float = 8.0
    refill_ms: float = 0.05
    layout: float = 0.005
    common: float = 0.005
    turn: float = 0.003
    sample: float = 0.008

    def measure(
        self, work_ms: Sequence[float], *, repeats: int, rounds: int, per_round: int, seed: int
    ) -> list[tuple[Process, ...]]:
        """The processes of cells whose inferences take *work_ms* of processor time, measured side by side."""
        rng = np.random.default_rng(seed)
        cells: list[list[Process]] = [[] for _ in work_ms]
        for repeat in range(repeats):
            factors = rng.normal(0, self.layout, len(work_ms)) * np.where(rng.random(len(work_ms)) < 0.1, 3, 1)
            common = rng.normal(0, self.common, rounds)
            there = rng.random(rounds) < self.there
            for cell, work in enumerate(work_ms):
                logarithms = factors[cell] + common + rng.normal(0, self.turn, rounds)
                turns = [
                    self._turn(work * np.exp(logarithm), self.rivals if present else 0, per_round, rng)
                    for logarithm, present in zip(logarithms, there, strict=True)
                ]
                wall, cpu = (np.concatenate(parts) for parts in zip(*turns, strict=True))
                cells[cell].append(self._process(repeat, wall, cpu, rounds, per_round))
        return [tuple(processes) for processes in cells]

    def _turn(self, work_ms: float, rivals: int, calls: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """Durations and processor times of one turn, in ms."""
        cpu = work_ms * np.exp(rng.normal(0, self.sample, calls))
        left_ms = rng.uniform(0, _SLICE_MS)
        wall = np.empty(calls)
        for call in range(calls):
            waited_ms = 0.0
            if rivals:
                slices = int((cpu[call] - left_ms) // _SLICE_MS) + 1 if cpu[call] > left_ms else 0
                left_ms = left_ms + slices * _SLICE_MS - cpu[call]
                cpu[call] += slices * self.refill_ms
                waited_ms += float(rng.normal(rivals * _SLICE_MS, 0.5, slices).sum())
            bursts = rng.poisson(self.bursts_per_s * cpu[call] / 1e3)
            cpu[call] += bursts * self.refill_ms
            wall[call] = cpu[call] + waited_ms + float(rng.exponential(self.burst_ms, bursts).sum())
        return wall, cpu

    def _process(self, repeat: int, wall: np.ndarray, cpu: np.ndarray, rounds: int, per_round: int) -> Process:
        busy = self.rivals * self.there or self.bursts_per_s * self.burst_ms / 1e3
        return Process(
            repeat,
            0,
            threads=1,
            elapsed_ns=Samples.pack(np.round(1e6 * wall).astype(np.int64)),
            round_sizes=(per_round,) * rounds,
            cpu_ns=Samples.pack(np.round(1e6 * cpu).astype(np.int64)),
            waits=0,
            marks=("degraded: other programs took 0.50 of each core (the limit is 0.25)",) if busy > 0.25 else (),
        )


QUIET = Machine()
HALF_BUSY = Machine(rivals=1, there=0.5, layout=0.01, common=0.02, turn=0.01)
TWO_LOOPS = Machine(rivals=1, layout=0.01, common=0.02, turn=0.01)
BURSTS = Machine(bursts_per_s=40, layout=0.01, common=0.02, turn=0.01, sample=0.015)
CROWDED = Machine(rivals=4, layout=0.013, common=0.03, turn=0.015, sample=0.02)
