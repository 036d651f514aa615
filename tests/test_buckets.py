"""Buckets: names of methods, which bucket takes a length, and what a manifest may say of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from edgekit.buckets import Buckets
from edgekit.bundle import Bundle
from edgekit.manifest import Manifest, manifest_bytes, parse_manifest
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


@pytest.fixture
def manifest(small_bundle: Path) -> Manifest:
    """One with buckets, as far as its own words go."""
    with Bundle.open(small_bundle) as bundle:
        found = bundle.manifest
    first, *others = found.variants
    variants = (replace(first, bucket_snr_db={"batch2": 90.0}), *others)
    methods = {"batch2": found.signature.batched(2)}
    return replace(found, buckets=Buckets((1, 2)), methods=methods, variants=variants)


def test_a_manifest_keeps_its_buckets(manifest: Manifest) -> None:
    assert parse_manifest(manifest_bytes(manifest)).buckets == Buckets((1, 2))


BROKEN: dict[str, Callable[[Manifest], Manifest]] = {
    "methods: no batch2": lambda found: replace(found, methods={}),
    "methods.batch2": lambda found: replace(found, methods={"batch2": found.signature.batched(3)}),
    "buckets.batch": lambda found: replace(found, buckets=Buckets((2,))),
    "bucket_snr_db": lambda found: replace(
        found, variants=(replace(found.variants[0], bucket_snr_db={"batch4": 90.0}), *found.variants[1:])
    ),
}


@pytest.mark.parametrize("says", BROKEN)
def test_a_manifest_whose_buckets_are_not_whole_is_refused(manifest: Manifest, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        parse_manifest(manifest_bytes(BROKEN[says](manifest)))
