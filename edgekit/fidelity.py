"""How faithfully a file's outputs follow the float source model's: judged column by column, around each column's mean.

A column is everything at one place of an axis of channels: the scores of one class, one coordinate of all boxes. One
figure over a whole tensor hides a column that is lost beside larger ones (pixels beside scores), and one around zero
hides that an output does not move at all (a temperature in kelvin). Columns show both, and are the same whether a
model returns two tensors side by side or one after the other.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

#: Signal-to-noise ratios are capped here, so that identical outputs stay a number in JSON.
MAX_SNR_DB = 200.0

#: A column below this is lost: noise takes as much of it as what it says.
LOST_DB = 3.0
#: What every single column has to reach, in parts of the dB that all together have to.
_SHARE_OF_COLUMN = 0.75

#: A column varies when its standard deviation is more than this part of its largest value: float32 has 1.2e-7.
_VARIES = 1e-5
#: Outputs smaller than this mean nothing, as those of an untrained network.
_NOTHING = 1e-8
#: What float32 may lose to rounding, in parts of the largest value, and the SNR that such a loss counts as at least.
_ROUNDING, _ROUNDED_DB = 8 * 2.0**-23, 80.0
#: Probabilities are told apart to two of the 256 steps that int8 has for them. Those of a class that no sample shows
#: are smaller than that all the time; nothing is lost when they become 0.
_PROBABILITY_STEP = 2 / 256
#: Where no column ever says more than this, values between 0 and 1 are no probabilities. A column that does says
#: something, however rarely.
_LEAST_PROBABILITY = 0.1
#: What probabilities may add up to beside 1.
_SUM = 1e-3
#: What disagreement beyond chance is raised to, to stand for noise power over signal power: 10 dB is a kappa of 0.78.
_KAPPA_POWER = 1.5
#: Values that are looked at in one piece: the copies in double precision are bounded by it.
_BLOCK_VALUES = 1 << 21


@dataclass(frozen=True)
class Column:
    """What became of one column of an output.

    Attributes:
        name: As numpy would index it: ``scores[:, 5]``; the output's name where it has no columns.
        snr_db: Signal-to-noise ratio around the column's mean.
        expected, found: Its smallest and largest value in the float model and in the file.
    """

    name: str
    snr_db: float
    expected: tuple[float, float]
    found: tuple[float, float]

    @property
    def ranges(self) -> str:
        """What it does in the float model and in the file."""
        spans = [
            f"{low:.4g}" if low == high else f"{low:.4g} to {high:.4g}" for low, high in (self.expected, self.found)
        ]
        return f"{spans[0]} in the float model, {spans[1]} in the file"


@dataclass(frozen=True)
class Fidelity:
    """How far outputs are from those of the float source model.

    Attributes:
        snr_db: Over the columns of all outputs, each of the same weight. Capped at `MAX_SNR_DB`, which stands for
            identical; minus that where something is not finite.
        worst: The column that is furthest off.
        max_abs_diff: The largest difference of any value.
        agreement: Percent of samples with the same largest class score; None without class scores.
        lost: A column along any axis that is lost (`LOST_DB`), the worst one if it is; None without such.
    """

    snr_db: float
    worst: Column
    max_abs_diff: float
    agreement: float | None
    lost: Column | None

    def fault(self, required_snr_db: float, required_column_db: float | None = None) -> str | None:
        """What is wrong with the outputs, in one line; None when they reach what is required.

        Args:
            required_snr_db: What all columns together have to reach.
            required_column_db: What each of them has to; by default three quarters of that, and none may be lost then,
            unless that is what the requirement allows.
        """
        if required_column_db is None:
            required_column_db = column_db(required_snr_db)
            if self.lost is not None and required_column_db > LOST_DB:
                return f"{self.lost.name} is lost: {self.lost.ranges}"
        for what, found, due in (
            (f"{self.worst.name} is", self.worst.snr_db, required_column_db),
            ("the outputs are", self.snr_db, required_snr_db),
        ):
            if found < due:
                shown, wanted = f"{found:.1f}", f"{due:.1f}"
                if shown == wanted:  # 7.48 is no 7.5
                    shown = f"{math.floor(found * 10) / 10:.1f}"
                return f"{what} {shown} dB from the float model, {wanted} dB are due"
        return None


def compare(
    reference: Mapping[str, np.ndarray], measured: Mapping[str, np.ndarray], class_scores: str | None = None
) -> Fidelity:
    """Compare *measured* outputs with the *reference*, both by name and of the same shapes, samples first.

    Args:
        class_scores: Name of the output whose largest value is the model's answer, if there is one.
    """
    tables = [table for name, expected in reference.items() for table in _tables(name, expected, measured[name])]
    ratios = np.concatenate([table.ratios for table in tables if table.counts])
    worst = min((table.worst() for table in tables if table.counts), key=lambda column: column.snr_db)
    others = (table.worst() for table in tables if not table.counts)
    lost = next((column for column in (worst, *others) if column.snr_db < LOST_DB), None)
    return Fidelity(
        snr_db=_decibels(float(ratios.mean())),
        worst=worst,
        max_abs_diff=max(max_abs_diff(expected, measured[name]) for name, expected in reference.items()),
        agreement=None if class_scores is None else agreement(reference[class_scores], measured[class_scores]),
        lost=lost,
    )


def column_db(required_snr_db: float) -> float:
    """What each column has to reach where all together have to reach *required_snr_db*."""
    return _SHARE_OF_COLUMN * required_snr_db


@dataclass(frozen=True)
class Scale:
    """What noise in one output is held against, for a run that is judged where there is no numpy.

    Attributes:
        stride: Value *i* of a sample, in order of memory, belongs to column *i* // *stride* % number of columns.
        signal: The power of each column that noise power is divided by.
        rounding: Noise power of each column that counts as rounding, and as no more than 80 dB below the signal.
    """

    stride: int
    signal: tuple[float, ...]
    rounding: tuple[float, ...]


def scale(reference: np.ndarray) -> Scale:
    """The `Scale` of one output's *reference*, samples first."""
    axis = _axes(reference)[0]
    columns = _statistics(reference, axis)
    stride = 1 if axis is None else math.prod(reference.shape[axis + 1 :])
    return Scale(stride, tuple(_signal(reference, axis, columns).tolist()), tuple(_rounding(columns).tolist()))


