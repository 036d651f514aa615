"""Stages: cached calls in workers, with a word to the listener about each."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from time import monotonic
from typing import Any

from edgekit.errors import EdgekitError, Interrupted
from edgekit.pipeline.work.cache import READS, Cache, Entry, code_digest
from edgekit.pipeline.work.events import (
    Answered,
    Damaged,
    Done,
    Epoch,
    Failed,
    Listener,
    Reading,
    StageEvent,
    Started,
    Step,
    TaskEvent,
    Warned,
)
from edgekit.pipeline.work.pool import Pool, Task
from edgekit.pipeline.work.reads import Reads
from edgekit.writing import write_error

#: What to do about an exception that edgekit did not foresee, by the code it gets.
_HINTS = {
    "EK-CODE": "the log has the traceback",
    "EK-SOURCE": "the log has the traceback",
    "EK-EXPORT": "the log says where; try another format or recipe, or write that part of the model differently",
    "EK-RUN": "the log says where; try another format or recipe",
}


class Stages:
    """Runs the stages of one build in a pool of workers, through a cache, and tells *listener* what happens."""

    def __init__(self, cache: Cache, pool: Pool, listener: Listener, name: str, home: Path):
        """*home* is the folder of what is built."""
        self.cache = cache
        self._pool = pool
        self._listener = listener
        self._name = name
        self._home = home
        self._failed: dict[str, EdgekitError] = {}

    def run(
        self,
        stage: str,
        label: str,
        *,
        key: Mapping[str, Any],
        code: tuple[str, ...],
        function: str,
        family: str,
        arguments: Callable[[Path], Mapping[str, Any]],
        failure: str = "EK-EXPORT",
        resumable: bool = False,
        finished: Callable[[Mapping[str, Any]], None] = lambda record: None,
    ) -> Entry:
        """The entry that *function* makes in a worker of *family*, or made before from the same *key* and *code*.

        What the user's code reads while it runs is noted, and belongs to the key.

        Args:
            stage, label: What it is called towards the user, and in the name of its log.
            key: Everything else that goes into the result, as plain values.
            code: The parts of edgekit's own code that do, relative to the package.
            function: ``module:function``; see `edgekit.pipeline.work.pool.Task`.
            arguments: Makes the function's arguments from the folder that it leaves its files in.
            failure: Error code for an exception that nobody foresaw.
            resumable: Whether a later run may go on in the folder of one that was stopped, and Ctrl-C is passed on.
            finished: Called with the record; may raise, and there is no entry then.

        Raises:
            EdgekitError: What the function raised.
        """
        seconds, tried = 0.0, False
        whole = {"function": function, "family": family, "code": code_digest(*code), **key}
        same = json.dumps([stage, whole], sort_keys=True, default=str)

        def tell(event: Step | Epoch | Started | Damaged | Failed | Done) -> None:
            self._listener(StageEvent(stage, label, event))

        def make(directory: Path) -> Mapping[str, Any]:
            nonlocal seconds, tried
            if same in self._failed:  # for another variant: it would fail again
                raise self._failed[same]
            tried = True
            task = self._task(stage, label, function, arguments(directory), family, failure, resumable)
            reads = Reads(self._home)
            began = monotonic()

            def listen(event: TaskEvent | Started) -> None:
                nonlocal began
                if isinstance(event, Reading):
                    reads.note(event.notes, but=self.cache.root)
                    reads.save(directory / READS)
                    return
                if isinstance(event, Started):  # waiting for a free worker is not this stage's time
                    began = monotonic()
                tell(event)

            try:
                record = self._pool.run(task, listen)
                seconds = monotonic() - began
                finished(record)
            except EdgekitError as error:
                self._failed[same] = error
                raise
            return record

        try:
            entry = self.cache.stage(
                stage,
                whole,
                make,
                resumable=resumable,
                home=self._home,
                damaged=lambda: tell(Damaged()),
            )
        except EdgekitError as error:
            if (tried or same not in self._failed) and not isinstance(error, Interrupted):
                tell(Failed(error))
            raise
        tell(Done(entry.cached, seconds))
        return entry

    def here(self, stage: str, label: str, key: Mapping[str, Any], make: Callable[[Path], Mapping[str, Any]]) -> Entry:
        """The entry that *make*, which runs none of the user's code, makes in this process, or made before."""
        damaged = StageEvent(stage, label, Damaged())
        return self.cache.stage(stage, key, make, damaged=lambda: self._listener(damaged))

    def ask(
        self, stage: str, label: str, *, function: str, family: str, arguments: Mapping[str, Any], failure: str
    ) -> dict[str, Any]:
        """What *function* says in a worker of *family*, asked anew by every build; arguments as for `run`.

        Raises:
            EdgekitError: What the function raised.
        """

        def tell(event: TaskEvent | Started | Answered | Failed) -> None:
            if not isinstance(event, Reading):
                self._listener(StageEvent(stage, label, event))

        try:
            answer = self._pool.run(self._task(stage, label, function, arguments, family, failure), tell)
        except EdgekitError as error:
            tell(Failed(error))
            raise
        except OSError as error:
            raise write_error(self.cache.root, error) from error
        tell(Answered())
        return answer

    def warn(self, stage: str, label: str, text: str) -> None:
        """Tell the listener of something that the user ought to know."""
        self._listener(StageEvent(stage, label, Warned(text)))

    def _task(
        self,
        stage: str,
        label: str,
        function: str,
        arguments: Mapping[str, Any],
        family: str,
        failure: str,
        resumable: bool = False,
    ) -> Task:
        log = self.cache.root / "logs" / f"{self._name}-{stage}-{label}.log"
        log.parent.mkdir(parents=True, exist_ok=True)
        log.unlink(missing_ok=True)
        return Task(function, arguments, family, log, failure, _HINTS[failure], resumable)
