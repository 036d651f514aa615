"""How outputs are compared with those of the float model: column by column, around each column's mean."""

from __future__ import annotations

import json
from dataclasses import asdict
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from edgekit import fidelity
from edgekit.fidelity import (
    LOST_DB,
    MAX_SNR_DB,
    agreement,
    channel_axes,
    class_scores,
    compare,
    max_abs_diff,
    near_constant,
    scale,
    snr_db,
)

arrays = npst.arrays(np.float32, (4, 3), elements=st.floats(-1e6, 1e6, width=32))


def int8(array: np.ndarray) -> np.ndarray:
    """What int8 leaves of an output that has one scale for all of it."""
    low, high = min(0.0, float(array.min())), max(0.0, float(array.max()))
    step = (high - low) / 255
    return (np.clip(np.round((array - low) / step), 0, 255) * step + low).astype(np.float32)


def detections(samples: int = 12) -> np.ndarray:
    """Four values in pixels and three scores, of 64 anchors."""
    random = np.random.default_rng(0)
    boxes, scores = random.uniform(0, 320, (samples, 4, 64)), random.uniform(0, 0.22, (samples, 3, 64))
    return np.concatenate([boxes, scores], 1).astype(np.float32)


def test_noise_is_held_against_what_varies() -> None:
    reference = np.tile([[-1.0], [1.0]], (500, 1)) + 5
    assert snr_db(reference, reference + 0.1) == pytest.approx(20)
    assert snr_db(reference, reference + 0.001) == pytest.approx(60)
    assert snr_db(reference, np.full_like(reference, 5)) == pytest.approx(0)
    assert snr_db(reference, reference) == MAX_SNR_DB
    for value in (np.nan, np.inf, -np.inf):
        assert snr_db(reference, np.where(reference > 5, value, reference)) == -MAX_SNR_DB


@given(arrays, arrays)
def test_figures_are_always_numbers_that_json_has(reference: np.ndarray, measured: np.ndarray) -> None:
    json.dumps(asdict(compare({"output": reference}, {"output": measured}, "output")), allow_nan=False)


@given(arrays)
def test_nothing_differs_from_itself(array: np.ndarray) -> None:
    found = compare({"output": array}, {"output": array}, "output")
    assert (found.snr_db, found.max_abs_diff, found.agreement) == (MAX_SNR_DB, 0.0, 100.0)
    assert found.fault(MAX_SNR_DB) is None


def test_scores_that_int8_puts_to_zero_beside_pixels_are_lost() -> None:
    reference = detections()
    found = compare({"output": reference}, {"output": int8(reference)})
    assert found.fault(10) == "output[:, 5, :] is lost: 7.439e-05 to 0.2198 in the float model, 0 in the file"


def test_the_verdict_does_not_depend_on_packaging() -> None:
    reference = detections()
    measured = int8(reference)
    apart = [{"boxes": array[:, :4], "scores": array[:, 4:]} for array in (reference, measured)]
    one, two = compare({"output": reference}, {"output": measured}), compare(*apart)
    assert one.snr_db == pytest.approx(two.snr_db)
    assert one.worst.snr_db == pytest.approx(two.worst.snr_db)
    assert (one.worst.name, two.worst.name) == ("output[:, 5, :]", "scores[:, 1, :]")


@pytest.mark.parametrize("axis", [1, 2])
def test_a_column_is_lost_whichever_axis_it_lies_along(axis: int) -> None:
    reference = np.moveaxis(detections(), 1, axis)
    assert compare({"output": reference}, {"output": int8(reference)}).lost is not None


@pytest.mark.parametrize("axis", [1, 2, 3])
def test_a_line_of_a_picture_is_lost_too(axis: int) -> None:
    """Yet not where it says little beside the others, as a border does."""
    random = np.random.default_rng(0)
    pictures = random.normal(size=(12, 5, 32, 32)).astype(np.float32)
    dead = np.moveaxis(pictures, axis, 0).copy()
    dead[3] = dead[3].mean()
    found = compare({"mask": pictures}, {"mask": np.moveaxis(dead, 0, axis)})
    assert found.lost is not None and found.lost.name.split(", ")[axis].strip("]") == "3"
    pictures[:, :, 0] *= 1e-3
    assert compare({"mask": pictures}, {"mask": int8(pictures)}).fault(10) is None


def test_a_constant_answer_to_a_temperature_in_kelvin_is_lost() -> None:
    kelvin = np.random.default_rng(0).normal(293, 0.5, (200, 1)).astype(np.float32)
    found = compare({"output": kelvin}, {"output": np.full_like(kelvin, 293)})
    assert found.lost is not None and found.snr_db < 1 and found.agreement is None


def test_rounding_of_float32_is_no_fault_beside_a_large_mean() -> None:
    random = np.random.default_rng(0)
    pascals = random.normal(101_325, 15, (200, 1))
    rounded = (pascals + random.normal(0, 0.01, pascals.shape)).astype(np.float32)
    assert compare({"output": pascals.astype(np.float32)}, {"output": rounded}).fault(80) is None


