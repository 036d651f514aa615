"""Micro-batching: requests that threads make one by one, run together."""

from __future__ import annotations

import os
import threading
import time
import weakref
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from queue import Empty, SimpleQueue
from typing import Generic, TypeAlias, TypeVar

from edgekit.errors import UsageError

Request = TypeVar("Request")
Result = TypeVar("Result")

#: Requests with what takes their results; None ends the thread.
_Waiting: TypeAlias = "SimpleQueue[tuple[Request, Future[Result]] | None]"


class Batcher(Generic[Request, Result]):
    """Runs the requests of several threads together, in a thread of its own.

    The first request waits for others at most *max_wait_ms*, and no longer than until there are *max_batch* of them.
    While a batch runs, the next one gathers.

    Args:
        call: Takes a list of requests and gives as many results, in the same order. Where it raises for several, each
            of them is called for alone, so that an error reaches whoever caused it.
        max_batch: The most requests in a call.
        max_wait_ms: How long a request waits for others. With 0, those run together that came while a batch ran.

    Raises:
        UsageError: ``EK-ARGUMENT``: *max_batch* or *max_wait_ms* is out of range.
    """

    def __init__(
        self, call: Callable[[list[Request]], Sequence[Result]], *, max_batch: int = 16, max_wait_ms: float = 2.0
    ):
        if max_batch < 1:
            raise UsageError("EK-ARGUMENT", f"max_batch is {max_batch}", "it takes a number from 1")
        if not 0 <= max_wait_ms <= threading.TIMEOUT_MAX * 1000:
            raise UsageError("EK-ARGUMENT", f"max_wait_ms is {max_wait_ms}", "it takes milliseconds from 0")
        self._waiting: _Waiting[Request, Result] = SimpleQueue()
        self._process = os.getpid()
        self._submitting = threading.Lock()  # nothing comes after the end
        # The thread does not know this object, so that one that is forgotten ends it.
        arguments = (self._waiting, call, max_batch, max_wait_ms / 1000)
        self._thread = threading.Thread(target=_serve, args=arguments, name="edgekit batcher", daemon=True)
        self._thread.start()
        self._end = weakref.finalize(self, self._waiting.put, None)

    def submit(self, request: Request) -> Future[Result]:
        """Hand in *request*; the future has its result, or raises what the call raised.

        Raises:
            UsageError: ``EK-ARGUMENT``: it is closed, or this process was forked from the one that made it.
        """
        if os.getpid() != self._process:
            message = "a forked process has no thread that runs the requests"
            raise UsageError("EK-ARGUMENT", message, "make the batcher after the fork")
        future: Future[Result] = Future()
        with self._submitting:
            if not self._end.alive:
                raise UsageError("EK-ARGUMENT", "the batcher is closed")
            self._waiting.put((request, future))
        return future

    def __call__(self, request: Request) -> Result:
        """The result of *request*, when it is there; raises what the call raised, or what `submit` raises."""
        if threading.current_thread() is self._thread:
            raise UsageError(
                "EK-ARGUMENT", "a batch waits for itself", "make no request while one runs, from its own thread"
            )
        return self.submit(request).result()

    def close(self) -> None:
        """Take no more requests, and return when all that were handed in are done."""
        with self._submitting:
            self._end()
        if threading.current_thread() is not self._thread and os.getpid() == self._process:
            self._thread.join()

    def __enter__(self) -> Batcher[Request, Result]:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _serve(
    waiting: _Waiting[Request, Result],
    call: Callable[[list[Request]], Sequence[Result]],
    max_batch: int,
    max_wait_s: float,
) -> None:
    """Run what is *waiting*, until the end."""
    ended = False
    while not ended:
        first = waiting.get()
        if first is None:
            return
        batch, until = [first], time.monotonic() + max_wait_s
        while len(batch) < max_batch:
            try:
                following = waiting.get(timeout=max(0.0, until - time.monotonic()))
            except Empty:
                break
            if following is None:
                ended = True
                break
            batch.append(following)
        _run([(request, future) for request, future in batch if future.set_running_or_notify_cancel()], call)
        del first, batch  # or the last results live as long as no other request comes


def _run(batch: Sequence[tuple[Request, Future[Result]]], call: Callable[[list[Request]], Sequence[Result]]) -> None:
    """Call for *batch*, and hand out results or errors."""
    if not batch:
        return
    try:
        results = call([request for request, _ in batch])
        if len(results) != len(batch):
            raise UsageError("EK-CODE", f"the call gave {len(results)} results for {len(batch)} requests")
    except BaseException as error:
        if len(batch) == 1:
            batch[0][1].set_exception(error)
            return
        for each in batch:
            _run([each], call)
        return
    for (_, future), result in zip(batch, results, strict=True):
        future.set_result(result)
