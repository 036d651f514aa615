"""What a report says, and what holds for its markup."""

from __future__ import annotations

import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest
from support.profiles import EMULATED, cell, measured, processes, profile

from edgekit.profiling.report import render
from edgekit.profiling.report.marks import mark
from edgekit.runtime.profiler.profile import Profile
from edgekit.runtime.profiler.records import Operator, Operators


class Page(HTMLParser):
    """Elements with their attributes, and the text of the page."""

    def __init__(self, html: str):
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self._text: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self._text.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self._text).split())

    def of(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]


@pytest.fixture(scope="module")
def page(report: Path) -> Page:
    return Page(report.read_text(encoding="utf-8"))


def small(**changes: object) -> Profile:
    """One cell, made different, with next to no samples."""
    whole = profile(mode="quick")
    return replace(whole, devices=whole.devices[2:], cells=(replace(whole.cells[-2], **changes),))  # type: ignore[arg-type]


def test_it_says_first_what_to_ship_on_each_device(page: Page) -> None:
    assert page.text.index("Ship int8.tflite on litert") < page.text.index("Could not be compared")
    assert page.text.index("Could not be compared") < page.text.index("milliseconds for one inference")
    assert "97.22 % (0.28 points below the float model)" in page.text


def test_it_gives_reasons_where_there_is_no_ratio(page: Page) -> None:
    assert "not comparable: 1 thread against 4" in page.text
    assert not re.search(r"int8\.pte on executorch [\d.]+ \N{MULTIPLICATION SIGN}", page.text)


def test_it_shows_what_failed_and_what_did_not_run(page: Page) -> None:
    assert "fp16.pte on executorch , ssh://pi@raspberrypi.local: failed" in page.text
    assert "SIGSEGV" in page.text
    assert "Fatal Python error" in page.text
    assert "fp32.pt2 on torch-compile , local: not run: not installed" in page.text


def test_throttled_rows_leave_the_headline_and_degraded_ones_are_marked(page: Page) -> None:
    assert "Not drawn, because the machine was throttled meanwhile: int8.pte on executorch." in page.text
    assert "fp16.tflite on litert, degraded" in page.text
    assert "degraded: 63.2 degrees Celsius" in page.text


def test_emulated_boards_have_instructions_and_no_latency(page: Page) -> None:
    assert f"Instructions on {EMULATED}" in page.text
    assert f"Latency on {EMULATED}" not in page.text
    assert "2,204,917" in page.text


def test_it_says_why_there_is_no_energy(page: Page) -> None:
    assert "not available: the Raspberry Pi 4 has no power meter" in page.text


def test_operators_stand_next_to_the_whole_and_the_untraced_median(page: Page) -> None:
    assert re.search(
        r"All operators together [\d,.]+ µs; the traced inference as a whole [\d,.]+ µs; untraced", page.text
    )
    assert "slowest undelegated: SOFTMAX #1" in page.text
    assert "edgekit does not trace torch" in page.text


def test_it_records_the_machine_and_all_that_repeats_it(page: Page) -> None:
    for fact in ("Raspberry Pi 4 Model B Rev 1.4", "cortex-a72", "ondemand", "52.1 °C", "1.50 GHz", "mains"):
        assert fact in page.text
    for fact in ("edgekit profile digits-rpi4.edgekit", "Seed of the orders", "4d" * 32, "7e" * 32):
        assert fact in page.text


def test_a_percentile_of_too_few_samples_is_no_figure() -> None:
    whole = profile(mode="quick")
    ((steady,),) = measured([2.0], repeats=1, rounds=1)
    few = cell(processes=processes([steady]))
    text = Page(render(replace(whole, devices=whole.devices[2:], cells=(few,)))).text
    assert "n too small" in text


def test_a_report_of_a_profile_in_which_nothing_ran() -> None:
    whole = profile(mode="quick")
    lost = replace(whole.devices[0], machine=None, engines={}, failure="no route to host")
    text = Page(render(replace(whole, devices=(lost,), cells=()))).text
    assert "No advice" in text
    assert "no route to host" in text


def test_text_from_elsewhere_stays_text() -> None:
    evil = '<script>alert("x")</script><img src=x onerror=alert(1)>'
    made = small(engine=evil, operators_reason=evil, reason=evil)
    page = Page(render(replace(made, notes=(evil,), command=("edgekit", evil))))
    assert not page.of("script")
    assert not page.of("img")
    assert page.text.count('alert("x")') > 3


def test_it_needs_nothing_but_itself(page: Page, report: Path) -> None:
    assert not page.of("script")
    for tag, attributes in page.elements:
        for name in ("href", "src", "xlink:href"):
            assert (attributes.get(name) or "#").startswith(("#", "data:")), (tag, attributes)
    assert "url(" not in report.read_text(encoding="utf-8").replace("url(#", "")
    assert report.stat().st_size < 1 << 20


def test_every_drawing_has_a_text_and_every_id_is_unique(page: Page) -> None:
    drawings = page.of("svg")
    assert len(drawings) == len(page.of("figure")) > 20
    ids = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    for drawing in drawings:
        assert drawing["role"] == "img"
        assert drawing["aria-labelledby"] in ids


def test_text_in_drawings_is_large_enough_for_a_phone(report: Path) -> None:
    sizes = re.findall(r'font-size="([\d.]+)px"', report.read_text(encoding="utf-8"))
    assert min(map(float, sizes)) >= 11


def test_many_operators_leave_it_below_two_megabytes() -> None:
    kind = "Convolution (NHWC, QC8) DWConv"
    many = tuple(Operator(f"{kind} #{i}", kind, 1, 30.0, True, min_us=29.13, median_us=30.24) for i in range(230))
    whole = profile(mode="quick")
    traced = replace(whole.cells[-2], operators=Operators(50, 7000.0, many), processes=())
    one = len(render(replace(whole, cells=(traced,))))
    two = len(render(replace(whole, cells=(traced, traced))))
    assert one + 30 * (two - one) < 2_000_000


def test_an_engine_looks_the_same_in_every_report_and_unlike_others() -> None:
    known = [mark(name) for name in ("litert", "executorch", "onnxruntime", "torch", "tensorflow", "pytorch-mobile")]
    assert len({each.color for each in known}) == len({each.shape for each in known}) == len(known)
    cuda = mark("torch-cuda", "cuda")
    assert cuda.hollow
    assert (cuda.color, cuda.shape) == (mark("torch").color, mark("torch").shape)
    assert mark("of-somebody-else") == mark("of-somebody-else")


def test_colours_have_contrast_in_light_and_dark(report: Path) -> None:
    style = re.search(r"<style>(.*?)</style>", report.read_text(encoding="utf-8"), re.DOTALL)
    assert style is not None
    schemes = [
        dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6})", block))
        for block in re.findall(r":root \{(.*?)\}", style[1], re.DOTALL)
    ]
    assert len(schemes) == 3  # light, dark, print
    for colors in schemes:
        for paper in (colors["paper"], colors["page"]):
            for name in (f"engine-{number}" for number in range(1, 9)):
                assert _contrast(colors[name], paper) >= 3, (name, colors[name])
            for name in ("ink", "muted", "accent"):
                assert _contrast(colors[name], paper) >= 4.5, (name, colors[name])


def _contrast(one: str, other: str) -> float:
    """WCAG 2.2, "contrast ratio"."""
    dark, light = sorted(_luminance(color) for color in (one, other))
    return (light + 0.05) / (dark + 0.05)


def _luminance(color: str) -> float:
    parts = [int(color[index : index + 2], 16) / 255 for index in (1, 3, 5)]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue
