"""``.tflite`` files as ONNX that computes in float32."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from edgekit.pipeline.bridges.tensorflow import write_lite
from edgekit.pipeline.sources import SourceSpec
from edgekit.pipeline.sources.tflite import open_source
from edgekit.pipeline.sources.tflite_graph import shaped, unpacked


def write(*, source: Mapping[str, Any], output: str) -> dict[str, Any]:
    """See `edgekit.source_kinds.Bridge`. What the file computes in int8 is computed in float."""
    opened = open_source(SourceSpec.from_json(source))
    made = write_lite(shaped(unpacked(opened.data), {}), opened.signature, opened.tensors, output)
    said = f"computes in float what the file does in {opened.recipe.name}, without its rounding: they differ by that"
    return {**made, "warnings": [*opened.warnings, *([said] if opened.recipe.is_quantized else [])]}
