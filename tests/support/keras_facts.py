"""The facts about Keras models, found out once for all test files: one TensorFlow process, one PyTorch process."""

from __future__ import annotations

import functools
import tempfile
from pathlib import Path
from typing import Any

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
    "mobilenet_v2",
)


@functools.cache
def _directory() -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory(prefix="edgekit-keras-")  # removed when the test process ends


def folder() -> Path:
    """Where the models are, and the files exported from them."""
    tensorflow_facts()
    return Path(_directory().name)


@functools.cache
def tensorflow_facts() -> dict[str, Any]:
    facts: dict[str, Any] = call(
        "support.keras_tasks:tensorflow_facts", backend="tensorflow", directory=_directory().name
    )
    return facts


@functools.cache
def torch_facts() -> dict[str, Any]:
    facts: dict[str, Any] = call(
        "support.keras_tasks:torch_facts", backend="torch", directory=str(folder()), names=list(MODELS)
    )
    return facts
