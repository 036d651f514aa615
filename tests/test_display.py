"""Text of others: shown so that no terminal obeys it, and no reader takes it for what it is not."""

from __future__ import annotations

import json
import unicodedata

import pytest

from edgekit import display
from edgekit.errors import EdgekitError

#: What a terminal, a spreadsheet or an eye would take for more than text.
EVIL = [
    "\x1b[2J", "\x1b]0;owned\x07", "\x1b]8;;http://evil\x1b\\click\x1b]8;;\x1b\\", "\x9b31m", "\x90q\x9c", "\x1bP",
    "\x1b[6n", "\x08\x08\x08", "\x07", "\x00", "\x7f", "\x0e\x0f", "\u202eexe.txt",
    "\u2066x\u2069", "\u200fx", "\u2028x\u2029",
    "\ufeffx", "\u00adx", "\ud800", "\udcff", "\U000e0041", "\u061c", "\u180e", "\u2060",
]  # fmt: skip


@pytest.mark.parametrize("text", EVIL)
def test_nothing_that_commands_or_misleads_is_left(text: str) -> None:
    shown = display.one_line(f"a{text}b")
    assert shown.isprintable() and shown.isascii() and shown.encode()
    assert shown[0] == "a" and shown[-1] == "b"
    assert display.one_line(shown) == shown
    document = display.json_text({text: [text]}, indent=2)
    assert document.isascii() and json.loads(document) == {text: [text]}
    error = EdgekitError("EK-RUN", f"it says {text}", f"try {text}")
    for said in (error.message, str(error.hint), str(error)):
        assert said.isprintable() and said.encode()


@pytest.mark.parametrize(
    "text",
    [
        "straße",
        "数字 七",
        "עברית",
        "\u0646\u0648\u0639\u200c\u0647\u0627",
        "👩\u200d🔬",
        "a\u00a0b",
        "é",
        "10 µs ± 2 °C",
    ],
)
def test_words_of_any_language_stay(text: str) -> None:
    assert display.one_line(text) == text
    assert display.json_text([text]) == f'["{text}"]'


def test_one_line_is_one_line() -> None:
    assert display.one_line("a\r\nb\tc\vd") == "a  b c d"
    assert display.lines(["a\nb", "c"]) == "a b\nc"


def test_a_long_text_is_cut_and_stays_as_it_is() -> None:
    for text in ("x" * 300_000, "\x1b" * 300_000, "\u202e" * 1999):
        shown = display.one_line(text)
        assert len(shown) == 2000 and shown.endswith(f"... ({len(text):,} characters)")
        assert display.one_line(shown) == shown
    assert display.one_line("x" * 2000) == "x" * 2000
    assert len(display.one_line("x" * 100, 10)) == 10


def test_every_control_character_is_spelled_out() -> None:
    for code in range(0x3000):
        character = chr(code)
        if unicodedata.category(character) in ("Cc", "Cf", "Zl", "Zp") and code not in (0x200C, 0x200D):
            assert display.one_line(f"[{character}]") in ("[ ]", f"[{character.encode('unicode_escape').decode()}]")


@pytest.mark.parametrize(
    "text", ["=1+1", "+1", "-1", "@SUM(A1)", "=cmd|' /C calc'!A0", "\t=1", " =1", "\r=1", "\uff1d1"]
)
def test_a_cell_is_no_formula(text: str) -> None:
    shown = display.cell(text)
    assert shown.startswith("'") and "\t" not in shown and "\r" not in shown
    assert display.cell("local") == "local"


def test_values_are_shown_harmlessly_at_any_depth() -> None:
    value = {"a\x1b": [{"b": "x\x1b\ny"}, 1, None], "data": "x" * 5000, "log": "one\ntwo"}
    shown = {"a\\x1b": [{"b": "x\\x1b\ny"}, 1, None], "data": "x" * 5000, "log": "one\ntwo"}
    assert display.values(value) == shown == display.values(shown)
