"""Arrays as people have them, and the numbers that a model takes: what loses nothing is converted, the rest is said."""

from __future__ import annotations

from typing import Any

import numpy as np

from edgekit.errors import UsageError

#: The dtypes whose bytes are numbers of one machine or the other: truth values, whole numbers, floats.
_KINDS = "biuf"
_NOT_NUMBERS = {
    "O": "Python objects",
    "c": "complex numbers",
    "U": "text",
    "S": "text",
    "V": "records",
    "M": "dates",
    "m": "spans of time",
}


def plain(code: str, what: str, value: Any) -> np.ndarray:
    """*value* as an array of numbers in this machine's byte order.

    Args:
        code, what: Of the error, and how it calls the value.

    Raises:
        UsageError: *code*: these are no numbers, not of one shape, or some of them are masked.
    """
    if isinstance(value, np.ma.MaskedArray):
        if value.mask is not np.ma.nomask and np.any(value.mask):
            raise UsageError(code, f"{what} has masked values", "fill them: array.filled(0)")
        value = value.data
    try:
        array = np.asarray(value)
    except ValueError as error:
        raise UsageError(code, f"{what} has samples of different shapes", "every sample needs one shape") from error
    except (TypeError, RuntimeError) as error:  # a tensor on a GPU, or one with gradients
        reason = next(iter(str(error).strip().splitlines()), type(error).__name__)[:200]
        raise UsageError(code, f"{what} is no array of numbers ({reason})", "give numpy arrays") from error
    if array.dtype.kind not in _KINDS:
        shown = _NOT_NUMBERS.get(array.dtype.kind, "no numbers")
        hint = "give whole numbers, floats or truth values"
        raise UsageError(code, f"{what} holds {shown} ({array.dtype}), not numbers", hint)
    return array.astype(array.dtype.newbyteorder("="), copy=False)


def single(code: str, what: str, array: np.ndarray) -> np.ndarray:
    """*array* in single precision, if it is in another: numpy makes doubles by default, and files save in halves.

    Raises:
        UsageError: *code*: a value is larger than single precision holds.
    """
    if array.dtype.kind != "f" or array.dtype == np.float32:
        return array
    return _as_float(code, what, array, np.dtype(np.float32))


def fit(code: str, what: str, array: np.ndarray, dtype: str) -> np.ndarray:
    """*array* as *dtype*, where that loses no more than precision.

    Whole numbers become floats, and whole numbers of another width if every value is one of them.

    Args:
        array: Of numbers, as `plain` gives it.

    Raises:
        UsageError: *code*: it holds other values than *dtype* has.
    """
    wanted = np.dtype(dtype)
    if array.dtype == wanted:
        return array
    if wanted.kind == "f":
        return _as_float(code, what, array, wanted)
    if wanted.kind in "iu" and array.dtype.kind in "biu":
        limits = np.iinfo(wanted)
        if array.size and not (limits.min <= int(array.min()) and int(array.max()) <= limits.max):
            values = f"values from {array.min()} to {array.max()}"
            raise UsageError(code, f"{what} holds {values}, the model takes {dtype}", "they do not fit")
        return array.astype(wanted)
    raise UsageError(
        code, f"{what} holds {array.dtype}, the model takes {dtype}", f"convert it: array.astype({dtype!r})"
    )


def _as_float(code: str, what: str, array: np.ndarray, dtype: np.dtype[Any]) -> np.ndarray:
    with np.errstate(over="ignore"):
        converted = array.astype(dtype)
    if (
        array.dtype.kind == "f"
        and np.isinf(converted).any()
        and not np.array_equal(np.isinf(converted), np.isinf(array))
    ):
        largest = np.abs(array[np.isfinite(array)]).max()
        raise UsageError(code, f"{what} holds {largest:g}, which is more than {dtype} has", "scale the data")
    return converted
