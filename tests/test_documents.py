"""JSON of others: what it may hold, and how little the rest costs."""

from __future__ import annotations

import json
import resource
import time

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
