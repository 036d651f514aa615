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
