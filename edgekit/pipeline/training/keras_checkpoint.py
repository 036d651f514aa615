"""What Keras training leaves after each epoch, in a file that is whole or not there."""

from __future__ import annotations

import json
import os
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from edgekit.errors import UsageError
from edgekit.pipeline.training.settings import Training
from edgekit.writing import write_error

_HEAD = ("training", "epoch", "best_metric", "history")


@dataclass(frozen=True)
class KerasCheckpoint:
    """The state after an epoch.

    Attributes:
        training: The settings it belongs to.
        epoch: The last one that was finished, from 1; 0 before training.
        state: Values of everything that training changes: weights, statistics, random states, the optimizer's.
        best: Weights of the epoch with the best metric.
        history: One entry for each finished epoch.
    """

    training: Training
    epoch: int
    state: Sequence[np.ndarray]
    best: Sequence[np.ndarray]
    best_metric: float | None
    history: tuple[Mapping[str, Any], ...]


def write_checkpoint(path: Path, checkpoint: KerasCheckpoint) -> None:
    head = json.dumps({key: getattr(checkpoint, key) for key in _HEAD}, default=asdict)
    arrays = {f"{kind}_{i}": array for kind in ("state", "best") for i, array in enumerate(getattr(checkpoint, kind))}
    part = path.with_name("part.npz")
    try:
        np.savez(part, allow_pickle=False, head=np.array(head), **arrays)
        os.replace(part, path)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise write_error(path, error) from error


def read_checkpoint(
    path: Path, training: Training, variables: Sequence[Any], weights: Sequence[Any]
) -> KerasCheckpoint:
    """The checkpoint in *path*, after its state was assigned to *variables*; its best are values for *weights*.

    Raises:
        UsageError: ``EK-CHECKPOINT``: it cannot be read, or belongs to another model or to other settings.
    """
    hint = "delete it, or start again with --fresh"
    try:
        with np.load(path, allow_pickle=False) as stored:
            arrays = {name: stored[name] for name in stored.files}
        head = json.loads(str(arrays["head"]))
        found = KerasCheckpoint(
            training=Training.from_json(head["training"]),
            epoch=head["epoch"],
            state=[arrays[f"state_{i}"] for i in range(len(variables))],
            best=[arrays[f"best_{i}"] for i in range(len(weights))],
            best_metric=head["best_metric"],
            history=tuple(head["history"]),
        )
    except (OSError, EOFError, ValueError, KeyError, zipfile.BadZipFile) as error:
        raise UsageError("EK-CHECKPOINT", f"the checkpoint {path} cannot be read", hint) from error
    training.check_checkpoint(path, found.training)
    try:
        for variable, value in zip(variables, found.state, strict=True):
            variable.assign(value)
    except ValueError as error:
        raise UsageError("EK-CHECKPOINT", f"the checkpoint {path} belongs to another model", hint) from error
    return found
