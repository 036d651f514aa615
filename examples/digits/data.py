"""Ten thousand handwritten digits, split once and for all into 8,000 to train on and 2,000 to judge by."""

from __future__ import annotations

from pathlib import Path

import numpy as np

DIGITS = Path(__file__).resolve().parent / "digits.npz"


def split(held_out: bool) -> tuple[np.ndarray, np.ndarray]:
    """Every class gives the same fifth of its samples, drawn with a fixed seed, to the held-out part."""
    with np.load(DIGITS) as digits:
        images, labels = digits["x"], digits["y"]
    generator = np.random.Generator(np.random.PCG64(0))
    chosen = np.zeros(len(labels), bool)
    fraction = 0.2
    ranks = np.empty(len(labels))
    for digit in range(10):
        members = generator.permutation(np.flatnonzero(labels == digit))
        ranks[members] = (np.arange(len(members)) + 0.5) / len(members)
    chosen[np.argsort(ranks, kind="stable")[: int(fraction * len(labels))]] = True
    part = np.flatnonzero(chosen == held_out)
    # Shuffled, so that the first N samples (a calibration set, say) hold every class.
    part = generator.permutation(part)
    return images[part], labels[part]


def train() -> tuple[np.ndarray, np.ndarray]:
    """8,000 images, uint8 (28, 28), and their digits."""
    return split(held_out=False)


def evaluation() -> tuple[np.ndarray, np.ndarray]:
    """2,000 images, uint8 (28, 28), and their digits."""
    return split(held_out=True)
