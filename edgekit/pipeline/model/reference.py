"""What the float source model answers to the evaluation samples: what every exported file is compared with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from edgekit.fidelity import class_scores
from edgekit.metric import ACCURACY, Metric
from edgekit.pipeline import sources
from edgekit.pipeline.data import Arrays, load_arrays, load_labels
from edgekit.pipeline.metric import Scorer, find_scorer
from edgekit.pipeline.model.source_model import READING, SourceModel
from edgekit.pipeline.project.origin import Origin
from edgekit.pipeline.sources import contents
from edgekit.pipeline.work.stages import Stages
from edgekit.pipeline.work.versions import versions
from edgekit.recipes import FP32, Recipe


@dataclass(frozen=True)
class Reference:
    """The float source model's answers.

    Attributes:
        outputs: By name, samples first.
        labels: Of the samples; None without.
        scorer: What outputs are worth; None without labels.
        accuracy: The metric on all samples, in its unit; None without labels.
        class_scores: The output whose largest value is the model's answer; None where there are no classes to choose.
        rounding_db: How near to its own outputs the model stays, in the worst column, when the last bits of its weights
            are others.
        held: The recipe that the source model itself is in.
    """

    outputs: Arrays
    labels: np.ndarray | None
    scorer: Scorer | None
    accuracy: float | None
    class_scores: str | None
    rounding_db: float
    held: Recipe = FP32

    def score(self, outputs: Mapping[str, np.ndarray], rows: np.ndarray) -> float | None:
        """The metric of *outputs* for the samples with these numbers; None without labels."""
        return None if self.scorer is None or self.labels is None else self.scorer.score(outputs, self.labels[rows])

    def right(self, outputs: Mapping[str, np.ndarray], rows: np.ndarray) -> np.ndarray | None:
        """Which of these samples have the right answer, or without labels that of the source model; None where no
        single answer is right or wrong."""
        if self.scorer is not None and self.labels is not None:
            return None if self.scorer.right is None else self.scorer.right(outputs, self.labels[rows])
        if self.class_scores is None:
            return None
        own, found = self.outputs[self.class_scores][rows], outputs[self.class_scores]
        return np.asarray(own.argmax(1) == found.argmax(1))

    @property
    def metric(self) -> Metric:
        return ACCURACY if self.scorer is None else self.scorer.metric

    @property
    def needs_all(self) -> bool:
        """Whether the metric means nothing but on all samples together."""
        return self.scorer is not None and self.scorer.right is None


def make_reference(stages: Stages, origin: Origin, model: SourceModel) -> Reference:
    """Run the float model over the evaluation samples.

    Raises:
        EdgekitError: What it gives is not finite, or does not depend on the input.
    """
    entry = stages.run(
        "reference",
        origin.name,
        key={"model": model.digest, "versions": versions(origin.packages)},
        code=(*sources.CODE, "fidelity.py", *READING),
        function="edgekit.pipeline.sources.tasks:evaluate",
        family=origin.family,
        arguments=lambda directory: {
            "source": model.spec.to_json(),
            "samples": str(model.samples),
            "names": dict(model.names),
            "outputs": str(directory / "outputs.npz"),
        },
        failure="EK-SOURCE",
    )
    outputs, _ = load_arrays(entry.path("outputs.npz"))
    labels = load_labels(model.samples)
    scorer = None
    if labels is not None:
        scorer = find_scorer(origin.metric.name, origin.metric.described(), origin.directory, labels)
    accuracy = None if scorer is None or labels is None else scorer.score(outputs, labels)
    return Reference(
        outputs=outputs,
        labels=labels,
        scorer=scorer,
        accuracy=None if scorer is None or accuracy is None else scorer.metric.rounded(accuracy),
        class_scores=_class_scores(origin, outputs, scorer),
        rounding_db=entry.record["rounding_db"],
        held=contents.recipe(origin.source),
    )


def _class_scores(origin: Origin, outputs: Arrays, scorer: Scorer | None) -> str | None:
    """The output that scores classes: what the accuracy is taken from, or what looks like it where nothing is said."""
    if scorer is not None and scorer.right is not None:
        return next(iter(outputs))
    regresses = origin.training is not None and origin.training.loss in ("mse", "mae")
    return None if regresses else class_scores(outputs)
