"""One variant of a bundle: exported, run by its real engine, and judged."""

from __future__ import annotations

import platform
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from edgekit.bundle import Variant
from edgekit.digests import file_sha256
from edgekit.errors import ConversionError
from edgekit.pipeline.cache import Entry
from edgekit.pipeline.check import CHECKING_ENGINES, Quality, judge
from edgekit.pipeline.data import Arrays, load_arrays
from edgekit.pipeline.origin import TENSORFLOW, TORCH, Origin
from edgekit.pipeline.plan import Plan
from edgekit.pipeline.recipes import RECIPES, Recipe
from edgekit.pipeline.reference import Reference
from edgekit.pipeline.sampling import FIRST_LOOK, is_enough, looks, margin, order
from edgekit.pipeline.source_model import SourceModel
from edgekit.pipeline.stages import Stages
from edgekit.pipeline.versions import versions
from edgekit.runtime.machine import read_machine
from edgekit.target import Target

#: (framework family of the source, format) -> exporting task, the family it runs in, and what it depends on.
_EXPORTERS: dict[tuple[str, str], tuple[str, str, tuple[str, ...]]] = {
    ("torch", "tflite"): ("litert:convert", "torch", (*TORCH, "litert-torch", "litert-converter")),
    ("torch", "pte"): ("executorch:export", "torch", (*TORCH, "executorch", "torchao")),
    ("torch", "ptl"): ("torch_mobile:export", "torch", TORCH),
    ("torch", "onnx"): ("onnx:export", "torch", (*TORCH, "onnx", "onnxscript")),
    ("torch", "pt2"): ("exported_program:export", "torch", TORCH),
    ("tensorflow", "tflite"): ("tensorflow:convert", "tensorflow", TENSORFLOW),
    ("tensorflow", "pte"): ("executorch:export", "torch", (*TORCH, "executorch", "torchao", "keras")),
    ("tensorflow", "ptl"): ("torch_mobile:export", "torch", (*TORCH, "keras")),
    ("tensorflow", "onnx"): ("onnx:export", "torch", (*TORCH, "onnx", "onnxscript", "keras")),
    ("tensorflow", "keras"): ("keras:export", "tensorflow", TENSORFLOW),
    ("tensorflow", "pt2"): ("exported_program:export", "torch", (*TORCH, "keras")),
}

#: What a file for a backend depends on besides.
_BACKEND_PACKAGES = {"coreml": ("coremltools",)}

#: The family of worker that runs a format's checking engine; the others are plain, which may import torch, too, to run
#: ExecuTorch.
_CHECKING_FAMILIES = {"ptl": "torch", "pt2": "torch", "keras": "tensorflow"}

_ON_THE_CPU = "run and checked on the CPU here: a phone's GPU computes in half precision, and was not tried"

_VERDICTS = {"cannot": "does not run on", "slower": "slower than fp32 on", "discouraged": "not advised for"}


