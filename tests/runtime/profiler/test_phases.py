"""The phases of a measurement, on a clock that is made up."""

from __future__ import annotations

import ctypes
import gc
import threading
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from edgekit.runtime.engines.base import Steps
from edgekit.runtime.profiler import file_cache
from edgekit.runtime.profiler.phases import CpuClock, has_settled, rest, take_turn, time_steps, warm_up


class Model:
    """Takes the time that *duration_ms* says for each call, on a clock of its own."""

    def __init__(self, duration_ms: Callable[[int], float]):
        self.calls = 0
        self._duration_ms = duration_ms
        self._now = 0

    def clock(self) -> int:
        return self._now

    def __call__(self, argument: object) -> None:
        self._now += int(self._duration_ms(self.calls) * 1e6)
        self.calls += 1


def warm(model: Model, least_s: float = 0.5, most_s: float = 5.0) -> tuple[bool, float]:
    result = warm_up(model, None, least_s=least_s, most_s=most_s, clock=model.clock)
    assert result.calls == model.calls
    return result.settled, result.elapsed_s


def test_a_steady_model_is_warm_after_the_least_time() -> None:
    settled, elapsed_s = warm(Model(lambda call: 1.0))
    assert settled and 0.5 <= elapsed_s < 0.6


def test_a_model_that_gets_faster_is_waited_for() -> None:
    settled, elapsed_s = warm(Model(lambda call: 1.0 + 2.0 * 0.998**call))
    assert settled and 1.5 < elapsed_s < 5.0


def test_a_model_that_never_settles_is_given_up_at_the_limit() -> None:
    settled, elapsed_s = warm(Model(lambda call: 1.002**call))
    assert not settled and 5.0 <= elapsed_s < 5.1


def test_a_slow_model_needs_six_calls() -> None:
    model = Model(lambda call: 400.0)
    settled, elapsed_s = warm(model)
    assert settled and (model.calls, elapsed_s) == (6, pytest.approx(2.4))


def test_calls_that_were_disturbed_do_not_prolong_a_warm_up() -> None:
    settled, elapsed_s = warm(Model(lambda call: 9.0 if call % 40 == 7 else 1.0))
    assert settled and elapsed_s < 0.7


def test_what_a_warm_up_is_judged_by_is_what_came_last() -> None:
    model = Model(lambda call: 50.0 if call < 3 else 1.0)
    result = warm_up(model, None, least_s=0.5, most_s=5.0, clock=model.clock)
    assert result.settled and result.typical_ns == 1_000_000


@pytest.mark.parametrize(
    ("medians", "settled"),
    [
        ([100, 100, 100, 100, 100], False),  # too few
        ([100, 100, 100, 100, 100, 100], True),
        ([100, 101, 99, 250, 100, 101], True),  # one window was disturbed
        ([110, 108, 106, 104, 102, 100], False),
        ([100, 101, 102, 103, 104, 105], False),
    ],
)
def test_a_trend_is_told_from_noise(medians: list[float], settled: bool) -> None:
    assert has_settled(medians) is settled


def test_a_turn_has_the_calls_that_count_and_some_before_that_do_not() -> None:
    calls: list[object] = []
    assert len(take_turn(calls.append, "input", 5, 0).elapsed_ns) == 5
    assert calls == ["input"] * 6
    assert len(take_turn(calls.append, "input", 5, 3_000_000).elapsed_ns) == 5
    assert len(calls) > 20


def test_what_begins_a_turn_comes_before_the_first_call_that_counts() -> None:
    calls: list[object] = []
    take_turn(calls.append, "input", 3, 0, begin=lambda: calls.append("begin"))
    assert calls == ["input", "begin", "input", "input", "input"]


def work(milliseconds: float) -> None:
    until = time.thread_time_ns() + int(1e6 * milliseconds)
    while time.thread_time_ns() < until:
        pass