def test_a_column_that_says_nothing_is_held_against_the_size_of_all() -> None:
    reference = np.random.default_rng(0).normal(size=(32, 4)).astype(np.float32)
    reference[:, 1] = 3.0
    small, large = reference.copy(), reference.copy()
    small[:, 1] += 0.03
    large[:, 1] = 0.0
    assert compare({"output": reference}, {"output": small}).fault(10) is None
    assert compare({"output": reference}, {"output": large}).fault(10) == (
        "output[:, 1] is lost: 3 in the float model, 0 in the file"
    )


def test_a_class_that_no_sample_shows_is_not_lost_with_its_probability() -> None:
    """int8 has 256 steps for a probability, so what is never above a half of one becomes 0."""
    logits = np.random.default_rng(0).normal(0, 4, (64, 30)) - 15 * (np.arange(30) > 20)
    probabilities = (np.exp(logits) / np.exp(logits).sum(1, keepdims=True)).astype(np.float32)
    measured = (np.round(probabilities * 256) / 256).astype(np.float32)
    assert measured[:, 21:].max() == 0
    assert compare({"output": probabilities}, {"output": measured}).fault(10) is None
    measured[:, 3] = 0
    assert compare({"output": probabilities}, {"output": measured}).lost is not None


def test_a_class_whose_probability_is_too_small_for_float32_is_not_lost() -> None:
    """A softmax of large scores is exactly 0 in places, in the float model already."""
    logits = np.random.default_rng(0).normal(0, 60, (64, 30)).astype(np.float32) - 90 * (np.arange(30) > 20)
    raised = np.exp(logits - logits.max(1, keepdims=True))
    probabilities = (raised / raised.sum(1, keepdims=True)).astype(np.float32)
    assert probabilities[:, 25].min() == 0 and 0 < probabilities[:, 25].max() < 1 / 512
    measured = (np.round(probabilities * 256) / 256).astype(np.float32)
    assert compare({"output": probabilities}, {"output": measured}).fault(10) is None
    measured[:, 3] = 0
    assert compare({"output": probabilities}, {"output": measured}).lost is not None


@pytest.mark.parametrize("peak", [0.95, 0.3, 0.12])
def test_scores_that_are_rarely_large_are_lost_too(peak: float) -> None:
    """Those of a class that is at three of 8,400 places: as power, they are less than what int8 rounds away."""
    random = np.random.default_rng(0)
    scores = random.uniform(1e-5, 1e-3, (12, 2, 8400)).astype(np.float32)
    for sample in scores:
        sample[0, random.choice(8400, 3)] = 0.9
        sample[1, random.choice(8400, 3)] = peak
    rounded = (np.round(scores * 256) / 256).astype(np.float32)
    assert compare({"scores": scores}, {"scores": rounded}).fault(10) is None
    rounded[:, 1] = 0
    found = compare({"scores": scores}, {"scores": rounded})
    assert found.lost is not None and found.lost.name == "scores[:, 1, :]"


def test_small_values_that_are_no_probabilities_are_lost() -> None:
    metres = np.random.default_rng(0).uniform(0, 0.003, (64, 1)).astype(np.float32)
    speed = np.random.default_rng(1).uniform(0, 30, (64, 1)).astype(np.float32)
    reference = np.concatenate([metres, speed], 1)
    assert compare({"output": reference}, {"output": int8(reference)}).lost is not None


@pytest.mark.parametrize(("wrong", "fine"), [(1, True), (8, True), (40, False)])
def test_whole_numbers_are_judged_by_how_many_are_the_same(wrong: int, fine: bool) -> None:
    random = np.random.default_rng(0)
    labels = random.integers(0, 5, (80, 1))
    measured = labels.copy()
    measured[:wrong] = (measured[:wrong] + random.integers(1, 5, (wrong, 1))) % 5
    assert (compare({"label": labels}, {"label": measured}).fault(10) is None) == fine
    assert compare({"label": labels}, {"label": np.full_like(labels, 2)}).lost is not None
    assert compare({"label": labels > 2}, {"label": labels > 2}).fault(80) is None


def test_whole_numbers_that_count_may_be_off_by_a_little() -> None:
    counts = np.random.default_rng(0).integers(0, 1000, (80, 1))
    assert compare({"count": counts}, {"count": counts + 3}).fault(10) is None


def test_swapped_outputs_are_found() -> None:
    left, right = np.random.default_rng(0).normal(size=(2, 32, 6)).astype(np.float32)
    assert compare({"left": left, "right": right}, {"left": right, "right": left}).lost is not None


def test_one_sample_is_one_column() -> None:
    reference = np.random.default_rng(0).normal(size=(1, 10))
    found = compare({"output": reference}, {"output": reference + 0.01})
    assert found.worst.name == "output" and found.snr_db > 30


