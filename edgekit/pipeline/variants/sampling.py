"""How many evaluation samples a variant is run on: in random order, until its figures are known well enough.

The difference between two models on the same samples is known long before the accuracy of either is.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import sqrt
from statistics import NormalDist

import numpy as np

#: Samples after which it is looked at first; twice as many at each further look.
FIRST_LOOK = 1000
#: In percentage points: a margin that is good enough.
_MARGIN = 0.5
#: Of all intervals of one variant together to miss what all samples would give; each look has half of what is left.
_RISK = 0.05


@dataclass(frozen=True)
class Look:
    """A variant has been run on the samples up to *end*, in the order of `order`.

    Attributes:
        begin: Where the samples begin that were not run at the look before.
        risk: Of an interval at this look to miss.
    """

    begin: int
    end: int
    risk: float


def looks(samples: int) -> Iterator[Look]:
    """When to look, until all *samples* have been run."""
    begin, end, risk = 0, FIRST_LOOK, _RISK / 2
    while begin < samples:
        yield Look(begin, min(end, samples), risk)
        begin, end, risk = end, 2 * end, risk / 2


def order(samples: int, first: np.ndarray) -> np.ndarray:
    """The numbers of all samples in random order, the same every time, but for *first*, which come first."""
    shuffled = np.random.default_rng(0).permutation(samples)
    return np.concatenate([first, shuffled[~np.isin(shuffled, first)]])


def margin(lost: int, gained: int, samples: int, risk: float) -> float:
    """Half the width, in percentage points, of the interval of *lost* - *gained* per sample.

    D. G. Bonett and R. M. Price, "Adjusted Wald confidence interval for a difference of binomial proportions based on
    paired data", Journal of Educational and Behavioral Statistics 37 (2012).
    """
    lost_share, gained_share = (lost + 1) / (samples + 2), (gained + 1) / (samples + 2)
    variance = lost_share + gained_share - (lost_share - gained_share) ** 2
    return 100 * NormalDist().inv_cdf(1 - risk / 2) * sqrt(variance / (samples + 2))


def is_enough(difference: float, margin: float, allowed: float | None) -> bool:
    """Whether it is known well what the *difference* is, and on which side of *allowed* it lies; all in points."""
    return margin <= _MARGIN and (allowed is None or abs(difference - allowed) > margin)
