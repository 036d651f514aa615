"""Phones in browsers beside other devices: what their rows say, and what is not claimed of them."""

from __future__ import annotations

import csv
import io
import re
from dataclasses import replace

import pytest
from support import phone_profiles, profiles
from support.figures import not_run
from support.phone_profiles import DIFFERENT, IPHONE, PHONE, PIXEL, record

from edgekit.manifest import Variant
from edgekit.profiling import markdown
from edgekit.profiling.advice import advise, pareto
from edgekit.profiling.comparison import compare_sessions, other_machine
from edgekit.profiling.csv import render as render_csv
from edgekit.profiling.files import merge
from edgekit.profiling.outcome import sentences
from edgekit.profiling.report import render
from edgekit.profiling.report.figures.cost import sizes
from edgekit.profiling.report.figures.latency import latency_table
from edgekit.profiling.report.figures.quality import trade
from edgekit.profiling.report.provenance import facts
from edgekit.profiling.rows import Row, rows
from edgekit.profiling.table import table
from edgekit.runtime.profiler.profile import Profile
from edgekit.runtime.profiler.records import NOT_RUN, Cell

EVIL = "<script>alert(1)</script>|![x](http://evil/)`=1+1"


def board() -> Profile:
    """Two rows of a Raspberry Pi."""
    whole = profiles.profile(mode="quick")
    return replace(whole, bundles=whole.bundles[:1], devices=whole.devices[:1], cells=whole.cells[:2])


@pytest.fixture(scope="module")
def merged() -> Profile:
    """A Raspberry Pi and a phone, which says something evil."""
    phone = phone_profiles.profile(phone={**PIXEL, "webgpu_adapter": EVIL})
    said = phone_profiles.cell("fp16.tflite", "litert-webgpu", (), status=NOT_RUN, reason=f"the page says: {EVIL}")
    return merge([board(), replace(phone, cells=(*phone.cells, said))])


@pytest.fixture(scope="module")
def found(merged: Profile) -> dict[tuple[str, str], Row]:
    return {(row.variant, row.engine): row for row in rows(merged) if row.device == PHONE}


@pytest.fixture(scope="module")
def page(merged: Profile) -> str:
    return render(merged)


def test_a_phone_is_one_more_device_and_is_never_compared_with_another(
    found: dict[tuple[str, str], Row], merged: Profile
) -> None:
    assert [device.name for device in merged.devices][-1] == PHONE
    assert found["fp32.tflite", "litert-web"].comparison is None  # the reference there
    gpu = found["int8.tflite", "litert-webgpu"]
    assert gpu.reference == "litert-web" and gpu.comparison is not None
    assert gpu.comparison.reason == "webgpu against cpu; 1 thread against 4"


def test_a_row_whose_outputs_are_wrong_has_no_latency_and_is_no_reference() -> None:
    made = phone_profiles.profile()
    wrong = replace(made.cells[0], status="failed", reason="wrong outputs: SNR 3.1 dB, at least 80.0 dB are due")
    gpu = replace(made.cells[2], variant="fp32.tflite", conditions=made.cells[0].conditions)
    first, second = rows(replace(made, cells=(wrong, gpu)))
    assert (first.latency_ms, first.headline) == (None, False)
    assert (second.reference, second.comparison) == (None, None)


def test_means_of_several_inferences_have_a_median_and_no_tail(found: dict[tuple[str, str], Row]) -> None:
    row = found["int8.tflite", "litert-web"]
    summary = row.latency_ms
    assert summary is not None and summary.calls_per_sample == 8 and summary.samples == 144
    assert summary.median == pytest.approx(0.41, rel=0.05)
    assert (summary.mad, summary.p90, summary.p95, summary.p99, summary.max, summary.outliers) == (None,) * 6
    headers, lines = table([row])
    line = dict(zip(headers, lines[0], strict=True))
    assert (line["p90 ms"], line["p99 ms"]) == ("means of 8", "means of 8")
    assert "samples are means of 8 inferences" in line["note"]
    assert found["fp32.tflite", "litert-web"].latency_ms is not None


def test_means_are_compared_by_their_medians() -> None:
    one, other = phone_profiles.profile().devices[0], phone_profiles.profile()
    fast, single = (
        replace(cell, processes=tuple(replace(process, marks=()) for process in cell.processes))
        for cell in (other.cells[1], phone_profiles.profile(together=1).cells[1])
    )
    comparison = compare_sessions(single, fast, one, one, noise_floor_percent=2.0)
    assert comparison.verdict == "no difference"
    comparison = compare_sessions(single, other.cells[1], one, one, noise_floor_percent=2.0)
    assert (comparison.verdict, comparison.reason) == ("undecided", "the new one was degraded")