@dataclass(frozen=True)
class Made:
    """A variant, the file it is in, and how its quick run on this host went; None where none was possible."""

    variant: Variant
    path: Path
    trial: Mapping[str, Any] | None


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
        raise ConversionError(
            "EK-UNSUPPORTED",
            "the model takes one sample at a time: several together change each other's outputs, or share one",
            "single samples are measured all the same",
        )
    path, record = _export(stages, origin, model, plan)

    def examine(rows: np.ndarray | None = None, timed: bool = True) -> Entry:
        return _examine(stages, model, plan, path, record["values"], rows, timed)

    if plan.runs_here:
        examined, quality = _evaluate(examine, model, reference.result(), plan, origin.limits.min_snr_db, max_drop)
    else:
        examined, quality = examine(), Quality()
    facts = examined.record["facts"]
    support = target.support(plan.format, plan.recipe.name)
    engines = dict.fromkeys([*(support.engines if support else ()), CHECKING_ENGINES[plan.format]])
    concern = target.why_not(plan.format, plan.recipe.name, operators=facts["kinds"])
    spoken = [] if concern is None else [f"{_VERDICTS[concern.verdict]} {target.title}: {concern.reason}"]
    spoken += [_ON_THE_CPU] if plan.backend == "gpu" else []
    variant = Variant(
        name=plan.name,
        file=f"variants/{plan.name}",
        size_bytes=path.stat().st_size,
        sha256=file_sha256(path),
        format=plan.format,
        recipe=plan.recipe.name,
        engines=tuple(engines),
        minimum_runtime=record["minimum_runtime"],
        producers=record["producers"],
        delegated_share=None if facts["delegated_share"] is None else round(facts["delegated_share"], 2),
        undelegated_ops=facts["undelegated_ops"],
        arena_bytes=facts["arena_bytes"],
        warnings=tuple(dict.fromkeys([*spoken, *record["warnings"], *examined.record["warnings"]])),
        batch=plan.batch,
        backend=plan.backend,
        **vars(quality),
    )
    return Made(variant, path, examined.record["trial"])


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
            **chosen,
            "machine": [platform.machine(), read_machine().cpu],
            "versions": versions(("ai-edge-litert", "executorch", "onnxruntime", "torch", *TENSORFLOW)),
        },
        code=(
            "pipeline/examine.py",
            "pipeline/gates.py",
            "pipeline/inspection.py",
            "pipeline/readers",
            "pipeline/symptoms.py",
            "runtime",
        ),
        function="edgekit.pipeline.examine:examine",
        family=_CHECKING_FAMILIES.get(plan.format, "plain"),
        arguments=lambda directory: {
            "file": str(path),
            "format": plan.format,
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


def _export(stages: Stages, origin: Origin, model: SourceModel, plan: Plan) -> tuple[Path, Mapping[str, Any]]:
    """The exported file and what its exporter said of it."""
    if plan.format == "tflite" and plan.recipe.name != "fp32":
        return _quantize(stages, origin, model, plan)
    entry = _convert(stages, origin, model, plan)
    return Path(entry.path("model")), entry.record


def _convert(stages: Stages, origin: Origin, model: SourceModel, plan: Plan) -> Entry:
    task, family, packages = _EXPORTERS[origin.family, plan.format]
    # Conversion to .tflite is in float, and is not told of any recipe.
    applied = {} if plan.format == "tflite" else _applied(model, plan.recipe)
    backend = {"backend": plan.backend} if plan.format == "pte" else {}
    batch = {} if plan.batch == 1 else {"batch": plan.batch}
    key = {"model": model.digest, "format": plan.format, **_key(applied, plan.recipe), **batch, **backend}
    return stages.run(
        "export",
        plan.name,
        key={**key, "versions": versions((*packages, *_BACKEND_PACKAGES.get(plan.backend, ())))},
        code=("pipeline/exporters", "pipeline/recipes", "pipeline/rewrites", "pipeline/sources"),
        function=f"edgekit.pipeline.exporters.{task}",
        family=family,
        arguments=lambda directory: {
            "source": model.spec.to_json(),
            **applied,
            **batch,
            **backend,
            "output": str(directory / "model"),
        },
    )


def _quantize(stages: Stages, origin: Origin, model: SourceModel, plan: Plan) -> tuple[Path, Mapping[str, Any]]:
    """One conversion in float, shared by all recipes, and what the recipe makes of it."""
    base = _convert(stages, origin, model, Plan("tflite", RECIPES["fp32"]))
    applied = _applied(model, plan.recipe)
    packages = ("ai-edge-quantizer", "ai-edge-litert")
    entry = stages.run(
        "export",
        plan.name,
        key={"base": base.digest, **_key(applied, plan.recipe), "versions": versions(packages)},
        code=("pipeline/exporters", "pipeline/recipes"),
        function="edgekit.pipeline.exporters.litert:quantize",
        family="plain",
        arguments=lambda directory: {
            "base": base.path("model"),
            **applied,
            "output": str(directory / "model"),
        },
    )
    producers = {**base.record["producers"], **entry.record["producers"]}
    return Path(entry.path("model")), {**entry.record, "producers": producers, "values": base.record["values"]}


def _applied(model: SourceModel, used: Recipe) -> dict[str, Any]:
    """How an exporter is told of a recipe."""
    return {"recipe": used.name, "calibration": str(model.calibration) if used.calibrated else None}


def _key(applied: Mapping[str, Any], used: Recipe) -> dict[str, Any]:
    """What a recipe adds to the key of an exported file."""
    calibration = applied.get("calibration")
    return {"recipe": vars(used), "calibration": file_sha256(Path(calibration)) if calibration else None}
