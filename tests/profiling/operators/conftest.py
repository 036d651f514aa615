"""Operators of small models, traced and decoded once."""

from __future__ import annotations

from pathlib import Path

import pytest
from small_models import IMAGE, SmallModels
from support.operator_models import (
    CONVOLUTIONS,
    CONVOLUTIONS_INPUTS,
    MIXED,
    MIXED_INPUTS,
    build_operator_models,
)
from support.shared import Shared

from edgekit.runtime.profiler.samples import Trace
from edgekit.runtime.profiler.tracing import trace


@pytest.fixture(scope="session")
def operator_models() -> Path:
    return Shared.once("operator-models", build_operator_models)


@pytest.fixture(scope="session")
def traces(small_models: SmallModels, operator_models: Path) -> dict[str, Trace]:
    """By file; the same nets on both engines."""
    found = {}
    for engine, format in (("litert", "tflite"), ("executorch", "pte")):
        image, mixed = small_models.files[f"image.{format}"], (operator_models / f"mixed.{format}").read_bytes()
        found[f"image.{format}"] = trace(engine, image, IMAGE, 1, [small_models.images[:1]], runs=20)
        found[f"mixed.{format}"] = trace(engine, mixed, MIXED, 1, MIXED_INPUTS, runs=20)
    found["plain.pte"] = trace(
        "executorch", small_models.files["plain.pte"], IMAGE, 1, [small_models.images[:1]], runs=20
    )
    convolutions = (operator_models / "convolutions.tflite").read_bytes()
    found["convolutions.tflite"] = trace("litert", convolutions, CONVOLUTIONS, 1, CONVOLUTIONS_INPUTS, runs=20)
    return found
