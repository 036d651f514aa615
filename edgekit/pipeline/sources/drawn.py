"""What a factory drew at random, kept for its next call: files are made of several calls, in several processes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from edgekit.errors import UsageError


def drawn_once(arrays: Sequence[np.ndarray], path: Path, what: str) -> Sequence[np.ndarray]:
    """The arrays that are kept in the file at *path*; or *arrays*, which it keeps from now on, where it is not there.

    Args:
        what: The factory, for messages.

    Raises:
        UsageError: ``EK-SOURCE``: the kept ones are of other shapes or types.
    """
    if not path.exists():
        np.savez(path, *(np.asarray(array).view(f"V{array.dtype.itemsize}") for array in arrays))
        return arrays
    with np.load(path, allow_pickle=False) as stored:
        kept = [stored[name] for name in stored.files]
    if [(each.shape, each.dtype.itemsize) for each in kept] != [(each.shape, each.dtype.itemsize) for each in arrays]:
        raise other_parts(what)
    return [each.view(array.dtype) for each, array in zip(kept, arrays, strict=True)]


def other_parts(what: str) -> UsageError:
    """*what* makes a model of other weights than before."""
    hint = "decide what it is made of without drawing: files are made of several calls"
    return UsageError("EK-SOURCE", f"{what} makes a model of other parts at every call", hint)
