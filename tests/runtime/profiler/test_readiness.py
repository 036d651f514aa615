"""The gate before a measurement, and the marks that one gets: a made-up clock and sensors drive each of them."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.fake_board import FakeBoard, FakeClock

from edgekit.runtime.profiler.readiness import Readiness, marks_of, wait_until_ready
from edgekit.runtime.profiler.records import BoardState

MHZ = 1_000_000


def state(at_s: float = 0.0, **facts: Any) -> BoardState:
    return BoardState(at_s=at_s, **facts)


def wait(states: Sequence[BoardState] | Callable[[float], BoardState], wait_s: float = 60.0) -> tuple[Readiness, int]:
    """How the gate with the limits 0.25 and 60 °C ends, and how often it looked."""
    clock = FakeClock()
    board = FakeBoard(states, clock)
    ready = wait_until_ready(
        board.look, load_below=0.25, celsius_below=60.0, wait_s=wait_s, window_s=0.25, clock=clock, sleep=clock.sleep
    )
    return ready, board.looks


def marks(during: Sequence[BoardState], before: BoardState | None = None, after: BoardState | None = None) -> list[str]:
    """Of a measurement with a look each half second."""
    during = [state(**{**vars(look), "at_s": 1 + number / 2}) for number, look in enumerate(during)]
    end_s = 1 + len(during) / 2
    before = before or state()
    return list(marks_of(before, during, state(**{**vars(after or state()), "at_s": end_s})))


def steady(mhz: int, looks: int = 10) -> list[BoardState]:
    return [state(frequencies_hz=(mhz * MHZ,) * 4) for _ in range(looks)]


# The gate


def test_a_cool_idle_machine_is_ready_at_once() -> None:
    ready, looks = wait([state(load_per_core=0.02, temperature_celsius=45.0)])
    assert (ready.waited_s, ready.mark) == (0.0, "")
    assert ready.state.temperature_celsius == 45.0
    assert looks == 2  # its load is that between two


def test_a_hot_board_that_cools_down_in_time_is_waited_for() -> None:
    ready, _ = wait(lambda now_s: state(load_per_core=0.0, temperature_celsius=75.0 - (now_s - 100.0)))
    assert ready.mark == ""
    assert ready.waited_s == pytest.approx(15.0, abs=0.3)
    assert ready.state.temperature_celsius is not None
    assert ready.state.temperature_celsius < 60.0


def test_a_hot_board_that_stays_hot_is_measured_and_marked() -> None:
    ready, _ = wait([state(load_per_core=0.0, temperature_celsius=71.25)])
    assert ready.mark == "degraded: 71.2 °C (the limit is 60) after 60 s"
    assert ready.waited_s == 60.0


def test_a_loaded_machine_is_waited_for() -> None:
    ready, _ = wait(lambda now_s: state(load_per_core=0.9 if now_s < 110 else 0.1))
    assert (ready.mark, ready.waited_s) == ("", 9.75)


def test_a_machine_that_stays_loaded_is_measured_and_marked() -> None:
    ready, _ = wait([state(load_per_core=0.8)])
    assert ready.mark == "degraded: load 0.80 per core (the limit is 0.25) after 60 s"


def test_both_reasons_are_given() -> None:
    ready, _ = wait([state(load_per_core=0.8, temperature_celsius=80.0)], wait_s=1.0)
    assert ready.mark == "degraded: load 0.80 per core (the limit is 0.25), 80.0 °C (the limit is 60) after 1 s"


def test_what_ran_before_the_gate_is_no_load() -> None:
    """The board's first look shows what was since the one before, which may be our own measurement."""
    ready, _ = wait([state(load_per_core=1.0), state(load_per_core=0.1)])
    assert (ready.mark, ready.waited_s) == ("", 0.0)


