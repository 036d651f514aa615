"""Figures of durations: against closed forms and against scipy, on distributions whose figures are known."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats
from support.profiles import Noise, measured, processes

from edgekit.profiling.resampling import Rounds
from edgekit.profiling.statistics import Summary, least_samples, summarise
from edgekit.runtime.profiler.records import Process
from edgekit.runtime.profiler.samples import Samples

#: Golden ratio: the exponential distribution's MAD is its logarithm.
_GOLDEN = (1 + math.sqrt(5)) / 2

#: Distribution in ms, with its median absolute deviation in closed form.
DISTRIBUTIONS = {
    "normal": (stats.norm(10, 1), stats.norm.ppf(0.75)),
    "exponential": (stats.expon(0, 4), 4 * math.log(_GOLDEN)),
    "lognormal": (stats.lognorm(0.25, scale=5), None),
}


def process(samples_ms: np.ndarray, *, repeat: int = 0, rounds: int = 1) -> Process:
    sizes = tuple(part.size for part in np.array_split(samples_ms, rounds))
    elapsed = Samples.pack(np.round(1e6 * samples_ms).astype(np.int64))
    return Process(repeat, 0, elapsed_ns=elapsed, round_sizes=sizes)


def summary(*samples_ms: np.ndarray, rounds: int = 1) -> Summary:
    found = summarise([process(each, repeat=index, rounds=rounds) for index, each in enumerate(samples_ms)])
    assert found is not None
    return found


@pytest.mark.parametrize("name", DISTRIBUTIONS)
def test_figures_are_those_of_the_distribution(name: str) -> None:
    distribution, mad = DISTRIBUTIONS[name]
    found = summary(distribution.ppf((np.arange(20_001) + 0.5) / 20_001))  # as even a sample as can be
    assert found.median == pytest.approx(distribution.median(), rel=1e-4)
    assert found.mean == pytest.approx(distribution.mean(), rel=1e-3)
    for percent, figure in ((90, found.p90), (95, found.p95), (99, found.p99)):
        assert figure == pytest.approx(distribution.ppf(percent / 100), rel=1e-3)
    if mad is not None:
        assert found.mad == pytest.approx(mad, rel=1e-3)


@pytest.mark.parametrize("name", DISTRIBUTIONS)
def test_figures_are_those_of_scipy(name: str) -> None:
    samples = np.round(DISTRIBUTIONS[name][0].rvs(5000, random_state=3), 6)
    found = summary(*np.array_split(samples, 5))
    assert (found.samples, found.processes) == (5000, 5)
    assert found.mad == pytest.approx(stats.median_abs_deviation(samples))
    assert found.median == pytest.approx(stats.scoreatpercentile(samples, 50))
    assert found.p99 == pytest.approx(stats.scoreatpercentile(samples, 99))
    assert (found.mean, found.max) == pytest.approx((samples.mean(), samples.max()))


def test_percentiles_need_samples_beyond_them() -> None:
    """With 99 % confidence two or more lie beyond: 1 - p^n - n (1 - p) p^(n-1) is at least 0.99."""
    assert (least_samples(90), least_samples(95), least_samples(99)) == (64, 130, 662)
    for percent in (90, 95, 99):
        share, number = percent / 100, least_samples(percent)
        for n, enough in ((number, True), (number - 1, False)):
            assert (1 - share**n - n * (1 - share) * share ** (n - 1) >= 0.99) is enough
    rng = np.random.default_rng(0)
    known = {n: summary(rng.normal(10, 1, n)) for n in (63, 64, 129, 130, 661, 662)}
    assert [(s.p90 is not None, s.p95 is not None, s.p99 is not None) for s in known.values()] == [
        (False, False, False),
        (True, False, False),
        (True, False, False),
        (True, True, False),
        (True, True, False),
        (True, True, True),
    ]


@pytest.mark.parametrize("name", DISTRIBUTIONS)
def test_the_interval_of_one_process_is_scipys(name: str) -> None:
    samples = DISTRIBUTIONS[name][0].rvs(401, random_state=7)
    reference = stats.bootstrap(
        (samples,), np.median, n_resamples=4000, method="percentile", rng=np.random.default_rng(1), batch=400
    )
    low, high = summary(samples).interval
    width = reference.confidence_interval.high - reference.confidence_interval.low
    assert low == pytest.approx(reference.confidence_interval.low, abs=0.15 * width)
    assert high == pytest.approx(reference.confidence_interval.high, abs=0.15 * width)


@pytest.mark.parametrize(
    "noise",
    [
        Noise(common=0.0, process=0.01, turn=0.003, sample=0.02, tail=0, burst=0),
        Noise(common=0.02, process=0.01, turn=0.01, sample=0.02, tail=0, burst=0),
    ],
    ids=["processes differ", "rounds differ too"],
)
def test_the_interval_holds_the_median_as_often_as_it_says(noise: Noise) -> None:
    held = []
    for seed in range(40):
        (steady,) = measured([2.0], noise=noise, seed=seed)
        found = summarise([Process(n, 0, elapsed_ns=each, round_sizes=sizes) for n, (each, sizes) in enumerate(steady)])
        assert found is not None
        held.append(found.interval[0] <= 2.0 <= found.interval[1])
    assert sum(held) >= 34  # 38 are due; 33 or fewer are of one in a hundred runs, and this one is always the same


def test_processes_that_differ_widen_the_interval_as_samples_alone_do_not() -> None:
    rng = np.random.default_rng(0)
    alike = [rng.normal(10, 0.2, 2000) for _ in range(5)]
    shifted = [samples * factor for samples, factor in zip(alike, (0.97, 0.99, 1.0, 1.02, 1.03), strict=True)]
    narrow, wide = summary(*alike, rounds=20).interval, summary(*shifted, rounds=20).interval
    assert narrow[1] - narrow[0] < 0.05 < 0.3 < wide[1] - wide[0]


def test_from_two_processes_the_interval_goes_from_one_to_the_other() -> None:
    rng = np.random.default_rng(0)
    low, high = summary(rng.normal(10.0, 0.1, 3000), rng.normal(10.4, 0.1, 3000), rounds=10).interval
    assert (low, high) == pytest.approx((10.0, 10.4), abs=0.02)


def test_the_same_samples_give_the_same_interval() -> None:
    steady = processes(measured([2.0])[0])
    assert summarise(steady, seed=4) == summarise(steady, seed=4)


def test_distributions_on_a_grid_keep_their_quantiles() -> None:
    """Which is how half a million samples are drawn from in no time."""
    rng = np.random.default_rng(0)
    rounds = [rng.lognormal(0.02 * index, 0.2, 5000) for index in range(20)]
    (found,) = Rounds.of(rounds).quantiles(np.ones((1, 20)), 0.5, rng)
    (tenth,) = Rounds.of(rounds).quantiles(np.ones((1, 20)), 0.1, rng)
    assert found == pytest.approx(np.median(np.concatenate(rounds)), rel=2e-3)
    assert tenth == pytest.approx(np.quantile(np.concatenate(rounds), 0.1), rel=5e-3)


def test_outliers_are_counted_and_stay_in_every_figure() -> None:
    samples = np.random.default_rng(0).normal(10, 0.1, 1000)
    clean = summary(samples)
    spiked = samples.copy()
    spiked[::100] = 50.0
    found = summary(spiked)
    assert clean.outliers <= 2 and 10 <= found.outliers <= 12
    assert found.max == 50.0 and found.samples == 1000
    assert found.mean == pytest.approx(spiked.mean()) and found.p99 == pytest.approx(np.percentile(spiked, 99))


def test_a_process_that_is_slower_as_a_whole_is_no_outlier() -> None:
    rng = np.random.default_rng(0)
    assert summary(*[rng.normal(10, 0.01, 500) for _ in range(4)], rng.normal(11, 0.01, 500)).outliers < 10


def test_drift_is_seen_in_the_order_of_time() -> None:
    rng = np.random.default_rng(0)
    rising = np.linspace(10, 11, 900) + rng.normal(0, 0.05, 900)
    steady = rng.normal(10, 0.05, 900)
    found = summary(steady, rising)
    assert found.drifting and found.drift_percent == pytest.approx(100 * (10.833 / 10.167 - 1), abs=0.3)
    assert summary(rising[::-1], steady).drift_percent == pytest.approx(-6.2, abs=0.3)
    assert not summary(steady, rng.permutation(rising)).drifting
    assert summary(steady[:20]).drift_percent is None


def test_what_failed_is_left_out() -> None:
    good, bad = process(np.full(100, 2.0)), replace(process(np.full(100, 9.0)), failure="ended by SIGSEGV")
    found = summarise([good, bad])
    assert found is not None and (found.processes, found.max) == (1, 2.0)
    assert summarise([bad, Process(1, 0)]) is None
