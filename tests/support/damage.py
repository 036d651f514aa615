"""Files as they come to harm: cut short, or with bytes that are others."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from edgekit.runtime.contents.refusal import Malformed


def check_cuts(read: Callable[[bytes], Any], whole: bytes, step: int) -> None:
    """*read* refuses *whole* cut after every *step* bytes."""
    for size in range(0, len(whole) - 1, step):
        with pytest.raises(Malformed):
            read(whole[:size])


def check_changes(read: Callable[[bytes], Any], whole: bytes, times: int) -> None:
    """*read* takes or refuses, in one line, *whole* with a few other bytes, so many *times*."""
    random = np.random.default_rng(1)
    for _ in range(times):
        data = bytearray(whole)
        for place in random.integers(0, len(whole), 4):
            data[place] = random.integers(256)
        try:
            read(bytes(data))
        except Malformed as error:
            assert "\n" not in str(error)
