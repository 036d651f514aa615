"""What a variant's run at the build gave, for variants that tests make by hand."""

from __future__ import annotations

from typing import Any

from edgekit.manifest import Required


def not_run() -> dict[str, None]:
    """Fields of a `Variant` that was exported, not run."""
    return dict.fromkeys([*figures(), "accuracy", "accuracy_drop"])


def figures(
    snr_db: float = 120.0, *, recipe: str = "fp32", agreement: float | None = 100.0, max_abs_diff: float = 0.0
) -> dict[str, Any]:
    """Fields of a `Variant` that was run, whose columns are all alike."""
    return {
        "snr_db": snr_db,
        "worst_column": "output[:, 0]",
        "worst_column_snr_db": snr_db,
        "max_abs_diff": max_abs_diff,
        "agreement": agreement,
        "required": Required(80.0, 60.0) if recipe == "fp32" else Required(snr_db - 3, snr_db - 6),
    }