def test_without_time_to_wait_there_is_one_look_and_a_mark() -> None:
    ready, looks = wait([state(load_per_core=0.5)], wait_s=0.0)
    assert ready.mark == "degraded: load 0.50 per core (the limit is 0.25) at the start"
    assert (ready.waited_s, looks) == (0.0, 2)


def test_what_a_machine_does_not_tell_is_not_waited_for() -> None:
    ready, _ = wait([state()])
    assert (ready.mark, ready.waited_s) == ("", 0.0)


def test_without_a_limit_any_temperature_will_do() -> None:
    clock = FakeClock()
    board = FakeBoard([state(temperature_celsius=95.0)], clock)
    ready = wait_until_ready(
        board.look, load_below=0.25, celsius_below=None, wait_s=9.0, clock=clock, sleep=clock.sleep
    )
    assert ready.mark == ""


@given(
    states=st.lists(
        st.builds(
            BoardState,
            at_s=st.just(0.0),
            load_per_core=st.none() | st.floats(0, 1),
            temperature_celsius=st.none() | st.floats(20, 100),
        ),
        min_size=1,
        max_size=30,
    ),
    wait_s=st.floats(0, 10),
)
def test_the_gate_ends_in_time_and_marks_exactly_what_is_not_ready(states: list[BoardState], wait_s: float) -> None:
    ready, _ = wait(states, wait_s)
    assert ready.waited_s <= wait_s + 0.25
    too_busy = (ready.state.load_per_core or 0.0) >= 0.25
    too_hot = (ready.state.temperature_celsius or 0.0) >= 60.0
    assert bool(ready.mark) == (too_busy or too_hot)


# Throttling: bits of the firmware


def test_a_machine_that_stays_as_it_is_gets_no_mark() -> None:
    look = state(frequencies_hz=(1800 * MHZ,) * 4, governors=("ondemand",) * 4, throttled=0, power_source="mains")
    assert marks([look] * 20, look, look) == []


def test_throttled_in_the_middle() -> None:
    looks = [state(throttled=0)] * 4 + [state(throttled=0x40004)] * 3 + [state(throttled=0x40000)] * 3
    assert marks(looks, state(throttled=0), state(throttled=0x40000)) == ["throttled: throttled in 3 of 12 looks"]


def test_under_voltage_and_what_it_leads_to() -> None:
    looks = [state(throttled=0x50005)] * 2
    assert marks(looks, state(throttled=0x50005), state(throttled=0x50000)) == [
        "throttled: under-voltage in 3 of 4 looks",
        "throttled: throttled in 3 of 4 looks",
    ]


def test_what_is_on_before_the_first_look_counts() -> None:
    assert marks([state(throttled=0)], state(throttled=0x8)) == ["throttled: soft temperature limit in 1 of 2 looks"]


def test_what_happened_before_the_measurement_does_not_count() -> None:
    assert marks([state(throttled=0xF0000)] * 5, state(throttled=0xF0000), state(throttled=0xF0000)) == []


def test_what_happened_between_two_looks_does() -> None:
    looks = [state(throttled=0x10000)] * 3 + [state(throttled=0x30000)] * 3
    assert marks(looks, state(throttled=0x10000), state(throttled=0x30000)) == [
        "throttled: frequency capped between two looks"
    ]


@given(sticky=st.integers(0, 15), new=st.integers(0, 15), now=st.lists(st.integers(0, 15), min_size=1, max_size=8))
def test_every_bit_counts_that_is_on_or_new_and_no_other(sticky: int, new: int, now: list[int]) -> None:
    looks = [state(throttled=bits | sticky << 16) for bits in now]
    found = marks(looks, state(throttled=sticky << 16), state(throttled=(sticky | new) << 16))
    names = ("under-voltage", "frequency capped", "throttled", "soft temperature limit")
    expected = {
        name
        for bit, name in enumerate(names)
        if any(bits >> bit & 1 for bits in now) or (new >> bit & 1 and not sticky >> bit & 1)
    }
    assert {mark.removeprefix("throttled: ").rpartition(" in ")[0] for mark in found if " in " in mark} | {
        mark.removeprefix("throttled: ").removesuffix(" between two looks") for mark in found if " between " in mark
    } == expected


