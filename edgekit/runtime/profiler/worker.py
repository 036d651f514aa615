"""The session's half of a process that is measured: asks it for one phase after another, and ends it when it has to."""

from __future__ import annotations

import os
import select
import tempfile
import time
from collections.abc import Callable
from typing import IO, Any, Literal

import numpy as np

from edgekit import display
from edgekit.errors import EdgekitError
from edgekit.runtime import environments, frames, memory
from edgekit.runtime.children import Child, Death
from edgekit.runtime.engines.base import TraceKind
from edgekit.runtime.profiler.records import Memory
from edgekit.schema import conform

#: How often a process that is at work is looked at.
_LOOK_S = 0.05
#: What is kept of a log.
_LOG_LINES, _LOG_CHARACTERS = 20, 4000

_MODULE = "edgekit.runtime.profiler.child"

#: What stands in the answer to each request. A process whose native code was led astray may answer anything.
_ANSWERS: dict[str, dict[str, Any]] = {
    "start": {},
    "import": {"import_ms": float},
    "load": {"load_ms": float, "load_cache": Literal["cold", "warm"] | None, "threads": int},
    "first": {"first_ms": float, "outputs_sha256": str},
    "warm_up": {"warm_up_calls": int, "warm_up_s": float, "settled": bool, "typical_ns": int},
    "turn": {"waits": int | None, "core": int | None},
    "spans": {"spans": bool},
    "preprocess": {},
    "memory": {"memory": Memory | None},
    "trace": {"kind": TraceKind},
}
#: The bytes that come with it are so many at a time: durations, or a text.
_UNITS = {"warm_up": 8, "turn": 8, "spans": 24, "preprocess": 8, "trace": 1}
#: Of those: eight million durations, or a trace.
_MOST_BYTES = 64 << 20


class ProcessFailure(Exception):
    """A process that could not go on; it has ended.

    Attributes:
        reason: In one line.
        signal: Name of the signal that ended it, if one did.
        log: The last lines it wrote.
    """

    def __init__(self, reason: str, signal: str | None, log: str):
        super().__init__(reason)
        self.reason = reason
        self.signal = signal
        self.log = log


class MemoryLimit:
    """What one process may take, and what of the machine's memory has to stay free.

    Args:
        process_bytes: None for all but the reserve.
    """

    _MOST_RESERVED_BYTES = 512 << 20

    def __init__(self, process_bytes: int | None):
        free, total = memory.available_bytes(), memory.total_bytes()
        self.reserve_bytes = 0
        if free is not None and total is not None:
            self.reserve_bytes = min(self._MOST_RESERVED_BYTES, total // 8, free // 2)
        self.process_bytes = process_bytes

    def room_bytes(self) -> int | None:
        """What processes may still take together; None where the system does not say what is free."""
        free = memory.available_bytes()
        return None if free is None else free - self.reserve_bytes

    def excess(self, pid: int) -> str | None:
        """What speaks against letting the process go on, or None."""
        taken = memory.resident_bytes(pid) or 0
        if self.process_bytes is not None and taken > self.process_bytes:
            return f"took more than {self.process_bytes >> 20} MiB of memory"
        room = self.room_bytes()
        if room is not None and room < 0:
            return f"took {taken >> 20} MiB of memory, and the machine ran out of it"
        return None


class Worker:
    """A fresh process for one model on one engine. Close it."""

    def __init__(self, engine: str, limit: MemoryLimit, patience_s: float):
        """
        Args:
            patience_s: How long all its phases may take together, beside the time they are meant to take.
        """
        self._engine = engine
        self._limit = limit
        self._patience_s = patience_s
        self._log = tempfile.TemporaryFile(prefix="edgekit-profile-")  # noqa: SIM115
        try:
            self._child = Child(environments.command(engine, _MODULE), self._log)
        except Death as death:
            raise ProcessFailure(f"{engine}'s process {death.what}", None, "") from death

    @property
    def resident_bytes(self) -> int:
        return memory.resident_bytes(self._child.process.pid) or 0

    def ask(
        self,
        do: str,
        doing: str,
        *,
        expected_s: float = 0.0,
        most_s: float | None = None,
        meanwhile: Callable[[], object] | None = None,
        **arguments: Any,
    ) -> tuple[dict[str, Any], bytes]:
        """One phase: the answer to the request *do* (see `edgekit.runtime.profiler.child`).

        Args:
            doing: What the process does then, for the reason: ``loading the model``.
            expected_s: How long that is meant to take.
            most_s: How long it may take at most, when that is less than what is left of its patience.
            meanwhile: Called several times a second until the answer is there.

        Raises:
            ProcessFailure: The engine refused, or the process died, hung or took too much memory.
        """
        began = time.monotonic()
        allowed_s = expected_s + self._patience_s

        def take(answers: IO[bytes]) -> tuple[dict[str, Any], bytes]:
            answer, body = frames.receive(answers, _MOST_BYTES if _UNITS.get(do) else 0)
            if "error" not in answer:
                _check(do, answer, body, arguments.get("calls"))
            return answer, body

        try:
            return self._child.ask(
                {"do": do, **arguments},
                take=take,
                wait=lambda: self._wait(doing, min(allowed_s, most_s or allowed_s), meanwhile),
            )
        except Death as death:
            raise self._end(f"{self._engine}'s process {death.what} while {doing}", death.signal) from death
        except EdgekitError as error:
            raise self._end(f"{error.code}: {error.message}", None) from error
        finally:
            self._patience_s -= max(0.0, time.monotonic() - began - expected_s)

    def close(self) -> None:
        """End the process, whatever it does. Twice is harmless."""
        self._child.kill()
        self._log.close()

    def _wait(self, doing: str, most_s: float, meanwhile: Callable[[], object] | None) -> None:
        """Return when there is something to read: an answer, or the end."""
        process = self._child.process
        assert process.stdout is not None
        deadline = time.monotonic() + most_s
        while not select.select([process.stdout], [], [], _LOOK_S)[0]:
            excess = self._limit.excess(process.pid)
            if excess is not None:
                raise self._kill(f"{self._engine} {excess} while {doing}")
            if meanwhile is not None:
                meanwhile()
            if time.monotonic() > deadline:
                raise self._kill(f"{self._engine} hung while {doing}: no answer for {most_s:.0f} s")

    def _kill(self, reason: str) -> ProcessFailure:
        self._child.kill()
        return self._end(reason, "SIGKILL")

    def _end(self, reason: str, name: str | None) -> ProcessFailure:
        log = self._tail()
        self.close()
        return ProcessFailure(reason, name, log)

    def _tail(self) -> str:
        size = os.fstat(self._log.fileno()).st_size
        text = os.pread(self._log.fileno(), _LOG_CHARACTERS, max(0, size - _LOG_CHARACTERS))
        return display.lines(text.decode("utf-8", "replace").splitlines()[-_LOG_LINES:])


def _check(do: str, answer: dict[str, Any], body: bytes, calls: int | None) -> None:
    """ValueError unless it is what is answered to *do*."""
    if do == "turn" and calls is not None and len(body) not in (8 * calls, 16 * calls):  # with processor times
        raise ValueError(f"durations of {len(body)} bytes for {calls} calls")
    kinds = _ANSWERS[do]
    if answer.keys() != kinds.keys():
        raise ValueError(f"an answer with {sorted(answer)}")
    for name, kind in kinds.items():
        conform(kind, answer[name], name)
    unit = _UNITS.get(do, 1)
    if len(body) % unit or (unit > 1 and body and np.frombuffer(body, "<i8").min() < 0):
        raise ValueError("no durations")