def test_processor_time_is_what_was_worked_and_not_what_was_waited() -> None:
    clock = CpuClock.of(time.process_time_ns)
    assert clock is not None and 0 < clock.cost_ns < 50_000
    worked = take_turn(work, 2.0, 8, 0, cpu_clock=clock)
    assert len(worked.cpu_ns) == 8 and sorted(worked.cpu_ns)[4] == pytest.approx(2e6, rel=0.1)
    assert all(elapsed >= 2e6 for elapsed in worked.elapsed_ns)
    waited = take_turn(lambda argument: time.sleep(0.005), None, 8, 0, cpu_clock=clock)
    assert max(waited.cpu_ns) < 2e6 and min(waited.elapsed_ns) >= 5e6
    assert waited.waits is not None and waited.waits >= 8


def test_nothing_takes_no_processor_time() -> None:
    """What reading the clock takes is taken off."""
    turn = take_turn(lambda argument: None, None, 200, 0, cpu_clock=CpuClock.of(time.process_time_ns))
    assert len(turn.cpu_ns) == 200 and sorted(turn.cpu_ns)[100] < 500


def test_processor_time_in_ticks_is_none() -> None:
    assert CpuClock.of(lambda: time.perf_counter_ns() // 10_000_000 * 10_000_000) is None
    assert CpuClock.of(lambda: 0) is None
    assert take_turn(lambda argument: None, None, 3, 0).cpu_ns == []


def test_garbage_is_collected_before_a_turn_and_not_in_it() -> None:
    seen: list[bool] = []
    gc.collect()
    gc.callbacks.append(lambda phase, facts: seen.append(True))
    try:
        take_turn(lambda argument: None, None, 3, 0)
    finally:
        del gc.callbacks[-1]
    assert seen == [True, True]  # its start and its end


def test_a_process_rests_when_its_threads_do() -> None:
    """As they do some time after the last inference: pools of threads spin."""
    spinning = Path("/proc/self/task")
    if not spinning.is_dir():
        pytest.skip("this system does not say which threads run")
    libc = ctypes.CDLL(None)
    ended = threading.Event()

    def spin() -> None:
        until = time.monotonic() + 0.1
        while time.monotonic() < until:
            libc.memset(numbers, 0, len(numbers))  # which lets go of Python's lock
        ended.set()

    numbers = ctypes.create_string_buffer(1 << 24)
    thread = threading.Thread(target=spin)
    thread.start()
    rest()
    assert ended.is_set()
    thread.join()


def test_no_process_is_waited_for_for_ever() -> None:
    began = time.monotonic()
    rest(0.0)
    assert time.monotonic() - began < 5


def test_steps_are_timed_one_by_one_in_their_order() -> None:
    order: list[str] = []
    inputs = [np.zeros(1)]
    steps = Steps(
        lambda arrays: order.append("write" if arrays is inputs else "?"),
        lambda: order.append("invoke"),
        lambda: order.append("read") or [],  # type: ignore[func-returns-value]
    )
    spans = time_steps(steps, inputs, 4)
    assert spans.shape == (3, 4) and spans.dtype == np.int64 and (spans > 0).all()
    assert order == ["write", "invoke", "read"] * 5


def test_a_file_is_read_from_the_disk_or_from_memory_as_asked(tmp_path: Path) -> None:
    """Which a system without a file cache to speak of, as in some containers, may not know."""
    file = tmp_path / "model"
    with file.open("wb") as stream:
        stream.write(bytes(1 << 20))
    assert file_cache.prepare(file, "cold") in ("cold", None)
    assert file_cache.prepare(file, "warm") in ("warm", None)
    assert file.stat().st_size == 1 << 20


def test_nothing_is_said_of_a_file_system_in_memory() -> None:
    folder = Path("/dev/shm")
    if not folder.is_dir():
        pytest.skip("this system has no /dev/shm")
    file = folder / "edgekit-test-file-cache"
    file.write_bytes(b"model")
    try:
        assert file_cache.prepare(file, "cold") is None
    finally:
        file.unlink()