def test_what_differs_is_said_wherever_rows_are_shown(merged: Profile) -> None:
    made = rows(merged)
    headers, lines = table(made)
    assert sum(DIFFERENT in line[headers.index("note")] for line in lines) == 1
    assert DIFFERENT in markdown.render(merged)
    records = list(csv.DictReader(io.StringIO(render_csv(made))))
    assert [each["remarks"] for each in records if each["remarks"]] == [DIFFERENT]
    drawn = latency_table([row for row in made if row.device == PHONE])
    assert sum(DIFFERENT in row[-1] for row in drawn.rows) == 1
    said = list(sentences(merged, made, advise(merged, made)))
    assert f"{PHONE}: degraded: on battery" in said


def test_advice_for_a_phone_is_of_its_own_rows(merged: Profile) -> None:
    advice = {each.device: each for each in advise(merged, rows(merged))}[PHONE]
    assert (advice.variant, advice.engine) == ("int8.tflite", "litert-web")
    assert any(each.startswith("int8.tflite on litert-webgpu: webgpu against cpu") for each in advice.not_compared)
    assert "fp16.tflite on litert-web: failed: wrong outputs: SNR 3.1 dB, at least 69.0 dB are due" in advice.left_out


@pytest.mark.slow
def test_the_report_shows_what_the_browser_is_and_what_was_used(page: str) -> None:
    text = re.sub(r"<[^>]+>", " ", page).replace("\N{NO-BREAK SPACE}", " ")
    for words in (
        "Pixel 8",
        "4 threads: the page is cross-origin isolated",
        "Cross-origin isolated",
        "steps of 5.00 µs",
    ):
        assert words in text, words
    assert (
        "cpu, threaded build" in text
        and "webgpu, default build" in text
        and "80 to 82 %" in text
        and "CPU features" in text
    )


def test_a_browser_that_a_program_drives_is_no_phone() -> None:
    assert ("Driven by", "a program: its figures are no phone's") in facts(record(automated=True))
    assert "Driven by" not in dict(facts(record()))


def test_what_a_phone_says_does_no_harm(merged: Profile) -> None:
    """Its texts are printable and short, which `edgekit.devices.browser.posted` sees to; no more than that."""
    text = markdown.render(merged)
    assert "<script" not in text and "![x](" not in text and not re.search(r"(?<!\\)`=", text)
    bars = {len(re.findall(r"(?<!\\)\|", line)) for line in text.splitlines() if line.startswith("|")}
    assert len(bars) == 1
    for line in csv.DictReader(io.StringIO(render_csv(rows(merged)))):
        assert not any(value.startswith(("=", "+", "@")) for value in line.values())


def test_phones_of_a_kind_are_compared_and_others_are_not() -> None:
    assert other_machine(record(), record("another name")) == ""
    assert other_machine(record(), record(model="Pixel 9")) == "another phone: model Pixel 9 against Pixel 8"
    assert other_machine(record(), record(memory_gib=4.0)) == "another phone: memory 4.0 against 8"
    assert other_machine(record(phone=IPHONE), record(phone=IPHONE)) == "a browser did not tell which phone it is on"
    desktop = profiles.devices()[2]
    assert other_machine(desktop, record()).startswith("another machine: board Pixel 8")


def exported(variant: Variant) -> Variant:
    return replace(variant, backend="vulkan", **not_run())


def test_what_was_exported_and_not_run_is_never_recommended(merged: Profile) -> None:
    """Even where something ran it: nothing has shown that its outputs are right."""
    whole = phone_profiles.profile()
    board = whole.bundles[0]
    variants = tuple(exported(each) if each.recipe == "int8" else each for each in board.variants)
    profile = replace(whole, bundles=(replace(board, variants=variants),))
    made = rows(profile)
    (advice,) = advise(profile, made)
    assert advice.variant == "fp32.tflite"
    assert any("exported, not run at the build: its outputs were never checked" in each for each in advice.not_compared)
    assert [row.variant for row in pareto(made)] == ["fp32.tflite"]
    headers, lines = table(made)
    assert "its outputs were never checked" in lines[1][headers.index("note")]
    drawn = trade(made)
    assert drawn is not None and drawn.table is not None and len(drawn.table.rows) == 1


def test_a_bundle_of_which_nothing_was_run_is_shown_as_that() -> None:
    whole = phone_profiles.profile()
    board = whole.bundles[0]
    reason = "exported, not run: no engine here has the vulkan backend"
    cells = tuple(
        Cell("local", board.sha256, each.name, each.engines[0], None, NOT_RUN, reason) for each in board.variants
    )
    variants = tuple(map(exported, board.variants))
    profile = replace(whole, bundles=(replace(board, variants=variants),), devices=profiles.devices()[2:], cells=cells)
    (advice,) = advise(profile, rows(profile))
    assert advice.variant is None and "exported, not run: nothing has shown" in advice.why
    assert sizes(rows(profile)).table.rows[0][-1] == "exported, not run"
    for text in (markdown.render(profile), render_csv(rows(profile))):
        assert "exported, not run" in text
