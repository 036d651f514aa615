"""Advice: what to ship on each device, and the rows that nothing else beats."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import cache

from support.profiles import EMULATED, PI, cell, measured, processes, profile

from edgekit.profiling.advice import Advice, advise, pareto
from edgekit.profiling.rows import Row, rows
from edgekit.profiling.statistics import Summary
from edgekit.runtime.profiler.profile import DeviceRecord, Profile


@cache
def session() -> tuple[Profile, tuple[Row, ...]]:
    whole = profile()
    return whole, rows(whole)


def advice_for(device: str, whole: Profile | None = None) -> Advice:
    """Of *whole*, or of the session with two boards and a desktop."""
    advice = advise(*session()) if whole is None else advise(whole, rows(whole))
    (found,) = (each for each in advice if each.device == device)
    return found


def only(medians_ms: dict[str, float], *, labels: bool = True) -> Profile:
    """The desktop alone, with these variants of the board's bundle, measured side by side."""
    found = measured(list(medians_ms.values()))
    cells = tuple(
        cell(variant=name, engine="litert" if name.endswith("tflite") else "executorch", processes=processes(steady))
        for name, steady in zip(medians_ms, found, strict=True)
    )
    whole = profile(labels=labels)
    return replace(whole, cells=cells, devices=whole.devices[2:])


def names(found: Sequence[Row]) -> list[str]:
    return [row.name for row in found]


def test_the_fastest_that_keeps_its_accuracy_is_advised_with_its_accuracy() -> None:
    found = advice_for(PI)
    assert (found.variant, found.engine) == ("int8.tflite", "litert")
    assert found.why == (
        "ssh://pi@raspberrypi.local: ship int8.tflite on litert for digits: 1.70 ms, accuracy 97.22 % "
        "(0.28 points below the float model), the fastest of 4 that keep the float model's quality"
    )


def test_what_could_not_be_compared_and_what_is_out_of_the_headline_is_named() -> None:
    board, desktop = advice_for(PI), advice_for("local")
    assert [line.split(":")[0] for line in board.left_out] == ["fp16.pte on executorch", "int8.pte on executorch"]
    assert "SIGSEGV" in board.left_out[0] and "throttled" in board.left_out[1]
    assert desktop.not_compared == ("int8.pte on executorch: 1 thread against 4",)
    assert desktop.left_out == ("fp32.pt2 on torch-compile: not run: not installed",)


def test_what_loses_more_than_a_point_is_not_advised_however_fast() -> None:
    found = advice_for("local", only({"fp32.tflite": 3.0, "int8.pte": 1.0, "int8.tflite": 2.0}))
    assert found.variant == "int8.tflite"
    assert found.remarks == ("int8.pte on executorch was faster (1.00 ms) but loses too much: accuracy 95.70 %",)


def test_of_two_as_fast_as_each_other_the_smaller_file_is_advised() -> None:
    found = advice_for("local", only({"fp32.tflite": 2.0, "fp16.tflite": 2.01}))
    assert found.variant == "fp16.tflite"
    assert found.why.endswith("no slower than fp32.tflite on litert within the noise and the smaller file")


def test_a_smaller_file_whose_interval_is_wide_is_not_no_slower() -> None:
    """One of its five processes took twice as long; nothing is shown of it."""
    medians_ms = (2.0, 2.0, 4.0, 2.02, 2.03)
    ran = processes([measured([each], repeats=1, seed=index)[0][0] for index, each in enumerate(medians_ms, 1)])
    whole = only({"fp32.tflite": 2.0, "fp16.tflite": 2.0})
    found = advice_for("local", replace(whole, cells=(whole.cells[0], replace(whole.cells[1], processes=ran))))
    assert found.variant == "fp32.tflite"
    assert found.why.endswith(
        "the lowest median of 2 that keep the float model's quality; "
        "whether it is faster than fp16.tflite on litert is undecided"
    )


