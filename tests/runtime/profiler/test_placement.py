"""On which core a turn begins."""

from __future__ import annotations

import os

import pytest

from edgekit.runtime.profiler.placement import begun_on, current_core


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="this system binds nothing to cores")
def test_a_turn_begins_on_the_core_and_has_all_of_them_back_when_it_is_released() -> None:
    allowed = os.sched_getaffinity(0)
    for core in sorted(allowed):
        with begun_on(core) as release:
            assert os.sched_getaffinity(0) == {core} and current_core() == core
            release()
            assert os.sched_getaffinity(0) == allowed
    with pytest.raises(ZeroDivisionError), begun_on(min(allowed)):
        raise ZeroDivisionError
    assert os.sched_getaffinity(0) == allowed


def test_no_core_and_one_where_it_may_not_run_change_nothing() -> None:
    allowed = os.sched_getaffinity(0)
    for core in (None, max(allowed) + 1000):
        with begun_on(core) as release:
            assert os.sched_getaffinity(0) == allowed
            release()
    assert os.sched_getaffinity(0) == allowed
