"""What float32 itself leaves open of a model's outputs: how far they move with the last bit of every weight.

Another engine adds up in another order, so its outputs differ by about as much, however faithful its file is. Where a
model takes the difference of large numbers (a pressure in pascals times a weight, less a bias as large), that is
far more than the last bit of an output.
"""

from __future__ import annotations

import numpy as np


def next_floats(values: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Each of *values* moved to the number of its type next to it, up or down at random; zeros stay."""
    towards = np.where(random.integers(0, 2, values.shape), np.inf, -np.inf).astype(values.dtype)
    return np.where(values == 0, values, np.nextafter(values, towards))
