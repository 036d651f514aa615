"""Training samples in memory, and the order and shape in which an epoch sees them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from edgekit.errors import EdgekitError, UsageError
from edgekit.pipeline.data import load_arrays
from edgekit.pipeline.training.settings import Training


@dataclass(frozen=True)
class Samples:
    """Inputs by name and labels, samples first."""

    inputs: Mapping[str, np.ndarray]
    labels: np.ndarray

    def __len__(self) -> int:
        return len(self.labels)


def load_samples(path: str) -> Samples:
    """Samples from a file that `edgekit.pipeline.data.prepare` wrote.

    Raises:
        UsageError: ``EK-DATA``: there are no labels to learn.
    """
    inputs, labels = load_arrays(path)
    if labels is None:
        raise UsageError("EK-DATA", "the training data has no labels", "return (inputs, labels) from data.train")
    return Samples(inputs, labels)


def epoch_of(samples: Samples, training: Training, epoch: int, channels_last: bool) -> Samples:
    """The samples in the order, and with the random changes, of one epoch.

    Both depend on the seed and the number of the epoch alone, so that training that was interrupted goes on as if
    it had not been. What is left over after the last full batch is left out; another epoch has it.
    """
    draw = np.random.default_rng([abs(training.seed), epoch])
    batch = min(training.batch_size, len(samples))
    order = draw.permutation(len(samples))[: len(samples) // batch * batch]
    inputs = {name: array[order] for name, array in samples.inputs.items()}
    shift = training.augment.shift
    if shift:
        inputs = {name: shifted(array, shift, draw, channels_last) for name, array in inputs.items()}
    return Samples(inputs, samples.labels[order])


def shifted(images: np.ndarray, pixels: int, draw: np.random.Generator, channels_last: bool) -> np.ndarray:
    """Each image moved by up to *pixels* along both axes; what comes in at an edge repeats that edge.

    Args:
        images: (samples, channels, height, width), or channels last.

    Raises:
        UsageError: ``EK-PROJECT``: these are not images.
    """
    if images.ndim != 4:
        message = "training.augment.shift moves images, and the inputs are none"
        raise UsageError("EK-PROJECT", message, "remove training.augment")
    axes = (1, 2) if channels_last else (2, 3)
    height, width = (images.shape[axis] for axis in axes)
    down, right = draw.integers(-pixels, pixels + 1, (2, len(images), 1))
    rows = np.clip(np.arange(height) + down, 0, height - 1)
    columns = np.clip(np.arange(width) + right, 0, width - 1)
    if channels_last:
        moved = np.take_along_axis(images, rows[:, :, None, None], axis=1)
        return np.take_along_axis(moved, columns[:, None, :, None], axis=2)
    moved = np.take_along_axis(images, rows[:, None, :, None], axis=2)
    return np.take_along_axis(moved, columns[:, None, None, :], axis=3)


def holds_classes(samples: Samples, training: Training) -> bool:
    """Whether the labels are class ids, and the metric is thus the percentage that is met."""
    return bool(training.loss == "cross-entropy" and samples.labels.dtype.kind in "iub")


def check_labels(samples: Samples, output: tuple[int, ...], classes: int | None) -> None:
    """Raise `UsageError` (``EK-DATA``) unless the labels fit a model.

    Args:
        output: Shape of the model's output for one sample.
        classes: How many scores it gives, where labels are class ids.
    """
    if classes is None:
        if samples.labels[0].size != np.prod(output, dtype=int):
            message = f"a label has the shape {list(samples.labels.shape[1:])}, the model's output {list(output)}"
            raise UsageError("EK-DATA", message, "make them fit; class ids are integers, with the loss cross-entropy")
        return
    low, high = int(samples.labels.min()), int(samples.labels.max())
    if low < 0 or high >= classes:
        message = f"labels run from {low} to {high}, the model gives {classes} scores"
        raise UsageError("EK-DATA", message, "labels are indices from 0; give the model one output per class")


def diverged(what: str, value: float, epoch: int, training: Training) -> EdgekitError:
    """The error for a loss that is not finite."""
    return EdgekitError(
        "EK-DIVERGED",
        f"the {what} became {value} in epoch {epoch} of {training.epochs}",
        f"lower training.learning_rate (it is {training.learning_rate}), and look for extreme values in the data",
    )
