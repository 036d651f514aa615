"""Shoulder exercises recorded by a smartwatch, cut into windows of two seconds and split by person.

The recordings come in the package seglearn (BSD): 140 series of six channels (acceleration and rotation) at 50 Hz,
seven exercises, ten people; see D. Burns et al., arXiv:1802.01489. seglearn itself is not imported.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np

WINDOW = 100  # samples: two seconds
STEP = 50
HELD_OUT = (9, 10)  # people who are in no training window


def recordings() -> dict[str, np.ndarray]:
    spec = importlib.util.find_spec("seglearn")
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError("pip install seglearn==1.2.5")
    file = Path(spec.origin).parent / "data" / "watch_dataset.npy"
    return np.load(file, allow_pickle=True).item()


def windows(held_out: bool) -> tuple[np.ndarray, np.ndarray]:
    found = recordings()
    inputs, labels = [], []
    for series, label, subject in zip(found["X"], found["y"], found["subject"], strict=True):
        if (subject in HELD_OUT) == held_out:
            starts = range(0, len(series) - WINDOW + 1, STEP)
            inputs += [series[start : start + WINDOW] for start in starts]
            labels += [label] * len(starts)
    return np.stack(inputs).astype(np.float32), np.array(labels, np.int64)


def train() -> tuple[np.ndarray, np.ndarray]:
    """Windows of eight people, float32 (100, 6), and the exercise of each."""
    return windows(held_out=False)


def evaluation() -> tuple[np.ndarray, np.ndarray]:
    """Windows of the two other people, float32 (100, 6), and the exercise of each."""
    return windows(held_out=True)