def class_scores(reference: Mapping[str, np.ndarray]) -> str | None:
    """The output that scores classes, where nobody named it: the only one, or the only one of probabilities, that has
    one number per class and not the same largest one for every sample."""
    candidates = [name for name, array in reference.items() if _chooses(array)]
    if len(candidates) > 1:
        candidates = [name for name in candidates if _adds_up(reference[name], 1)]
    return candidates[0] if len(candidates) == 1 else None


def _chooses(array: np.ndarray) -> bool:
    choices = array.ndim == 2 and array.shape[1] > 1 and array.dtype.kind == "f"
    return choices and len(np.unique(array.argmax(1))) > 1


def near_constant(outputs: np.ndarray) -> bool:
    """Whether *outputs* (samples first) do not depend on the sample, or are too small to mean anything."""
    outputs = np.asarray(outputs).reshape(len(outputs), -1)
    size = np.abs(outputs, dtype=np.float64).max(axis=0, initial=0.0) if len(outputs) else np.zeros(1)
    if size.max(initial=0.0) < _NOTHING or len(outputs) < 2:
        return bool(size.max(initial=0.0) < _NOTHING)
    return not bool((np.std(outputs, axis=0, dtype=np.float64) > _VARIES * size).any())


def snr_db(reference: np.ndarray, measured: np.ndarray) -> float:
    """`Fidelity.snr_db` of a single output."""
    return compare({"": reference}, {"": measured}).snr_db


def max_abs_diff(reference: np.ndarray, measured: np.ndarray) -> float:
    """The largest absolute difference between two arrays of one shape."""
    pairs = _blocks(reference, measured)
    return max((float(np.abs(after - before).max(initial=0.0)) for before, after in pairs), default=0.0)


def agreement(reference: np.ndarray, measured: np.ndarray) -> float:
    """Percent of samples (first axis) whose largest output is the same in both."""
    same = reference.reshape(len(reference), -1).argmax(1) == measured.reshape(len(measured), -1).argmax(1)
    return float(100.0 * same.mean())


