"""Arrays as a call of a model takes them."""

from __future__ import annotations

from typing import Any

import numpy as np

from edgekit.errors import UsageError
from edgekit.tensors import TensorSpec


def checked(array: Any, spec: TensorSpec, dtype: np.dtype[Any], fixed: bool) -> np.ndarray:
    """*array* as a plain one of this machine's byte order, when it has the dtype of *spec*, its shape if *fixed*."""
    if not isinstance(array, np.ndarray) or (fixed and array.shape != spec.shape) or _is_masked(array):
        raise _misfit(spec, array, fixed)
    if array.dtype != dtype:
        if array.dtype.newbyteorder("=") != dtype:
            raise _misfit(spec, array, fixed)
        array = array.astype(dtype)
    return array.view(np.ndarray)


def _is_masked(array: np.ndarray) -> bool:
    """Whether a mask would be lost without a word."""
    return type(array) is not np.ndarray and isinstance(array, np.ma.MaskedArray)


def _misfit(spec: TensorSpec, given: object, fixed: bool) -> UsageError:
    wanted = f"{spec.dtype}{list(spec.shape)}" if fixed else spec.dtype
    if not isinstance(given, np.ndarray) or _is_masked(given):
        message = f"input {spec.name!r} is a {type(given).__name__}, the model takes a numpy array {wanted}"
        return UsageError(
            "EK-INPUT", message, "model.prepare(sample) makes one" if fixed else "numpy.asarray makes one"
        )
    hint = "model.prepare(sample) applies the preprocessing and adds the batch axis"
    if given.shape == spec.shape[1:]:
        hint = "the batch axis is missing: pass array[None], or use model.prepare(sample)"
    if not fixed:
        hint = f"array.astype({spec.dtype!r}) makes that of it, where it holds all of the values"
    shown = f"{given.dtype}{list(given.shape)}"
    return UsageError("EK-INPUT", f"input {spec.name!r} is {shown}, the model takes {wanted}", hint)
