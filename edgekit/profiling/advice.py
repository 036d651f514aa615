"""What to ship on each device, and why; and which rows nothing else beats."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from edgekit.profiling.comparison import FASTER, NOT_COMPARABLE, SLOWER
from edgekit.profiling.rows import Row
from edgekit.runtime.profiler.records import MEASURED, DeviceRecord, Profile

#: Formats that go to devices; the others are baselines to measure against.
SHIPPED_FORMATS = ("tflite", "pte", "ptl")
#: Percentage points below the float model that what is shipped may lose, as in a build without limits of its own.
MAX_ACCURACY_DROP = 1.0


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


def advise(profile: Profile, rows: Sequence[Row]) -> tuple[Advice, ...]:
    """For every device of *profile*, and every bundle's name there, which of *rows* to ship.

    It is the fastest whose accuracy is at most one percentage point below the float model's; where there are no labels,
    the fastest whose SNR is at least that of the variant that the bundle recommends. Of rows that the noise does not
    tell apart, it is the smallest file. Baselines are not shipped, and rows that were measured with other threads or in
    larger batches than most take no part.
    """
    advice = []
    for device in profile.devices:
        there = [row for row in rows if row.device == device.name]
        names = dict.fromkeys(row.bundle for row in there)
        advice += [_advise(device, name, [row for row in there if row.bundle == name]) for name in names]
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
    if row.accuracy is not None:
        return row.accuracy
    return float("-inf") if row.snr_db is None else row.snr_db


def _advise(device: DeviceRecord, bundle: str, rows: Sequence[Row]) -> Advice:
    headline = [row for row in rows if row.headline]
    fair = _alike(headline)
    shipped = [row for row in fair if row.format in SHIPPED_FORMATS and row.checked]
    left_out = tuple(f"{row.name}: {_why_out(row)}" for row in rows if not row.headline)
    not_compared = tuple(f"{row.name}: {reason}" for row in headline if (reason := _why_apart(row, fair)))
    if not shipped:
        why = _why_nothing(device, rows)
        return Advice(device.name, bundle, None, None, f"{device.name}: {why}", not_compared, left_out)
    good = [row for row in shipped if _keeps_quality(row, rows)]
    best, rivals = _fastest(good or shipped, device.noise_floor_percent)
    quality = "the float model's quality" if best.accuracy is not None else "the quality of what the bundle recommends"
    words = [f"ship {best.name} for {bundle}: {_number(_median_ms(best))} ms", _quality_words(best)]
    if not good:
        words.append(f"though none keeps {quality}")
    elif rivals:
        words.append(f"no slower than {_list(rivals)} within the noise and the smaller file")
    elif len(good) > 1:
        words.append(f"the fastest of {len(good)} that keep {quality}")
    else:
        words.append(f"the only one that keeps {quality}")
    why = f"{device.name}: {', '.join(words)}"
    remarks = _remarks(best, good, fair)
    return Advice(device.name, bundle, best.variant, best.engine, why, not_compared, left_out, remarks)


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
    if row.accuracy_drop is not None:
        return row.accuracy_drop <= MAX_ACCURACY_DROP
    needed = [_quality(other) for other in rows if other.recommended and other.format in SHIPPED_FORMATS]
    return _quality(row) >= min(needed, default=_quality(row))


def _fastest(rows: Sequence[Row], noise_floor_percent: float) -> tuple[Row, list[Row]]:
    """The smallest file among those as fast as the fastest, and those others when there is a choice among files."""
    first = min(rows, key=_median_ms)
    assert first.latency_ms is not None
    limit = max(first.latency_ms.median * (1 + noise_floor_percent / 100), first.latency_ms.interval[1])
    near = [
        row
        for row in rows
        if row.latency_ms is not None
        and row.latency_ms.interval[0] <= limit
        and not any(_is_slower(row, other) for other in rows)
    ]
    best = min(near, key=lambda row: (row.size_bytes, _median_ms(row)))
    return best, [row for row in near if row.size_bytes > best.size_bytes]


def _is_slower(row: Row, other: Row) -> bool:
    """Whether their comparison says so, where they were compared: it sees differences that intervals hide."""
    if row.recipe != other.recipe:
        return False
    for one, reference, verdict in ((row, other, SLOWER), (other, row, FASTER)):
        if one.comparison is not None and one.reference == reference.engine:
            return one.comparison.verdict == verdict
    return False


def _remarks(best: Row, good: Sequence[Row], fair: Sequence[Row]) -> tuple[str, ...]:
    remarks = [f"{best.name} is {mark}" for mark in best.marks]
    remarks += [f"{best.name}: {remark}" for remark in best.remarks]
    if best.latency_ms is not None and best.latency_ms.drifting:
        remarks.append(f"{best.name} was drifting: {best.latency_ms.drift_percent:+.1f} % from first to last third")
    for row in fair:
        if not row.checked:
            continue
        if row.format not in SHIPPED_FORMATS and _median_ms(row) < _median_ms(best):
            remarks.append(f"{row.name}, a baseline and not for shipping, was faster: {_number(_median_ms(row))} ms")
        elif row.format in SHIPPED_FORMATS and row not in good and _median_ms(row) < _median_ms(best):
            remarks.append(f"{row.name} was faster ({_number(_median_ms(row))} ms) but loses too much: {_loss(row)}")
    return tuple(remarks)


def _quality_words(row: Row) -> str:
    if row.accuracy is None:
        return f"accuracy unknown (no labels), SNR {_quality(row):.1f} dB"
    return f"accuracy {row.accuracy:.2f} %{_below(row.accuracy_drop)}"


def _loss(row: Row) -> str:
    return f"SNR {_quality(row):.1f} dB" if row.accuracy is None else f"accuracy {row.accuracy:.2f} %"


def _below(drop: float | None) -> str:
    if drop is None:
        return ""
    if round(drop, 2) == 0:
        return " (the float model's)"
    return f" ({abs(drop):.2f} points {'below' if drop > 0 else 'above'} the float model)"


def _median_ms(row: Row) -> float:
    return float("inf") if row.latency_ms is None else row.latency_ms.median


def _number(value: float) -> str:
    """Three digits that count."""
    return f"{value:#.3g}" if value < 100 else f"{value:.0f}"


def _list(rows: Sequence[Row]) -> str:
    names = [row.name for row in rows]
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
