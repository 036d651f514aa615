"""``.tflite`` files of others: as they are in the recipe that they are in, quantized from their float32 in others."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from edgekit.errors import ConversionError
from edgekit.pipeline.exporters import litert
from edgekit.pipeline.exporters.exported import record
from edgekit.pipeline.sources import SourceSpec
from edgekit.pipeline.sources.tflite import open_source
from edgekit.pipeline.sources.tflite_graph import signed, unpacked
from edgekit.recipes import RECIPES

_AS_IT_IS = "is the file as it was given: what it lost against the model that it was made from is not known"


def export(*, source: Mapping[str, Any], recipe: str, calibration: str | None, output: str) -> dict[str, Any]:
    """As `edgekit.pipeline.exporters.Exporter` has it.

    Raises:
        ConversionError: ``EK-UNSUPPORTED``: the file is in int8, and asked for in another recipe.
    """
    opened = open_source(SourceSpec.from_json(source))
    if recipe == opened.recipe.name:
        Path(output).write_bytes(opened.data)
        return record((), {}, (*opened.warnings, *(() if opened.recipe.is_exact else (_AS_IT_IS,))))
    if opened.recipe.is_quantized:
        message = f"the file is in {opened.recipe.name} already, and gives no {recipe}"
        raise ConversionError("EK-UNSUPPORTED", message, "give the float file that it was made from")
    data = signed(unpacked(opened.data), opened.signature)
    if RECIPES[recipe].is_exact:
        Path(output).write_bytes(data)
        return record((), {}, opened.warnings)
    with tempfile.TemporaryDirectory(prefix="edgekit-tflite-") as folder:
        base = Path(folder, "model.tflite")
        base.write_bytes(data)
        made = litert.quantize(base=str(base), recipe=recipe, calibration=calibration, output=output)
        return {**made, "warnings": [*opened.warnings, *made["warnings"]]}