# Throttling: heat counters and frequencies


def test_an_x86_processor_that_got_too_hot() -> None:
    looks = [state(throttle_count=count) for count in (4, 4, 9, 11)]
    assert marks(looks, state(throttle_count=4), state(throttle_count=11)) == [
        "throttled: slowed down for its heat 7 times"
    ]


def test_heat_before_the_measurement_does_not_count() -> None:
    assert marks([state(throttle_count=4)] * 3, state(throttle_count=4), state(throttle_count=4)) == []


def test_a_cap_on_the_frequency_is_a_fall() -> None:
    assert marks(steady(1800) + steady(1200)) == ["throttled: frequency fell from 1800 to 1200 MHz"]


def test_a_cap_that_is_lifted_again_is_a_fall() -> None:
    assert marks(steady(1800) + steady(1200, 5) + steady(1800)) == ["throttled: frequency fell from 1800 to 1200 MHz"]


def test_a_cap_from_the_beginning_on_is_none() -> None:
    """Nobody can tell it from a slower machine; a Raspberry Pi's firmware says so itself."""
    assert marks(steady(1200, 20)) == []


def test_a_governor_that_wakes_up_with_the_work_is_no_fall() -> None:
    idle = state(frequencies_hz=(600 * MHZ,) * 4)
    assert marks(steady(1800), idle, idle) == []


def test_a_governor_that_naps_between_rounds_is_no_fall() -> None:
    looks = steady(1800, 30)
    for nap in (3, 4, 5, 12, 20, 21):
        looks[nap] = state(frequencies_hz=(600 * MHZ,) * 4)
    assert marks(looks) == []


@pytest.mark.parametrize("share", [0.05, 0.3, 0.5, 0.7])
def test_processors_that_are_often_found_idle_did_not_fall(share: float) -> None:
    falls = 0
    for seed in range(100):
        rng = random.Random(seed)
        looks = [state(frequencies_hz=((600 if rng.random() < share else 1800) * MHZ,)) for _ in range(60)]
        falls += bool(marks(looks))
    assert falls <= 3


def test_a_kernel_that_lowers_the_limit_for_heat() -> None:
    limits = [1800] * 6 + [1500] * 2 + [1200] * 2 + [1800]
    looks = [state(frequency_limit_hz=mhz * MHZ, frequencies_hz=(mhz * MHZ,)) for mhz in limits]
    assert marks(looks) == ["throttled: frequency limit fell from 1800 to 1200 MHz"]


def test_a_kernel_that_raises_the_limit_again_after_heat_is_no_fall() -> None:
    assert marks([state(frequency_limit_hz=mhz * MHZ) for mhz in (1200, 1200, 1800, 1800)]) == []


def test_turbo_that_comes_and_goes_is_no_fall() -> None:
    looks = [state(frequencies_hz=(hertz * MHZ, 800 * MHZ)) for hertz in (4700, 4300, 4650, 4500, 4100, 4700, 4200) * 4]
    assert marks(looks) == []


def test_work_that_moves_to_another_core_is_no_fall() -> None:
    on_first, on_second = (
        state(frequencies_hz=(3000 * MHZ, 800 * MHZ)),
        state(frequencies_hz=(800 * MHZ, 3000 * MHZ)),
    )
    assert marks([on_first] * 10 + [on_second] * 10) == []


def test_turbo_that_is_used_up_is_a_fall() -> None:
    looks = [state(frequencies_hz=(hertz * MHZ,)) for hertz in (4700,) * 8 + (3400, 3450, 3380, 3410) * 3]
    assert marks(looks) == ["throttled: frequency fell from 4700 to 3450 MHz"]


