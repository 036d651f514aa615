"""The process that is measured: takes one model through the phases, at the session's word, over its own pipes.

Run as ``python -m edgekit.runtime.profiler.child``. What an engine prints goes to standard error, which is the log.
There is no thread here but the engine's own, and between requests the process waits in a read of its pipe.
"""

from __future__ import annotations

import faulthandler
import gc
import os
from collections.abc import Callable
from pathlib import Path
from time import perf_counter_ns, process_time_ns
from typing import Any

import numpy as np

from edgekit.digests import sha256
from edgekit.errors import EdgekitError
from edgekit.runtime import frames, memory, prepare
from edgekit.runtime.confinement import confine
from edgekit.runtime.engines import Engine, Session
from edgekit.runtime.engines import engine as find_engine
from edgekit.runtime.preprocess import Preprocessing
from edgekit.runtime.profiler import file_cache, phases, placement
from edgekit.runtime.profiler.records import Memory
from edgekit.tensors import Signature, TensorSpec


def main() -> None:
    confine()
    faulthandler.enable()  # the log then shows where native code crashed
    frames.serve(
        _Measured().perform,
        lambda error: EdgekitError("EK-RUN", f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"),
    )


class _Measured:
    """One model on one engine, further along with every request."""

    _engine: Engine
    _signature: Signature
    _session: Session
    _call: Callable[[Any], object]
    _argument: Any

    def perform(self, header: dict[str, Any], _: bytes) -> tuple[dict[str, Any], bytes]:
        do = header.pop("do")
        answer: tuple[dict[str, Any], bytes] = getattr(self, f"do_{do}")(**header)
        return answer

    def do_start(
        self, engine: str, signature: dict[str, Any], inputs: str, cpus: list[int] | None
    ) -> tuple[dict[str, Any], bytes]:
        """Everything of edgekit's own, before the clock starts."""
        if cpus is not None:
            os.sched_setaffinity(0, cpus)  # threads that start later inherit it
        self._name = engine
        self._engine = find_engine(engine)
        self._signature = Signature.from_json(signature)
        self._inputs = frames.unpack(Path(inputs).read_bytes(), self._signature.inputs)
        # Of all threads: some engines compute in others than the one that calls them.
        self._cpu_clock = phases.CpuClock.of(process_time_ns)
        self._before_bytes = memory.resident_bytes() or 0
        return {}, b""

    def do_import(self) -> tuple[dict[str, Any], bytes]:
        before = perf_counter_ns()
        self._engine.import_library()
        return {"import_ms": (perf_counter_ns() - before) / 1e6}, b""

    def do_load(self, file: str, threads: int, cache: Any) -> tuple[dict[str, Any], bytes]:
        path = Path(file)
        found = file_cache.prepare(path, cache)
        before = perf_counter_ns()
        self._session = self._engine.open(path.read_bytes(), self._signature, threads)
        load_ms = (perf_counter_ns() - before) / 1e6
        if self._session.run_one is not None:
            self._call, self._argument = self._session.run_one, self._inputs[0]
        else:
            self._call, self._argument = self._session.run, self._inputs
        return {"load_ms": load_ms, "load_cache": found, "threads": self._session.threads}, b""

    def do_first(self) -> tuple[dict[str, Any], bytes]:
        before = perf_counter_ns()
        outputs = self._session.run(self._inputs)
        first_ms = (perf_counter_ns() - before) / 1e6
        return {"first_ms": first_ms, "outputs_sha256": sha256(frames.pack(outputs))}, b""

    def do_warm_up(self, shortest_s: float, longest_s: float) -> tuple[dict[str, Any], bytes]:
        gc.collect()
        gc.disable()
        result = phases.warm_up(self._call, self._argument, least_s=shortest_s, most_s=longest_s)
        gc.freeze()  # what is there now is not looked at again before each turn
        facts = {
            "warm_up_calls": result.calls,
            "warm_up_s": result.elapsed_s,
            "settled": result.settled,
            "typical_ns": result.typical_ns,
        }
        phases.rest()
        return facts, _bytes(result.last_ns)

    def do_turn(self, calls: int, discard_ns: int, core: int | None = None) -> tuple[dict[str, Any], bytes]:
        """Durations, and after them the processor times, when there are any.

        Args:
            core: Where the turn begins; None for wherever the system has it.
        """
        with placement.begun_on(core) as release:
            turn = phases.take_turn(
                self._call, self._argument, calls, discard_ns, cpu_clock=self._cpu_clock, begin=release
            )
        ended_on = placement.current_core()
        phases.rest()
        return {"waits": turn.waits, "core": ended_on}, _bytes(turn.elapsed_ns + turn.cpu_ns)

    def do_spans(self, calls: int) -> tuple[dict[str, Any], bytes]:
        steps = self._session.steps
        if steps is None:
            return {"spans": False}, b""
        spans = phases.time_steps(steps, self._inputs, calls)
        phases.rest()
        return {"spans": True}, spans.astype("<i8").tobytes()

    def do_preprocess(self, preprocessing: dict[str, Any], seconds: float) -> tuple[dict[str, Any], bytes]:
        steps = Preprocessing.from_json(preprocessing)
        samples = {spec.name: raw_sample(spec, steps) for spec in self._signature.inputs}
        if any(sample is None for sample in samples.values()):
            return {}, b""
        signature = self._signature

        def apply(raw: Any) -> object:
            return prepare.prepare(raw, signature, steps)

        begun = perf_counter_ns()
        try:
            apply(samples)
        except EdgekitError:  # the preprocessing is not that of all inputs
            return {}, b""
        calls = max(3, min(256, int(seconds * 1e9 / (perf_counter_ns() - begun + 1))))
        return {}, _bytes(phases.take_turn(apply, samples, calls, 0).elapsed_ns)

    def do_memory(self, calls: int) -> tuple[dict[str, Any], bytes]:
        for _ in range(calls):
            self._call(self._argument)
        taken = memory.own_bytes()
        if "VmHWM" not in taken:
            return {"memory": None}, b""
        peak, own, files = taken["VmHWM"], taken.get("RssAnon"), taken.get("RssFile")
        return {"memory": vars(Memory(peak, own, files, self._before_bytes))}, b""

    def do_trace(self, file: str, threads: int, runs: int) -> tuple[dict[str, Any], bytes]:
        from edgekit.runtime.profiler.tracing import trace

        found = trace(self._name, Path(file).read_bytes(), self._signature, threads, self._inputs, runs=runs)
        return {"kind": found.kind}, found.data.encode("ascii")


def raw_sample(spec: TensorSpec, preprocessing: Preprocessing) -> np.ndarray | None:
    """A sample of random values from which *preprocessing* makes *spec*, or None when its size is not known.

    Images are uint8, everything else float32. Where the bundle resizes, the time depends on the picture, of which a
    bundle knows nothing.
    """
    if preprocessing.resize is not None:
        return None
    shape = spec.shape[1:]
    if preprocessing.layout == "channels-first" and len(shape) > 1:
        shape = (*shape[1:], shape[0])
    random = np.random.default_rng(0)
    if len(shape) == 3 and preprocessing.layout is not None:
        return random.integers(0, 256, shape, np.uint8)
    return random.random(shape, np.float32)


def _bytes(durations_ns: list[int]) -> bytes:
    return np.asarray(durations_ns, "<i8").tobytes()


if __name__ == "__main__":
    main()