def test_large_outputs_are_compared_in_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    reference = detections()
    measured = reference + np.random.default_rng(1).normal(0, 0.1, reference.shape).astype(np.float32)
    whole = compare({"output": reference}, {"output": measured})
    monkeypatch.setattr(fidelity, "_BLOCK_VALUES", 1000)
    pieces = compare({"output": reference}, {"output": measured})
    assert pieces.worst.name == whole.worst.name and pieces.max_abs_diff == whole.max_abs_diff
    assert (pieces.snr_db, pieces.worst.snr_db) == pytest.approx((whole.snr_db, whole.worst.snr_db))


@pytest.mark.parametrize(
    ("shape", "axes"),
    [
        ((), (None,)),
        ((1,), (None,)),
        ((10,), (1,)),
        ((7, 64), (1, 2)),
        ((8400, 85), (2, 1)),
        ((3, 32, 32), (1,)),
        ((32, 32, 3), (3,)),
        ((1, 32, 32), (None,)),
        ((3, 80, 80, 85), (1, 4)),
        ((1, 100, 7), (3, 2)),
        ((5, 6, 6, 6), (1,)),
        ((6, 6), (1, 2)),
    ],
)
def test_columns_lie_along_axes_of_channels(shape: tuple[int, ...], axes: tuple[int | None, ...]) -> None:
    assert channel_axes((16, *shape)) == axes


def test_agreement_counts_samples() -> None:
    reference = np.eye(4)
    assert agreement(reference, reference[[0, 1, 3, 2]]) == 50.0


def test_classes_are_where_there_is_something_to_choose() -> None:
    scores, other = np.random.default_rng(0).normal(size=(2, 32, 4)).astype(np.float32)
    probabilities = np.exp(scores) / np.exp(scores).sum(1, keepdims=True)
    number, boxes = scores[:, :1], np.random.default_rng(0).normal(size=(32, 4, 9)).astype(np.float32)
    biased = scores + np.array([0, 0, 1000, 0], np.float32)
    assert class_scores({"scores": scores, "boxes": boxes, "number": number}) == "scores"
    assert class_scores({"embedding": other, "scores": probabilities}) == "scores"
    for outputs in ({"number": number}, {"boxes": boxes}, {"biased": biased}, {"one": scores, "two": other}):
        assert class_scores(outputs) is None
    assert class_scores({"label": scores.argmax(1)}) is None


def test_near_constant() -> None:
    varied = np.random.default_rng(0).normal(size=(16, 10))
    assert not near_constant(varied)
    assert near_constant(np.ones((16, 10)))
    assert near_constant(varied * 1e-21)
    assert near_constant(1 + varied * 1e-6)
    assert near_constant(np.zeros((1, 10)))
    assert not near_constant(varied[:1])
    assert not near_constant(293 + varied[:, :1] * 0.1)


def test_a_scale_says_which_column_a_value_belongs_to() -> None:
    reference = detections()
    held_against = scale(reference)
    assert (held_against.stride, len(held_against.signal)) == (64, 7)
    assert held_against.signal == pytest.approx(reference.transpose(1, 0, 2).reshape(7, -1).var(1), rel=1e-3)
    assert scale(np.moveaxis(reference, 1, 2)).stride == 1


@given(
    st.integers(2, 6),
    st.lists(st.floats(-3, 3), min_size=2, max_size=6),
    st.floats(-2, 2),
    st.integers(0, 5),
    st.integers(0, 2**32 - 1),
)
def test_a_dead_column_never_passes_and_a_rounded_one_always_does(
    rank: int, sizes: list[float], offset: float, dead: int, seed: int
) -> None:
    """Columns of any size beside each other, around any mean, along any of the axes."""
    random = np.random.default_rng(seed)
    ranges = 10.0 ** np.array(sizes)
    shape = (40, *random.integers(1, 4, rank - 2), len(ranges))
    assume(all(one != other for one, other in pairwise(shape[1:])))  # those would be lines of a picture
    values = random.normal(size=shape) * ranges + offset * ranges
    reference = values.astype(np.float32)
    rounded = (values * (1 + random.uniform(-1e-7, 1e-7, values.shape))).astype(np.float32)
    assert compare({"output": reference}, {"output": rounded}).fault(80) is None
    killed = reference.copy()
    killed[..., dead % len(ranges)] = killed[..., dead % len(ranges)].mean()
    found = compare({"output": reference}, {"output": killed})
    assert found.lost is not None and found.lost.snr_db < LOST_DB


def test_max_abs_diff_is_the_largest() -> None:
    assert max_abs_diff(np.zeros((3, 2)), np.array([[0, 1], [-4, 2], [0, 0]])) == 4.0


def test_what_falls_short_by_hundredths_is_not_said_to_be_enough() -> None:
    near = fidelity.Column("output[:, 0]", 7.48, (0.0, 1.0), (0.0, 0.9))
    found = fidelity.Fidelity(7.48, near, 0.1, None, None)
    assert found.fault(7.5, 7.5) == "output[:, 0] is 7.4 dB from the float model, 7.5 dB are due"
    assert found.fault(10, 10) == "output[:, 0] is 7.5 dB from the float model, 10.0 dB are due"