def channel_axes(shape: tuple[int, ...]) -> tuple[int | None, ...]:
    """The axes of an output, samples first, along which its columns may lie; the likeliest first, None for no axis.

    Axes of one size side by side (height and width) are those of a picture, and nobody's columns, as long as another
    one is left. Of the others, the shortest is the likeliest: seven values of a thousand boxes, ten classes of a map.
    """
    sizes = dict(enumerate(shape[1:], 1))
    pairs = [axis for axis in sizes if sizes[axis] > 1 and sizes[axis] == sizes.get(axis + 1)]
    spatial = {axis for pair in pairs for axis in (pair, pair + 1)}
    left = sizes.keys() - spatial or sizes.keys()
    found = sorted((axis for axis in left if sizes[axis] > 1), key=lambda axis: sizes[axis])
    return tuple(found) or (None,)


@dataclass(frozen=True)
class _Table:
    """The columns of one output along one axis.

    Attributes:
        counts: Whether they count towards the SNR; along a less likely axis only lost ones matter.
        ratios: Noise power over signal power of each.
        expected, found: Smallest and largest value of each in the float model and in the file.
    """

    name: str
    axis: int | None
    rank: int
    counts: bool
    ratios: np.ndarray
    expected: _Statistics
    found: _Statistics

    def worst(self) -> Column:
        index = int(self.ratios.argmax())
        spans = [(float(side.low[index]), float(side.high[index])) for side in (self.expected, self.found)]
        name = self.name
        if self.axis is not None:
            before, after = [":"] * self.axis, [":"] * (self.rank - self.axis - 1)
            name += f"[{', '.join([*before, str(index), *after])}]"
        return Column(name, _decibels(float(self.ratios[index])), *spans)


def _tables(name: str, reference: np.ndarray, measured: np.ndarray) -> Iterator[_Table]:
    axes = _axes(reference)
    lines = tuple(
        axis for axis in range(1, reference.ndim) if axes[0] and axis not in axes and reference.shape[axis] > 1
    )
    for number, axis in enumerate((*axes, *lines)):
        expected, found = _statistics(reference, axis), _statistics(measured, axis)
        noise, signal = _noise(reference, measured, axis), _signal(reference, axis, expected)
        if axis in lines:  # of a picture: its border may say little
            signal = np.maximum(signal, signal.mean())
        if number == 0:
            signal = np.where(_gone(expected, found), expected.variance, signal)
        with np.errstate(divide="ignore", invalid="ignore"):
            ratios = np.where(noise == 0, 0.0, noise / signal)
        ratios = np.where(noise <= _rounding(expected), np.minimum(ratios, 10 ** (-_ROUNDED_DB / 10)), ratios)
        if reference.dtype.kind in "iub":
            ratios = np.minimum(ratios, (1 - _kappas(reference, measured, axis)) ** _KAPPA_POWER)
        ratios = np.where(np.isfinite(noise), ratios, np.inf)
        yield _Table(name, axis, reference.ndim, number == 0, ratios, expected, found)


def _axes(reference: np.ndarray) -> tuple[int | None, ...]:
    """`channel_axes`; None where a column would hold a single value, which says nothing of its mean."""
    axes = channel_axes(reference.shape)
    return tuple(axis for axis in axes if axis is not None and reference.size > reference.shape[axis]) or (None,)


@dataclass(frozen=True)
class _Statistics:
    """Of each column: extremes, mean and variance."""

    low: np.ndarray
    high: np.ndarray
    mean: np.ndarray
    variance: np.ndarray

    @property
    def size(self) -> np.ndarray:
        """The largest absolute value."""
        return np.maximum(np.abs(self.low), np.abs(self.high))


def _signal(reference: np.ndarray, axis: int | None, columns: _Statistics) -> np.ndarray:
    """The power that each column's noise is held against.

    That of what varies in it. A column that does not is held against its own size or that of all of them, whichever
    is larger, and probabilities against what can be told apart.
    """
    power = np.square(columns.mean) + columns.variance
    still = np.maximum(np.maximum(power, power.mean()), _NOTHING**2)
    signal = np.where(np.sqrt(columns.variance) > _VARIES * columns.size, columns.variance, still)
    if reference.dtype.kind == "f":
        likely = (columns.low > 0) & (columns.high <= 1)
        if not likely.all() and axis is not None and _adds_up(reference, axis):
            likely = columns.low >= 0  # some are 0: what is below 1e-38 in float32, or was masked
        if columns.high[likely].max(initial=0.0) >= _LEAST_PROBABILITY:
            signal = np.where(likely, np.maximum(signal, _PROBABILITY_STEP**2), signal)
    return signal


