"""How a build scores a model's outputs against labels."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from edgekit.errors import UsageError
from edgekit.metric import ACCURACY, Metric
from edgekit.pipeline.work.python_file import load_callable, split_reference
from edgekit.registry import Registry

Outputs = Mapping[str, np.ndarray]


@dataclass(frozen=True)
class Scorer:
    """A metric, and how it is computed.

    Attributes:
        score: From outputs by name and labels, samples first, in the metric's unit.
        right: Which samples are right, where the score is their share in percent; else None.
        why_not: What speaks against such labels, and what to do; None when nothing does.
    """

    metric: Metric
    score: Callable[[Outputs, np.ndarray], float]
    right: Callable[[Outputs, np.ndarray], np.ndarray] | None = None
    why_not: Callable[[np.ndarray], tuple[str, str] | None] = lambda labels: None


def find_scorer(name: str, described: Metric, directory: Path, labels: np.ndarray) -> Scorer:
    """How the metric that a project names is computed, for labels such as *labels*.

    A function of the project gets (outputs, labels), outputs being an array if there is one output and a dict
    if there are several.

    Args:
        described: How to read what a function of the project gives.

    Raises:
        UsageError: ``EK-DATA``: it has no use for such labels; ``EK-CODE``: the project has no such function.
    """
    found = SCORERS.get(name) or _own(name, described, directory)
    if refusal := found.why_not(labels):
        raise UsageError("EK-DATA", *refusal)
    return found


def _own(name: str, described: Metric, directory: Path) -> Scorer:
    """Of the project's own function."""
    file, function = split_reference(name)
    own = load_callable(directory / file, function or "")

    def score(outputs: Outputs, labels: np.ndarray) -> float:
        value = own(next(iter(outputs.values())) if len(outputs) == 1 else dict(outputs), labels)
        if not isinstance(value, (int, float, np.number)) or not np.isfinite(value):
            raise UsageError("EK-CODE", f"{name} gave {value!r}, not a number", "return a finite number")
        return float(value)

    return Scorer(described, score)


def _right(outputs: Outputs, labels: np.ndarray) -> np.ndarray:
    first = next(iter(outputs.values()))
    return np.asarray(first.reshape(len(first), -1).argmax(1) == labels)


def _no_classes(labels: np.ndarray) -> tuple[str, str] | None:
    if labels.dtype.kind in "iu" and labels.ndim == 1:
        return None
    return (
        f"accuracy needs class numbers as labels, these are {labels.dtype} of shape {list(labels.shape)}",
        'name another metric: [metric] name = "mae", or a function of your own, "metric.py:function"',
    )


def _absolute_error(outputs: Outputs, labels: np.ndarray) -> float:
    first = next(iter(outputs.values()))
    if first.size != labels.size:
        what = f"mae needs a label for each output, these are {list(labels.shape)} for outputs of {list(first.shape)}"
        raise UsageError("EK-DATA", what, 'name a function of your own: [metric] name = "metric.py:function"')
    return float(np.abs(first.reshape(labels.shape) - labels).mean(dtype=np.float64))


SCORERS = Registry(
    "metric",
    {
        # Of the first output tensor, the largest value is the answer.
        ACCURACY.name: Scorer(
            ACCURACY, lambda outputs, labels: float(100.0 * _right(outputs, labels).mean()), _right, _no_classes
        ),
        "mae": Scorer(Metric("mae", "", higher_is_better=False), _absolute_error),
    },
)
