"""Whether engines agree on a model file that was given: there is no float model to hold its outputs against."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from edgekit.fidelity import max_abs_diff, near_constant
from edgekit.recipes import RECIPES
from edgekit.tensors import TensorSpec, rows_of

#: How far kernels of two engines may be apart, relative to the largest value: sums in another order, over many layers.
_EXACT, _HALF = 1e-4, 1e-2
#: A rounding that falls the other way moves a value of int8 by one step, and what is computed from it by some.
_WHOLE = 5e-2


def tolerance(recipe: str) -> float:
    """How far outputs may be from another engine's, relative to its largest value."""
    known = RECIPES.get(recipe)
    if known is None or known.is_half:
        return _HALF
    return _EXACT if known.is_exact else _WHOLE


def difference(reference: Mapping[str, np.ndarray], outputs: Mapping[str, np.ndarray]) -> float:
    """The largest difference of any output, relative to its largest value in *reference*; 0 means the same bits."""
    return max(relative(reference[name], outputs[name]) for name in reference)


def relative(host: np.ndarray, measured: np.ndarray) -> float:
    """The same of one array. What is not finite in one of them has to be the same in the other: else 1."""
    if host.tobytes() == measured.tobytes():
        return 0.0
    one, other = np.asarray(host, np.float64), np.asarray(measured, np.float64)
    finite = np.isfinite(one)
    if not np.array_equal(one[~finite], other[~finite], equal_nan=True) or not np.isfinite(other[finite]).all():
        return 1.0
    if not finite.any():
        return 0.0
    largest = float(np.abs(one[finite]).max())
    return max_abs_diff(one[finite], other[finite]) / largest if largest else 1.0


def remarks(specs: tuple[TensorSpec, ...], outputs: Mapping[str, np.ndarray]) -> str:
    """What is odd about *outputs* and no fault of an engine's, in one line; empty for nothing."""
    said = []
    for spec in specs:
        array = outputs[spec.name]
        samples = array.reshape(len(array) // rows_of(spec), -1)
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            said.append(f"{spec.name} has values that are not finite")
        elif near_constant(samples):
            said.append(f"{spec.name} hardly depends on the input" if len(samples) > 1 else f"{spec.name} is zero")
    more = f"; {len(said) - 2} more outputs likewise" if len(said) > 2 else ""
    return "; ".join(said[:2]) + more
