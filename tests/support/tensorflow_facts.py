"""The facts about TensorFlow's models, found out once for all test files, in a TensorFlow process."""

from __future__ import annotations

import functools
import json
from pathlib import Path
from typing import Any

from support.shared import Shared
from support.subprocesses import call


def folder() -> Path:
    """Where the models are, their ONNX, inputs and outputs."""
    return Shared.once("tensorflow-models", _ask)


@functools.cache
def facts() -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder() / "facts.json").read_text())
    return found


def _ask(directory: Path) -> None:
    found = call("support.tensorflow_models:facts", backend="tensorflow", directory=str(directory))
    (directory / "facts.json").write_text(json.dumps(found))
