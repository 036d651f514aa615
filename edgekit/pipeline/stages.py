"""The stages of a build, each cached by everything that went into it."""

from __future__ import annotations

import platform
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import Any

import numpy as np

from edgekit.bundle import Variant
from edgekit.errors import EdgekitError, Interrupted
from edgekit.pipeline.cache import Cache, Entry, code_digest, file_digest, versions
from edgekit.pipeline.check import CHECKING_ENGINES, judge
from edgekit.pipeline.data import DEFAULT_INPUT, load_arrays, read_array_file, save_arrays
from edgekit.pipeline.metric import Score, scorer
from edgekit.pipeline.origin import Origin
from edgekit.pipeline.plan import Plan
from edgekit.pipeline.pool import Pool, Task
from edgekit.pipeline.sources import SourceSpec
from edgekit.runtime.machine import read_machine
from edgekit.target import Target
from edgekit.tensors import Signature, TensorSpec

Listener = Callable[[dict[str, Any]], None]

_TORCH = ("torch", "numpy")
_TENSORFLOW = ("tensorflow-cpu", "tensorflow", "keras", "numpy")

#: (framework family of the source, format) -> exporting task, the family it runs in, and what it depends on.
_EXPORTERS: dict[tuple[str, str], tuple[str, str, tuple[str, ...]]] = {
    ("torch", "pte"): ("executorch:export", "torch", (*_TORCH, "executorch", "torchao")),
    ("torch", "ptl"): ("torch_mobile:export", "torch", _TORCH),
    ("tensorflow", "tflite"): ("tensorflow:export", "tensorflow", _TENSORFLOW),
    ("tensorflow", "pte"): ("executorch:export", "torch", (*_TORCH, "executorch", "torchao", "keras")),
    ("tensorflow", "ptl"): ("torch_mobile:export", "torch", (*_TORCH, "keras")),
}

#: What to do about an exception that edgekit did not foresee, by the code it gets.
_HINTS = {
    "EK-CODE": "the log has the traceback",
    "EK-SOURCE": "the log has the traceback",
    "EK-EXPORT": "the log says where; try another format or recipe, or write that part of the model differently",
    "EK-RUN": "the log says where; try another format or recipe",
}

#: Samples that stand in for data that a bare model file comes without.
_RANDOM_SAMPLES = 16


@dataclass(frozen=True)
class Reference:
    """The float source model with what it answers to the check samples.

    Attributes:
        source: The model with its trained weights.
        digest: SHA-256 of everything that made the model and its signature.
        samples: ``.npz`` with the evaluation inputs, and labels where there are any.
        outputs: ``.npz`` with the model's outputs for them.
        calibration: ``.npz`` with calibration inputs; None when there are none.
        calibration_origin: Where those came from, for the manifest.
        random: Whether the evaluation inputs are random numbers.
        training: What training left in its record; None without training.
        samples_by_set: Number of samples of each data set.
    """

    source: SourceSpec
    digest: str
    framework: str
    signature: Signature
    parameter_count: int
    samples: Path
    outputs: Path
    calibration: Path | None
    calibration_origin: Mapping[str, Any] | None
    random: bool
    training: Mapping[str, Any] | None
    samples_by_set: Mapping[str, int]
    accuracy: float | None


@dataclass(frozen=True)
class Made:
    """A variant, the file it is in, and how its quick run on this host went."""

    variant: Variant
    path: Path
    trial: Mapping[str, Any]


