"""JSON and TOML of others: what it may hold, and how little the rest costs."""

from __future__ import annotations

import json
import resource
import time
from pathlib import Path

import pytest

from edgekit import documents

GOOD = {"a": [1, -2.5, True, None, "ü", {"b": {}}], "c": 2**63, "d": [[[]]]}

REFUSED = {
    "nothing": b"",
    "words": b"hello",
    "half": b'{"a": [1, 2',
    "no UTF-8": b'"\xff"',
    "half a pair of surrogates": b'"\\ud800"',
    "half a pair in a name": b'{"\\udfff": 1}',
    "not a number": b"NaN",
    "infinity": b'{"a": -Infinity}',
    "a float beyond all": b'{"a": 1e999}',
    "a whole number of 30 digits": b"[" + b"9" * 30 + b"]",
    "a whole number of 5,000 digits": b'{"a": ' + b"9" * 5000 + b"}",
    "forty lists": b"[" * 40 + b"]" * 40,
    "a million lists": b"[" * 1_000_000,
    "objects in objects": b'{"a":' * 200_000,
    "two million numbers": b"[" + b"1," * 2_000_000 + b"1]",
    "two million objects": b"[" + b"{}," * 2_000_000 + b"{}]",
    "commas": b"," * 5_000_000,
}


def test_what_edgekit_writes_is_read() -> None:
    assert documents.parse(json.dumps(GOOD)) == documents.parse(json.dumps(GOOD).encode()) == GOOD


@pytest.mark.parametrize("name", REFUSED)
def test_anything_else_is_refused_for_little(name: str) -> None:
    before, began = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.process_time()
    with pytest.raises(ValueError):
        documents.parse(REFUSED[name])
    assert time.process_time() - began < 5
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 64 << 10


def test_long_texts_are_no_values() -> None:
    assert len(documents.parse(json.dumps({"data": "x" * 5_000_000}))["data"]) == 5_000_000


DEEP_TOML = {
    "lists": "a = " + "[" * 20_000 + "]" * 20_000,
    "tables": "a = " + "{b = " * 20_000 + "1" + "}" * 20_000,
    "a key of many parts": ".".join(["a"] * 20_000) + " = 1",
    "a table's name of many parts": "[" + " . ".join(["a", '"b.c"', "'d'"] * 7_000) + "]",
    "a whole number of 5,000 digits": "a = " + "9" * 5000,
    "too much of it": "#" * (1 << 20) + "\n",
}


@pytest.mark.parametrize("name", DEEP_TOML)
def test_toml_that_would_cost_much_is_refused_for_little(name: str, tmp_path: Path) -> None:
    file = tmp_path / "deep.toml"
    file.write_text(DEEP_TOML[name])
    before, began = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.process_time()
    with pytest.raises(ValueError):
        documents.read_toml(file)
    assert time.process_time() - began < 5
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 64 << 10


def test_toml_that_people_write_is_read(tmp_path: Path) -> None:
    file = tmp_path / "good.toml"
    labels = ["a.b.c " * 100, 'say "1.2.3" ' * 20, "it's"]
    text = f"[a.b-c.'d.e']\r\nlabels = {json.dumps(labels)}  # .a\r\nnumbers = [{'0.5, 1.25, ' * 50}]\r\n"
    file.write_bytes(text.encode())
    table = {"labels": labels, "numbers": [0.5, 1.25] * 50}
    assert documents.read_toml(file)[1] == {"a": {"b-c": {"d.e": table}}}


def test_what_never_ends_is_read_to_a_bound() -> None:
    assert documents.read(Path("/dev/null"), 10) == b""
    with pytest.raises(ValueError, match="more than 1,000 bytes"):
        documents.read(Path("/dev/zero"), 1000)
