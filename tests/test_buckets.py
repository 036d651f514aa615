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


OPEN = replace(BUCKETS, batch_range=(1, 16), length_range=(3, 32))


def test_ranges_have_methods_of_their_own() -> None:
    assert not BUCKETS.open_methods()
    assert [each.name for each in OPEN.open_methods()] == ["batch1to16_length3to32"]
    assert [each.name for each in replace(OPEN, length_range=None).open_methods()] == [
        "batch1to16",
        "batch1to16_length8",
    ]
    assert [each.name for each in replace(OPEN, batch_range=None).open_methods()] == [
        "length3to32",
        "batch4_length3to32",
    ]
    assert [each.name for each in Buckets((1,), batch_range=(1, 2)).open_methods()] == ["batch1to2"]


@pytest.mark.parametrize("buckets", [OPEN, replace(OPEN, length_range=None), replace(OPEN, batch_range=None)])
def test_whatever_size_is_taken_has_a_method_that_there_is(buckets: Buckets) -> None:
    there = {None, *(each.name for each in buckets.open_methods())}
    batches = range(1, 17) if buckets.batch_range else buckets.batch
    lengths = range(3, 33) if buckets.length_range else buckets.length
    assert {buckets.method(batch, length) for batch in batches for length in lengths} == there
    assert buckets.method(1, 32) is None


def test_a_range_is_tried_at_its_bounds_and_between() -> None:
    (method,) = OPEN.open_methods()
    assert set(method.sizes) == {(1, 3), (1, 32), (16, 3), (16, 32), (8, 17)}
    assert OPEN.lengths() == (3, 8, 17, 32)
    (alone,) = Buckets((1,), batch_range=(1, 2)).open_methods()
    assert alone.sizes == ((1, None), (2, None))


@pytest.mark.parametrize(("length", "bucket"), [(2, None), (3, 3), (9, 9), (32, 32), (33, None)])
def test_lengths_of_a_range_are_taken_as_they_are(length: int, bucket: int | None) -> None:
    assert OPEN.bucket_for(length) == bucket
    assert OPEN.closed.bucket_for(length) == BUCKETS.bucket_for(length)


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
        ({"batch_range": (2, 8)}, "batch_range"),
        ({"batch_range": (1, 1)}, "batch_range"),
        ({"batch_range": (1,)}, "batch_range"),
        ({"batch_range": (1, 2, 3)}, "batch_range"),
        ({"batch_range": ()}, "batch_range"),
        ({"length_range": (8, 31)}, "length_range"),
        ({"length_range": (0, 32)}, "length_range"),
        ({"length_range": (32, 32)}, "length_range"),
        ({"length": (), "axes": None, "pad": None, "outputs": None, "length_range": (3, 32)}, "length_range"),
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


def test_a_manifest_without_ranges_is_written_as_before_there_were_any(manifest: Manifest) -> None:
    assert b"_range" not in manifest_bytes(manifest)


@pytest.fixture
def open_manifest(manifest: Manifest) -> Manifest:
    """One of a file that takes a range beside one that takes what is listed."""
    first, *others = manifest.variants
    assert others
    others[0] = replace(others[0], bucket_snr_db={"batch1to16": 80.0})
    methods = {**manifest.methods, "batch1to16": manifest.signature.batched(16)}
    buckets = Buckets((1, 2), batch_range=(1, 16))
    return replace(manifest, buckets=buckets, methods=methods, variants=(first, *others))


def test_each_variant_keeps_what_it_takes(open_manifest: Manifest) -> None:
    found = parse_manifest(manifest_bytes(open_manifest))
    first, second, *others = found.variants
    assert found.buckets_of(first) == Buckets((1, 2))
    assert found.buckets_of(second) == Buckets((1, 2), batch_range=(1, 16))
    assert [found.buckets_of(each) for each in others] == [None] * len(others)


OPEN_BROKEN: dict[str, Callable[[Manifest], Manifest]] = {
    "methods: no batch1to16": lambda found: replace(found, methods={"batch2": found.signature.batched(2)}),
    "methods.batch1to16": lambda found: replace(
        found, methods={**found.methods, "batch1to16": found.signature.batched(15)}
    ),
    "buckets.batch_range": lambda found: replace(found, buckets=Buckets((1, 2), batch_range=(16, 1))),
    "buckets.length_range": lambda found: replace(found, buckets=Buckets((1, 2), length_range=(1, 4))),
    "bucket_snr_db": lambda found: replace(found, buckets=Buckets((1, 2), batch_range=(1, 8))),
    "buckets.batch_range\\[0\\]": lambda found: replace(found, buckets=Buckets((1, 2), batch_range=(1.5, 8))),  # type: ignore[arg-type]
}


@pytest.mark.parametrize("says", OPEN_BROKEN)
def test_a_manifest_whose_ranges_are_not_whole_is_refused(open_manifest: Manifest, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        parse_manifest(manifest_bytes(OPEN_BROKEN[says](open_manifest)))


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
