"""One variant of a bundle: exported, run by its real engine, and judged."""

from __future__ import annotations

import platform
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from edgekit.backends import BACKENDS
from edgekit.digests import file_sha256
from edgekit.errors import ConversionError
from edgekit.manifest import Variant
from edgekit.pipeline import sources
from edgekit.pipeline.data import Arrays, load_arrays
from edgekit.pipeline.exporters.exported import ExportRecord
from edgekit.pipeline.model.bucketed import BucketedModel, Method
from edgekit.pipeline.model.reference import Reference
from edgekit.pipeline.model.source_model import SourceModel
from edgekit.pipeline.project.origin import Origin
from edgekit.pipeline.variants.bucket_runs import BucketRuns
from edgekit.pipeline.variants.crossing import cross
from edgekit.pipeline.variants.plan import Plan
from edgekit.pipeline.variants.quality import Quality, judge, required_snr_db
from edgekit.pipeline.variants.sampling import FIRST_LOOK, is_enough, looks, margin, order
from edgekit.pipeline.work.answers import ExaminationAnswer
from edgekit.pipeline.work.cache import Entry
from edgekit.pipeline.work.stages import Stages
from edgekit.pipeline.work.versions import versions
from edgekit.recipes import FP32, Recipe
from edgekit.runtime.engines import engine as find_engine
from edgekit.runtime.machine import read_machine
from edgekit.runtime.trial import Trial
from edgekit.source_kinds import TENSORFLOW
from edgekit.target import Target

_VERDICTS = {"cannot": "does not run on", "slower": "slower than fp32 on", "discouraged": "not advised for"}


@dataclass(frozen=True)
class Made:
    """A variant, the file it is in, and how its quick run on this host went; None where none was possible."""

    variant: Variant
    path: Path
    trial: Trial | None


def make_variant(
    stages: Stages,
    origin: Origin,
    model: SourceModel,
    reference: Future[Reference],
    plan: Plan,
    target: Target,
    max_drop: float | None,
) -> Made:
    """Export one variant, run it with its real engine where there is one here, and judge it.

    Args:
        reference: Is waited for when there is something to compare with it.
        max_drop: The limit on the drop in accuracy, if there is one.

    Raises:
        EdgekitError: It could not be exported, does not run, or is refused.
    """
    if plan.batch > 1 and not model.batches:
        message = "the model takes one sample at a time: several together change each other's outputs, or share one"
        raise ConversionError("EK-UNSUPPORTED", message, "single samples are measured all the same")
    path, record = _export(stages, model, plan)

    def examine(rows: np.ndarray | None = None, timed: bool = True) -> Entry:
        return _examine(stages, model, plan, path, record.values, rows, timed)

    if plan.runs_here:
        examined, quality = _evaluate(examine, model, reference.result(), plan, origin.limits.min_snr_db, max_drop)
    else:
        examined, quality = examine(), Quality()
    bucket_snr_db = _run_buckets(stages, model, reference, plan, path, origin.limits.min_snr_db)
    found = ExaminationAnswer.read(examined.record)
    facts = found.facts
    support = target.support(plan.format.name, plan.recipe.name)
    engines = dict.fromkeys([*(support.engines if support else ()), plan.format.engine])
    concern = target.why_not(plan.format.name, plan.recipe.name, operators=facts.kinds)
    said = [] if concern is None else [f"{_VERDICTS[concern.verdict]} {target.title}: {concern.reason}"]
    said += filter(None, [BACKENDS[plan.backend].remark])
    if model.bucketed is not None and plan.batch == 1:
        said += _lacking(model.bucketed, plan, bucket_snr_db)
    variant = Variant(
        name=plan.name,
        file=f"variants/{plan.name}",
        size_bytes=path.stat().st_size,
        sha256=file_sha256(path),
        format=plan.format.name,
        recipe=plan.recipe.name,
        engines=tuple(engines),
        minimum_runtime=record.minimum_runtime,
        producers=record.producers,
        delegated_share=None if facts.delegated_share is None else round(facts.delegated_share, 2),
        undelegated_ops=facts.undelegated_ops,
        arena_bytes=facts.arena_bytes,
        warnings=tuple(dict.fromkeys([*said, *record.warnings, *found.warnings])),
        batch=plan.batch,
        bucket_snr_db=bucket_snr_db,
        backend=plan.backend,
        **vars(quality),
    )
    return Made(variant, path, found.trial)


