"""A metric has a name, a unit and a direction, and words that fit them."""

from __future__ import annotations

import pytest

from edgekit.metric import ACCURACY, Metric

ERROR = Metric("mae", "K", higher_is_better=False)


@pytest.mark.parametrize(
    ("metric", "source", "found", "drop", "words", "value"),
    [
        (ACCURACY, 97.5, 97.2, 0.3, "0.30 points below", "97.20 %"),
        (ACCURACY, 97.2, 97.5, -0.3, "0.30 points above", "97.50 %"),
        (ACCURACY, 97.2, 97.2, 0.0, "", "97.20 %"),
        (ERROR, 0.01, 1.5, 1.49, "1.49 K above", "1.5 K"),
        (ERROR, 1.5, 0.01, -1.49, "1.49 K below", "0.01 K"),
        (Metric("psnr", "dB"), 30.0, 28.0, 2.0, "2 dB below", "28 dB"),
        (Metric("score", ""), 3.0, 2.5, 0.5, "0.5 below", "2.5"),
    ],
)
def test_what_is_worse_is_a_drop(
    metric: Metric, source: float, found: float, drop: float, words: str, value: str
) -> None:
    assert metric.drop(source, found) == pytest.approx(drop)
    assert metric.difference(metric.drop(source, found)) == words
    assert metric.value(found) == value
    assert (metric.worth(found) < metric.worth(source)) == (drop > 0)


def test_without_a_limit_a_point_or_a_twentieth_may_be_lost() -> None:
    assert ACCURACY.keeps(96.5, 1.0, 1.0) and not ACCURACY.keeps(96.4, 1.1, 1.0)
    assert ERROR.keeps(1.05, 0.05, 1.0) and not ERROR.keeps(1.06, 0.06, 1.0)
    assert ERROR.keeps(0.5, -0.5, 1.0)
