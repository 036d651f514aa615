"""Calibration samples, as exporters take them."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from edgekit.errors import UsageError


def calibration_samples(path: str | None, recipe: str) -> Iterator[dict[str, np.ndarray]]:
    """Inputs by name, one sample at a time, batch size 1, from an ``.npz`` of inputs with samples first.

    Raises:
        UsageError: ``EK-DATA``: there are none.
    """
    if path is None:
        raise UsageError("EK-DATA", f"{recipe} needs calibration samples, there are none", "name them in edgekit.toml")
    with np.load(path, allow_pickle=False) as stored:
        arrays = {name: stored[name] for name in stored.files}
    for index in range(len(next(iter(arrays.values())))):
        yield {name: np.ascontiguousarray(array[index : index + 1]) for name, array in arrays.items()}
