"""The project's ``[training]``, as a worker has it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from edgekit.errors import UsageError
from edgekit.schema import conform


@dataclass(frozen=True)
class Augmentation:
    shift: int


@dataclass(frozen=True)
class Training:
    """What the fields mean, and what they may be, `edgekit.pipeline.project.sections.TrainingSection` says."""

    epochs: int
    batch_size: int
    learning_rate: float
    weight_decay: float
    optimizer: str
    schedule: str
    loss: str
    seed: int
    augment: Augmentation

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Training:
        """Raises `ValueError`: it does not fit."""
        training: Training = conform(cls, value)
        return training

    def check_checkpoint(self, path: Path, training: Training) -> None:
        """Raise `UsageError` ``EK-CHECKPOINT`` unless the checkpoint in *path* was written with these settings."""
        changed = [each.name for each in fields(self) if getattr(self, each.name) != getattr(training, each.name)]
        if changed:
            message = f"the checkpoint {path} has another {', '.join(sorted(changed))}"
            raise UsageError("EK-CHECKPOINT", message, "delete it, or start again with --fresh")