def _gone(expected: _Statistics, found: _Statistics) -> np.ndarray:
    """Probabilities that say something, and in the file vary by less than can be told apart.

    They are lost however rarely they do: the score of an object that is in one of a thousand boxes.
    """
    said = (expected.low >= 0) & (expected.high <= 1) & (expected.high - expected.low >= _LEAST_PROBABILITY)
    return said & (found.high - found.low <= _PROBABILITY_STEP)


def _adds_up(array: np.ndarray, axis: int) -> bool:
    """Whether values along *axis* add up to 1, as probabilities of classes do."""
    blocks = (block for (block,) in _blocks(array))
    return all(np.allclose(block.sum(axis), 1, atol=_SUM) for block in blocks)


def _rounding(columns: _Statistics) -> np.ndarray:
    return np.square(_ROUNDING * columns.size)


def _statistics(array: np.ndarray, axis: int | None) -> _Statistics:
    number = _number(array, axis)
    low, high = np.full(number, np.inf), np.full(number, -np.inf)
    total, spread = np.zeros(number), np.zeros(number)
    for (block,) in _blocks(array):
        columns = _columns(block, axis)
        low, high = np.minimum(low, columns.min(1)), np.maximum(high, columns.max(1))
        total += columns.sum(1)
    mean = total * number / array.size
    for (block,) in _blocks(array):
        spread += np.square(_columns(block, axis) - mean[:, None]).sum(1)
    return _Statistics(low, high, mean, spread * number / array.size)


def _noise(reference: np.ndarray, measured: np.ndarray, axis: int | None) -> np.ndarray:
    """Mean squared difference of each column."""
    number = _number(reference, axis)
    total = np.zeros(number)
    for before, after in _blocks(reference, measured):
        total += np.square(_columns(after - before, axis)).sum(1)
    return total * number / reference.size


def _kappas(reference: np.ndarray, measured: np.ndarray, axis: int | None) -> np.ndarray:
    """Cohen's kappa of each column of whole numbers: agreement beyond chance, 1 for identical ones.

    J. Cohen, "A coefficient of agreement for nominal scales", Educational and Psychological Measurement 20 (1960).
    """
    kappas = []
    for expected, found in zip(_columns(reference, axis), _columns(measured, axis), strict=True):
        values, indices = np.unique(np.concatenate([expected, found]), return_inverse=True)
        shares = [np.bincount(half, minlength=len(values)) / len(expected) for half in np.split(indices, 2)]
        chance = float(shares[0] @ shares[1])
        same = float((expected == found).mean())
        kappas.append((same - chance) / (1 - chance) if chance < 1 else 1.0)
    return np.maximum(kappas, 0.0)


def _number(array: np.ndarray, axis: int | None) -> int:
    """Of columns."""
    return 1 if axis is None else int(array.shape[axis])


def _columns(array: np.ndarray, axis: int | None) -> np.ndarray:
    """One row per column."""
    return array.reshape(1, -1) if axis is None else np.moveaxis(array, axis, 0).reshape(array.shape[axis], -1)


def _blocks(*arrays: np.ndarray) -> Iterator[tuple[np.ndarray, ...]]:
    """*arrays*, some samples at a time, in double precision."""
    step = max(1, _BLOCK_VALUES // max(1, math.prod(arrays[0].shape[1:])))
    for begin in range(0, len(arrays[0]), step):
        yield tuple(np.asarray(array[begin : begin + step], np.float64) for array in arrays)


def _decibels(ratio: float) -> float:
    """Of noise power over signal power, within `MAX_SNR_DB`."""
    if not math.isfinite(ratio):
        return -MAX_SNR_DB
    return MAX_SNR_DB if ratio <= 0 else max(-MAX_SNR_DB, min(MAX_SNR_DB, -10.0 * math.log10(ratio)))
