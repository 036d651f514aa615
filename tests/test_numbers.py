"""Arrays as people have them: what is taken, and what is said of the rest."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from edgekit.errors import UsageError
from edgekit.numbers import fit, plain, single

VALUES = np.linspace(-1, 1, 6, dtype=np.float32).reshape(2, 3)


@pytest.mark.parametrize(
    "given",
    [
        VALUES.astype(">f4"), VALUES.astype("<f4"), VALUES.astype(np.float64), VALUES.astype(">f8"),
        VALUES.astype(np.longdouble), np.asfortranarray(VALUES), VALUES[::-1][::-1], VALUES.tolist(),
        np.ma.masked_array(VALUES), np.matrix(VALUES), np.repeat(VALUES, 2, axis=1)[:, ::2],
    ],
)  # fmt: skip
def test_the_same_numbers_come_of_every_way_to_hold_them(given: Any) -> None:
    array = single("EK-DATA", "the data", plain("EK-DATA", "the data", given))
    assert array.dtype == np.dtype("=f4") and array.dtype.isnative and type(array) is np.ndarray
    np.testing.assert_allclose(array, VALUES, rtol=1e-6)


def test_half_precision_becomes_single() -> None:
    halves = VALUES.astype(np.float16)
    np.testing.assert_array_equal(single("EK-DATA", "x", halves), halves.astype(np.float32))


@pytest.mark.parametrize(
    ("given", "says"),
    [
        (np.array([1, None]), "holds Python objects (object), not numbers"),
        (np.array([1j]), "holds complex numbers"),
        (np.array(["a"]), "holds text"),
        (np.array([b"a"]), "holds text"),
        (np.array([(1, 2.0)], "i4,f4"), "holds records"),
        (np.array(["2020-01-01"], "M8[D]"), "holds dates"),
        (np.ma.masked_array(VALUES, VALUES > 0), "has masked values"),
        ([[1, 2], [3]], "different shapes"),
        (object(), "holds Python objects"),
    ],
)
def test_what_is_no_array_of_numbers_is_said(given: Any, says: str) -> None:
    with pytest.raises(UsageError) as caught:
        plain("EK-DATA", "the evaluation data", given)
    assert says in caught.value.message and caught.value.message.startswith("the evaluation data")
    assert caught.value.hint and "\n" not in caught.value.message


def test_a_tensor_with_gradients_is_said() -> None:
    import torch

    with pytest.raises(UsageError, match="is no array of numbers"):
        plain("EK-DATA", "x", torch.ones(2, requires_grad=True))
    np.testing.assert_array_equal(plain("EK-DATA", "x", torch.ones(2)), [1, 1])


@pytest.mark.parametrize(
    ("given", "dtype"),
    [
        (np.arange(5), "int32"), (np.arange(5, dtype=np.int32), "int64"), (np.arange(5, dtype=np.uint8), "float32"),
        (np.array([True, False]), "float32"), (np.array([True, False]), "int64"), (np.arange(5, dtype=">i4"), "int32"),
        (np.arange(5), "uint8"), (np.arange(5.0), "float16"), (np.array([np.inf]), "float32"), (np.arange(0), "int8"),
    ],
)  # fmt: skip
def test_a_value_that_fits_another_type_becomes_it(given: np.ndarray, dtype: str) -> None:
    fitted = fit("EK-INPUT", "input 'x'", given, dtype)
    assert fitted.dtype == np.dtype(dtype)
    np.testing.assert_array_equal(fitted, given)


@pytest.mark.parametrize(
    ("given", "dtype", "says"),
    [
        (np.array([1 << 40]), "int32", "holds values from 1099511627776 to 1099511627776, the model takes int32"),
        (np.array([-1]), "uint8", "values from -1 to -1"),
        (np.array([(1 << 64) - 1], np.uint64), "int64", "18446744073709551615"),
        (np.array([1.5]), "int64", "holds float64, the model takes int64"),
        (np.array([2]), "bool", "holds int64, the model takes bool"),
        (np.array([1e300]), "float32", "holds 1e+300, which is more than float32 has"),
        (np.array([7e4], np.float32), "float16", "more than float16 has"),
    ],
)
def test_a_value_that_would_be_lost_is_refused(given: np.ndarray, dtype: str, says: str) -> None:
    with pytest.raises(UsageError) as caught:
        fit("EK-INPUT", "input 'x'", given, dtype)
    assert says in caught.value.message and caught.value.code == "EK-INPUT" and caught.value.hint
