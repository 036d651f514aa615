"""The float source model of a build: its data, its training, and what exporters need of it."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from edgekit.digests import file_sha256
from edgekit.documents import canonical_json
from edgekit.errors import Interrupted
from edgekit.pipeline import sources
from edgekit.pipeline.data import DEFAULT_INPUT, read_array_file, save_arrays
from edgekit.pipeline.model.bucketed import BucketedModel, prepare_buckets
from edgekit.pipeline.project.origin import Origin
from edgekit.pipeline.sources import SourceSpec
from edgekit.pipeline.sources.samples import made_up
from edgekit.pipeline.work.answers import DataAnswer, ModelAnswer, TrainingAnswer
from edgekit.pipeline.work.cache import Entry, code_digest
from edgekit.pipeline.work.events import shown_score
from edgekit.pipeline.work.stages import Stages
from edgekit.pipeline.work.versions import versions
from edgekit.runtime.samples import Column, open_samples
from edgekit.tensors import Signature, TensorSpec

#: Samples that stand in for data that a bare model file comes without.
_RANDOM_SAMPLES = 16
#: Check vectors: this many samples, fewer when they would be larger than this.
_CHECK_SAMPLES = 16
#: What reads samples.
READING = ("runtime/samples.py", "runtime/preprocess.py", "names.py", "numbers.py", "npz.py")
_CHECK_BYTES = 8 << 20

_UNREPEATED = (
    "makes other weights at every call: all files of this build have those of one call, and the next build has others. "
    "Load trained weights in it, or seed what draws them"
)
_UNREPEATED_START = "starts from other weights at every call, whatever the seed: every build trains it anew"


@dataclass(frozen=True)
class SourceModel:
    """The float source model, and the data to try it on.

    Attributes:
        spec: The model with its trained weights, its inputs and a sample.
        digest: SHA-256 of everything that made the model and its signature.
        batches: Whether the model gives for several samples at once what it gives for each.
        samples: ``.npz`` with the evaluation inputs, and labels where there are any.
        names: What each input of the signature is called in it (see `edgekit.runtime.samples.open_samples`).
        calibration: ``.npz`` with calibration inputs; None when there are none.
        calibration_origin: Where those came from, for the manifest.
        random: Whether the evaluation inputs are random numbers.
        training: How it went; None without training.
        samples_by_set: Number of samples of each data set.
        check_samples: Numbers of the evaluation samples that become check vectors.
        bucketed: The model at the shapes of its buckets; None where it has none.
    """

    spec: SourceSpec
    digest: str
    framework: str
    signature: Signature
    parameter_count: int
    batches: bool
    samples: Path
    names: Mapping[str, str]
    calibration: Path | None
    calibration_origin: Mapping[str, Any] | None
    random: bool
    training: TrainingAnswer | None
    samples_by_set: Mapping[str, int]
    check_samples: np.ndarray
    bucketed: BucketedModel | None = None


def prepare_model(stages: Stages, origin: Origin) -> SourceModel:
    """Read the data, train if the project says so, and look at the float model.

    Raises:
        EdgekitError: Data, model or training are not usable; `Interrupted` when the user stopped training.
    """
    model = _Maker(stages, origin).model()
    return replace(model, bucketed=prepare_buckets(stages, origin, model))


class _Maker:
    """The stages up to the source model, for one origin."""

    def __init__(self, stages: Stages, origin: Origin):
        self._stages = stages
        self._origin = origin
        self._versions = versions(origin.packages)
        self._model: dict[str, Any] = dict(origin.model_key)

    def model(self) -> SourceModel:
        origin = self._origin
        if origin.data is None:
            return self._bare()
        data = self._data()
        self._identify(data)
        training = None if origin.training is None else self._training(data)
        source = replace(origin.source, inputs=DataAnswer.read(data.record).inputs)
        if training is not None:
            source = source.with_weights(training.path(Path(TrainingAnswer.read(training.record).weights).name))
        calibration = origin.data.calibration
        return self._prepare(
            source,
            data,
            calibration_origin={
                "samples": DataAnswer.read(data.record).samples["calibration"],
                "from": calibration if isinstance(calibration, str) else DataAnswer.read(data.record).calibration_from,
            },
            random=False,
            training=training,
        )

    def _data(self) -> Entry:
        origin, section = self._origin, self._origin.data
        assert section is not None and origin.project is not None
        calibration = section.calibration
        drawn = None if isinstance(calibration, str) else calibration
        arguments = {
            "train": section.train,
            "evaluation": section.evaluation,
            "calibration": calibration if drawn is None else None,
            "draw_from": None if drawn is None else drawn.origin,
            "draw": None if drawn is None else drawn.samples,
            "preprocessing": None if origin.preprocessing is None else origin.preprocessing.to_json(),
            "classes": len(origin.labels),
            "seed": 0 if origin.training is None else origin.training.seed,
        }
        requires = [requirement.split("==")[0] for requirement in origin.project.project.requires]
        return self._stages.run(
            "data",
            origin.name,
            key={"origin": origin.digest, "arguments": arguments, "versions": versions(["numpy", "pillow", *requires])},
            code=(
                "pipeline/data.py",
                "pipeline/work/python_file.py",
                *READING,
            ),
            function="edgekit.pipeline.data:prepare",
            family=self._origin.family,
            arguments=lambda directory: {**arguments, "project": str(origin.directory), "directory": str(directory)},
            failure="EK-CODE",
        )

    def _identify(self, data: Entry) -> None:
        """Call the factory, where there is one: what it makes belongs to the keys of all that is made of it."""
        origin, training = self._origin, self._origin.training
        if origin.source.factory is None:
            return
        seed = None if training is None else training.seed
        source = replace(origin.source, inputs=DataAnswer.read(data.record).inputs)
        found = self._stages.ask(
            "load",
            origin.name,
            function="edgekit.pipeline.sources.identity:identify",
            family=origin.family,
            arguments={"source": source.to_json(), "seed": seed},
            failure="EK-SOURCE",
        )
        self._model |= {"weights of factory": found["weights"], "structure": found["structure"]}
        if not found["repeats"]:
            what = f"{Path(origin.source.path).name}:{origin.source.factory}"
            self._stages.warn("load", origin.name, f"{what} {_UNREPEATED if training is None else _UNREPEATED_START}")

    def _training(self, data: Entry) -> Entry:
        origin = self._origin
        assert origin.training is not None
        section = origin.training.model_dump()

        def finished(record: Mapping[str, Any]) -> None:
            trained = TrainingAnswer.read(record)
            if trained.interrupted:
                best = trained.best_metric
                done = f"stopped after epoch {trained.epochs_done} of {section['epochs']}"
                kept = ""
                if best is not None:
                    kept = f"; the best so far is kept ({shown_score(best, trained.counts_labels)})"
                raise Interrupted("EK-INTERRUPTED", done + kept, "run the same command again to go on from there")

        return self._stages.run(
            "train",
            origin.name,
            key={
                "model": self._model,
                "data": data.digest,
                "training": section,
                "versions": self._versions,
            },
            code=("pipeline/training", *sources.CODE, *READING),
            function=origin.kind.trainer,
            family=self._origin.family,
            arguments=lambda directory: {
                "source": replace(origin.source, inputs=DataAnswer.read(data.record).inputs).to_json(),
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

    def _bare(self) -> SourceModel:
        origin = self._origin
        own = origin.source.inputs or self._described().inputs  # a factory's module does not say what goes in

        def samples(directory: Path) -> Mapping[str, Any]:
            arrays = (
                made_up(own, _RANDOM_SAMPLES)
                if origin.calibration is None
                else _named(read_array_file(origin.calibration), own)
            )
            for name in ("evaluation", "calibration"):
                save_arrays(directory / f"{name}.npz", arrays)
            count = len(next(iter(arrays.values())))
            return {
                "inputs": [spec.to_json() for spec in _specs(arrays)],
                "samples": {"evaluation": count, "calibration": count},
            }

        key = {
            "inputs": [spec.to_json() for spec in own],
            "given": None if origin.calibration is None else file_sha256(origin.calibration),
            "code": code_digest(
                "pipeline/model/source_model.py", "pipeline/data.py", "names.py", "numbers.py", "npz.py"
            ),
        }
        data = self._stages.here("samples", origin.name, key, samples)
        self._identify(data)
        return self._prepare(
            replace(origin.source, inputs=DataAnswer.read(data.record).inputs),
            data,
            calibration_origin=None
            if origin.calibration is None
            else {"samples": DataAnswer.read(data.record).samples["calibration"], "from": origin.calibration.name},
            random=origin.calibration is None,
            training=None,
        )

    def _described(self) -> Signature:
        """What a model file says of itself; and where it leaves sizes open, those of the samples."""
        origin = self._origin
        source, given = origin.source, origin.calibration
        if given is not None and origin.kind.sizes_of_data:
            source = replace(source, inputs=_specs(read_array_file(given)))
        described = self._stages.run(
            "describe",
            origin.name,
            key={
                "model": self._model,
                "inputs": [spec.to_json() for spec in source.inputs],
                "versions": self._versions,
            },
            code=(*sources.CODE, "names.py"),
            function="edgekit.pipeline.sources.tasks:describe",
            family=self._origin.family,
            arguments=lambda directory: {"source": source.to_json()},
            failure="EK-SOURCE",
        )
        return Signature.from_json(described.record["signature"])

    def _prepare(
        self,
        source: SourceSpec,
        data: Entry,
        *,
        calibration_origin: Mapping[str, Any] | None,
        random: bool,
        training: Entry | None,
    ) -> SourceModel:
        origin = self._origin
        model = {**self._model, "training": None if training is None else training.digest}
        entry = self._stages.run(
            "prepare",
            origin.name,
            key={"model": model, "data": data.digest, "versions": self._versions},
            code=(*sources.CODE, *READING),
            function="edgekit.pipeline.sources.tasks:prepare",
            family=origin.family,
            arguments=lambda directory: {
                "source": source.to_json(),
                "samples": data.path("evaluation.npz"),
                "calibration": data.path("calibration.npz"),
                "directory": str(directory),
            },
            failure="EK-SOURCE",
        )
        found = ModelAnswer.read(entry.record)
        fitted = entry if found.fitted else data
        samples, signature = Path(data.path("evaluation.npz")), found.signature
        made_from = {"model": model, "prepared": [entry.digest, entry.made_from]}
        return SourceModel(
            spec=replace(
                source,
                inputs=signature.inputs,
                sample=entry.path("sample.npz"),
                made=None if found.made is None else entry.path(found.made),
            ),
            digest=hashlib.sha256(canonical_json(made_from)).hexdigest(),
            framework=found.framework,
            signature=signature,
            parameter_count=found.parameter_count,
            batches=found.batches,
            samples=samples,
            names=found.names,
            calibration=None if calibration_origin is None else Path(fitted.path("calibration.npz")),
            calibration_origin=calibration_origin,
            random=random,
            training=None if training is None else TrainingAnswer.read(training.record),
            samples_by_set=DataAnswer.read(data.record).samples,
            check_samples=_check_samples(open_samples(samples, signature.inputs, found.names)),
        )


def _check_samples(inputs: Mapping[str, Column]) -> np.ndarray:
    """Spread evenly over all samples."""
    available = len(next(iter(inputs.values())))
    size = sum(array.nbytes // available for array in inputs.values())
    count = max(1, min(available, _CHECK_SAMPLES, _CHECK_BYTES // max(size, 1)))
    return np.linspace(0, available - 1, count).round().astype(int)


def _specs(arrays: Mapping[str, np.ndarray]) -> tuple[TensorSpec, ...]:
    """What goes into a model, as samples have it."""
    return tuple(TensorSpec(name, (1, *array.shape[1:]), array.dtype.name) for name, array in arrays.items())


def _named(arrays: dict[str, np.ndarray], own: Sequence[TensorSpec]) -> dict[str, np.ndarray]:
    """The only array of a file goes to the model's only input, whatever it is called."""
    if arrays.keys() == {DEFAULT_INPUT} and len(own) == 1:
        return {own[0].name: arrays[DEFAULT_INPUT]}
    return arrays
