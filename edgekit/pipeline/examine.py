"""A look at an exported file: its structure, and a run over the check samples by its real engine, if there is one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from edgekit.errors import ConversionError
from edgekit.pipeline.check import CHECKING_ENGINES
from edgekit.pipeline.gates import check_backend, check_weights
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
    names: Mapping[str, str],
    outputs: str,
    backend: str,
    runs_here: bool,
) -> dict[str, Any]:
    """Read the file's structure, run it over *samples*, write its outputs; a task for a worker.

    Args:
        names: What the inputs are called in *samples*.
        runs_here: Whether there is an engine for its *backend*; otherwise it is not run.

    Returns:
        ``facts`` (see `edgekit.pipeline.inspection.FileFacts`) and ``trial`` (see `edgekit.runtime.trial.run_trial`),
        which is None when it was not run.

    Raises:
        ConversionError: ``EK-QUALITY`` when backend, weights or size do not fit what was asked for.
    """
    facts = inspect_file(Path(file), format)
    refusal = check_backend(facts, backend) if format == "pte" else None
    refusal = refusal or check_weights(facts, recipe(recipe_name), parameter_count, Path(file).stat().st_size)
    if refusal is not None:
        raise ConversionError("EK-QUALITY", refusal, "the file was refused; report it with the log")
    if not runs_here:
        return {"facts": asdict(facts), "trial": None}
    trial = run_trial(
        file=file,
        format=format,
        engine=CHECKING_ENGINES[format],
        signature=signature,
        inputs=samples,
        outputs=outputs,
        threads=1,
        samples=_LATENCY_SAMPLES,
        names=names,
    )
    return {"facts": asdict(facts), "trial": trial}