def _lacking(bucketed: BucketedModel, plan: Plan, bucket_snr_db: Mapping[str, float]) -> Iterator[str]:
    """What a file does not take of the sizes that were asked for."""
    is_closed = bool(bucketed.open_methods) and plan.exporter.buckets and not plan.exporter.ranges
    if bucket_snr_db and is_closed:
        yield f".{plan.format.name} leaves no size open: it takes the sizes listed beside the range, no others between"
    elif not bucket_snr_db:
        closed = f".{plan.format.name} leaves no size open, and none are listed beside the range"
        why = closed if is_closed else "has no buckets"
        yield f"{why}: it takes one sample at a time, as long as the longest"


def _methods(model: SourceModel, plan: Plan) -> tuple[Method, ...]:
    """The buckets that the file has; only what is run here is known to be right."""
    if model.bucketed is None or not plan.exporter.buckets or plan.batch > 1 or not plan.runs_here or plan.bridges:
        return ()
    bucketed = model.bucketed
    return bucketed.open_methods if plan.exporter.ranges and bucketed.open_methods else bucketed.methods


def _run_buckets(
    stages: Stages,
    model: SourceModel,
    reference: Future[Reference],
    plan: Plan,
    path: Path,
    minimum_snr_db: float | None,
) -> dict[str, float]:
    methods = _methods(model, plan)
    if not methods or model.bucketed is None:
        return {}
    limit = required_snr_db(plan.recipe, reference.result(), minimum_snr_db)
    entry = stages.run(
        "check",
        f"{plan.name} buckets",
        key={
            "file": file_sha256(path),
            "buckets": model.bucketed.digest,
            "minimum": limit,
            "engine": [plan.format.engine, find_engine(plan.format.engine).version()],
            "machine": [platform.machine(), read_machine().cpu],
        },
        code=("pipeline/variants/bucket_runs.py", "pipeline/exporters/symptoms.py", "fidelity.py", "runtime"),
        function="edgekit.pipeline.variants.bucket_runs:run_buckets",
        family=plan.format.family,
        arguments=lambda directory: {
            "file": str(path),
            "format": plan.format.name,
            "methods": [
                {
                    "name": method.name,
                    "signature": method.signature.to_json(),
                    "trials": [trial.to_json() for trial in method.trials],
                }
                for method in methods
            ],
            "minimum_snr_db": limit,
        },
        failure="EK-RUN",
    )
    return dict(BucketRuns.read(entry.record).snr_db)


def _examine(
    stages: Stages,
    model: SourceModel,
    plan: Plan,
    path: Path,
    values: int | None,
    rows: np.ndarray | None,
    timed: bool,
) -> Entry:
    """A look at the file at *path*, and its outputs for the samples *rows*; for all of them with None."""
    chosen = {} if rows is None else {"rows": rows.tolist()}
    return stages.run(
        "check",
        plan.name,
        key={
            "file": file_sha256(path),
            "model": model.digest,
            "batch": plan.batch,
            "backend": plan.backend,
            "values": values,
            "recipe": asdict(plan.recipe),
            "engine": [plan.format.engine, find_engine(plan.format.engine).version()],
            **chosen,
            "machine": [platform.machine(), read_machine().cpu],
            "versions": versions(("ai-edge-litert", "executorch", "onnxruntime", "torch", *TENSORFLOW)),
        },
        code=(
            "pipeline/variants/examination.py",
            "pipeline/variants/gates.py",
            "pipeline/readers",
            "pipeline/exporters/symptoms.py",
            "pipeline/exporters/symptoms.toml",
            "backends.py",
            "formats.py",
            "runtime",
        ),
        function="edgekit.pipeline.variants.examination:examine",
        family=plan.format.family,
        arguments=lambda directory: {
            "file": str(path),
            "format": plan.format.name,
            "recipe_name": plan.recipe.name,
            "signature": model.signature.batched(plan.batch).to_json(),
            "values": values,
            "samples": str(model.samples),
            "names": dict(model.names),
            "outputs": str(directory / "outputs.npz"),
            "backend": plan.backend,
            "runs_here": plan.runs_here,
            "timed": timed,
            **chosen,
        },
        failure="EK-RUN",
    )


