"""A model that a program has loaded already, measured where it is: in that program's process."""

from __future__ import annotations

import contextlib
import gc
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from time import thread_time_ns
from typing import Any

import numpy as np

import edgekit
from edgekit.digests import sha256
from edgekit.errors import UsageError
from edgekit.runtime import frames
from edgekit.runtime.engines import Session
from edgekit.runtime.engines import engine as find_engine
from edgekit.runtime.machine import read_machine
from edgekit.runtime.profiler import phases
from edgekit.runtime.profiler.board import Board
from edgekit.runtime.profiler.fairness import conditions
from edgekit.runtime.profiler.profile import BundleRecord, DeviceRecord, Profile
from edgekit.runtime.profiler.readiness import marks_of
from edgekit.runtime.profiler.records import MEASURED, BoardState, Cell, Process
from edgekit.runtime.profiler.samples import Samples, Spans
from edgekit.runtime.profiler.settings import Settings
from edgekit.runtime.timing import MIN_SAMPLES_FOR_P90
from edgekit.runtime.turn import Turn
from edgekit.tensors import Signature

_NOTE = "measured in the process of the program that had loaded the model: one process, and no comparison"
_NO_ENERGY = "a model that measures itself does not read the power meter; edgekit profile does"
_TURN_S = 0.1
_LEAST_WARM_UP_S, _MOST_WARM_UP_S = 0.2, 2.0
_DISCARD_NS = 1_000_000
_SPANS = 64


@dataclass(frozen=True)
class Loaded:
    """A model as its program has it.

    Attributes:
        call: Runs it once on *argument*.
        inputs: The same, as `Session.run` takes it.
        turn: Taken while it runs.
    """

    bundle: BundleRecord
    variant: str
    engine: str
    signature: Signature
    session: Session
    call: Callable[[Any], object]
    argument: Any
    inputs: list[np.ndarray]
    turn: Turn


def profile_loaded(model: Loaded, seconds: float) -> Profile:
    """A profile of one cell with one process; see `edgekit.runtime.model.Model.profile`."""
    if not 0 < seconds < math.inf:
        raise UsageError("EK-ARGUMENT", f"seconds is {seconds}, not a positive number")
    created = datetime.now(UTC).isoformat(timespec="seconds")
    board = Board()
    process = _measure(model, seconds, board)
    engine = find_engine(model.engine)
    version = engine.version()
    recipe = model.bundle.variant(model.variant).recipe
    cell = Cell(
        device="local",
        bundle=model.bundle.sha256,
        variant=model.variant,
        engine=model.engine,
        engine_version=version,
        status=MEASURED,
        conditions=conditions(model.signature, model.inputs, recipe, engine.accelerator, None, process.threads),
        processes=(process,),
        energy=board.energy_reason or _NO_ENERGY,
    )
    device = DeviceRecord("local", False, read_machine(), None, {model.engine: version or ""})
    return Profile(
        created=created,
        producer=f"edgekit {edgekit.__version__}",
        command=("model.profile", f"seconds={seconds:g}"),
        settings=Settings("quick", 0, 1, seconds, MIN_SAMPLES_FOR_P90, model.session.threads),
        bundles=(model.bundle,),
        devices=(device,),
        cells=(cell,),
        notes=(_NOTE,),
    )


def _measure(model: Loaded, seconds: float, board: Board) -> Process:
    """Other threads that call the model wait for a turn's end at most."""
    before = board.look()
    with _without_collector():
        outputs = model.turn.run(lambda: model.session.run(model.inputs))
        warm = model.turn.run(
            lambda: phases.warm_up(model.call, model.argument, least_s=_LEAST_WARM_UP_S, most_s=_MOST_WARM_UP_S)
        )
    calls = max(1, round(_TURN_S * 1e9 / max(1, warm.typical_ns)))
    # Other threads of the program may work meanwhile: only the time of the thread that calls is the model's.
    cpu_clock = phases.CpuClock.of(thread_time_ns) if model.session.threads == 1 else None
    rounds: list[list[int]] = []
    cpu_ns: list[int] = []
    looks: list[BoardState] = []
    taken, taken_ns = 0, 0
    while taken < MIN_SAMPLES_FOR_P90 or taken_ns < seconds * 1e9:
        with _without_collector():
            turn = model.turn.run(
                lambda: phases.take_turn(model.call, model.argument, calls, _DISCARD_NS, cpu_clock=cpu_clock)
            )
        rounds.append(turn.elapsed_ns)
        cpu_ns += turn.cpu_ns
        taken, taken_ns = taken + calls, taken_ns + sum(rounds[-1])
        looks.append(board.look())
    spans = None
    steps = model.session.steps
    if steps is not None:
        with _without_collector():
            columns = model.turn.run(lambda: phases.time_steps(steps, model.inputs, _SPANS))
        spans = Spans(*map(Samples.pack, columns))
    after = board.look()
    return Process(
        repeat=0,
        order=0,
        threads=model.session.threads,
        warm_up_calls=warm.calls,
        warm_up_s=warm.elapsed_s,
        settled=warm.settled,
        elapsed_ns=Samples.pack(np.concatenate(rounds)),
        round_sizes=tuple(map(len, rounds)),
        cpu_ns=Samples.pack(cpu_ns) if cpu_ns else None,
        spans=spans,
        outputs_sha256=sha256(frames.pack(outputs)),
        before=before,
        during=tuple(looks),
        after=after,
        marks=marks_of(before, looks, after),
    )


@contextlib.contextmanager
def _without_collector() -> Iterator[None]:
    """The garbage collector of Python is the program's: it is as it was afterwards."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()
