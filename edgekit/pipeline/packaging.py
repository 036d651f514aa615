"""Putting a bundle together from what the stages made."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from edgekit import __version__
from edgekit.bundle import write_bundle
from edgekit.manifest import Manifest
from edgekit.pipeline.model.reference import Reference
from edgekit.pipeline.model.source_model import SourceModel
from edgekit.pipeline.project.origin import Origin
from edgekit.pipeline.variants.make import Made
from edgekit.pipeline.variants.recommend import recommend
from edgekit.pipeline.work.digests import path_digest
from edgekit.runtime.samples import open_samples
from edgekit.target import Target
from edgekit.tensors import Signature


def assemble(
    origin: Origin,
    target: Target,
    model: SourceModel,
    reference: Reference,
    made: Sequence[Made],
    max_drop: float | None,
    destination: Path,
) -> tuple[Manifest, bool]:
    """Write the bundle to *destination*.

    Returns:
        Its manifest, and whether the very same bytes were there before.
    """
    files = {item.variant.file: item.path.read_bytes() for item in made}
    checks = _checks(model, reference, files)
    if origin.labels:
        files["labels.txt"] = "".join(f"{label}\n" for label in origin.labels).encode()
    variants = tuple(item.variant for item in made)
    methods: Mapping[str, Signature] = {}
    if model.bucketed is not None and any(variant.bucket_snr_db for variant in variants):
        methods = model.bucketed.signatures({name for variant in variants for name in variant.bucket_snr_db})
    manifest = Manifest(
        name=origin.name,
        target=target.name,
        signature=model.signature,
        preprocessing=None if origin.preprocessing is None else origin.preprocessing.to_json(),
        labels=origin.labels,
        variants=variants,
        metric=reference.metric,
        recommended=recommend(variants, target, max_drop, reference.metric),
        source=_source(origin, model, reference),
        calibration=model.calibration_origin,
        checks=checks,
        class_scores=reference.class_scores,
        methods=methods,
        buckets=model.bucketed.buckets if model.bucketed is not None and methods else None,
        producer=f"edgekit {__version__}",
    )
    before = path_digest(destination)
    manifest = write_bundle(manifest, files, destination)
    return manifest, path_digest(destination) == before


def _source(origin: Origin, model: SourceModel, reference: Reference) -> Mapping[str, Any]:
    training = None
    if model.training is not None and origin.training is not None:
        kept = ("epochs_done", "device", "framework_version", "mixed_precision")
        training = {**origin.training.model_dump(), **{key: getattr(model.training, key) for key in kept}}
    return {
        "framework": model.framework,
        "parameter_count": model.parameter_count,
        "metric": origin.metric.name,
        "accuracy": reference.accuracy,
        "samples": dict(model.samples_by_set),
        "training": training,
    }


def _checks(model: SourceModel, reference: Reference, files: dict[str, bytes]) -> Mapping[str, Any]:
    """Add check vectors to *files*."""
    inputs = open_samples(model.samples, model.signature.inputs, model.names)
    chosen = model.check_samples
    named: dict[str, dict[str, str]] = {"inputs": {}, "outputs": {}}
    taken = {
        "inputs": {name: column[chosen] for name, column in inputs.items()},
        "outputs": {name: array[chosen] for name, array in reference.outputs.items()},
    }
    for side, arrays in taken.items():
        for index, (name, array) in enumerate(arrays.items()):
            file = f"checks/{side[:-1]}_{index}.npy"
            buffer = io.BytesIO()
            np.save(buffer, array, allow_pickle=False)
            files[file] = buffer.getvalue()
            named[side][name] = file
    return {**named, "samples": len(chosen), "random": model.random}
