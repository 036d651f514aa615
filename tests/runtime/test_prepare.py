"""From a file or a raw sample to the tensors that a model takes, without any engine."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgekit.errors import UsageError
from edgekit.runtime.prepare import prepare, ready_inputs
from edgekit.runtime.preprocess import Preprocessing
from edgekit.tensors import Signature, TensorSpec

OUTPUT = (TensorSpec("y", (1, 2), "float32"),)
ONE = Signature((TensorSpec("x", (1, 3), "float32"),), OUTPUT)
TWO = Signature((TensorSpec("x", (1, 3), "float32"), TensorSpec("ids", (1, 2), "int64")), OUTPUT)
HALF = Preprocessing(scale=0.5)


def _saved(path: Path, **arrays: Any) -> Path:
    if path.suffix == ".npy":
        np.save(path, *arrays.values())
    else:
        np.savez(path, **arrays)
    return path


def test_ready_tensors_are_taken_as_they_are_and_raw_samples_are_prepared(tmp_path: Path) -> None:
    ready = np.array([[1, 2, 3]], np.float32)
    for name in ("ready.npy", "ready.npz"):
        np.testing.assert_array_equal(ready_inputs(_saved(tmp_path / name, any=ready), ONE, HALF)["x"], ready)
    raw = ready_inputs(_saved(tmp_path / "raw.npy", any=np.array([2, 4, 6])), ONE, HALF)["x"]
    assert (raw.dtype, raw.shape, raw.flags.c_contiguous) == (np.float32, (1, 3), True)
    np.testing.assert_array_equal(raw, ready)
    swapped = ready_inputs(_saved(tmp_path / "swapped.npy", any=ready[0].astype(">f4")), ONE, None)["x"]
    assert swapped.dtype == np.dtype("float32")
    np.testing.assert_array_equal(swapped, ready)


def test_several_inputs_come_by_name(tmp_path: Path) -> None:
    x, ids = np.ones((1, 3), np.float32), np.array([[5, 6]])
    ready = ready_inputs(_saved(tmp_path / "ready.npz", ids=ids, x=x), TWO, None)
    assert list(ready) == ["x", "ids"]
    raw = ready_inputs(_saved(tmp_path / "raw.npz", ids=ids[0].astype(np.int32), x=x[0]), TWO, None)
    assert raw["ids"].dtype == np.int64
    np.testing.assert_array_equal(raw["ids"], ids)
    for arrays in ({"x": x}, {"x": x, "ids": ids, "more": x}, {"x": x, "ids": ids[:, :1]}, {"x": x, "ids": ids * 0.5}):
        with pytest.raises(UsageError) as caught:
            prepare({name: array[0] for name, array in arrays.items()}, TWO, None)
        assert caught.value.code == "EK-INPUT"


def test_what_does_not_become_the_models_input_is_refused(tmp_path: Path) -> None:
    for wrong in (np.zeros((1, 4)), np.zeros(()), np.zeros((2, 3)), np.array(["a", "b", "c"])):
        with pytest.raises(UsageError) as caught:
            ready_inputs(_saved(tmp_path / "wrong.npy", any=wrong), ONE, HALF)
        assert caught.value.code == "EK-INPUT" and "\n" not in caught.value.message
    with pytest.raises(UsageError) as caught:
        ready_inputs(tmp_path / "none.npy", ONE, None)
    assert caught.value.code == "EK-MISSING-FILE"
    (tmp_path / "text.txt").write_text("1 2 3")
    with pytest.raises(UsageError, match=r"text\.txt is something else"):
        ready_inputs(tmp_path / "text.txt", ONE, None)


@pytest.mark.parametrize("dtype", [">f4", ">f8", "f8", "f2", "i8", ">i2", "u1"])
def test_ready_numbers_of_any_type_and_byte_order_are_the_same_input(tmp_path: Path, dtype: str) -> None:
    ready = np.array([[1, 2, 3]], dtype)
    for given in (ready, np.asfortranarray(ready)):
        taken = ready_inputs(_saved(tmp_path / "x.npy", any=given), ONE, None)["x"]
        assert taken.dtype == np.float32 and taken.dtype.isnative
        np.testing.assert_array_equal(taken, [[1, 2, 3]])
        np.testing.assert_array_equal(prepare(given[0], ONE, None)["x"], [[1, 2, 3]])


@pytest.mark.parametrize("process", [None, HALF])
@pytest.mark.parametrize(
    ("sample", "says"),
    [
        (np.ma.masked_array([1.0, 2, 3], [0, 1, 0]), "has masked values"),
        (np.array([1j, 2, 3]), "holds complex numbers"),
        (np.array([1, "a", None], object), "holds Python objects"),
        (np.array([(1, 2.0)] * 3, "i4,f4"), "holds records"),
        ([[1, 2], [3]], "different shapes"),
    ],
)
def test_a_sample_of_something_else_than_numbers_is_said(process: Preprocessing | None, sample: Any, says: str) -> None:
    with pytest.raises(UsageError) as caught:
        prepare(sample, ONE, process)
    assert caught.value.code == "EK-INPUT" and caught.value.hint
    assert caught.value.message.startswith("input 'x'") and says in caught.value.message


def test_whole_numbers_that_do_not_fit_are_not_wrapped_around() -> None:
    small = Signature((TensorSpec("ids", (1, 2), "int32"),), OUTPUT)
    np.testing.assert_array_equal(prepare([5, 6], small, None)["ids"], [[5, 6]])
    for wrong in ([1 << 40, 0], [0.0, 1.0]):
        with pytest.raises(UsageError, match="the model takes int32"):
            prepare(wrong, small, None)
    with pytest.raises(UsageError, match="more than float32 has"):
        prepare([1e300, 0, 0], ONE, None)
