"""What PyTorch training leaves after each epoch, in a file that is whole or not there."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from errno import ENOSPC
from pathlib import Path
from typing import Any

import torch

from edgekit.errors import UsageError
from edgekit.pipeline.sources.torch_weights import UNREADABLE
from edgekit.pipeline.training.settings import Training
from edgekit.writing import write_error


@dataclass(frozen=True)
class Checkpoint:
    """The state after an epoch. Random numbers need none: each epoch seeds them anew.

    Attributes:
        training: The settings it belongs to.
        epoch: The last one that was finished, from 1; 0 before training.
        module, optimizer, scaler: Their ``state_dict``.
        best: Weights of the epoch with the best metric.
        history: One entry for each finished epoch.
    """

    training: Training
    epoch: int
    module: Mapping[str, Any]
    optimizer: Mapping[str, Any]
    scaler: Mapping[str, Any]
    best: Mapping[str, torch.Tensor]
    best_metric: float | None
    history: tuple[Mapping[str, Any], ...]


def write_checkpoint(path: Path, checkpoint: Checkpoint) -> None:
    save_tensors(path, {**vars(checkpoint), "training": asdict(checkpoint.training)})


def read_checkpoint(path: Path, training: Training) -> Checkpoint:
    """The checkpoint in *path*.

    Raises:
        UsageError: ``EK-CHECKPOINT``: it cannot be read, or was written with settings other than *training*.
    """
    try:
        stored = torch.load(path, map_location="cpu", weights_only=True)
        found = Checkpoint(**{**stored, "training": Training.from_json(stored["training"])})
    except (*UNREADABLE, TypeError) as error:
        hint = "delete it, or start again with --fresh"
        raise UsageError("EK-CHECKPOINT", f"the checkpoint {path} cannot be read", hint) from error
    training.check_checkpoint(path, found.training)
    return found


def save_tensors(path: Path, value: Mapping[str, Any]) -> None:
    """Write *value* with ``torch.save``; the same values give the same bytes, and *path* is never half written."""
    part = path.with_name(path.name + ".part")
    try:
        with part.open("wb") as file:
            torch.save(dict(value), file)
        os.replace(part, path)
    except (OSError, RuntimeError) as error:  # torch.save 2.13 says RuntimeError when the disk fills up
        part.unlink(missing_ok=True)
        raise write_error(path, error if isinstance(error, OSError) else OSError(ENOSPC, str(error))) from error
