"""Which variant to ship on a target, and why: from measured quality and the target's facts, never from host latency."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from edgekit.manifest import Variant
from edgekit.metric import ACCURACY, Metric
from edgekit.target import Target

#: Without a limit of the project's own, a recommended variant may lose this many percentage points of accuracy (for
#: other units see `edgekit.metric.Metric.allowed`).
_DEFAULT_MAX_DROP = 1.0
#: ... or, without labels, must choose the same class on this percentage of samples, or, where there are no classes to
#: choose, follow the float model's outputs this closely.
_MIN_AGREEMENT, _MIN_SNR_DB = 95.0, 25.0
#: Percent of the work inside the delegate from which a file counts as all inside.
_DELEGATED_SHARE = 99.0


def recommend(
    variants: Sequence[Variant], target: Target, max_drop: float | None, metric: Metric = ACCURACY
) -> Mapping[str, str]:
    """Name of the variant to use on *target* and the reason, for the manifest.

    The target's order of recipes decides, among variants it can run that keep their quality; then the target's
    order of formats, with fully delegated files first. What was exported and not run is there for apps, and recommended
    only where there is nothing else.
    """
    formats: list[str] = [entry.format for entry in target.formats]

    def rank(variant: Variant) -> tuple[int, int, int, int, int]:
        concern = target.why_not(variant.format, variant.recipe)
        trouble = {None: 0, "discouraged": 1, "slower": 2, "cannot": 3}[None if concern is None else concern.verdict]
        keeps = _keeps_quality(variant, metric, max_drop)
        return (
            0 if variant.checked else 1,
            trouble + (0 if keeps else 10),
            _rank(variant.recipe, target.recipe_preference),
            0 if _delegated(variant) else 1,
            _rank(variant.format, formats),
        )

    best = min([variant for variant in variants if variant.batch == 1] or variants, key=rank)
    return {"variant": best.name, "reason": _reason(best, variants, target, metric, max_drop)}


def _rank(name: str, order: Sequence[str]) -> int:
    return order.index(name) if name in order else len(order)


def _delegated(variant: Variant) -> bool:
    """Whether what is outside of the delegate is next to no work: a few casts of single numbers are nothing."""
    return variant.delegated_share is None or variant.delegated_share >= _DELEGATED_SHARE


def _keeps_quality(variant: Variant, metric: Metric, max_drop: float | None) -> bool:
    if variant.accuracy is not None and variant.accuracy_drop is not None:
        if max_drop is not None:
            return variant.accuracy_drop <= max_drop
        return metric.keeps(variant.accuracy, variant.accuracy_drop, _DEFAULT_MAX_DROP)
    if variant.agreement is not None:
        return variant.agreement >= _MIN_AGREEMENT
    return variant.snr_db is None or variant.snr_db >= _MIN_SNR_DB


def _reason(best: Variant, variants: Sequence[Variant], target: Target, metric: Metric, max_drop: float | None) -> str:
    parts = []
    if target.support(best.format, best.recipe) is None:
        parts.append(f"nothing that was built runs on {target.title}: this one comes first of what there is")
    elif not best.checked:
        parts.append("exported, not run here, as all that was built: an app has to prove it")
    elif not _keeps_quality(best, metric, max_drop):
        parts.append("no variant keeps the float model's quality; this one comes first in the target's order")
    elif best.accuracy is not None and best.accuracy_drop is not None:
        behind = metric.difference(best.accuracy_drop) or "as"
        parts.append(f"{metric.name} {metric.value(best.accuracy)}, {behind} the float model")
    elif best.agreement is not None:
        parts.append(f"agrees with the float model on {best.agreement:.1f} % of the check samples")
    else:
        parts.append(
            f"follows the float model's outputs at {best.snr_db:.1f} dB, {best.worst_column} at "
            f"{best.worst_column_snr_db:.1f} dB"
        )
    largest = max((each for each in variants if each.format == best.format), key=lambda variant: variant.size_bytes)
    if largest.size_bytes > 1.1 * best.size_bytes:
        parts.append(f"{largest.size_bytes / best.size_bytes:.1f}x smaller than {largest.name}")
    among = "what keeps its quality" if best.checked else "what was exported"
    parts.append(f"{best.recipe} comes first for {target.title} among {among}")
    if not _delegated(best):
        parts.append(f"outside the delegate: {', '.join(best.undelegated_ops)}")
    return "; ".join(parts)
