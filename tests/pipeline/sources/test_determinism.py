"""What is said of a model that does not repeat itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pytest

from edgekit.errors import UsageError
from edgekit.pipeline.sources.determinism import check_repeatable


class Stateless:
    """A model that keeps nothing."""

    def take(self) -> None:
        return None

    def restore(self, taken: Any) -> None: ...

    def differences(self, taken: Any) -> Mapping[str, Sequence[str]]:
        return {}


@pytest.mark.parametrize(
    ("drawn", "said"),
    [(("bernoulli",), r"gives different outputs .* draws random numbers \(bernoulli\)"), ((), "keeps something")],
)
def test_a_draw_that_shows_late_is_no_state(drawn: tuple[str, ...], said: str) -> None:
    calls = 0

    def call(sample: np.ndarray) -> list[np.ndarray]:
        nonlocal calls
        calls += 1
        return [sample * (2 if calls == 5 else 1)]  # as a dropout that seldom drops

    samples = [np.ones((1, 2), np.float32), np.full((1, 2), 3, np.float32)]
    with pytest.raises(UsageError, match=said):
        check_repeatable("net.py:make", call, samples, Stateless(), None, lambda: drawn)


class Counting(Stateless):
    """A model that counts its calls, which has no effect on what it gives."""

    def differences(self, taken: Any) -> Mapping[str, Sequence[str]]:
        return {"buffer": ["calls"]} if self.asked() > 1 else {}

    def __init__(self) -> None:
        self._asked = 0

    def asked(self) -> int:
        self._asked += 1
        return self._asked


def test_a_late_draw_of_a_model_that_counts_is_no_state_either() -> None:
    calls = 0

    def call(sample: np.ndarray) -> list[np.ndarray]:
        nonlocal calls
        calls += 1
        return [sample * (2 if calls == 5 else 1)]

    samples = [np.ones((1, 2), np.float32), np.full((1, 2), 3, np.float32)]
    with pytest.raises(UsageError, match=r"draws random numbers \(bernoulli\)"):
        check_repeatable("net.py:make", call, samples, Counting(), None, lambda: ("bernoulli",))