class Stages:
    """Runs the stages of one build in a pool of workers, through a cache, and says what happens."""

    def __init__(self, cache: Cache, pool: Pool, listener: Listener, origin: Origin):
        self._cache = cache
        self._pool = pool
        self._listener = listener
        self._origin = origin
        self._family = "torch" if origin.source.kind in ("torch", "pt2") else "tensorflow"
        self._versions = versions(_TORCH if self._family == "torch" else _TENSORFLOW)

    def reference(self) -> Reference:
        """Data, training and the float model's own outputs."""
        origin = self._origin
        if origin.data is None:
            return self._bare_reference()
        data = self._data()
        training = None if origin.training is None else self._training(data)
        source = self._with_inputs(origin.source, data.record["inputs"])
        if training is not None:
            source = source.with_weights(training.path(Path(training.record["weights"]).name))
        model = [origin.digest, None if training is None else training.digest, origin.source.factory]
        calibration = origin.data.calibration
        return self._measure(
            source,
            model,
            data,
            calibration_origin={
                "samples": data.record["samples"]["calibration"],
                "from": calibration if isinstance(calibration, str) else data.record["calibration_from"],
            },
            random=False,
            training=None if training is None else training.record,
        )

    def variant(self, reference: Reference, plan: Plan, target: Target) -> Made:
        """Export one variant, run it with its real engine, and judge it.

        Raises:
            EdgekitError: It could not be exported, does not run, or is refused.
        """
        path, record = self._export(reference, plan)
        examined = self._stage(
            "check",
            plan.name,
            key={
                "file": file_digest(path),
                "reference": reference.digest,
                "machine": [platform.machine(), read_machine().cpu],
                "versions": versions(("ai-edge-litert", "executorch", "torch", "numpy")),
            },
            code=("pipeline/examine.py", "pipeline/gates.py", "pipeline/inspection.py", "runtime"),
            function="edgekit.pipeline.examine:examine",
            family="plain" if plan.format == "tflite" else "torch",
            arguments=lambda directory: {
                "file": str(path),
                "format": plan.format,
                "recipe_name": plan.recipe.name,
                "signature": reference.signature.to_json(),
                "parameter_count": reference.parameter_count,
                "samples": str(reference.samples),
                "outputs": str(directory / "outputs.npz"),
            },
            failure="EK-RUN",
        )
        measured, _ = load_arrays(examined.path("outputs.npz"))
        expected, _ = load_arrays(reference.outputs)
        limits = self._origin.limits
        quality = judge(plan.recipe, expected, measured, self._score(reference), limits.min_snr_db)
        facts = examined.record["facts"]
        support = target.support(plan.format, plan.recipe.name)
        engines = dict.fromkeys([*(support.engines if support else ()), CHECKING_ENGINES[plan.format]])
        requires = tuple(record["requires_features"])
        concern = target.why_not(plan.format, plan.recipe.name, operators=facts["kinds"], requires=requires)
        spoken = [] if concern is None else [f"{concern.verdict} on {target.title}: {concern.reason}"]
        variant = Variant(
            name=plan.name,
            file=f"variants/{plan.name}",
            size_bytes=path.stat().st_size,
            sha256=file_digest(path),
            format=plan.format,
            recipe=plan.recipe.name,
            engines=tuple(engines),
            minimum_runtime=record["minimum_runtime"],
            producers=record["producers"],
            delegated_share=round(facts["delegated_share"], 2),
            undelegated_ops=facts["undelegated_ops"],
            requires_features=requires,
            warnings=tuple(dict.fromkeys([*spoken, *record["warnings"]])),
            **vars(quality),
        )
        return Made(variant, path, examined.record["trial"])

    def _data(self) -> Entry:
        origin, section = self._origin, self._origin.data
        assert section is not None and origin.project is not None
        calibration = section.calibration
        arguments = {
            "train": section.train,
            "evaluation": section.evaluation,
            "calibration": calibration
            if calibration is None or isinstance(calibration, str)
            else calibration.model_dump(by_alias=True),
            "preprocessing": None if origin.preprocessing is None else origin.preprocessing.to_json(),
            "classes": len(origin.labels),
            "seed": 0 if origin.training is None else origin.training.seed,
        }
        requires = [requirement.split("==")[0] for requirement in origin.project.project.requires]
        return self._stage(
            "data",
            origin.name,
            key={"origin": origin.digest, "arguments": arguments, "versions": versions(["numpy", "pillow", *requires])},
            code=("pipeline/data.py", "pipeline/sources/python_file.py", "runtime/preprocess.py"),
            function="edgekit.pipeline.data:prepare",
            family=self._family,
            arguments=lambda directory: {**arguments, "project": str(origin.directory), "directory": str(directory)},
            failure="EK-CODE",
        )

    def _training(self, data: Entry) -> Entry:
        origin = self._origin
        assert origin.training is not None
        section = origin.training.model_dump()
        module = "torch_loop" if self._family == "torch" else "keras_fit"

        def finished(record: Mapping[str, Any]) -> None:
            if record["interrupted"]:
                best = record["best_metric"]
                done = f"stopped after epoch {record['epochs_done']} of {section['epochs']}"
                kept = "" if best is None else f"; the best so far ({best:.2f}) is kept"
                raise Interrupted("EK-INTERRUPTED", done + kept, "run the same command again to go on from there")

        return self._stage(
            "train",
            origin.name,
            key={
                "origin": origin.digest,
                "data": data.digest,
                "training": section,
                "source": [origin.source.kind, origin.source.factory],
                "versions": self._versions,
            },
            code=("pipeline/training", "pipeline/sources"),
            function=f"edgekit.pipeline.training.{module}:train",
            family=self._family,
            arguments=lambda directory: {
                "source": self._with_inputs(origin.source, data.record["inputs"]).to_json(),
                "training": section,
                "train": data.path("train.npz"),
                "evaluation": data.path("evaluation.npz"),
                "directory": str(directory),
                "device": "auto",
            },
            failure="EK-CODE",
            resumable=True,
            finished=finished,
        )

    def _bare_reference(self) -> Reference:
        origin = self._origin
        described = self._stage(
            "describe",
            origin.name,
            key={"origin": origin.digest, "source": origin.source.factory, "versions": self._versions}
            | {"inputs": [spec.to_json() for spec in origin.source.inputs]},
            code=("pipeline/sources", "pipeline/reference.py"),
            function="edgekit.pipeline.reference:describe",
            family=self._family,
            arguments=lambda directory: {"source": origin.source.to_json()},
            failure="EK-SOURCE",
        )
        signature = Signature.from_json(described.record["signature"])
        given = None if origin.calibration is None else file_digest(origin.calibration)

        def samples(directory: Path) -> Mapping[str, Any]:
            arrays = (
                _random_inputs(signature)
                if origin.calibration is None
                else _named(read_array_file(origin.calibration), signature)
            )
            for name in ("evaluation", "calibration"):
                save_arrays(directory / f"{name}.npz", arrays)
            count = len(next(iter(arrays.values())))
            specs = [spec.to_json() for spec in signature.inputs]
            return {"inputs": specs, "samples": {"evaluation": count, "calibration": count}}

        key = {"signature": signature.to_json(), "given": given, "code": code_digest("pipeline/stages.py")}
        data = self._cache.stage("samples", key, samples)
        return self._measure(
            self._with_inputs(origin.source, data.record["inputs"]),
            [origin.digest, origin.source.factory],
            data,
            calibration_origin=None
            if origin.calibration is None
            else {"samples": data.record["samples"]["calibration"], "from": origin.calibration.name},
            random=origin.calibration is None,
            training=None,
        )

    def _measure(
        self,
        source: SourceSpec,
        model: list[str | None],
        data: Entry,
        *,
        calibration_origin: Mapping[str, Any] | None,
        random: bool,
        training: Mapping[str, Any] | None,
    ) -> Reference:
        origin = self._origin
        entry = self._stage(
            "reference",
            origin.name,
            key={"model": model, "data": data.digest, "versions": self._versions},
            code=("pipeline/sources", "pipeline/reference.py"),
            function="edgekit.pipeline.reference:measure",
            family=self._family,
            arguments=lambda directory: {
                "source": source.to_json(),
                "samples": data.path("evaluation.npz"),
                "outputs": str(directory / "outputs.npz"),
            },
            failure="EK-SOURCE",
        )
        samples, outputs = Path(data.path("evaluation.npz")), Path(entry.path("outputs.npz"))
        _, labels = load_arrays(samples)
        accuracy = scorer(origin.metric, origin.directory, labels)(load_arrays(outputs)[0])
        return Reference(
            source=source,
            digest=entry.digest,
            framework=entry.record["framework"],
            signature=Signature.from_json(entry.record["signature"]),
            parameter_count=entry.record["parameter_count"],
            samples=samples,
            outputs=outputs,
            calibration=None if calibration_origin is None else Path(data.path("calibration.npz")),
            calibration_origin=calibration_origin,
            random=random,
            training=training,
            samples_by_set=data.record["samples"],
            accuracy=None if accuracy is None else round(accuracy, 3),
        )

    def _score(self, reference: Reference) -> Score:
        return scorer(self._origin.metric, self._origin.directory, load_arrays(reference.samples)[1])

    def _export(self, reference: Reference, plan: Plan) -> tuple[Path, Mapping[str, Any]]:
        calibration = reference.calibration if plan.recipe.calibrated else None
        key = {
            "reference": reference.digest,
            "recipe": vars(plan.recipe),
            "calibration": None if calibration is None else file_digest(calibration),
        }
        samples = None if calibration is None else str(calibration)
        if (self._family, plan.format) == ("torch", "tflite"):
            return self._export_litert(reference, plan, key, samples)
        task, family, packages = _EXPORTERS[self._family, plan.format]
        entry = self._stage(
            "export",
            plan.name,
            key={**key, "format": plan.format, "versions": versions(packages)},
            code=("pipeline/exporters", "pipeline/recipes", "pipeline/sources"),
            function=f"edgekit.pipeline.exporters.{task}",
            family=family,
            arguments=lambda directory: {
                "source": reference.source.to_json(),
                "recipe": plan.recipe.name,
                "calibration": samples,
                "output": str(directory / "model"),
            },
        )
        return Path(entry.path("model")), entry.record

    def _export_litert(
        self, reference: Reference, plan: Plan, key: Mapping[str, Any], samples: str | None
    ) -> tuple[Path, Mapping[str, Any]]:
        """PyTorch to ``.tflite``: one conversion in float, which the other recipes then quantize."""
        base = self._stage(
            "export",
            "fp32.tflite",
            key={"reference": reference.digest, "versions": versions((*_TORCH, "litert-torch", "litert-converter"))},
            code=("pipeline/exporters", "pipeline/sources"),
            function="edgekit.pipeline.exporters.litert:convert",
            family="torch",
            arguments=lambda directory: {
                "source": reference.source.to_json(),
                "output": str(directory / "model"),
            },
        )
        if plan.recipe.name == "fp32":
            return Path(base.path("model")), base.record
        entry = self._stage(
            "export",
            plan.name,
            key={**key, "base": base.digest, "versions": versions(("ai-edge-quantizer", "ai-edge-litert"))},
            code=("pipeline/exporters", "pipeline/recipes"),
            function="edgekit.pipeline.exporters.litert:quantize",
            family="plain",
            arguments=lambda directory: {
                "base": base.path("model"),
                "recipe": plan.recipe.name,
                "calibration": samples,
                "output": str(directory / "model"),
            },
        )
        producers = {**base.record["producers"], **entry.record["producers"]}
        return Path(entry.path("model")), {**entry.record, "producers": producers}

    def _with_inputs(self, source: SourceSpec, inputs: list[Mapping[str, Any]]) -> SourceSpec:
        specs = tuple(TensorSpec.from_json(spec) for spec in inputs)
        return SourceSpec(**{**vars(source), "inputs": specs})

    def _stage(
        self,
        stage: str,
        label: str,
        *,
        key: Mapping[str, Any],
        code: tuple[str, ...],
        function: str,
        family: str,
        arguments: Callable[[Path], Mapping[str, Any]],
        failure: str = "EK-EXPORT",
        resumable: bool = False,
        finished: Callable[[Mapping[str, Any]], None] = lambda record: None,
    ) -> Entry:
        where = {"stage": stage, "label": label}
        log = self._cache.root / "logs" / f"{self._origin.name}-{stage}-{label}.log"
        seconds = 0.0

        def make(directory: Path) -> Mapping[str, Any]:
            nonlocal seconds
            log.parent.mkdir(parents=True, exist_ok=True)
            log.unlink(missing_ok=True)
            task = Task(function, arguments(directory), family, log, failure, _HINTS[failure], resumable)
            began = monotonic()

            def hear(event: dict[str, Any]) -> None:
                nonlocal began
                if event["kind"] == "start":  # waiting for a free worker is not this stage's time
                    began = monotonic()
                self._listener({**event, **where})

            record = self._pool.run(task, hear)
            seconds = monotonic() - began
            finished(record)
            return record

        try:
            whole = {"function": function, "family": family, "code": code_digest(*code), **key}
            entry = self._cache.stage(stage, whole, make, resumable=resumable)
        except EdgekitError as error:
            self._listener({"kind": "failed", "error": error, **where})
            raise
        self._listener({"kind": "done", "cached": entry.cached, "seconds": seconds, **where})
        return entry


def _random_inputs(signature: Signature) -> dict[str, np.ndarray]:
    """Samples for a model that came without data: normal floats, small whole numbers, in the signature's shape."""
    generator = np.random.default_rng(0)
    arrays = {}
    for spec in signature.inputs:
        shape = (_RANDOM_SAMPLES, *spec.shape[1:])
        numbers = (
            generator.standard_normal(shape) if np.dtype(spec.dtype).kind == "f" else generator.integers(0, 2, shape)
        )
        arrays[spec.name] = numbers.astype(spec.dtype)
    return arrays


def _named(arrays: dict[str, np.ndarray], signature: Signature) -> dict[str, np.ndarray]:
    """The only array of a file goes to the model's only input, whatever it is called."""
    if arrays.keys() == {DEFAULT_INPUT} and len(signature.inputs) == 1:
        return {signature.inputs[0].name: arrays[DEFAULT_INPUT]}
    return arrays