@given(st.lists(st.integers(1600, 1800), max_size=40))
def test_jitter_of_a_tenth_is_no_fall(mhz: list[int]) -> None:
    assert marks([state(frequencies_hz=(value * MHZ,)) for value in mhz]) == []


@given(
    high=st.integers(1000, 5000),
    share=st.floats(0.2, 0.8),
    looks=st.tuples(st.integers(6, 12), st.integers(6, 12)),
)
def test_a_fall_to_four_fifths_for_three_seconds_is_always_seen(
    high: int, share: float, looks: tuple[int, int]
) -> None:
    found = marks(steady(high, looks[0]) + steady(int(high * share), looks[1]))
    assert found == [f"throttled: frequency fell from {high} to {int(high * share)} MHz"]


# Degraded


def test_a_governor_that_was_changed() -> None:
    calm, changed = state(governors=("ondemand",) * 4), state(governors=("powersave",) * 4)
    expected = ["degraded: governor changed from ondemand to powersave"]
    assert marks([calm, calm, changed, changed], calm, changed) == expected
    assert marks([calm, changed, calm], calm, calm) == expected


def test_a_governor_that_one_core_changed() -> None:
    calm, changed = state(governors=("schedutil", "schedutil")), state(governors=("schedutil", "performance"))
    assert marks([calm, changed], calm, changed) == [
        "degraded: governor changed from schedutil to schedutil + performance"
    ]


def test_a_plug_that_was_pulled() -> None:
    mains, battery = state(power_source="mains"), state(power_source="battery")
    assert marks([mains, battery], mains, battery) == ["degraded: power source changed from mains to battery"]


def test_other_programs_that_ran_beside_the_measurement() -> None:
    quiet, busy = state(others_load_per_core=0.02, load_per_core=0.9), state(others_load_per_core=0.7)
    assert marks([quiet] * 4 + [busy] * 16, quiet, quiet) == [
        "degraded: other programs took 0.56 of each core (the limit is 0.25)"
    ]


def test_other_programs_that_did_little_or_ran_before() -> None:
    quiet, busy = state(others_load_per_core=0.05), state(others_load_per_core=0.9)
    assert marks([busy] + [quiet] * 18 + [busy] * 2, busy, quiet) == []


def test_its_own_load_does_not_speak_against_a_measurement() -> None:
    assert marks([state(load_per_core=1.0)] * 10, state(load_per_core=0.0), state(load_per_core=1.0)) == []


# Missing sensors


def test_what_a_machine_does_not_tell_gets_no_mark() -> None:
    assert marks([state()] * 20) == []
    assert marks([]) == []


def test_a_sensor_that_fails_now_and_then_gets_no_mark() -> None:
    full = state(
        frequencies_hz=(1800 * MHZ,),
        governors=("ondemand",),
        throttled=0x50000,
        throttle_count=3,
        power_source="mains",
        others_load_per_core=0.0,
    )
    assert marks([full, state()] * 10, full, full) == []


@given(
    st.lists(
        st.builds(
            BoardState,
            at_s=st.floats(0, 100),
            frequencies_hz=st.lists(st.integers(0, 6_000_000_000), max_size=2).map(tuple),
            governors=st.lists(st.sampled_from(["", "ondemand", "powersave"]), max_size=2).map(tuple),
            throttled=st.none() | st.integers(0, 0xFFFFFFFF),
            others_load_per_core=st.none() | st.floats(0, 1),
            power_source=st.sampled_from([None, "mains", "battery"]),
            throttle_count=st.none() | st.integers(0, 9),
        ),
        min_size=2,
        max_size=20,
    )
)
def test_every_mark_is_one_of_the_two(looks: list[BoardState]) -> None:
    found = marks_of(looks[0], looks[1:-1], looks[-1])
    assert all(mark.startswith(("throttled: ", "degraded: ")) for mark in found)
    assert len(set(found)) == len(found)
