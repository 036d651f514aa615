"""Rows: a profile's cells with their figures and what they are compared with."""

from __future__ import annotations

import json
from dataclasses import asdict, replace

import pytest
from support.profiles import (
    DESKTOP_BUNDLE,
    EMULATED,
    PI,
    bundles,
    cell,
    conditions,
    devices,
    processes,
    profile,
)

from edgekit.profiling.rows import Row, rows
from edgekit.runtime.profiler.profile import Profile
from edgekit.runtime.profiler.records import BoardState, Cell, Process


@pytest.fixture(scope="module")
def found() -> dict[tuple[str, str, str], Row]:
    return {(row.device, row.variant, row.engine): row for row in rows(profile())}


def of(*cells: Cell) -> tuple[Row, ...]:
    whole = profile()
    return rows(Profile(**{**vars(whole), "cells": cells}))


def test_a_row_has_what_the_bundle_says_and_what_was_measured(found: dict[tuple[str, str, str], Row]) -> None:
    row = found[PI, "int8.tflite", "litert"]
    assert (row.format, row.recipe, row.size_bytes, row.accuracy, row.accuracy_drop) == (
        "tflite",
        "int8",
        27_000,
        97.22,
        0.28,
    )
    assert row.latency_ms is not None and row.latency_ms.median == pytest.approx(1.7, rel=0.01)
    assert row.throughput == pytest.approx(1000 / row.latency_ms.median)
    assert row.headline and row.recommended and row.name == "int8.tflite on litert"
    assert (row.load_cold_ms, row.load_warm_ms, row.load_ms) == (35.0, 14.0, 35.0)
    assert row.import_ms == pytest.approx(610 * 1.04)
    assert row.invoke_us == pytest.approx(0.99 * 1700, rel=0.02) and row.preprocess_ms == pytest.approx(0.31)
    assert row.peak_rss_bytes == 71_000_000 and row.threads == 4
    assert row.operators_headline is not None and row.operators_headline.startswith("97.0 % of time delegated")
    assert row.operators_sum_us == pytest.approx(0.97 * 1030 * 1.7)
    assert row.energy_mj is None and row.energy_reason == "the Raspberry Pi 4 has no power meter"


def test_what_was_throttled_leaves_the_headline_and_what_was_degraded_does_not(
    found: dict[tuple[str, str, str], Row],
) -> None:
    throttled, degraded = found[PI, "int8.pte", "executorch"], found[PI, "fp16.tflite", "litert"]
    assert not throttled.headline and throttled.latency_ms is not None
    assert throttled.comparison is not None and throttled.comparison.verdict == "not comparable"
    assert degraded.headline and degraded.marks[0].startswith("degraded: ")


def test_marks_that_differ_only_in_their_figures_are_one() -> None:
    ran = [
        replace(process, marks=(f"degraded: load 0.{index} per core at the start",))
        for index, process in enumerate(cell().processes)
    ]
    (row,) = of(cell(processes=(*ran[1:], replace(ran[0], marks=("throttled: bits 0x4",)))))
    assert row.marks == (
        "degraded: load 0.1 per core at the start",
        "throttled: bits 0x4",
    )


def test_a_row_that_failed_or_did_not_run_keeps_its_reason(found: dict[tuple[str, str, str], Row]) -> None:
    failed, absent = found[PI, "fp16.pte", "executorch"], found["local", "fp32.pt2", "torch-compile"]
    assert (failed.status, absent.status, absent.reason) == ("failed", "not run", "not installed")
    assert "SIGSEGV" in failed.reason
    for row in (failed, absent):
        assert not row.headline and row.latency_ms is None and row.comparison is None and row.throughput is None


def test_an_emulated_board_has_instructions_and_no_latency(found: dict[tuple[str, str, str], Row]) -> None:
    row = found[EMULATED, "fp32.tflite", "litert"]
    assert row.emulated and row.guest_instructions == 2_610_442
    assert row.latency_ms is None and row.first_ms is None and not row.headline


