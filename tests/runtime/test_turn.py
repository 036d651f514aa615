"""Taking turns: one at a time, everybody gets one, and no interruption leaves the turn taken."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterator

import numpy as np
import pytest

from edgekit.runtime.turn import Turn


def in_threads(works: list[Callable[[], object]]) -> None:
    threads = [threading.Thread(target=work, daemon=True) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert not any(thread.is_alive() for thread in threads), "somebody waits for ever"


def is_free(turn: Turn) -> bool:
    """Whether another thread gets the turn soon."""
    done = threading.Event()
    threading.Thread(target=lambda: turn.run(done.set), daemon=True).start()
    return done.wait(10)


def test_one_at_a_time() -> None:
    turn, inside, most, calls = Turn(), 0, 0, 0

    def function() -> None:
        nonlocal inside, most, calls
        inside += 1
        most = max(most, inside)
        time.sleep(0.0002)
        calls += 1
        inside -= 1

    def work() -> None:
        for _ in range(50):
            turn.run(function)

    in_threads([work] * 4)
    assert (most, calls) == (1, 200)
    assert is_free(turn)


def test_who_waits_is_not_passed_over_by_one_who_calls_again_and_again() -> None:
    turn, stopped, calls = Turn(), False, 0

    def count() -> None:
        nonlocal calls
        calls += 1
        time.sleep(0.001)

    def again_and_again() -> None:
        while not stopped:
            turn.run(count)

    thread = threading.Thread(target=again_and_again, daemon=True)
    thread.start()
    waited = []
    for _ in range(20):
        before = calls
        waited.append(turn.run(lambda: calls) - before)
    stopped = True
    thread.join(30)
    assert sorted(waited)[10] <= 3, "calls of the other one while this one waited, mostly"


def test_an_exception_gives_the_turn_back() -> None:
    turn = Turn()
    for _ in range(3):
        with pytest.raises(ZeroDivisionError) as caught:
            turn.run(lambda: 1 / 0)
        assert caught.value.__context__ is None
    assert is_free(turn)


class Alarm(Exception):
    pass


@pytest.fixture
def alarms() -> Iterator[Callable[[float], None]]:
    """Sets off an `Alarm` in this thread after so many seconds."""

    def ring(number: int, frame: object) -> None:
        raise Alarm

    previous = signal.signal(signal.SIGALRM, ring)
    yield lambda seconds: signal.setitimer(signal.ITIMER_REAL, seconds)
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, previous)


@pytest.mark.parametrize("others", [0, 2])
def test_interrupted_anywhere_the_turn_is_free_again(alarms: Callable[[float], None], others: int) -> None:
    """As by Ctrl-C: while the turn is taken, used, given back, and, with others, waited for and handed over."""
    turn, stopped, inside, most = Turn(), False, 0, 0
    generator = np.random.default_rng(0)

    def function() -> None:
        nonlocal inside, most
        inside += 1
        most = max(most, inside)
        inside -= 1

    def other() -> None:
        while not stopped:
            turn.run(lambda: time.sleep(0.0001))

    threads = [threading.Thread(target=other, daemon=True) for _ in range(others)]
    for thread in threads:
        thread.start()
    for _ in range(400):
        inside = 0
        try:
            alarms(generator.uniform(20e-6, 400e-6))
            while True:
                turn.run(function)
        except Alarm:
            pass
    stopped = True
    for thread in threads:
        thread.join(10)
        assert not thread.is_alive()
    assert most == 1
    assert is_free(turn)
