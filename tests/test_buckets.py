"""Buckets: names of methods, which bucket takes a length, and what a manifest may say of them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from edgekit.buckets import Buckets
from edgekit.tensors import Signature, TensorSpec

SIGNATURE = Signature((TensorSpec("x", (1, 32, 6), "float32"),), (TensorSpec("y", (1, 32, 4), "float32"),))
BUCKETS = Buckets((1, 4), (8, 32), {"x": 1}, {"x": 0.0}, {"y": 1}, shortest=3)


def test_every_bucket_but_the_main_one_is_a_method() -> None:
    found = {bucket: BUCKETS.method(*bucket) for bucket in BUCKETS.all()}
    assert found == {(1, 32): None, (4, 32): "batch4", (1, 8): "length8", (4, 8): "batch4_length8"}
    assert [Buckets((1, 2)).method(*bucket) for bucket in Buckets((1, 2)).all()] == [None, "batch2"]


@pytest.mark.parametrize(("length", "bucket"), [(2, None), (3, 8), (8, 8), (9, 32), (32, 32), (33, None)])
def test_a_length_goes_to_the_next_bucket(length: int, bucket: int | None) -> None:
    assert BUCKETS.bucket_for(length) == bucket


@pytest.mark.parametrize(("length", "bucket"), [(7, None), (8, 8), (9, None), (32, 32)])
def test_without_padding_lengths_are_exact(length: int, bucket: int | None) -> None:
    assert replace(BUCKETS, pad=None).bucket_for(length) == bucket


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"batch": (4,)}, "batch"),
        ({"batch": (1, 4, 4)}, "batch"),
        ({"batch": ()}, "batch"),
        ({"length": (32, 8)}, "length"),
        ({"length": (0, 32)}, "length"),
        ({"length": (8, 16)}, "axes.x"),
        ({"axes": {"x": 0}}, "axes.x"),
        ({"axes": {"x": 3}}, "axes.x"),
        ({"axes": {"z": 1}}, "axes.z"),
        ({"axes": None}, "axes"),
        ({"pad": {"z": 0.0}}, "pad"),
        ({"outputs": {"y": 2}}, "outputs.y"),
        ({"shortest": 0}, "shortest"),
    ],
)
def test_what_does_not_fit_the_signature_is_named(wrong: dict[str, Any], field: str) -> None:
    BUCKETS.check(SIGNATURE)
    with pytest.raises(ValueError, match=rf"buckets\.{field}"):
        replace(BUCKETS, **wrong).check(SIGNATURE)
