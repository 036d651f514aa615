"""The facts about Keras models, found out once for all test files: one TensorFlow process, one PyTorch process."""

from __future__ import annotations

import functools
import json
from pathlib import Path
from typing import Any

from support.shared import Shared
from support.subprocesses import call

MODELS = (
    "mobile",
    "windows",
    "sequence",
    "series",
    "segmentation",
    "squeeze",
    "perceptron",
    "words",
    "nested",
    "recurrent",
    "attentive",
    "masked",
    "unusual",
    "mobilenet_v2",
)


def folder() -> Path:
    """Where the models are, and the files exported from them."""
    return Shared.once("keras-models", _ask_tensorflow)


@functools.cache
def tensorflow_facts() -> dict[str, Any]:
    facts: dict[str, Any] = json.loads((folder() / "facts.json").read_text())
    return facts


@functools.cache
def torch_facts() -> dict[str, Any]:
    facts: dict[str, Any] = json.loads((Shared.once("keras-models-in-torch", _ask_torch) / "facts.json").read_text())
    return facts


def _ask_tensorflow(directory: Path) -> None:
    facts = call("support.keras_tasks:tensorflow_facts", backend="tensorflow", directory=str(directory))
    (directory / "facts.json").write_text(json.dumps(facts))


def _ask_torch(directory: Path) -> None:
    facts = call("support.keras_tasks:torch_facts", backend="torch", directory=str(folder()), names=list(MODELS))
    (directory / "facts.json").write_text(json.dumps(facts))
