"""Keras -> ``.keras``: the float source model as it is, for TensorFlow on a desktop."""

from __future__ import annotations

import json
import tempfile
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf

from edgekit.errors import ConversionError
from edgekit.pipeline.exporters.exported import record
from edgekit.pipeline.sources import SourceSpec, open_source
from edgekit.pipeline.sources.keras import KerasSource
from edgekit.pipeline.work.events import Step, emit
from edgekit.runtime.contents import keras as contents
from edgekit.runtime.contents import zips
from edgekit.runtime.engines.tensorflow import ENGINE


def export(*, source: Mapping[str, Any], output: str) -> dict[str, Any]:
    """Save a Keras model as a ``.keras`` whose inputs and outputs are in the signature's order.

    As `edgekit.pipeline.exporters.Exporter` has it.

    Raises:
        ConversionError: ``EK-UNSUPPORTED``: the source is no Keras model or holds more than Keras's own layers.
    """
    opened = open_source(SourceSpec.from_json(source))
    if not isinstance(opened, KerasSource):
        raise ConversionError("EK-UNSUPPORTED", f"a {opened.framework} model gives no .keras", "use --format tflite")
    emit(Step("exporting"))
    try:
        data = contents.read(_saved(opened.model)).data
    except ValueError as error:
        hint = "TensorFlow is given no code of a project: measure against .tflite, .pt2 or .onnx instead"
        raise ConversionError("EK-UNSUPPORTED", f"the model cannot be a .keras: {error}", hint) from error
    Path(output).write_bytes(data)
    made = record(("keras",), {ENGINE.name: ".".join(tf.__version__.split(".")[:2])})
    made["producers"]["tensorflow"] = tf.__version__  # whichever of its distributions is installed
    return made


def _saved(model: keras.Model) -> bytes:
    """The file that Keras makes of *model*, without what differs from one time to the next."""
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory, "model.keras")
        model.save(path)
        with zipfile.ZipFile(path) as stored:
            entries = {name: stored.read(name) for name in stored.namelist()}
    config = _numbered(json.loads(entries["config.json"]), {})
    return zips.pack({**entries, "config.json": json.dumps(config).encode()})


def _numbered(value: Any, numbers: dict[int, int]) -> Any:
    """*value* with shared objects numbered as they come, where Keras has addresses in memory."""
    if isinstance(value, dict):
        shared = value.get("shared_object_id")
        if shared is not None:
            value = {**value, "shared_object_id": numbers.setdefault(shared, len(numbers))}
        return {key: _numbered(item, numbers) for key, item in value.items() if key != "compile_config"}
    return [_numbered(item, numbers) for item in value] if isinstance(value, list) else value
