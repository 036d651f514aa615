"""Specs, signatures, and the figures by which outputs are compared."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from edgekit.errors import UsageError
from edgekit.tensors import MAX_SNR_DB, Signature, TensorSpec, agreement, grouped, max_abs_diff, near_constant, snr_db

arrays = npst.arrays(np.float32, (4, 3), elements=st.floats(-1e6, 1e6, width=32))


def test_json_round_trip() -> None:
    signature = Signature(
        (TensorSpec("a", (1, 2, 3), "float32"), TensorSpec("b", (1,), "int64")), (TensorSpec("c", (1, 0), "bool"),)
    )
    assert Signature.from_json(signature.to_json()) == signature


def test_samples_are_grouped_and_the_last_group_is_filled_up() -> None:
    one = Signature((TensorSpec("a", (1, 2), "float32"),), (TensorSpec("b", (1,), "int64"),))
    assert one.batched(1) == one
    three = one.batched(3)
    assert (three.inputs[0].shape, three.outputs[0].shape, three.inputs[0].name) == ((3, 2), (3,), "a")
    samples = [[np.full((1, 2), number, np.float32)] for number in range(4)]
    first, last = (group[0] for group in grouped(samples, 3))
    assert first.shape == last.shape == (3, 2)
    assert first[:, 0].tolist() == [0, 1, 2] and last[:, 0].tolist() == [3, 3, 3]


@pytest.mark.parametrize(
    ("shape", "dtype"), [((1, 3), "f4"), ((1, 2), "f8"), ((1, 2), ">f4"), ((2,), "f4"), ((2, 1), "f4")]
)
def test_check_names_both_sides(shape: tuple[int, ...], dtype: str) -> None:
    spec = TensorSpec("image", (1, 2), "float32")
    spec.check(np.zeros((1, 2), "f4"))
    with pytest.raises(UsageError, match=r"'image' .*takes float32\[1, 2\]") as caught:
        spec.check(np.zeros(shape, dtype))
    assert caught.value.code == "EK-INPUT"


def test_snr_of_known_noise() -> None:
    reference = np.ones(1000)
    assert snr_db(reference, reference + 0.1) == pytest.approx(20.0)
    assert snr_db(reference, reference + 0.001) == pytest.approx(60.0)
    assert snr_db(reference, np.zeros(1000)) == pytest.approx(0.0)
    assert snr_db(reference, reference) == MAX_SNR_DB
    assert snr_db(np.zeros(3), np.ones(3)) == -MAX_SNR_DB
    for value in (np.nan, np.inf, -np.inf):
        assert snr_db(np.ones(2), np.array([1, value])) == -MAX_SNR_DB


@given(arrays, arrays)
def test_figures_are_always_numbers_that_json_has(reference: np.ndarray, measured: np.ndarray) -> None:
    assert -MAX_SNR_DB <= snr_db(reference, measured) <= MAX_SNR_DB
    assert 0 <= max_abs_diff(reference, measured) < np.inf
    assert 0 <= agreement(reference, measured) <= 100


@given(arrays)
def test_nothing_differs_from_itself(array: np.ndarray) -> None:
    assert (snr_db(array, array), max_abs_diff(array, array), agreement(array, array)) == (MAX_SNR_DB, 0.0, 100.0)


def test_agreement_counts_samples() -> None:
    reference = np.eye(4)
    assert agreement(reference, reference[[0, 1, 3, 2]]) == 50.0


def test_near_constant() -> None:
    varied = np.random.default_rng(0).normal(size=(16, 10))
    assert not near_constant(varied)
    assert near_constant(np.ones((16, 10)))
    assert near_constant(varied * 1e-21)
    assert near_constant(1 + varied * 1e-6)
    assert near_constant(np.zeros((1, 10)))
    assert not near_constant(varied[:1])
