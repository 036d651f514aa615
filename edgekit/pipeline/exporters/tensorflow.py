"""Keras models and SavedModels to ``.tflite`` with TensorFlow's converter.

Quantization scheme: Jacob et al., "Quantization and Training of Neural Networks for Efficient Integer-Arithmetic-Only
Inference", CVPR 2018; weights per output channel as in the LiteRT 8-bit specification.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow.lite.python import schema_py_generated as schema
from tensorflow.lite.python.convert_phase import ConverterError
from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

from edgekit.errors import ConversionError
from edgekit.pipeline.exporters.record import record
from edgekit.pipeline.exporters.samples import calibration_samples
from edgekit.pipeline.progress import emit
from edgekit.pipeline.sources import SourceSpec, open_source
from edgekit.tensors import Signature

_SIGNATURE = "serving_default"


def export(*, source: Mapping[str, Any], recipe: str, calibration: str | None, output: str) -> dict[str, Any]:
    """Write *source* as ``.tflite`` in the precision of *recipe*; a task for a TensorFlow worker.

    The file has one signature, ``serving_default``, with the source's own input and output names, batch size 1 and
    the source's own (float) input and output dtypes.

    Args:
        calibration: ``.npz`` of float inputs by name, samples first; the recipe ``int8`` needs it.

    Returns:
        The export record (see `edgekit.pipeline.exporters.record.record`).

    Raises:
        UsageError: ``EK-DATA``: the recipe needs calibration samples and there are none.
        ConversionError: ``EK-UNSUPPORTED``, naming operators that LiteRT has no kernel for; ``EK-EXPORT`` when the
            converter fails otherwise.
    """
    opened: Any = open_source(SourceSpec.from_json(source))
    with tempfile.TemporaryDirectory() as directory:
        _freeze(opened, directory)
        converter = tf.lite.TFLiteConverter.from_saved_model(directory, signature_keys=[_SIGNATURE])
        _configure(converter, recipe, calibration, opened.signature)
        try:
            data: bytes = converter.convert()
        except ConverterError as error:
            raise _explained(error) from error
    Path(output).write_bytes(data)
    made = record(("keras",), _minimum_runtime(data))
    made["producers"]["tensorflow"] = tf.__version__  # whichever of its distributions is installed
    return made


def _freeze(opened: Any, directory: str) -> None:
    """Save *opened* for one sample, variables turned to constants.

    TensorFlow 2.21 leaves the variables of a Keras 3 model in the graph when it converts its concrete function:
    the file then reads them one by one at run time, folds no batch norm, and calibration fails with
    "variable != nullptr was not true".
    """
    signature: Signature = opened.signature
    specs = [tf.TensorSpec(spec.shape, spec.dtype, name=spec.name) for spec in signature.inputs]
    call = tf.function(lambda *tensors: opened.call(tensors), input_signature=specs)
    frozen = convert_variables_to_constants_v2(call.get_concrete_function(), lower_control_flow=False)
    names = [spec.name for spec in signature.outputs]

    def serve(*tensors: Any) -> dict[str, Any]:
        return dict(zip(names, frozen(*tensors), strict=True))

    served = tf.function(serve, input_signature=specs).get_concrete_function()
    # Gradients of a frozen graph cannot be saved ("invalid capture"), and nobody will ask for them.
    options = tf.saved_model.SaveOptions(experimental_custom_gradients=False)
    tf.saved_model.save(tf.Module(), directory, signatures={_SIGNATURE: served}, options=options)


def _configure(converter: Any, recipe: str, calibration: str | None, signature: Signature) -> None:
    # Without SELECT_TF_OPS, so that the plain runtime can run whatever comes out.
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS]
    if recipe == "fp32":
        return
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    if recipe == "fp16":
        converter.target_spec.supported_types = [tf.float16]
    elif recipe == "int8":
        # The second set is for operators without an int8 kernel: they stay float between their neighbours.
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8, tf.lite.OpsSet.TFLITE_BUILTINS]
        converter.representative_dataset = _representative(calibration, signature)
    else:
        raise ConversionError("EK-UNSUPPORTED", f"no recipe {recipe!r} here", "use fp32, fp16 or int8")


def _representative(calibration: str | None, signature: Signature) -> Callable[[], Iterator[dict[str, np.ndarray]]]:
    samples = list(calibration_samples(calibration, "int8"))

    def representative() -> Iterator[dict[str, np.ndarray]]:
        for index, sample in enumerate(samples):
            if index % 16 == 0:
                emit(kind="step", step="calibrating", done=index, total=len(samples))
            yield {spec.name: sample[spec.name].astype(spec.dtype, copy=False) for spec in signature.inputs}

    return representative


def _explained(error: ConverterError) -> ConversionError:
    """What the converter's pages of text come down to."""
    lists = re.findall(r"(?:Flex|Custom) ops: ([^\n]+)", str(error))
    operators = sorted({name for names in lists for name in names.split(", ")})
    if operators:
        return ConversionError(
            "EK-UNSUPPORTED",
            f"LiteRT has no kernel for {', '.join(name.removeprefix('Flex') for name in operators)}",
            "write that part of the model with other operators: files that need TensorFlow on the device are not built",
        )
    text = next((line for line in str(error).splitlines() if "error:" in line), str(error).strip().splitlines()[0])
    return ConversionError("EK-EXPORT", f"TensorFlow's converter failed: {text.strip()}"[:300], "the log has all of it")


def _minimum_runtime(data: bytes) -> dict[str, str]:
    """The oldest TensorFlow Lite that has every operator version in the file, as the converter noted it down."""
    model = schema.ModelT.InitFromObj(schema.Model.GetRootAsModel(data, 0))
    for entry in model.metadata or ():
        if entry.name == b"min_runtime_version":
            return {"tflite": bytes(model.buffers[entry.buffer].data).rstrip(b"\0").decode()}
    return {}
