"""A look at an exported file: its structure, and a run over the check samples by its real engine."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from edgekit.errors import ConversionError
from edgekit.pipeline.check import CHECKING_ENGINES
from edgekit.pipeline.gates import check_weights
from edgekit.pipeline.inspection import inspect_file
from edgekit.pipeline.recipes import recipe
from edgekit.runtime.trial import run_trial

#: Calls of the quick latency figure; enough for a median, too few for a claim.
_LATENCY_SAMPLES = 100


def examine(
    *,
    file: str,
    format: str,
    recipe_name: str,
    signature: Mapping[str, Any],
    parameter_count: int,
    samples: str,
    outputs: str,
) -> dict[str, Any]:
    """Read the file's structure, run it over *samples*, write its outputs; a task for a worker.

    Returns:
        ``facts`` (see `edgekit.pipeline.inspection.FileFacts`) and ``trial`` (see `edgekit.runtime.trial.run_trial`).

    Raises:
        ConversionError: ``EK-QUALITY`` when weights or size do not fit the recipe.
    """
    facts = inspect_file(Path(file), format)
    refusal = check_weights(facts, recipe(recipe_name), parameter_count, Path(file).stat().st_size)
    if refusal is not None:
        raise ConversionError("EK-QUALITY", refusal, "the file was refused; report it with the log")
    trial = run_trial(
        file=file,
        format=format,
        engine=CHECKING_ENGINES[format],
        signature=signature,
        inputs=samples,
        outputs=outputs,
        threads=1,
        samples=_LATENCY_SAMPLES,
    )
    return {"facts": asdict(facts), "trial": trial}
