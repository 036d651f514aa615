"""The verdict on an exported file: its outputs, as its real engine gave them, against the float source model's."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from edgekit.errors import ConversionError
from edgekit.fidelity import Fidelity, compare
from edgekit.manifest import Required
from edgekit.pipeline.model.reference import Reference
from edgekit.recipes import Recipe

#: How far below the SNR of the build a run of the check vectors may be elsewhere: other kernels round otherwise.
_MARGIN_DB = 3.0
#: The same of a single column, which a few values make.
_COLUMN_MARGIN_DB = 6.0
#: How much further than by the last bits of the weights an exact copy may be off: sums are added up in another order.
_REORDERED_DB = 12.0
#: What an exact copy has to reach, whatever rounding does to the model.
_LEAST_EXACT_DB = 30.0
_ROUNDING_HINT = (
    "float32 does not hold what the model computes: with other last bits of its weights, its own outputs are as far "
    "off. Take a mean from large inputs before they are multiplied, and divide by nothing that may be near 0"
)
_QUANTIZED_HINT = (
    "the model is an int8 file, which cuts off what its calibration had not seen, and float does not: give real "
    "samples with --calibration, or ship the file as it is"
)


@dataclass(frozen=True)
class Quality:
    """How far a variant is from the float source model on the evaluation samples; see `edgekit.manifest.Variant`.

    ``accuracy`` and ``accuracy_drop`` are in the metric's unit, None without labels. All is None of a file
    that no engine here runs.
    """

    samples: int | None = None
    samples_available: int | None = None
    snr_db: float | None = None
    worst_column: str | None = None
    worst_column_snr_db: float | None = None
    max_abs_diff: float | None = None
    agreement: float | None = None
    accuracy: float | None = None
    accuracy_drop: float | None = None
    margin: float | None = None
    required: Required | None = None


def judge(
    used: Recipe,
    reference: Reference,
    measured: Mapping[str, np.ndarray],
    rows: np.ndarray,
    minimum_snr_db: float | None,
    *,
    check_samples: np.ndarray,
) -> Quality:
    """Compare *measured* outputs with the *reference*'s.

    Args:
        rows: Numbers of the evaluation samples that *measured* are for.
        minimum_snr_db: The project's own limit, instead of the recipe's.
        check_samples: Which of *measured* become check vectors.

    Raises:
        ConversionError: ``EK-QUALITY``, when outputs are not finite or further off than the recipe allows.
    """
    for name, array in measured.items():
        if not np.isfinite(array).all():
            raise ConversionError("EK-QUALITY", *_overflow(used, name))
    expected = {name: array[rows] for name, array in reference.outputs.items()}
    found, rounding_db = compare(expected, measured, reference.class_scores), reference.rounding_db
    limit = required_snr_db(used, reference, minimum_snr_db)
    if fault := found.fault(limit):
        hint = _QUANTIZED_HINT if reference.held.is_quantized else _hint(used, found, rounding_db)
        raise ConversionError("EK-QUALITY", f"{used.name}: {fault}", hint)
    vectors, checks = ({name: array[check_samples] for name, array in side.items()} for side in (expected, measured))
    before, after = reference.score(expected, rows), reference.score(measured, rows)
    drop = None if before is None or after is None else reference.metric.drop(before, after)
    return Quality(
        samples=len(rows),
        samples_available=len(next(iter(reference.outputs.values()))),
        snr_db=round(found.snr_db, 2),
        worst_column=found.worst.name,
        worst_column_snr_db=round(found.worst.snr_db, 2),
        max_abs_diff=found.max_abs_diff,
        agreement=None if found.agreement is None else round(found.agreement, 3),
        accuracy=_on_all(reference, drop),
        accuracy_drop=None if drop is None else reference.metric.rounded(drop),
        required=_required(used, compare(vectors, checks)),
    )


def required_snr_db(used: Recipe, reference: Reference, minimum_snr_db: float | None) -> float:
    """What outputs by the recipe *used* have to reach; arguments as for `judge`."""
    limit = used.minimum_snr_db if minimum_snr_db is None else minimum_snr_db
    if used.is_exact:
        limit = min(used.minimum_snr_db, max(reference.rounding_db - _REORDERED_DB, _LEAST_EXACT_DB))
    if reference.held.is_quantized and minimum_snr_db is None:  # what computes in float does not have its rounding
        limit = min(limit, reference.held.minimum_snr_db)
    return limit


def _on_all(reference: Reference, drop: float | None) -> float | None:
    """What a file's metric would be on all samples, from how it differs from the source model's on some."""
    if reference.accuracy is None or drop is None:
        return None
    found = reference.accuracy - reference.metric.worth(drop)
    return reference.metric.rounded(found if reference.needs_all else min(100.0, max(0.0, found)))


def _overflow(used: Recipe, name: str) -> tuple[str, str]:
    """What it means that an output is not finite, and what to do, as the float model's outputs are."""
    if used.is_half:
        return (
            f"output {name!r} holds NaN or infinity: a value in the model is beyond {np.finfo(np.float16).max:,.0f}, "
            "the largest of half precision",
            "bring the inputs to one size, (x - mean) / deviation, before the model; or use fp32",
        )
    return f"output {name!r} holds NaN or infinity, the float model's does not", "use fp32, or the other format"


def _required(used: Recipe, checks: Fidelity) -> Required:
    """What a run of the check vectors has to reach anywhere, from what it reached here.

    An exact float copy differs by rounding only, however far from it this host's is.
    """
    snr, column = checks.snr_db - _MARGIN_DB, checks.worst.snr_db - _COLUMN_MARGIN_DB
    if used.is_exact:
        snr, column = min(snr, used.minimum_snr_db), min(column, used.minimum_column_snr_db)
    return Required(round(snr, 2), round(column, 2))


def _hint(used: Recipe, found: Fidelity, rounding_db: float) -> str:
    if used.is_exact and rounding_db < _LEAST_EXACT_DB:
        return _ROUNDING_HINT
    if used.is_exact:
        return "the file computes something else than the model: try the other format"
    if used.is_half:
        return "half precision has 11 bits, too few for this model: use fp32"
    if found.lost is None:
        return "calibrate with more real samples, or use fp16" if used.is_static else "use fp16 or fp32"
    return (
        f"{used.activations} has one scale for a whole tensor: bring inputs to one size, (x - mean) / deviation; "
        "return what differs in size as outputs of their own; or use fp16"
    )