def test_rows_of_one_precision_are_compared_with_litert(found: dict[tuple[str, str, str], Row]) -> None:
    reference, other = found[PI, "fp32.tflite", "litert"], found[PI, "fp32.pte", "executorch"]
    assert reference.reference is None and reference.comparison is None
    assert other.reference == "litert" and other.comparison is not None
    assert other.comparison.verdict == "slower" and other.comparison.ratio == pytest.approx(3.6 / 3.1, rel=0.02)
    assert found["local", "int8.pte", "executorch"].comparison.reason == "1 thread against 4"  # type: ignore[union-attr]


def test_a_desktops_bundle_is_compared_with_the_boards_of_the_same_model(
    found: dict[tuple[str, str, str], Row],
) -> None:
    row = found["local", "fp32.onnx", "onnxruntime"]
    assert row.target == "desktop-x86_64" and row.reference == "litert"
    assert row.comparison is not None and row.comparison.verdict == "faster"


def test_without_litert_the_first_is_the_reference() -> None:
    first, second = of(
        cell(engine="executorch", variant="fp32.pte"),
        cell(engine="onnxruntime", variant="fp32.onnx", bundle=DESKTOP_BUNDLE, seed=2),
    )
    assert first.comparison is None and second.reference == "executorch"


def test_a_cell_with_the_same_input_is_preferred_and_another_input_is_not_compared() -> None:
    other = replace(conditions(), inputs_sha256="00" * 32)
    litert, alone, pair, second = of(
        cell(),
        cell(engine="executorch", variant="fp32.pte", conditions=other),
        cell(engine="torch", variant="fp32.pt2", bundle=DESKTOP_BUNDLE, conditions=other),
        cell(engine="onnxruntime", variant="fp32.onnx", bundle=DESKTOP_BUNDLE),
    )
    assert litert.reference is None and second.reference == "litert" and pair.reference == "executorch"
    assert alone.reference == "litert" and alone.comparison is not None
    assert (alone.comparison.verdict, alone.comparison.reason) == ("not comparable", "other input values")


def test_another_model_of_the_same_signature_has_a_reference_of_its_own() -> None:
    board, desktop = bundles()
    stranger = replace(board, name="letters", sha256="11" * 32)
    other = replace(conditions(), inputs_sha256="00" * 32)
    cells = (cell(), cell(bundle=stranger.sha256, conditions=other))
    whole = replace(profile(), bundles=(board, desktop, stranger), cells=cells)
    assert [row.reference for row in rows(whole)] == [None, None]


def test_energy_is_the_meters_power_over_the_mean_duration() -> None:
    meter = BoardState(at_s=0.0, power_w=5.0)
    ran: tuple[Process, ...] = processes(
        [(process.elapsed_ns, process.round_sizes) for process in cell().processes],  # type: ignore[misc]
        state=meter,
    )
    (row,) = of(cell(processes=ran, energy=""))
    assert row.latency_ms is not None and row.energy_mj == pytest.approx(5.0 * row.latency_ms.mean)


def test_json_has_the_names_of_all_documents(found: dict[tuple[str, str, str], Row]) -> None:
    value = json.loads(json.dumps(asdict(found[PI, "fp32.pte", "executorch"])))
    names = {"size_bytes", "accuracy", "accuracy_drop", "snr_db", "agreement", "delegated_share", "latency_ms"}
    names |= {"load_ms", "peak_rss_bytes", "guest_instructions", "threads", "engine", "recipe", "format", "target"}
    assert names | {"device", "emulated"} <= value.keys()
    assert {"median", "p90", "p95", "p99", "max", "mean", "mad"} <= value["latency_ms"].keys()
    assert value["comparison"]["verdict"] == "slower"


def test_devices_without_a_row_are_no_trouble() -> None:
    assert rows(Profile(**{**vars(profile()), "cells": (), "devices": devices()})) == ()