def _evaluate(
    examine: Callable[..., Entry],
    model: SourceModel,
    reference: Reference,
    plan: Plan,
    minimum_snr_db: float | None,
    max_drop: float | None,
) -> tuple[Entry, Quality]:
    """Run a file on as many samples as its figures need, and judge it; gives the first look at it, too."""
    available = model.samples_by_set["evaluation"]
    if available <= FIRST_LOOK or reference.needs_all:
        examined = examine()
        measured, _ = load_arrays(examined.path("outputs.npz"))
        return examined, judge(
            plan.recipe, reference, measured, np.arange(available), minimum_snr_db, check_samples=model.check_samples
        )
    shuffled = order(available, model.check_samples)
    seen, parts = list[Entry](), list[Arrays]()
    for look in looks(available):
        seen.append(examine(shuffled[look.begin : look.end], timed=look.begin == 0))
        parts.append(load_arrays(seen[-1].path("outputs.npz"))[0])
        rows = shuffled[: look.end]
        measured = {name: np.concatenate([part[name] for part in parts]) for name in reference.outputs}
        found = _margin(reference, measured, rows, look.risk)
        if found is None or is_enough(*found, max_drop):
            break
    first = np.arange(len(model.check_samples))
    quality = judge(plan.recipe, reference, measured, rows, minimum_snr_db, check_samples=first)
    if len(rows) == available:
        return seen[0], quality
    return seen[0], replace(quality, margin=None if found is None else round(found[1], 3))


def _margin(reference: Reference, measured: Arrays, rows: np.ndarray, risk: float) -> tuple[float, float] | None:
    """How many percentage points *measured* falls behind, and the margin; None where no answer is right or wrong."""
    own = {name: array[rows] for name, array in reference.outputs.items()}
    before, after = reference.right(own, rows), reference.right(measured, rows)
    if before is None or after is None:
        return None
    lost, gained = int((before & ~after).sum()), int((after & ~before).sum())
    return 100 * (lost - gained) / len(rows), margin(lost, gained, len(rows), risk)


def _export(stages: Stages, model: SourceModel, plan: Plan) -> tuple[Path, ExportRecord]:
    """The exported file and what its exporter said of it."""
    exporter = plan.exporter
    if exporter.quantize is None or plan.recipe.is_exact:
        return _convert(stages, model, plan)
    # One conversion in float, shared by all recipes, and what the recipe makes of it.
    base, converted = _convert(stages, model, replace(plan, recipe=FP32))
    applied = _applied(model, plan.recipe)
    entry = stages.run(
        "export",
        plan.name,
        key={"base": file_sha256(base), **_key(applied, plan.recipe), "versions": versions(exporter.quantizing)},
        code=("pipeline/exporters", "pipeline/recipes", "recipes.py"),
        function=exporter.quantize,
        family="plain",
        arguments=lambda directory: {"base": str(base), **applied, "output": str(directory / "model")},
    )
    made = ExportRecord.read(entry.record)
    producers = {**converted.producers, **made.producers}
    return Path(entry.path("model")), replace(made, producers=producers, values=converted.values)


def _convert(stages: Stages, model: SourceModel, plan: Plan) -> tuple[Path, ExportRecord]:
    exporter = plan.exporter
    applied = {} if exporter.quantize or plan.format.is_baseline else _applied(model, plan.recipe)
    chosen: dict[str, Any] = {"backend": plan.backend} if exporter.lowers else {}
    chosen |= {"batch": plan.batch} if exporter.batches == "fixed" else {}
    methods = _methods(model, plan)
    packages = (*exporter.packages, *BACKENDS[plan.backend].packages)
    taken = cross(stages, model, plan.bridges)
    entry = stages.run(
        "export",
        plan.name,
        key={
            "model": taken.digest,
            "exporter": exporter.name,
            **_key(applied, plan.recipe),
            **chosen,
            **({"buckets": model.bucketed.digest} if methods and model.bucketed else {}),
            "versions": versions(packages),
        },
        code=(
            "pipeline/exporters",
            "pipeline/recipes",
            "pipeline/rewrites",
            *sources.CODE,
            "recipes.py",
            "runtime/contents",  # which packs some formats
        ),
        function=exporter.convert,
        family=exporter.family,
        arguments=lambda directory: {
            "source": taken.spec.to_json(),
            **applied,
            **chosen,
            **({"buckets": [method.to_json() for method in methods]} if methods else {}),
            "output": str(directory / "model"),
        },
    )
    made = ExportRecord.read(entry.record)
    producers, warnings = {**taken.producers, **made.producers}, (*taken.warnings, *made.warnings)
    return Path(entry.path("model")), replace(made, producers=producers, warnings=warnings)


def _applied(model: SourceModel, used: Recipe) -> dict[str, Any]:
    """How an exporter is told of a recipe."""
    calibration = model.calibration if used.is_static else None
    return {"recipe": used.name, "calibration": None if calibration is None else str(calibration)}


def _key(applied: Mapping[str, Any], used: Recipe) -> dict[str, Any]:
    """What a recipe adds to the key of an exported file."""
    calibration = applied.get("calibration")
    return {"recipe": asdict(used), "calibration": file_sha256(Path(calibration)) if calibration else None}
