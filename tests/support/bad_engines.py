"""Engines that do real damage, and two that are slower than LiteRT by a known share, for real processes to meet.

They are registered as another package's would be: `install` lays a copy of this file and an entry point into a folder
that is to be on ``PYTHONPATH``. All of them load ``.tflite`` files, on LiteRT.
"""

from __future__ import annotations

import ctypes
import gc
import os
import shutil
import signal
import statistics
from collections.abc import Callable, Sequence
from pathlib import Path
from time import perf_counter_ns, thread_time_ns
from typing import Any

import numpy as np

from edgekit.runtime.engines import litert
from edgekit.runtime.engines.base import Platform, Session, Steps
from edgekit.tensors import Signature

#: How much slower ``slower`` is, and how much more ``busier`` works.
PERCENT = "EDGEKIT_TEST_SLOWER_PERCENT"
#: Where ``hangs`` says, by its process's number, that it does so now.
HANGING = "EDGEKIT_TEST_HANGING"
_MODULE = "edgekit_bad_engines"


def install(folder: Path) -> None:
    """Make the engines of this module known to every process that has *folder* on its path."""
    shutil.copy(__file__, folder / f"{_MODULE}.py")
    facts = folder / f"{_MODULE}-1.0.dist-info"
    facts.mkdir()
    (facts / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {_MODULE}\nVersion: 1.0\n", encoding="utf-8")
    points = "\n".join(f"{name} = {_MODULE}:{name.upper()}" for name in ENGINES)
    (facts / "entry_points.txt").write_text(f"[edgekit.engines]\n{points}\n", encoding="utf-8")


class Wrapped:
    """A LiteRT session with something around each run."""

    def __init__(self, session: Session, run: Callable[[Callable[[Any], Any], Any], Any]):
        self._session = session
        self.threads = session.threads
        self.steps: Steps | None = session.steps
        inner = session.run_one
        self.run_one: Callable[[np.ndarray], np.ndarray] | None = None
        if inner is not None:
            self.run_one = lambda array: run(inner, array)
        self._run = run

    def run(self, inputs: Sequence[np.ndarray]) -> list[np.ndarray]:
        outputs: list[np.ndarray] = self._run(self._session.run, inputs)
        return outputs

    def close(self) -> None:
        self._session.close()


class Engine:
    """LiteRT under the name *name*, with *run* around each inference, when there is one, and *load* before loading."""

    formats: tuple[str, ...] = ("tflite",)
    platforms: tuple[Platform, ...] = ()
    accelerator = "cpu"
    install_hint = "it is a test's"

    def __init__(
        self,
        name: str,
        run: Callable[[Callable[[Any], Any], Any], Any] | None = None,
        load: Callable[[], object] | None = None,
    ):
        self.name = name
        self._run = run
        self._load = load

    def version(self) -> str | None:
        return "1.0"

    def import_library(self) -> None:
        litert.ENGINE.import_library()

    def open(self, data: bytes, signature: Signature, threads: int, method: str | None = None) -> Session:
        if self._load is not None:
            self._load()
        session = litert.ENGINE.open(data, signature, threads, method)
        return session if self._run is None else Wrapped(session, self._run)


def _segfault(run: Callable[[Any], Any], inputs: Any) -> Any:
    print("about to read what is not there", flush=True)
    return ctypes.string_at(8)


_pauses: list[str] = []


def _segfault_late(run: Callable[[Any], Any], inputs: Any) -> Any:
    """In the steady state: a process collects garbage before its warm-up and before each turn."""
    if _count_pause not in gc.callbacks:
        gc.callbacks.append(_count_pause)
    if len(_pauses) > 2:
        os.kill(os.getpid(), signal.SIGSEGV)
    return run(inputs)


def _count_pause(phase: str, facts: dict[str, int]) -> None:
    if phase == "start" and facts["generation"] == 2:
        _pauses.append(phase)


def _hang(run: Callable[[Any], Any], inputs: Any) -> Any:
    """In native code, which no signal handler of Python's interrupts."""
    if HANGING in os.environ:
        Path(os.environ[HANGING]).write_text(str(os.getpid()), encoding="ascii")
    ctypes.PyDLL(None).sleep(1 << 30)


def _eat() -> None:
    eaten = []
    while True:
        eaten.append(np.ones(2 << 20))  # 16 MiB


def _refuse() -> None:
    raise ValueError("this file is not to my taste\nand I say so in two lines")


def _tell_cores() -> None:
    raise RuntimeError(f"bound to {sorted(os.sched_getaffinity(0))}")


def _linger(run: Callable[[Any], Any], inputs: Any) -> Any:
    """The inference, and as much longer as `PERCENT` says; what lingering itself costs is in that."""
    began = perf_counter_ns()
    outputs = run(inputs)
    until = began + int((perf_counter_ns() - began) * _factor) - _overhead_ns
    while perf_counter_ns() < until:
        pass
    return outputs


def _nothing(inputs: Any) -> Any:
    return inputs


def _typical_ns(call: Callable[[Any], Any]) -> float:
    durations = []
    for _ in range(2000):
        before = perf_counter_ns()
        call(None)
        durations.append(perf_counter_ns() - before)
    return statistics.median(durations)


def _work(run: Callable[[Any], Any], inputs: Any) -> Any:
    """The inference, and as much more work as `PERCENT` says, in processor time: on a busy machine, lingering on the
    wall's clock is more work or less. It takes an inference that is long beside the microseconds that this costs."""
    began = thread_time_ns()
    outputs = run(inputs)
    until = began + int((thread_time_ns() - began) * _factor)
    while thread_time_ns() < until:
        pass
    return outputs


_factor, _overhead_ns = 1 + float(os.environ.get(PERCENT, "5")) / 100, 0
_overhead_ns = int(_typical_ns(lambda inputs: _linger(_nothing, inputs)) - _typical_ns(_nothing))

SEGFAULTS = Engine("segfaults", _segfault)
SEGFAULTS_LATE = Engine("segfaults_late", _segfault_late)
HANGS = Engine("hangs", _hang)
EATS = Engine("eats", load=_eat)
REFUSES = Engine("refuses", load=_refuse)
TELLS_CORES = Engine("tells_cores", load=_tell_cores)
TWIN = Engine("twin")
SLOWER = Engine("slower", _linger)
BUSIER = Engine("busier", _work)

#: By name; the variable of each is its name in capitals.
ENGINES = {
    engine.name: engine
    for engine in (SEGFAULTS, SEGFAULTS_LATE, HANGS, EATS, REFUSES, TELLS_CORES, TWIN, SLOWER, BUSIER)
}
