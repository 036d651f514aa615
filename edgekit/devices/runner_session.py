"""Measuring where there is no Python: ``.pte`` files by repeats of the runner, one process for each."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from edgekit.bundle import Variant
from edgekit.devices.runner import WithRunner
from edgekit.errors import DeviceError
from edgekit.runtime import native
from edgekit.runtime.machine import Machine
from edgekit.runtime.profiler.fairness import conditions, first_inputs
from edgekit.runtime.profiler.records import (
    FAILED,
    MEASURED,
    NOT_RUN,
    BundleRecord,
    Cell,
    DeviceRecord,
    Process,
    Request,
    Samples,
)
from edgekit.runtime.profiler.session import Hear, to_json

#: The first fifth of a process's inferences is its warm-up: nothing there could see durations settle.
_WARM_UP_SHARE = 0.2
#: Inferences of the process that shows how many the others need, and the most that any gets.
_TRIAL_CALLS, _MAX_CALLS = 20, 100_000
_UNWATCHED = "degraded: without Python there, nothing watches the board's temperature and clock"


@dataclass(frozen=True)
class _Place:
    """One variant that the runner can run, with its first check input."""

    runner: WithRunner
    bundle: str
    variant: Variant
    inputs: tuple[np.ndarray, ...]


def run_session(
    device: str, machine: Machine, runners: Sequence[WithRunner], request: Request, *, hear: Hear
) -> tuple[DeviceRecord, tuple[Cell, ...]]:
    """Measure the bundles of *runners*, all of which are on one device.

    Each round is one process, and their order is drawn anew for each. What a process does first is its first
    inference; the first fifth is its warm-up. Other phases, memory and operators are not to be had this way.

    Raises:
        DeviceError: ``EK-CONNECT``: the connection broke; ``EK-DEVICE``: cores were asked for.
    """
    settings = request.settings
    if settings.cpus is not None:
        raise DeviceError("EK-DEVICE", f"{device}: without Python there, cores cannot be chosen", "leave out --cpus")
    hear({"event": "note", "text": f"{device} has no Python that edgekit runs on: its runner measures .pte files"})
    cells: dict[tuple[str, str, str], Cell] = {}
    calls: dict[str, int] = {}
    places = []
    for runner in runners:
        for place, cell in _look(device, runner, request):
            cells[cell.bundle, cell.variant, cell.engine] = cell
            if place is not None:
                places.append(place)
    draw = random.Random(settings.seed)
    for repeat in range(settings.repeats):
        for order, place in enumerate(draw.sample(places, len(places))):
            share = (repeat * len(places) + order) / (settings.repeats * len(places))
            hear({"event": "progress", "done": share * settings.seconds, "total": settings.seconds})
            key = place.bundle, place.variant.name, WithRunner.ENGINE
            cell = cells[key]
            if cell.status == FAILED:
                continue
            cells[key] = _with_process(cell, _process(place, request, repeat, order, calls))
            hear({"event": "cell", "cell": to_json(cells[key])})
    engines = {WithRunner.ENGINE: native.EXECUTORCH}
    return DeviceRecord(device, False, machine, None, engines), tuple(cells.values())


def _look(device: str, runner: WithRunner, request: Request) -> list[tuple[_Place | None, Cell]]:
    """Every variant of *runner*'s bundle that *request* keeps to, as a cell that nothing was measured of yet."""
    manifest = runner.bundle.manifest
    sha256 = BundleRecord.of(runner.bundle).sha256
    inputs = tuple(first_inputs(runner.bundle))
    found: list[tuple[_Place | None, Cell]] = []
    for variant in manifest.variants:
        for engine in variant.engines:
            if (request.variants and variant.name not in request.variants) or (
                request.engines and engine not in request.engines
            ):
                continue
            reason = runner.why_not(variant)
            cell = Cell(device, sha256, variant.name, engine, None, NOT_RUN, reason)
            if reason:
                found.append((None, cell))
                continue
            expected = conditions(manifest.signature, inputs, variant.recipe, "cpu", None)
            energy = "not available without Python there"
            cell = replace(cell, engine_version=native.EXECUTORCH, conditions=expected, energy=energy)
            found.append((_Place(runner, sha256, variant, inputs), cell))
    return found


def _process(place: _Place, request: Request, repeat: int, order: int, calls: dict[str, int]) -> Process:
    settings = request.settings
    key = f"{place.bundle} {place.variant.name}"
    try:
        if key not in calls:
            trial = place.runner.measure(place.variant, place.inputs, settings.threads, _TRIAL_CALLS)
            seconds = float(np.median(trial.elapsed_ns)) / 1e9
            wanted = max(settings.samples, settings.seconds / max(seconds, 1e-9)) / settings.repeats
            calls[key] = min(_MAX_CALLS, round(wanted / (1 - _WARM_UP_SHARE)) + 1)
        run = place.runner.measure(place.variant, place.inputs, settings.threads, calls[key])
    except DeviceError as error:
        if error.code == "EK-CONNECT":
            raise
        return Process(repeat, order, failure=error.message)
    warm_up = max(1, round(len(run.elapsed_ns) * _WARM_UP_SHARE))
    outputs = b"".join(array.tobytes() for array in run.outputs.values())
    return Process(
        repeat,
        order,
        threads=run.threads,
        first_ms=run.elapsed_ns[0] / 1e6,
        warm_up_calls=warm_up,
        warm_up_s=sum(run.elapsed_ns[:warm_up]) / 1e9,
        elapsed_ns=Samples.pack(run.elapsed_ns[warm_up:]),
        round_sizes=(len(run.elapsed_ns) - warm_up,),
        outputs_sha256=hashlib.sha256(outputs).hexdigest(),
        marks=(_UNWATCHED,),
    )


def _with_process(cell: Cell, process: Process) -> Cell:
    processes = (*cell.processes, process)
    if process.failure:
        return replace(cell, status=FAILED, reason=process.failure, processes=processes)
    assert cell.conditions is not None
    met = replace(cell.conditions, threads=process.threads)
    return replace(cell, status=MEASURED, reason="", processes=processes, conditions=met)
