"""What to ship on each device, and why; and which rows nothing else beats."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from edgekit.formats import is_baseline
from edgekit.profiling.comparison import FASTER, NO_DIFFERENCE, NOT_COMPARABLE, SLOWER, Verdict, race
from edgekit.profiling.rows import Row
from edgekit.profiling.words import listing, number
from edgekit.runtime.profiler.profile import DeviceRecord, Profile
from edgekit.runtime.profiler.records import MEASURED

#: Percentage points below the float model that what is shipped may lose, as in a build without limits of its own (for
#: other units see `edgekit.metric.Metric.allowed`).
MAX_ACCURACY_DROP = 1.0
_OPPOSITE: dict[Verdict, Verdict] = {FASTER: SLOWER, SLOWER: FASTER}


@dataclass(frozen=True)
class Advice:
    """For one bundle's model on one device.

    Attributes:
        variant, engine: What to ship; None when the profile does not say.
        why: One sentence, the device's name in it.
        not_compared: Rows that were measured under other conditions than what they stand next to, with the reason.
        left_out: Rows without a latency that counts (failed, not run, throttled), with the reason.
        remarks: What else to know: a baseline that was faster, figures that are marked.
    """

    device: str
    bundle: str
    variant: str | None
    engine: str | None
    why: str
    not_compared: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()


class Races:
    """Which of two files is faster, whatever they compute in. Every two rows of a device are compared once, when asked.

    Args:
        rows: One of each of the profile's cells, in their order.
    """

    def __init__(self, profile: Profile, rows: Sequence[Row]):
        self._profile = profile
        self._indices = {id(row): index for index, row in enumerate(rows)}
        self._found: dict[tuple[int, int], Verdict] = {}

    def verdict(self, base: Row, new: Row) -> Verdict:
        """What is shown of *new* against *base*; ``not comparable`` where they were not measured side by side."""
        one, other = self._indices[id(base)], self._indices[id(new)]
        key = min(one, other), max(one, other)
        if key not in self._found:
            before, after = (self._profile.cells[index] for index in key)
            floor = self._profile.device(after).noise_floor_percent
            self._found[key] = race(before, after, noise_floor_percent=floor, seed=self._profile.settings.seed).verdict
        found = self._found[key]
        return found if one < other else _OPPOSITE.get(found, found)


def advise(profile: Profile, rows: Sequence[Row]) -> tuple[Advice, ...]:
    """For every device of *profile*, and every bundle's name there, which of *rows* to ship.

    It is one of those whose accuracy is at most one percentage point below the float model's (a metric in another unit:
    at most a twentieth worse); where there are no labels, whose SNR is at least that of the variant that the bundle
    recommends. Of these it is the fastest, or a smaller file that is shown to be no slower. Where that cannot be
    decided, it is what has the lowest median of all that nothing is shown to be faster than, and the sentence names the
    others. Baselines are not shipped, and rows that were measured with other threads or in larger batches than most
    take no part.

    Args:
        rows: One of each of the profile's cells, in their order.
    """
    advice = []
    races = Races(profile, rows)
    for device in profile.devices:
        there = [row for row in rows if row.device == device.name]
        names = dict.fromkeys(row.bundle for row in there)
        advice += [_advise(device, name, [row for row in there if row.bundle == name], races) for name in names]
        if not there:
            reason = device.failure or "nothing was measured there"
            advice.append(Advice(device.name, "", None, None, f"{device.name}: {reason}"))
    return tuple(advice)


def pareto(rows: Sequence[Row]) -> tuple[Row, ...]:
    """Those that no other of their device and bundle beats in both latency and quality, fastest first.

    Rows out of the headline take no part, nor do those whose quality is not known. Quality is the accuracy, or the SNR
    where there are no labels.
    """
    counted = [row for row in rows if row.headline and row.checked]
    best = [row for row in counted if not any(_beats(other, row) for other in counted if _peers(other, row))]
    return tuple(sorted(best, key=_median_ms))


def _beats(one: Row, other: Row) -> bool:
    measures = ((-_median_ms(one), -_median_ms(other)), (_quality(one), _quality(other)))
    return all(a >= b for a, b in measures) and any(a > b for a, b in measures)


def _peers(one: Row, other: Row) -> bool:
    return (one.device, one.bundle) == (other.device, other.bundle) and (one.accuracy is None) == (
        other.accuracy is None
    )


def _quality(row: Row) -> float:
    """Of a row that was checked."""
    return float("-inf") if row.quality is None else row.quality


def _advise(device: DeviceRecord, bundle: str, rows: Sequence[Row], races: Races) -> Advice:
    headline = [row for row in rows if row.headline]
    fair = _alike(headline)
    shipped = [row for row in fair if row.checked and not is_baseline(row.format)]
    left_out = tuple(f"{row.name}: {_why_out(row)}" for row in rows if not row.headline)
    not_compared = tuple(f"{row.name}: {reason}" for row in headline if (reason := _why_apart(row, fair)))
    if not shipped:
        why = _why_nothing(device, rows)
        return Advice(device.name, bundle, None, None, f"{device.name}: {why}", not_compared, left_out)
    good = [row for row in shipped if _keeps_quality(row, rows)]
    best = _choose(good or shipped, races)
    words = _why_given(best, bundle, good, races) if best.is_given else _why_built(best, bundle, good, races)
    why = f"{device.name}: {', '.join(words)}"
    remarks = _remarks(best, good, fair, races)
    return Advice(device.name, bundle, best.variant, best.engine, why, not_compared, left_out, remarks)


def _why_built(best: Row, bundle: str, good: Sequence[Row], races: Races) -> list[str]:
    kept = "the float model's quality" if best.accuracy is not None else "the quality of what the bundle recommends"
    words = [f"ship {best.name} for {bundle}: {number(_median_ms(best))} ms", _quality_words(best)]
    return [*words, _why_best(best, good, races, kept) if good else f"though none keeps {kept}"]


def _why_given(best: Row, bundle: str, good: Sequence[Row], races: Races) -> list[str]:
    """The same of a file that was given: there is nothing that its quality is held against."""
    words = [f"{best.name} takes {number(_median_ms(best))} ms for {bundle}"]
    words += [_why_best(best, good, races, "the file as it is")] if len(good) > 1 else []
    return [*words, "quality unknown (no float model goes with it)"]


def _alike(rows: Sequence[Row]) -> list[Row]:
    """Those that are comparable with what they stand next to and, across precisions, ran in the way that most did."""
    fair = [row for row in rows if row.comparison is None or row.comparison.verdict != NOT_COMPARABLE]
    ways = Counter((row.threads, row.batch, row.accelerator) for row in fair)
    usual = max(ways, key=ways.__getitem__, default=None)
    return [row for row in fair if (row.threads, row.batch, row.accelerator) == usual]


def _why_apart(row: Row, fair: Sequence[Row]) -> str:
    if row in fair:
        return "" if row.checked else "exported, not run at the build: its outputs were never checked"
    if row.comparison is not None and row.comparison.verdict == NOT_COMPARABLE:
        return row.comparison.reason
    others = f"{fair[0].threads} threads, batches of {fair[0].batch}, {fair[0].accelerator}"
    return f"{row.threads} threads, batches of {row.batch}, {row.accelerator}; most ran with {others}"


def _why_out(row: Row) -> str:
    if row.status != MEASURED:
        return f"{row.status}: {row.reason}"
    if row.latency_ms is None:
        return "emulated: no latency" if row.emulated else "no latency was measured"
    return "; ".join(mark for mark in row.marks if mark.startswith("throttled"))


def _why_nothing(device: DeviceRecord, rows: Sequence[Row]) -> str:
    if device.failure:
        return device.failure
    if device.emulated:
        return "no advice, since an emulated board shows that files run there and counts instructions, but has no speed"
    if rows and not any(row.checked for row in rows):
        return "no advice, since these files are exported, not run: nothing has shown that their outputs are right"
    if any(row.headline for row in rows if row.checked):
        return "no advice, since only baselines gave a latency that counts"
    return "no advice, since no row gave a latency that counts"


def _keeps_quality(row: Row, rows: Sequence[Row]) -> bool:
    if row.accuracy is not None and row.accuracy_drop is not None:
        return row.metric.keeps(row.accuracy, row.accuracy_drop, MAX_ACCURACY_DROP)
    needed = [_quality(other) for other in rows if other.recommended and not is_baseline(other.format)]
    return _quality(row) >= min(needed, default=_quality(row))


def _choose(rows: Sequence[Row], races: Races) -> Row:
    """The smallest file of those that are shown to be as fast as the first; see `advise`."""
    unbeaten = [row for row in rows if not any(races.verdict(other, row) == SLOWER for other in rows)] or rows
    first = min(unbeaten, key=_median_ms)
    equal = [row for row in unbeaten if row is first or races.verdict(first, row) == NO_DIFFERENCE]
    return min(equal, key=lambda row: (row.size_bytes, _median_ms(row)))


def _why_best(best: Row, good: Sequence[Row], races: Races, kept: str) -> str:
    """What is shown of *best* against the others of *good*, all of which keep what *kept* says; and what is not."""
    if len(good) == 1:
        return f"the only one that keeps {kept}"
    equal = [row for row in good if row is not best and races.verdict(row, best) == NO_DIFFERENCE]
    undecided = _undecided(best, good, races)
    if equal:
        smaller = " and the smaller file" if all(row.size_bytes > best.size_bytes for row in equal) else ""
        words = f"no slower than {listing([row.name for row in equal])} within the noise{smaller}"
    elif not undecided:
        words = f"the fastest of {len(good)} that keep {kept}"
    elif all(_median_ms(best) <= _median_ms(row) for row in good):
        words = f"the lowest median of {len(good)} that keep {kept}"
    else:
        words = f"one of {len(good)} that keep {kept}"
    return words + (
        f"; whether it is faster than {listing([row.name for row in undecided])} is undecided" if undecided else ""
    )


def _undecided(best: Row, rows: Sequence[Row], races: Races) -> list[Row]:
    """Those of which nothing is shown."""
    return [row for row in rows if row is not best and races.verdict(row, best) not in (FASTER, NO_DIFFERENCE)]


def _remarks(best: Row, good: Sequence[Row], fair: Sequence[Row], races: Races) -> tuple[str, ...]:
    remarks = [f"{best.name} is {mark}" for mark in best.marks]
    remarks += [f"{best.name}: {remark}" for remark in best.remarks]
    if best.latency_ms is not None and best.latency_ms.drifting:
        remarks.append(f"{best.name} was drifting: {best.latency_ms.drift_percent:+.1f} % from first to last third")
    for row in fair:
        if row is best or row in good or not row.checked:
            continue
        verdict = races.verdict(best, row)
        if verdict == FASTER:
            pace = "was faster"
        elif verdict != SLOWER and _median_ms(row) < _median_ms(best):
            pace = "has the lower median, which does not show that it is faster"
        else:
            continue
        if is_baseline(row.format):
            remarks.append(f"{row.name}, a baseline and not for shipping, {pace}: {number(_median_ms(row))} ms")
        else:
            remarks.append(f"{row.name} {pace} ({number(_median_ms(row))} ms) but loses too much: {_loss(row)}")
    return tuple(remarks)


def _quality_words(row: Row) -> str:
    if row.accuracy is None:
        return f"accuracy unknown (no labels), SNR {_quality(row):.1f} dB"
    if row.accuracy_drop is None:
        return _loss(row)
    behind = row.metric.difference(row.accuracy_drop)
    return f"{_loss(row)} (" + (f"{behind} the float model)" if behind else "the float model's)")


def _loss(row: Row) -> str:
    if row.accuracy is None:
        return f"SNR {_quality(row):.1f} dB"
    return f"{row.metric.name} {row.metric.value(row.accuracy)}"


def _median_ms(row: Row) -> float:
    return float("inf") if row.latency_ms is None else row.latency_ms.median
