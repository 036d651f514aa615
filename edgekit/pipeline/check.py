"""The verdict on an exported file: its outputs, as its real engine gave them, against the float source model's."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from edgekit.errors import ConversionError
from edgekit.pipeline.recipes import Recipe
from edgekit.tensors import agreement, max_abs_diff, snr_db

#: The engine on this host that checks each format.
CHECKING_ENGINES = {
    "tflite": "litert",
    "pte": "executorch",
    "ptl": "pytorch-mobile",
    "onnx": "onnxruntime",
    "pt2": "torch",
    "keras": "tensorflow",
}


@dataclass(frozen=True)
class Quality:
    """How far a variant is from the float source model on the evaluation samples.

    ``accuracy`` and ``accuracy_drop`` are in percent and percentage points, None without labels. All is None of a file
    that no engine here runs.
    """

    snr_db: float | None
    max_abs_diff: float | None
    agreement: float | None
    accuracy: float | None
    accuracy_drop: float | None


NOT_RUN = Quality(None, None, None, None, None)


def judge(
    used: Recipe,
    reference: Mapping[str, np.ndarray],
    measured: Mapping[str, np.ndarray],
    score: Callable[[Mapping[str, np.ndarray]], float | None],
    minimum_snr_db: float | None,
) -> Quality:
    """Compare *measured* outputs with the *reference*.

    Args:
        score: The project's metric on a set of outputs, in percent; None without labels.
        minimum_snr_db: The project's own limit, instead of the recipe's.

    Raises:
        ConversionError: ``EK-QUALITY``, when outputs are not finite or further off than the recipe allows.
    """
    for name, array in measured.items():
        if not np.isfinite(array).all():
            raise ConversionError("EK-QUALITY", f"output {name!r} holds NaN or infinity", "try another recipe")
    worst = min(reference, key=lambda name: snr_db(reference[name], measured[name]))
    snr = snr_db(reference[worst], measured[worst])
    required = used.minimum_snr_db if minimum_snr_db is None or used.name == "fp32" else minimum_snr_db
    if snr < required:
        raise ConversionError(
            "EK-QUALITY",
            f"output {worst!r} is {snr:.1f} dB from the float model, {used.name} needs {required:.0f} dB",
            "the export went wrong: try another recipe or format"
            if used.name == "fp32"
            else "calibrate with more real samples, or use fp16",
        )
    float_score, own_score = score(reference), score(measured)
    return Quality(
        snr_db=round(snr, 2),
        max_abs_diff=max(max_abs_diff(reference[name], measured[name]) for name in reference),
        agreement=round(min(agreement(reference[name], measured[name]) for name in reference), 3),
        accuracy=None if own_score is None else round(own_score, 3),
        accuracy_drop=None if own_score is None or float_score is None else round(float_score - own_score, 3),
    )
