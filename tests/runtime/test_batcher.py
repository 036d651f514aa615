"""Requests of several threads, run together."""

from __future__ import annotations

import gc
import os
import threading
import time
from concurrent.futures import CancelledError, ThreadPoolExecutor
from typing import Any

import pytest

from edgekit.errors import UsageError
from edgekit.runtime.batcher import Batcher


def doubled(requests: list[int]) -> list[int]:
    return [2 * request for request in requests]


def test_each_thread_gets_its_own_result() -> None:
    with Batcher(doubled, max_batch=8, max_wait_ms=1) as batcher, ThreadPoolExecutor(16) as threads:
        assert list(threads.map(batcher, range(500))) == [2 * number for number in range(500)]


def test_requests_that_wait_run_together_and_no_more_than_allowed() -> None:
    sizes, begin = list[int](), threading.Event()

    def slow(requests: list[int]) -> list[int]:
        sizes.append(len(requests))
        begin.wait()
        return requests

    with Batcher(slow, max_batch=4, max_wait_ms=0) as batcher:
        futures = [batcher.submit(0)]
        while not sizes:
            time.sleep(0.001)
        futures += [batcher.submit(number) for number in range(1, 11)]
        begin.set()
        assert [future.result() for future in futures] == list(range(11))
    assert sizes == [1, 4, 4, 2]


def test_a_request_alone_waits_no_longer_than_it_was_told() -> None:
    with Batcher(doubled, max_batch=100, max_wait_ms=50) as batcher:
        began = time.monotonic()
        assert batcher(4) == 8
        assert 0.04 < time.monotonic() - began < 5


def test_a_full_batch_does_not_wait() -> None:
    with Batcher(doubled, max_batch=2, max_wait_ms=600_000) as batcher:
        futures = [batcher.submit(1), batcher.submit(2)]
        assert [future.result(timeout=30) for future in futures] == [2, 4]


def inverse(requests: list[int]) -> list[float]:
    return [1 / request for request in requests]


def test_an_error_reaches_whoever_caused_it_and_nobody_else() -> None:
    with Batcher(inverse, max_batch=8, max_wait_ms=200) as batcher:
        futures = [batcher.submit(number) for number in (1, 0, 2, 4)]
        with pytest.raises(ZeroDivisionError):
            futures[1].result()
        assert [futures[index].result() for index in (0, 2, 3)] == [1, 0.5, 0.25]
        assert batcher(8) == 0.125


def test_what_ends_programs_ends_a_request() -> None:
    def leave(requests: list[int]) -> list[int]:
        raise SystemExit(3)

    with Batcher(leave) as batcher, pytest.raises(SystemExit):
        batcher(1)


def test_results_that_are_missing_are_an_error() -> None:
    with Batcher(lambda requests: [], max_wait_ms=0) as batcher, pytest.raises(UsageError, match="0 results for 1"):
        batcher(1)


def test_what_was_handed_in_before_it_closes_is_done_and_nothing_after() -> None:
    batcher = Batcher(doubled, max_batch=4, max_wait_ms=1000)
    futures = [batcher.submit(number) for number in range(10)]
    batcher.close()
    assert [future.result(timeout=0) for future in futures] == [2 * number for number in range(10)]
    with pytest.raises(UsageError, match="closed"):
        batcher(1)
    batcher.close()


def test_none_is_a_request_as_any() -> None:
    with Batcher(lambda requests: [str(request) for request in requests]) as batcher:
        assert batcher(None) == "None"


def test_a_request_that_was_cancelled_is_not_run() -> None:
    ran, begin = list[Any](), threading.Event()

    def slow(requests: list[Any]) -> list[Any]:
        begin.wait()
        ran.extend(requests)
        return requests

    with Batcher(slow, max_batch=1) as batcher:
        first, second = batcher.submit("first"), batcher.submit("second")
        assert second.cancel()
        begin.set()
        assert first.result() == "first"
        with pytest.raises(CancelledError):
            second.result()
    assert ran == ["first"]


def test_one_that_is_forgotten_ends_its_thread() -> None:
    batcher = Batcher(doubled)
    thread = batcher._thread
    assert batcher(1) == 2
    del batcher
    gc.collect()
    thread.join(timeout=30)
    assert not thread.is_alive()


def test_a_request_out_of_a_batch_is_refused_instead_of_waiting_for_ever() -> None:

    def call(requests: list[int]) -> list[int]:
        return [batcher(1) for _ in requests]

    with Batcher(call) as batcher, pytest.raises(UsageError, match="waits for itself"):
        batcher(2)


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_forked_process_is_told_that_it_has_no_thread() -> None:
    with Batcher(doubled) as batcher:
        child = os.fork()
        if child == 0:
            code = 1
            try:
                batcher.submit(1)
            except UsageError:
                code = 7
            finally:
                os._exit(code)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
        assert batcher(2) == 4


@pytest.mark.parametrize(
    "wrong", [{"max_batch": 0}, {"max_wait_ms": -1.0}, {"max_wait_ms": float("nan")}, {"max_wait_ms": float("inf")}]
)
def test_a_wrong_argument_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match=next(iter(wrong))):
        Batcher(doubled, **wrong)
