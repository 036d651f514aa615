"""Learning rates by step, the same for every framework."""

from __future__ import annotations

import numpy as np

from edgekit.pipeline.training.settings import Training

#: Share of a one-cycle schedule in which the rate rises, and what it starts and ends at, as parts of the highest.
_RISE, _START, _END = 0.3, 1 / 25, 1e-5


def learning_rates(training: Training, steps: int) -> np.ndarray:
    """The learning rate of each of *steps* steps, float32.

    ``one-cycle`` rises to ``learning_rate`` and falls again along half cosines (Smith and Topin, arXiv:1708.07120);
    ``cosine`` only falls (Loshchilov and Hutter, arXiv:1608.03983).
    """
    at = np.arange(steps) / max(1, steps - 1)
    if training.schedule == "constant":
        parts = np.ones(steps)
    elif training.schedule == "cosine":
        parts = _between(1.0, 0.0, at)
    else:
        parts = np.where(at < _RISE, _between(_START, 1.0, at / _RISE), _between(1.0, _END, (at - _RISE) / (1 - _RISE)))
    return np.asarray(training.learning_rate * parts, np.float32)


def _between(first: float, last: float, at: np.ndarray) -> np.ndarray:
    return last + (first - last) * (1 + np.cos(np.pi * at)) / 2
