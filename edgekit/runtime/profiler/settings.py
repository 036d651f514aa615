"""How it is measured, and what a device is asked for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Mode = Literal["quick", "default", "strict"]


@dataclass(frozen=True)
class Settings:
    """How it was measured.

    Attributes:
        mode: ``quick``, ``default`` or ``strict``.
        seed: Of the orders.
        repeats: Processes for each cell.
        seconds, samples: The least of each in the steady state of a cell, over its processes.
        threads: What was asked for; None for the device's own default.
        cpus: Cores that were asked for.
        operators: Whether operators were traced.
        busy_repeats: Processes for each cell when other programs keep the machine busy and there are several cells;
            None for as many as otherwise. Devices without Python, whose processes do not take turns, have no more.
    """

    mode: Mode
    seed: int
    repeats: int
    seconds: float
    samples: int
    threads: int | None = None
    cpus: tuple[int, ...] | None = None
    operators: bool = False
    busy_repeats: int | None = None


@dataclass(frozen=True)
class Request:
    """What a device is asked to measure.

    Attributes:
        variants, engines: Names to keep to; empty for all that the bundle names.
        start_below_load_per_core, start_below_celsius: The machine is ready when it is below both.
        wait_s: How long the whole session may wait for that; then what it measures is marked ``degraded``.
        cell_timeout_s: How long one process of one cell may take before it is ended as hanging, beside the time that
            it is asked to measure for.
        memory_bytes: What one process may take before it is ended; None for all but a reserve of what is free.
    """

    settings: Settings
    variants: tuple[str, ...] = ()
    engines: tuple[str, ...] = ()
    start_below_load_per_core: float = 0.25
    start_below_celsius: float | None = None
    wait_s: float = 60.0
    cell_timeout_s: float = 300.0
    memory_bytes: int | None = None
