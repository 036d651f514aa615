"""Judge and gates on thousands of small random models: what is dead or swapped is refused, what is equal is not.

EDGEKIT_GENERATED=10000 runs as many; each model follows from its number.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator

import numpy as np
import pytest
from support.generated import SAMPLES, Generated, generate

from edgekit.errors import ConversionError
from edgekit.fidelity import MAX_SNR_DB, channel_axes
from edgekit.pipeline.model.reference import Reference
from edgekit.pipeline.readers.facts import Constant, FileFacts
from edgekit.pipeline.variants.gates import check_weights, remarks
from edgekit.pipeline.variants.quality import judge
from edgekit.recipes import RECIPES

_COUNT = int(os.environ.get("EDGEKIT_GENERATED", "120"))
_SHARDS = 4
#: A column that a damage is done to varies by at least this part of its largest value, and by as much as probabilities
#: have to.
_VARIES, _PROBABILITY = 1e-3, 3 / 256

Outputs = dict[str, np.ndarray]


@pytest.mark.parametrize("shard", range(_SHARDS))
def test_dead_and_swapped_is_refused_and_equal_is_not(shard: int) -> None:
    damages = 0
    for seed in range(shard, _COUNT, _SHARDS):
        made = generate(seed)
        assert refusal(made, made.outputs, "fp32") is None
        assert refusal(made, made.precisely, "fp32") is None, seed
        for what, measured in damaged(made):
            damages += 1
            for recipe in RECIPES.names():
                assert refusal(made, measured, recipe) is not None, f"model {seed}: {what} passes as {recipe}"
    assert damages > _COUNT / _SHARDS


@pytest.mark.parametrize("shard", range(_SHARDS))
def test_of_a_file_that_nothing_here_runs_missing_weights_are_said(shard: int) -> None:
    for seed in range(shard, _COUNT, _SHARDS):
        weights, biases = generate(seed).weights
        for share, whole in ((1, True), (0.5, False)):
            counts = [int(share * count) for count in (weights, biases)]
            shapes = (1, counts[0]), (counts[1],)
            held = [Constant("float32", shape, 4 * count) for shape, count in zip(shapes, counts, strict=True)]
            facts, size = FileFacts.of(held, [], {}), 4 * sum(counts) + 4096
            assert check_weights(facts, RECIPES["fp32"]) is None
            said = list(remarks(facts, RECIPES["fp32"], weights + biases, size, run=False))
            assert bool(said) != whole, f"model {seed}: {said}"


def refusal(made: Generated, measured: Outputs, recipe: str) -> str | None:
    try:
        judge(
            RECIPES[recipe], Reference(made.outputs, None, None, None, None, MAX_SNR_DB), measured,
            np.arange(SAMPLES), None, check_samples=np.arange(SAMPLES // 3),
        )  # fmt: skip
    except ConversionError as error:
        return error.message
    return None


def damaged(made: Generated) -> Iterator[tuple[str, Outputs]]:
    """The outputs with a column that does not move any more, with two columns or two outputs in each other's place."""
    random = np.random.default_rng(made.seed)
    for name, array in made.outputs.items():
        axis = channel_axes(array.shape)[0]
        if axis is None:
            continue
        columns = [index for index in range(array.shape[axis]) if _varies(np.take(array, index, axis))]
        if columns:
            killed = np.moveaxis(array.copy(), axis, 0)
            killed[columns[0]] = np.median(killed[columns[0]]) if random.random() < 0.5 else 0
            yield f"{name} with a dead column {columns[0]}", {**made.outputs, name: np.moveaxis(killed, 0, axis)}
        if len(columns) > 1 and _differ(*(np.take(array, columns[place], axis) for place in (0, -1))):
            swapped = np.moveaxis(array.copy(), axis, 0)
            swapped[[columns[0], columns[-1]]] = swapped[[columns[-1], columns[0]]]
            yield f"{name} with swapped columns", {**made.outputs, name: np.moveaxis(swapped, 0, axis)}
    names = list(made.outputs)
    for one, other in itertools.pairwise(names):
        first, second = made.outputs[one], made.outputs[other]
        if first.shape == second.shape and first.dtype == second.dtype and _varies(first) and _differ(first, second):
            yield f"{one} and {other} swapped", {**made.outputs, one: second, other: first}


def _differ(one: np.ndarray, other: np.ndarray) -> bool:
    """Whether one in the other's place is noise as large as what it says."""
    first, second = (np.asarray(array, np.float64) for array in (one, other))
    return bool(np.square(first - second).mean() > max(first.var(), second.var()))


def _varies(column: np.ndarray) -> bool:
    values = column.astype(np.float64)
    size = np.abs(values).max()
    spread = values.std()
    likely = column.dtype.kind == "f" and values.min() > 0 and values.max() <= 1
    return bool(spread > _VARIES * size and (not likely or spread > _PROBABILITY))
