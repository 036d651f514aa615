"""A look at an exported file: its structure, and a run over the check samples by its real engine, if there is one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from edgekit.backends import BACKENDS
from edgekit.errors import ConversionError
from edgekit.formats import FORMATS
from edgekit.pipeline.exporters.symptoms import explaining
from edgekit.pipeline.readers.facts import inspect_file
from edgekit.pipeline.variants.gates import check_backend, check_weights, remarks
from edgekit.pipeline.work.answers import ExaminationAnswer
from edgekit.recipes import RECIPES
from edgekit.runtime.trial import Job, run_trial
from edgekit.tensors import Signature

#: Calls of the quick latency figure; enough for a median, too few for a claim.
_LATENCY_SAMPLES = 100


def examine(
    *,
    file: str,
    format: str,
    recipe_name: str,
    signature: Mapping[str, Any],
    values: int | None,
    samples: str,
    names: Mapping[str, str],
    outputs: str,
    backend: str,
    runs_here: bool,
    timed: bool = True,
    rows: Sequence[int] | None = None,
) -> dict[str, Any]:
    """Read the file's structure, run it over *samples*, write its outputs; a task for a worker.

    Args:
        values: How many distinct values the exported graph computes with, where the exporter knows.
        names: What the inputs are called in *samples*.
        runs_here: Whether there is an engine for its *backend*; otherwise it is not run.
        timed: Whether its latency is of interest.
        rows: Numbers of the samples to run; all of them with None.

    Returns:
        An `edgekit.pipeline.work.answers.ExaminationAnswer`, as JSON.

    Raises:
        ConversionError: ``EK-UNSUPPORTED`` when the engine is known not to take such a model; ``EK-QUALITY`` when the
            file is for another backend, or as it would be without its recipe.
    """
    with explaining():
        facts = inspect_file(Path(file), format)
    used = RECIPES[recipe_name]
    refusal = check_backend(facts, BACKENDS[backend]) or check_weights(facts, used)
    if refusal is not None:
        raise ConversionError("EK-QUALITY", *refusal)
    size = Path(file).stat().st_size
    warnings = tuple(remarks(facts, used, values, size, run=runs_here))
    if not runs_here:
        return asdict(ExaminationAnswer(facts, warnings, None))
    with explaining():
        job = Job(
            file=file,
            format=format,
            engine=FORMATS[format].engine,
            signature=Signature.from_json(signature),
            inputs=samples,
            outputs=outputs,
            threads=1,
            samples=_LATENCY_SAMPLES if timed else 0,
            names=names,
            rows=None if rows is None else tuple(rows),
        )
        trial = run_trial(job)
    return asdict(ExaminationAnswer(facts, warnings, trial))
