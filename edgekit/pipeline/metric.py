"""The project's metric: a percentage from outputs and labels."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np

from edgekit.errors import UsageError
from edgekit.pipeline.project import split_reference
from edgekit.pipeline.sources.python_file import load_callable

Score = Callable[[Mapping[str, np.ndarray]], float | None]


def scorer(metric: str, directory: Path, labels: np.ndarray | None) -> Score:
    """A function from outputs by name to the metric in percent, or to None without labels.

    ``accuracy`` is the share of samples whose largest output (of the first output tensor) is the label. A
    function of the project gets (outputs, labels), outputs being an array if there is one output and a dict
    if there are several.
    """
    if labels is None:
        return lambda outputs: None
    if metric == "accuracy":
        if labels.dtype.kind not in "iu" or labels.ndim != 1:
            raise UsageError(
                "EK-DATA",
                f"accuracy needs class numbers as labels, these are {labels.dtype} of shape {list(labels.shape)}",
                'name your own metric: [metric] name = "metric.py:function"',
            )
        return lambda outputs: float(100.0 * (_flat(next(iter(outputs.values()))).argmax(1) == labels).mean())
    file, function = split_reference(metric)
    own = load_callable(directory / file, function or "")

    def score(outputs: Mapping[str, np.ndarray]) -> float:
        value = own(next(iter(outputs.values())) if len(outputs) == 1 else dict(outputs), labels)
        if not isinstance(value, (int, float, np.number)) or not np.isfinite(value):
            raise UsageError("EK-CODE", f"{metric} gave {value!r}, not a number", "return a finite percentage")
        return float(value)

    return score


def _flat(array: np.ndarray) -> np.ndarray:
    return array.reshape(len(array), -1)
