"""A pool of worker processes, at most so many busy at once, each bound to one framework.

torch and TensorFlow never meet in one process, and a crash in native code costs one task, not the program.
"""

from __future__ import annotations

import json
import signal
import subprocess
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgekit.errors import ConversionError, EdgekitError, Interrupted
from edgekit.pipeline.work import events
from edgekit.pipeline.work.events import Started, TaskEvent
from edgekit.runtime import children, frames
from edgekit.runtime.children import Child, Death

#: What a process of each family starts with. Keras reads its backend once, on import. coremltools 9.0 orders constants
#: as a set has them, which by default is another order in every process. TensorFlow keeps its oneDNN, as users have it:
#: without, version 2.21 gives values 4e-4 away for a model of spectra, where LiteRT agrees to 2e-6 with those with it.
FAMILIES: dict[str, dict[str, str]] = {
    "plain": {},
    "torch": {"KERAS_BACKEND": "torch", "PYTHONHASHSEED": "0", "PYTENSOR_FLAGS": "floatX=float32,cxx="},
    "jax": {"JAX_PLATFORMS": "cpu", "TF_CPP_MIN_LOG_LEVEL": "2", "PYTHONHASHSEED": "0"},
    "tensorflow": {"KERAS_BACKEND": "tensorflow", "TF_CPP_MIN_LOG_LEVEL": "2"},
}

#: How long a task may take to put its work away after Ctrl-C.
_GRACE_SECONDS = 20.0

Listener = Callable[[TaskEvent | Started], None]


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

    def __exit__(self, *_: object) -> None:
        self.close()

    def run(self, task: Task, listener: Listener) -> dict[str, Any]:
        """The task's result. Waits for a free place first, and says so when it has one.

        Raises:
            EdgekitError: What the task raised; ``EK-CRASHED`` when its process died.
        """
        with self._slots:
            try:
                worker = self._lease(task)
            except Death as death:
                raise death.error("the worker process", ConversionError) from death
            listener(Started())
            try:
                result = worker.perform(task, listener)
            except EdgekitError as error:
                self._release(worker, alive=worker.child.process.poll() is None)
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
                worker.child.process.send_signal(signal.SIGINT if task.interruptible else signal.SIGKILL)
                if task.interruptible:
                    timer = threading.Timer(_GRACE_SECONDS, worker.child.process.kill)
                    timer.daemon = True  # edgekit ends when the work is saved, not when the time is over
                    timer.start()

    def close(self) -> None:
        with self._lock:
            self._stopping = True
            for worker in [*self._idle, *self._busy]:
                children.kill_group(worker.child.process)
                worker.child.process.wait()
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
        worker.child.kill()


def _stopped() -> Interrupted:
    return Interrupted("EK-INTERRUPTED", "stopped", "run the same command again to go on")


class _Worker:
    """A process of one family; *seen* is what it has imported tasks of."""

    def __init__(self, family: str):
        self.family = family
        self.seen: set[str] = set()
        variables = {**FAMILIES[family], "PYTHONUNBUFFERED": "1"}
        self.child = Child(children.module("edgekit.pipeline.work.worker"), subprocess.DEVNULL, **variables)

    def perform(self, task: Task, listener: Listener) -> dict[str, Any]:
        request = {**vars(task), "log": str(task.log)}
        try:
            _, answer = self.child.ask(
                {},
                json.dumps(request).encode(),
                take=frames.receive,
                listener=lambda event: listener(events.from_json(json.loads(event))),
            )
        except Death as death:
            raise death.error("the worker process", ConversionError, task.log) from death
        except Interrupted:
            raise
        except EdgekitError as error:
            error.log = error.log or str(task.log)
            raise
        self.seen.add(task.function)
        result: dict[str, Any] = json.loads(answer)
        return result
