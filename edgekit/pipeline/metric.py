"""The project's metric: a percentage from outputs and labels."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from edgekit.errors import UsageError
from edgekit.pipeline.project import split_reference
from edgekit.pipeline.sources.python_file import load_callable

Outputs = Mapping[str, np.ndarray]


@dataclass(frozen=True)
class Metric:
    """What outputs are worth, by their labels.

    Attributes:
        score: In percent, from outputs by name and labels, samples first.
        right: Which samples are right, where the score is their share; else None.
    """

    score: Callable[[Outputs, np.ndarray], float]
    right: Callable[[Outputs, np.ndarray], np.ndarray] | None = None


def find_metric(name: str, directory: Path, labels: np.ndarray) -> Metric:
    """The metric that a project names, for labels such as *labels*.

    ``accuracy`` is the share of samples whose largest output (of the first output tensor) is the label. A
    function of the project gets (outputs, labels), outputs being an array if there is one output and a dict
    if there are several.

    Raises:
        UsageError: ``EK-DATA``: it has no use for such labels; ``EK-CODE``: the project has no such function.
    """
    if name == "accuracy":
        if labels.dtype.kind not in "iu" or labels.ndim != 1:
            raise UsageError(
                "EK-DATA",
                f"accuracy needs class numbers as labels, these are {labels.dtype} of shape {list(labels.shape)}",
                'name your own metric: [metric] name = "metric.py:function"',
            )
        return Metric(lambda outputs, labels: float(100.0 * _right(outputs, labels).mean()), _right)
    file, function = split_reference(name)
    own = load_callable(directory / file, function or "")

    def score(outputs: Outputs, labels: np.ndarray) -> float:
        value = own(next(iter(outputs.values())) if len(outputs) == 1 else dict(outputs), labels)
        if not isinstance(value, (int, float, np.number)) or not np.isfinite(value):
            raise UsageError("EK-CODE", f"{name} gave {value!r}, not a number", "return a finite percentage")
        return float(value)

    return Metric(score)


def _right(outputs: Outputs, labels: np.ndarray) -> np.ndarray:
    first = next(iter(outputs.values()))
    return np.asarray(first.reshape(len(first), -1).argmax(1) == labels)
