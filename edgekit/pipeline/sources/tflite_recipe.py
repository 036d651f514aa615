"""Which recipe a ``.tflite`` is in already, for plans: it is asked before any worker starts."""

from __future__ import annotations

from pathlib import Path

from edgekit.recipes import FP32
from edgekit.runtime.contents.refusal import Malformed
from edgekit.runtime.given.tflite import describe


def recipe_of(path: Path) -> str:
    """The name of the recipe that most weights of the file at *path* are in; ``fp32`` for one that cannot be read."""
    try:
        return describe(path.read_bytes()).recipe
    except Malformed:  # it is trusted, or refused elsewhere
        return FP32.name
