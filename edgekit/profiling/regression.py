"""A new profile held against an older one, row by row, under a policy."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from edgekit.errors import UsageError
from edgekit.metric import Metric
from edgekit.profiling.comparison import NOT_COMPARABLE, UNDECIDED, Comparison, compare_sessions
from edgekit.profiling.policy import Limits, Policy
from edgekit.profiling.rows import Row, rows
from edgekit.runtime.profiler.profile import Profile
from edgekit.runtime.profiler.records import MEASURED, Cell

Result = Literal["met", "not met", "undecided", "not comparable", "unknown"]

#: Percentage points of accuracy that may be lost without a policy of one's own.
_POINTS = 0.5
#: Metric -> what people call it, in the order in which they are shown.
TITLES = {
    "latency": "latency",
    "size": "size",
    "peak_rss": "memory",
    "accuracy": "accuracy",
    "guest_instructions": "instructions",
    "load": "load time",
}


@dataclass(frozen=True)
class Check:
    """One metric of one row.

    Attributes:
        metric: A key of `TITLES`.
        result: ``met``, ``not met``, ``undecided`` or ``not comparable`` (latencies only), or ``unknown``, when the new
            profile has no figure.
        failed: Whether the policy takes that for a failure.
        figure: As in ``1.07 x (1.05 to 1.09)``.
        text: With what there is to say of it, as in ``1.07 x (1.05 to 1.09), at most 1.05``.
        change: New over base; for the accuracy, points below the base. None when there is nothing to say.
        limit: The policy's.
    """

    metric: str
    result: Result
    failed: bool
    figure: str
    text: str
    change: float | None
    limit: float

    @property
    def open(self) -> bool:
        """Whether nothing is shown either way."""
        return self.result in (UNDECIDED, NOT_COMPARABLE)


@dataclass(frozen=True)
class Outcome:
    """One row of two profiles.

    Attributes:
        status: ``compared``; ``missing`` in the new profile, ``new`` there, or measured in neither (``unknown``).
        reason: Why it is missing.
        failed: Whether the row fails under the policy: it is missing, or one of its checks fails.
        comparison: Of the latencies; None where neither has one, as on an emulated board.
    """

    device: str
    bundle: str
    variant: str
    engine: str
    status: Literal["compared", "missing", "new", "unknown"]
    failed: bool
    reason: str = ""
    comparison: Comparison | None = None
    checks: tuple[Check, ...] = ()

    @property
    def name(self) -> str:
        return f"{self.variant} on {self.engine} ({self.device})"

    @property
    def verdict(self) -> str:
        """In one line."""
        if self.status == "missing":
            return f"{'missing' if self.failed else 'missing, which is allowed'}: {self.reason}"
        if self.status != "compared":
            return {"new": "new", "unknown": "not measured in either"}[self.status]
        failed = [check for check in self.checks if check.failed]
        if failed:
            return "not met: " + "; ".join(f"{TITLES[check.metric]} {check.text}" for check in failed)
        return "met" + "".join(f"; {TITLES[check.metric]} {check.text}" for check in self.checks if check.open)

    def to_json(self) -> dict[str, Any]:
        return {**asdict(self), "verdict": self.verdict}


def judge(base: Profile, new: Profile, policy: Policy) -> tuple[Outcome, ...]:
    """Every row of *base* against the same row of *new*, then what is new there.

    A row is the same when device, bundle, variant, engine, accelerator and batch are called the same.

    Raises:
        UsageError: ``EK-ARGUMENT``: nothing was measured in *base*.
    """
    before, after = (
        {_key(row): (cell, row) for cell, row in zip(profile.cells, rows(profile), strict=True)}
        for profile in (base, new)
    )
    if not any(_measured(row) for _, row in before.values()):
        raise UsageError("EK-ARGUMENT", "nothing was measured in the base: there is nothing to compare with")
    outcomes = []
    for key in dict.fromkeys([*before, *after]):
        old, young = before.get(key), after.get(key)
        row = (old or after[key])[1]
        if old is None or not _measured(old[1]):
            status: Literal["new", "unknown"] = "new" if young is not None and _measured(young[1]) else "unknown"
            outcomes.append(Outcome(row.device, row.bundle, row.variant, row.engine, status, False))
        elif young is None or not _measured(young[1]):
            reason = "not in the new profile" if young is None else f"{young[1].status}: {young[1].reason}"
            failed = policy.missing == "fail"
            outcomes.append(Outcome(row.device, row.bundle, row.variant, row.engine, "missing", failed, reason))
        else:
            timed = old[1].latency_ms is not None or young[1].latency_ms is not None
            comparison = _compare(base, old[0], new, young[0]) if timed else None
            limits = policy.limits_for(row.variant, row.engine, row.device)
            checks = tuple(_checks(old[1], young[1], comparison, limits, policy))
            failed = any(check.failed for check in checks)
            outcomes.append(
                Outcome(row.device, row.bundle, row.variant, row.engine, "compared", failed, "", comparison, checks)
            )
    return tuple(outcomes)


def _key(row: Row) -> tuple[object, ...]:
    # A row that did not run has no accelerator and no batch of its own.
    accelerator = None if row.accelerator in (None, "cpu") else row.accelerator
    return row.device, row.bundle, row.target, row.variant, row.engine, accelerator, row.batch


def _measured(row: Row) -> bool:
    return row.status == MEASURED


def _compare(base: Profile, old: Cell, new: Profile, young: Cell) -> Comparison:
    device = new.device(young)
    floor, seed = device.noise_floor_percent, new.settings.seed
    return compare_sessions(old, young, base.device(old), device, noise_floor_percent=floor, seed=seed)


def _checks(old: Row, new: Row, comparison: Comparison | None, limits: Limits, policy: Policy) -> list[Check]:
    """Those that have a limit and a figure in the base."""
    checks = []
    if comparison is not None and limits.latency_ratio < math.inf:
        checks.append(_latency(comparison, limits.latency_ratio, policy))
    warm = old.load_warm_ms is not None and new.load_warm_ms is not None
    old_load, new_load = ((each.load_warm_ms if warm else each.load_ms) for each in (old, new))
    figures: tuple[tuple[str, float | None, float | None, float], ...] = (
        ("size", old.size_bytes, new.size_bytes, limits.size_ratio),
        ("peak_rss", old.peak_rss_bytes, new.peak_rss_bytes, limits.peak_rss_ratio),
        ("guest_instructions", old.guest_instructions, new.guest_instructions, limits.guest_instructions_ratio),
        ("load", old_load, new_load, limits.load_ratio),
    )
    for metric, one, other, limit in figures:
        if one and limit < math.inf:
            checks.append(_ratio(metric, one, other, limit, policy))
    if old.accuracy is not None:
        limit = old.metric.allowed(old.accuracy, _POINTS) if limits.accuracy_drop is None else limits.accuracy_drop
        if limit < math.inf:
            checks.append(_accuracy(old.metric, old.accuracy, new.accuracy, limit, policy))
    order = list(TITLES)
    return sorted(checks, key=lambda check: order.index(check.metric))


def _latency(comparison: Comparison, limit: float, policy: Policy) -> Check:
    if comparison.ratio is None or comparison.interval is None:
        failed, text = policy.not_comparable == "fail", f"not comparable: {comparison.reason}"
        return Check("latency", "not comparable", failed, "not comparable", text, None, limit)
    low, high = comparison.interval
    figure = f"{comparison.ratio:.3f} x ({low:.3f} to {high:.3f})"
    exceeded = comparison.ratio > limit and low > min(limit, 1.0)
    # With a reason, the interval is no proof.
    if comparison.reason or not (exceeded or high <= limit):
        text = f"undecided: {figure}, {comparison.reason or f'at most {limit:g}'}"
        return Check("latency", "undecided", policy.undecided == "fail", figure, text, comparison.ratio, limit)
    return _check("latency", exceeded, figure, comparison.ratio, limit, f"{limit:g}")


def _ratio(metric: str, old: float, new: float | None, limit: float, policy: Policy) -> Check:
    if new is None:
        return _lost(metric, limit, policy)
    ratio = new / old
    return _check(metric, ratio > limit, f"{ratio:.3f} x", ratio, limit, f"{limit:g}")


def _accuracy(metric: Metric, old: float, new: float | None, limit: float, policy: Policy) -> Check:
    if new is None:
        return _lost("accuracy", limit, policy)
    drop = round(metric.drop(old, new), 9)  # percentages such as 97.3 have no exact difference
    behind = metric.difference(drop)
    text = metric.value(new) + (f" ({behind} the base)" if behind else "")
    return _check("accuracy", drop > limit, text, drop, limit, f"{metric.amount(limit)} worse")


def _lost(metric: str, limit: float, policy: Policy) -> Check:
    text = "not measured any more"
    return Check(metric, "unknown", policy.missing == "fail", text, text, None, limit)


def _check(metric: str, exceeded: bool, figure: str, change: float, limit: float, most: str) -> Check:
    result: Result = "not met" if exceeded else "met"
    return Check(metric, result, exceeded, figure, f"{figure}, at most {most}" if exceeded else figure, change, limit)


def undecided(outcomes: Sequence[Outcome]) -> list[str]:
    """Of what nothing is shown either way and that is allowed, one line each, as in `failures`."""
    return [
        f"{outcome.name}: {TITLES[check.metric]} {check.text}"
        for outcome in outcomes
        for check in outcome.checks
        if check.result == UNDECIDED and not check.failed
    ]


def failures(outcomes: Sequence[Outcome]) -> list[str]:
    """What failed, one line each: ``fp32.tflite on litert (local): latency 1.070 x (1.050 to 1.090), at most 1.05``."""
    lines = []
    for outcome in outcomes:
        if outcome.status == "missing" and outcome.failed:
            lines.append(f"{outcome.name}: {outcome.verdict}")
        lines += [f"{outcome.name}: {TITLES[check.metric]} {check.text}" for check in outcome.checks if check.failed]
    return lines
