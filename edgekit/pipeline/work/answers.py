"""What tasks in workers answer, as values. They leave them as JSON, and so does the cache."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from edgekit.buckets import Buckets
from edgekit.pipeline.readers.facts import FileFacts
from edgekit.runtime.trial import Trial
from edgekit.schema import conform
from edgekit.tensors import Signature, TensorSpec


class Answer:
    """One of them."""

    @classmethod
    def read(cls, value: Mapping[str, Any]) -> Self:
        """The answer from its JSON.

        Raises:
            ValueError: It does not fit.
        """
        answer: Self = conform(cls, value)
        return answer


@dataclass(frozen=True)
class DataAnswer(Answer):
    """What data sets there are.

    Attributes:
        inputs: With batch size 1.
        samples: How many there are in each set.
        calibration_from: Where calibration samples are from; empty for a file that was given.
    """

    inputs: tuple[TensorSpec, ...]
    samples: Mapping[str, int]
    calibration_from: str = ""


@dataclass(frozen=True)
class EpochScore:
    """How an epoch went; see `edgekit.pipeline.work.events.Epoch`."""

    epoch: int
    loss: float
    metric: float | None


@dataclass(frozen=True)
class TrainingAnswer(Answer):
    """How training went.

    Attributes:
        weights: The file with the trained weights.
        best_metric, counts_labels: The best score, and what it is; see `edgekit.pipeline.work.events.Epoch`.
        interrupted: Whether the user stopped it.
        device: What it ran on, as the framework calls it.
    """

    weights: str
    epochs_done: int
    best_metric: float | None
    counts_labels: bool
    history: tuple[EpochScore, ...]
    interrupted: bool
    device: str
    framework_version: str
    mixed_precision: bool


@dataclass(frozen=True)
class ModelAnswer(Answer):
    """What a source model is.

    Attributes:
        made: Name of the file with the weights that a factory made; None without one.
        names: What the data call each input.
        fitted: Whether the calibration data were written anew, to fit the signature.
        batches: Whether the model gives for several samples at once what it gives for each.
    """

    framework: str
    signature: Signature
    parameter_count: int
    made: str | None
    names: Mapping[str, str]
    fitted: bool
    batches: bool


@dataclass(frozen=True)
class BucketAnswer(Answer):
    """What is known of the buckets of a source model.

    Attributes:
        buckets: With the outputs that have the length, and the shortest length that is filled up.
        signatures: By length as text, with batch size 1; ``""`` where there are no lengths. Those between the bounds of
            a range, which speak for it, are among them.
    """

    buckets: Buckets
    signatures: Mapping[str, Signature]


#: Steps of recurrent layers that are exported without a word. Measured: 20 steps of an LSTM take 2 s for LiteRT and 7 s
#: for ExecuTorch.
QUICK_STEPS = 64


@dataclass(frozen=True)
class Outside:
    """Operators of one kind that will run outside of the accelerated backend.

    Attributes:
        layers: Paths of the layers that they are of, where those are known; a few of them.
        line: Of the model's code that the first of them is from, as ``net.py:12: return a + b``; empty where not known.
    """

    operator: str
    count: int
    layers: tuple[str, ...]
    line: str


@dataclass(frozen=True)
class Forecast(Answer):
    """What will become of a model's operators in a file of one format.

    Attributes:
        inside: How many operators its backend will take.
        outside: The others.
        rewritten: Operators that are spelled otherwise, as ``aten.stft``.
        steps: Of recurrent layers, which the file has one by one.
    """

    inside: int
    outside: tuple[Outside, ...]
    rewritten: tuple[str, ...]
    steps: int


@dataclass(frozen=True)
class ExaminationAnswer(Answer):
    """What an exported file is.

    Attributes:
        warnings: What there is to say of it.
        trial: How it ran; None for a file that was not run.
    """

    facts: FileFacts
    warnings: tuple[str, ...]
    trial: Trial | None
