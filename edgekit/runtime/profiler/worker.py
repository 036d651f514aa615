"""The session's half of a process that is measured: asks it for one phase after another, and ends it when it has to."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable
from typing import Any

from edgekit.runtime import environments, frames
from edgekit.runtime.profiler import memory

#: How often a process that is at work is looked at.
_LOOK_S = 0.05
#: What is kept of a log.
_LOG_LINES, _LOG_CHARACTERS = 20, 4000

_MODULE = "edgekit.runtime.profiler.child"


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
        elsewhere = environments.is_needed(engine)
        command = environments.command(engine, _MODULE) if elsewhere else environments.command_here(_MODULE)
        self._engine = engine
        self._limit = limit
        self._patience_s = patience_s
        self._log = tempfile.TemporaryFile(prefix="edgekit-profile-")  # noqa: SIM115
        # A group of its own, so that processes which the engine starts go with it.
        try:
            self._process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._log, process_group=0
            )
        except OSError as error:  # no memory, or too many processes
            raise ProcessFailure(f"{engine}'s process could not be started ({error.strerror})", None, "") from error

    @property
    def resident_bytes(self) -> int:
        return memory.resident_bytes(self._process.pid) or 0

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
        assert self._process.stdin is not None and self._process.stdout is not None
        began = time.monotonic()
        allowed_s = expected_s + self._patience_s
        try:
            frames.send(self._process.stdin, {"do": do, **arguments})
            self._wait(doing, min(allowed_s, most_s or allowed_s), meanwhile)
            answer, body = frames.receive(self._process.stdout)
        except (BrokenPipeError, EOFError) as error:
            raise self._death(doing) from error
        self._patience_s -= max(0.0, time.monotonic() - began - expected_s)
        if "error" in answer:
            raise self._end(answer["error"], None)
        return answer, body

    def close(self) -> None:
        """End the process, whatever it does. Twice is harmless."""
        if self._process.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
        for pipe in (self._process.stdin, self._process.stdout):
            with contextlib.suppress(BrokenPipeError):
                if pipe is not None:
                    pipe.close()
        self._process.wait()
        self._log.close()

    def _wait(self, doing: str, most_s: float, meanwhile: Callable[[], object] | None) -> None:
        """Return when there is something to read: an answer, or the end."""
        assert self._process.stdout is not None
        deadline = time.monotonic() + most_s
        while not select.select([self._process.stdout], [], [], _LOOK_S)[0]:
            excess = self._limit.excess(self._process.pid)
            if excess is not None:
                raise self._kill(f"{self._engine} {excess} while {doing}")
            if meanwhile is not None:
                meanwhile()
            if time.monotonic() > deadline:
                raise self._kill(f"{self._engine} hung while {doing}: no answer for {most_s:.0f} s")

    def _kill(self, reason: str) -> ProcessFailure:
        os.killpg(self._process.pid, signal.SIGKILL)
        return self._end(reason, "SIGKILL")

    def _death(self, doing: str) -> ProcessFailure:
        """The failure of a process that ended by itself."""
        try:
            status = self._process.wait(timeout=5)
        except subprocess.TimeoutExpired:  # it closed its pipes and goes on
            return self._kill(f"{self._engine} closed its pipes while {doing}")
        if status >= 0:
            return self._end(f"{self._engine}'s process ended (exit code {status}) while {doing}", None)
        name = signal_name(-status)
        cause = f"{name}, out of memory most likely" if name == "SIGKILL" else name
        return self._end(f"{self._engine}'s process died ({cause}) while {doing}", name)

    def _end(self, reason: str, name: str | None) -> ProcessFailure:
        log = self._tail()
        self.close()
        return ProcessFailure(reason, name, log)

    def _tail(self) -> str:
        size = os.fstat(self._log.fileno()).st_size
        text = os.pread(self._log.fileno(), _LOG_CHARACTERS, max(0, size - _LOG_CHARACTERS))
        return "\n".join(text.decode("utf-8", "replace").splitlines()[-_LOG_LINES:])


def signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
