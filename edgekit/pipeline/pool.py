"""A pool of worker processes, at most so many busy at once, each bound to one framework.

torch and TensorFlow never meet in one process, and a crash in native code costs one task, not the program.
"""

from __future__ import annotations

import json
import signal
import subprocess
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any

from edgekit.errors import ConversionError, EdgekitError, Interrupted, from_json
from edgekit.runtime import children

#: What a process of each family starts with. Keras reads its backend once, on import. coremltools 9.0 orders constants
#: as a set has them, which by default is another order in every process.
FAMILIES: dict[str, dict[str, str]] = {
    "plain": {},
    "torch": {"KERAS_BACKEND": "torch", "PYTHONHASHSEED": "0"},
    "tensorflow": {"KERAS_BACKEND": "tensorflow", "TF_CPP_MIN_LOG_LEVEL": "2", "TF_ENABLE_ONEDNN_OPTS": "0"},
}

#: How long a task may take to put its work away after Ctrl-C.
_GRACE_SECONDS = 20.0

Listener = Callable[[dict[str, Any]], None]


@dataclass(frozen=True)
class Task:
    """One call in a worker.

    Attributes:
        function: ``module:function``, called by keyword with *arguments*, all plain JSON values.
        family: Key of `FAMILIES`.
        log: File that takes everything the call prints.
        code: Error code for an exception that edgekit did not foresee.
        hint: What to do about it.
        interruptible: Whether Ctrl-C is passed on, for the task to save its work.
    """

    function: str
    arguments: Mapping[str, Any]
    family: str
    log: Path
    code: str = "EK-EXPORT"
    hint: str | None = None
    interruptible: bool = False


class Pool:
    """Runs tasks in workers. Safe to use from several threads; `close` ends every worker."""

    def __init__(self, jobs: int):
        self._slots = threading.BoundedSemaphore(jobs)
        self._lock = threading.Lock()
        self._idle: list[_Worker] = []
        self._busy: dict[_Worker, Task] = {}
        self._stopping = False

    def __enter__(self) -> Pool:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def run(self, task: Task, listener: Listener) -> dict[str, Any]:
        """The task's result. Waits for a free place first, and tells *listener* ``{"kind": "start"}`` when it has one.

        Raises:
            EdgekitError: What the task raised; ``EK-CRASHED`` when its process died.
        """
        with self._slots:
            worker = self._lease(task)
            listener({"kind": "start"})
            try:
                result = worker.perform(task, listener)
            except EdgekitError as error:
                self._release(worker, alive=worker.process.poll() is None)
                # By our own hand: it was killed, or Ctrl-C came within an import, which a library calls a fault.
                if self._stopping and not isinstance(error, Interrupted):
                    raise _stopped() from error
                raise
            except BaseException:
                self._release(worker, alive=False)
                raise
            self._release(worker, alive=True)
            return result

    def interrupt(self) -> None:
        """Stop all work: interruptible tasks get Ctrl-C and time to save, the others are killed."""
        with self._lock:
            self._stopping = True
            for worker, task in self._busy.items():
                worker.process.send_signal(signal.SIGINT if task.interruptible else signal.SIGKILL)
                if task.interruptible:
                    timer = threading.Timer(_GRACE_SECONDS, worker.process.kill)
                    timer.daemon = True  # edgekit ends when the work is saved, not when the time is over
                    timer.start()

    def close(self) -> None:
        with self._lock:
            self._stopping = True
            for worker in [*self._idle, *self._busy]:
                worker.process.kill()
                worker.process.wait()
            self._idle.clear()

    def _lease(self, task: Task) -> _Worker:
        """An idle worker that fits, preferring one that already imported the task's module."""
        with self._lock:
            if self._stopping:
                raise _stopped()
            fitting = [worker for worker in self._idle if worker.family == task.family]
            fitting.sort(key=lambda worker: task.function in worker.seen)
            worker = fitting[-1] if fitting else _Worker(task.family)
            if fitting:
                self._idle.remove(worker)
            self._busy[worker] = task
            return worker

    def _release(self, worker: _Worker, alive: bool) -> None:
        with self._lock:
            del self._busy[worker]
            if alive and not self._stopping:
                self._idle.append(worker)
                return
        worker.process.kill()
        worker.process.wait()


def _stopped() -> Interrupted:
    return Interrupted("EK-INTERRUPTED", "stopped", "run the same command again to go on")


@dataclass(eq=False)
class _Worker:
    family: str
    seen: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        # A process group of its own keeps the terminal's Ctrl-C from reaching the worker before the host decides. It is
        # no session of its own: Linux shares the processor out between sessions first (sched(7), autogroup), so that
        # `nice edgekit build` would mean nothing to a worker.
        self.process = children.start(
            children.module("edgekit.pipeline.worker"),
            env=children.environment(**FAMILIES[self.family], PYTHONUNBUFFERED="1"),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            process_group=0,
        )

    def perform(self, task: Task, listener: Listener) -> dict[str, Any]:
        request = {
            "function": task.function,
            "arguments": task.arguments,
            "log": str(task.log),
            "code": task.code,
            "hint": task.hint,
            "interruptible": task.interruptible,
        }
        assert self.process.stdin is not None and self.process.stdout is not None
        try:
            self.process.stdin.write(json.dumps(request) + "\n")
            self.process.stdin.flush()
        except BrokenPipeError:
            raise self._death(task) from None
        for line in self.process.stdout:
            answer = json.loads(line)
            if "event" in answer:
                listener(answer["event"])
            elif "error" in answer:
                error = from_json(answer["error"])
                if not isinstance(error, Interrupted):
                    error.log = error.log or str(task.log)
                raise error
            else:
                self.seen.add(task.function)
                result: dict[str, Any] = answer["result"]
                return result
        raise self._death(task)

    def _death(self, task: Task) -> EdgekitError:
        status = self.process.wait()
        if status == -signal.SIGKILL:
            what, hint = (
                "was killed (SIGKILL), as the system does when memory runs out",
                "free some memory, or try --jobs 1",
            )
        elif status < 0:
            what, hint = f"crashed with {signal.Signals(-status).name}", "the log's last lines say where"
        else:
            what, hint = f"ended with status {status}", "the log's last lines say why"
        return ConversionError("EK-CRASHED", f"the worker process {what}", hint, task.log)
