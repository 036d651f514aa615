"""The verdict on a file: what is required of it, and what of that float32 itself does not give."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edgekit.errors import ConversionError
from edgekit.metric import ACCURACY
from edgekit.pipeline.metric import find_scorer
from edgekit.pipeline.model.reference import Reference
from edgekit.pipeline.variants.quality import Quality, judge
from edgekit.recipes import RECIPES

REFERENCE = np.random.default_rng(0).normal(size=(64, 3)).astype(np.float32)


def verdict(measured: np.ndarray, rounding_db: float, recipe: str = "fp32") -> Quality:
    return judge(
        RECIPES[recipe],
        Reference({"output": REFERENCE}, None, None, None, None, rounding_db),
        {"output": measured},
        np.arange(len(REFERENCE)),
        None,
        check_samples=np.arange(8),
    )


def off_by(decibels: float) -> np.ndarray:
    noise = np.random.default_rng(1).normal(size=REFERENCE.shape) * REFERENCE.std(0)
    return (REFERENCE + 10 ** (-decibels / 20) * noise).astype(np.float32)


def test_an_exact_copy_may_be_as_far_off_as_its_model_is_open() -> None:
    with pytest.raises(ConversionError, match=r"fp32: output.* dB from the float model, 60\.0 dB are due") as caught:
        verdict(off_by(53), 120)
    assert "computes something else" in str(caught.value.hint)
    assert verdict(off_by(53), 51).snr_db == pytest.approx(53, abs=1.5)
    with pytest.raises(ConversionError, match=r"29\.2 dB are due"):
        verdict(off_by(25), 51)


def test_nothing_excuses_an_exact_copy_that_is_lost() -> None:
    dead = REFERENCE.copy()
    dead[:, 1] = dead[:, 1].mean()
    for rounding_db in (120.0, 40.0, 0.0):
        with pytest.raises(ConversionError, match=r"is lost|are due"):
            verdict(dead, rounding_db)
    with pytest.raises(ConversionError, match="are due") as caught:
        verdict(off_by(20), 15)
    assert "float32 does not hold what the model computes" in str(caught.value.hint)


def test_other_recipes_have_limits_of_their_own() -> None:
    assert verdict(off_by(20), 15, "int8").snr_db == pytest.approx(20, abs=1.5)


def test_a_metric_where_less_is_better_gets_worse_when_it_grows() -> None:
    labels = REFERENCE[:, :1]
    scorer = find_scorer("mae", ACCURACY, Path(), labels)
    answers = {"output": REFERENCE[:, :1]}
    reference = Reference(answers, labels, scorer, 0.0, None, 120)
    measured = {"output": off_by(20)[:, :1]}
    quality = judge(RECIPES["int8"], reference, measured, np.arange(len(labels)), None, check_samples=np.arange(8))
    assert quality.accuracy is not None and quality.accuracy_drop == quality.accuracy > 0.01
    assert quality.agreement is None


def test_no_share_of_right_answers_is_beyond_all() -> None:
    """The drop is of the samples that a file was run on, and the accuracy of all."""
    labels = REFERENCE.argmax(1)
    labels[:4] = (labels[:4] + 1) % 3
    better = REFERENCE.copy()
    better[np.arange(4), labels[:4]] += 9
    reference = Reference(
        {"output": REFERENCE}, labels, find_scorer("accuracy", ACCURACY, Path(), labels), 99.9, None, 120
    )
    quality = judge(RECIPES["int8"], reference, {"output": better}, np.arange(64), -100, check_samples=np.arange(8))
    assert (quality.accuracy, quality.accuracy_drop) == (100.0, -6.25)
