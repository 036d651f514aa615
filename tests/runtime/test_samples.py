"""Samples on disk: what is read a few at a time is what all at once would be, and no more of it is in memory."""

from __future__ import annotations

import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from edgekit import npz
from edgekit.errors import UsageError
from edgekit.runtime.preprocess import Preprocessing, Resize
from edgekit.runtime.samples import note, open_samples
from edgekit.tensors import TensorSpec


@given(
    array=hnp.arrays(
        st.sampled_from(["u1", "i2", "<i8", ">i4", "f2", "f4", ">f8", "?"]), hnp.array_shapes(min_dims=1, max_dims=4)
    ),
    data=st.data(),
)
def test_rows_are_those_of_the_array(tmp_path_factory: pytest.TempPathFactory, array: np.ndarray, data: Any) -> None:
    path = tmp_path_factory.mktemp("rows") / "a.npz"
    save = data.draw(st.sampled_from([npz.save, lambda path, arrays: np.savez(path, **arrays)]))
    save(path, {"other": np.arange(3), "größe": array})
    rows = npz.open_rows(path)["größe"]
    assert (rows.shape, rows.dtype, len(rows)) == (array.shape, array.dtype, len(array))
    bounds = st.integers(-9, 9)
    cut = slice(data.draw(bounds), data.draw(bounds), data.draw(st.sampled_from([None, 1, 2, -1, -3])))
    numbers = data.draw(st.lists(st.integers(-len(array), len(array) - 1)))
    for index in (cut, numbers, np.array(numbers, int), slice(None)):
        expected = array[index] if len(np.shape(index)) == 0 or len(index) else array[:0]  # type: ignore[arg-type]
        assert rows[index].dtype == array.dtype
        np.testing.assert_array_equal(rows[index], expected)


def test_rows_that_are_not_there_or_do_not_lie_one_after_the_other(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    npz.save(path, {"a": np.arange(12.0).reshape(4, 3)})
    rows = npz.open_rows(path)["a"]
    with pytest.raises(IndexError):
        rows[[4]]
    path.write_bytes(path.read_bytes()[:150])
    with pytest.raises(OSError, match="shorter"):
        rows[2:]
    for array in (np.asfortranarray(np.ones((3, 4))), np.float32(3)):
        np.savez(path, a=array)
        with pytest.raises(ValueError, match="rows"):
            npz.open_rows(path)
    np.savez_compressed(path, a=np.ones((3, 4)))
    with pytest.raises(ValueError, match="compressed"):
        npz.open_rows(path)


@pytest.mark.parametrize(
    ("process", "shape"),
    [
        (Preprocessing(scale=1 / 255, mean=(0.5, 0.4, 0.3), std=(0.2, 0.3, 0.4), layout="channels-first"), (9, 7, 3)),
        (Preprocessing(mean=(0.5,), layout="channels-first"), (9, 7)),
        (Preprocessing(scale=2.0, layout="channels-last"), (9, 7)),
        (Preprocessing(scale=1 / 255, layout="channels-first", resize=Resize(6, 5, 0.875)), (9, 7, 3)),
        (Preprocessing(std=(3.0,), resize=Resize(16, 16)), (9, 7)),
        (Preprocessing(mean=(1.0, 2.0), std=(3.0, 4.0)), (20, 2)),
        (Preprocessing(scale=0.5), (5,)),
    ],
)
@pytest.mark.parametrize("dtype", ["u1", "f4", "i4"])
def test_prepared_as_it_goes_is_prepared_at_once(
    tmp_path: Path, process: Preprocessing, shape: tuple[int, ...], dtype: str
) -> None:
    raw = np.random.default_rng(0).integers(0, 255, (6, *shape)).astype(dtype)
    expected = process.apply_batch(raw)
    arranged = process.arranged_batch(raw)
    assert dtype != "u1" or arranged.dtype == np.uint8
    npz.save(tmp_path / "a.npz", {"image": arranged})
    note(tmp_path / "a.npz", Preprocessing(**{**vars(process), "resize": None}))
    (column,) = open_samples(tmp_path / "a.npz").values()
    assert (column.shape, column.dtype, column.nbytes) == (expected.shape, expected.dtype, expected.nbytes)
    np.testing.assert_array_equal(column.all(), expected)
    np.testing.assert_array_equal(column[2:4], expected[2:4])
    np.testing.assert_array_equal(column[[5, 0]], expected[[5, 0]])


def test_inputs_by_the_names_and_types_of_a_model(tmp_path: Path) -> None:
    npz.save(tmp_path / "a.npz", {"ids": np.array([[1, 2], [3, 300]]), "x": np.ones((2, 3), np.float32)})
    specs = (TensorSpec("pixels", (1, 3), "float32"), TensorSpec("words", (1, 2), "uint8"))
    columns = open_samples(tmp_path / "a.npz", specs, {"pixels": "x", "words": "ids"})
    assert list(columns) == ["pixels", "words"]
    assert columns["words"][:1].dtype == np.uint8
    with pytest.raises(UsageError, match="'ids' holds values from 3 to 300") as caught:
        columns["words"][1:]
    assert caught.value.code == "EK-DATA"


def test_no_more_than_was_asked_for_is_in_memory(tmp_path: Path) -> None:
    npz.save(tmp_path / "a.npz", {"image": np.zeros((600, 100, 100, 3), np.uint8)})  # 18 MB, as floats 72
    note(tmp_path / "a.npz", Preprocessing(scale=0.5))
    tracemalloc.start()
    try:
        (column,) = open_samples(tmp_path / "a.npz").values()
        for begin in range(len(column)):
            assert column[begin : begin + 1].shape == (1, 100, 100, 3)
        assert tracemalloc.get_traced_memory()[1] < 2e6
    finally:
        tracemalloc.stop()