def test_a_busy_machine_shows_of_several_threads_no_equality() -> None:
    whole = only({"fp32.tflite": 2.0, "fp16.tflite": 2.0, "int8.tflite": 2.6})
    mark = "degraded: other programs took 0.57 of each core (the limit is 0.25)"
    busy = tuple(
        replace(each, processes=tuple(replace(process, marks=(mark,)) for process in each.processes))
        for each in whole.cells
    )
    found = advice_for("local", replace(whole, cells=busy))
    assert found.variant in ("fp32.tflite", "fp16.tflite")
    (other,) = {"fp32.tflite", "fp16.tflite"} - {found.variant}
    assert found.why.endswith(
        f"the lowest median of 3 that keep the float model's quality; whether it is faster than {other} on litert "
        "is undecided"
    )


def test_what_a_comparison_calls_slower_is_not_advised_for_its_smaller_file() -> None:
    whole = only({"fp32.tflite": 2.0, "fp32.pte": 2.06})
    found = advise(whole, [replace(row, latency_ms=_wide(row)) for row in rows(whole)])
    assert [each.variant for each in found] == ["fp32.tflite"]


def _wide(row: Row) -> Summary:
    """The row's durations, with an interval in which everything is."""
    assert row.latency_ms is not None
    return replace(row.latency_ms, interval=(0.1, 10.0))


def test_a_baseline_is_not_shipped_though_it_is_faster() -> None:
    whole = profile()
    here = [each for each in whole.cells if each.device == "local" and not each.variant.startswith("int8")]
    shipped = [each for each in here if each.engine in ("litert", "executorch")]
    (fastest,) = (each for each in here if each.engine == "onnxruntime")
    baseline = replace(fastest, variant="fp32.pt2", engine="torch")
    found = advice_for("local", replace(whole, cells=(*shipped, baseline), devices=whole.devices[2:]))
    assert found.variant == "fp32.pte"
    assert found.remarks == ("fp32.pt2 on torch, a baseline and not for shipping, was faster: 0.360 ms",)
    found = advice_for("local", replace(whole, cells=(baseline,), devices=whole.devices[2:]))
    assert found.variant is None and "only baselines" in found.why
    found = advice_for("local", replace(whole, cells=(*shipped, fastest), devices=whole.devices[2:]))
    assert (found.variant, found.engine) == ("fp32.onnx", "onnxruntime")  # which boards have, too


def test_without_labels_the_variant_must_be_as_near_to_the_float_model_as_the_recommended_one() -> None:
    found = advice_for("local", only({"fp32.tflite": 3.0, "int8.pte": 1.0, "int8.tflite": 2.0}, labels=False))
    assert found.variant == "int8.tflite"  # recommended, with 31 dB; int8.pte has 29.5
    assert "accuracy unknown (no labels), SNR 31.0 dB" in found.why


def test_when_none_keeps_its_quality_that_is_said() -> None:
    found = advice_for("local", only({"int8.pte": 1.0}))
    assert found.variant == "int8.pte" and "none keeps the float model's quality" in found.why


def test_an_emulated_board_gets_no_advice_and_a_lost_device_its_reason() -> None:
    assert advice_for(EMULATED).variant is None and "has no speed" in advice_for(EMULATED).why
    lost = DeviceRecord("ssh://pi@gone", False, None, None, {}, failure="the device was not reached")
    found = advice_for("ssh://pi@gone", replace(profile(), devices=(lost,), cells=()))
    assert found.why == "ssh://pi@gone: the device was not reached" and found.variant is None


def test_the_pareto_front_has_what_nothing_beats_in_both_latency_and_accuracy() -> None:
    _, whole = session()
    assert names([row for row in pareto(whole) if row.device == PI]) == [
        "int8.tflite on litert",
        "fp32.tflite on litert",
    ]
    front = rows(only({"fp32.tflite": 3.0, "fp32.pte": 3.5, "int8.tflite": 2.0, "int8.pte": 1.0}))
    assert names(pareto(front)) == ["int8.pte on executorch", "int8.tflite on litert", "fp32.tflite on litert"]
    assert pareto([row for row in whole if row.emulated]) == ()
