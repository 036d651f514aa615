"""Builds of the models in `support.case_exports`, as users make them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from support import case_exports
from support.case_exports import SAMPLES
from support.cases import Built, build

from edgekit.cli.main import run
from edgekit.pipeline.sources.outputs import named_tensors

MODELS = Path(case_exports.__file__)
FLOAT = ("fp32.tflite", "fp32.pte")


def eager(name: str) -> dict[str, np.ndarray]:
    """What the float model gives for each of its samples by itself."""
    model = getattr(case_exports, name)
    module, samples = model().eval(), SAMPLES[model]
    rows: dict[str, list[np.ndarray]] = {}
    with torch.no_grad():
        for index in range(len(next(iter(samples.values())))):
            for key, value in named_tensors(
                module(*(torch.tensor(each[index : index + 1]) for each in samples.values()))
            ):
                rows.setdefault(key, []).append(value.numpy())
    return {key: np.concatenate(column) for key, column in rows.items()}


def built(name: str, folder: Path, capsys: pytest.CaptureFixture[str], *arguments: str) -> Built:
    return build(folder, capsys, f"{MODELS}:{name}", SAMPLES[getattr(case_exports, name)], *arguments)


def check_floats(name: str, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Build *name* in float, and compare its files with the float model."""
    made = built(name, folder, capsys, "--recipe", "fp32")
    assert made.status == 0, made.errors
    made.check(eager(name), FLOAT)
    assert run(["verify", str(made.path)]) == 0
