"""How samples of requests are dealt to batches; ``tests/pipeline/test_build_buckets.py`` has what engines give."""

from __future__ import annotations

import pytest

from edgekit.buckets import Buckets
from edgekit.runtime.bucketed import _chunks


@pytest.mark.parametrize(
    ("counts", "batches"),
    [
        ([1], [1]),
        ([3], [4]),  # one row for nothing is less than two calls more
        ([5], [4, 1]),
        ([15], [16]),
        ([8], [4, 4]),
        ([9], [16]),
        ([33], [16, 16, 1]),
        ([1] * 6, [4, 1, 1]),
        ([2, 3, 40], [16, 16, 16]),
    ],
)
def test_batches_are_more_than_half_full(counts: list[int], batches: list[int]) -> None:
    found = list(_chunks(list(enumerate(counts)), Buckets((1, 4, 16))))
    assert [batch for batch, _ in found] == batches
    dealt = [(index, begin + row) for _, taken in found for index, begin, count in taken for row in range(count)]
    assert dealt == [(index, row) for index, count in enumerate(counts) for row in range(count)]
    assert all(batch < 2 * sum(count for _, _, count in taken) for batch, taken in found)


@pytest.mark.parametrize(
    ("counts", "batches"),
    [([1], [1]), ([3], [3]), ([10], [10]), ([11], [10, 1]), ([1] * 6, [6]), ([2, 3, 27], [10, 10, 10, 2])],
)
def test_batches_of_an_open_size_are_full(counts: list[int], batches: list[int]) -> None:
    found = list(_chunks(list(enumerate(counts)), Buckets((1,), batch_range=(1, 10))))
    assert [batch for batch, _ in found] == batches
    assert all(batch == sum(count for _, _, count in taken) for batch, taken in found)
