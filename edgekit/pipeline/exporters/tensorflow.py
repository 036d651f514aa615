"""Keras models and SavedModels to a float ``.tflite`` with TensorFlow's converter.

Recipes are applied to that file (`edgekit.pipeline.exporters.litert.quantize`). TensorFlow 2.21's own calibration reads
tensors after the operators that follow have written over them in place. Symptom: a convolution before a multiplication
by 300 gets the range of the product, and has two values left in int8.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import tensorflow as tf
from tensorflow.lite.python import schema_py_generated as schema
from tensorflow.lite.python.convert_phase import ConverterError
from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

from edgekit.errors import ConversionError
from edgekit.pipeline.exporters.exported import record
from edgekit.pipeline.exporters.inputs import parameter_names
from edgekit.pipeline.sources import SourceSpec, open_source
from edgekit.tensors import Signature

_SIGNATURE = "serving_default"


def convert(*, source: Mapping[str, Any], output: str) -> dict[str, Any]:
    """Write *source* as a float32 ``.tflite``; a task for a TensorFlow worker.

    The file has one signature, ``serving_default``, with the source's own input and output names and dtypes, batch
    size 1.

    As `edgekit.pipeline.exporters.Exporter` has it.

    Raises:
        ConversionError: ``EK-UNSUPPORTED``, naming operators that LiteRT has no kernel for; ``EK-EXPORT`` when the
            converter fails otherwise.
    """
    opened: Any = open_source(SourceSpec.from_json(source))
    with tempfile.TemporaryDirectory() as directory:
        _freeze(opened, directory)
        converter = tf.lite.TFLiteConverter.from_saved_model(directory, signature_keys=[_SIGNATURE])
        # Without SELECT_TF_OPS, so that the plain runtime can run whatever comes out.
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS]
        # A SavedModel's recurrent layers hold lists of any number of samples, although the signature says one:
        # TensorFlow 2.21 fails with "'tf.TensorListReserve' op requires element_shape to be static".
        converter._experimental_default_to_single_batch_in_tensor_list_ops = True
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
    parameters = zip(parameter_names(signature.inputs), signature.inputs, strict=True)
    specs = [tf.TensorSpec(spec.shape, spec.dtype, name=name) for name, spec in parameters]
    call = tf.function(lambda *tensors: opened.call(tensors), input_signature=specs)
    frozen = convert_variables_to_constants_v2(call.get_concrete_function(), lower_control_flow=False)
    names = [spec.name for spec in signature.outputs]

    def serve(*tensors: Any) -> dict[str, Any]:
        return dict(zip(names, frozen(*tensors), strict=True))

    served = tf.function(serve, input_signature=specs).get_concrete_function()
    # Gradients of a frozen graph cannot be saved ("invalid capture"), and nobody will ask for them.
    options = tf.saved_model.SaveOptions(experimental_custom_gradients=False)
    tf.saved_model.save(tf.Module(), directory, signatures={_SIGNATURE: served}, options=options)


def _explained(error: ConverterError) -> ConversionError:
    """What the converter's pages of text come down to."""
    lists = re.findall(r"(?:Flex|Custom) ops: ([^\n]+)", str(error))
    operators = sorted(
        {name for names in lists for name in names.split(", ")}
        | set(re.findall(r"'tf\.(\w+)' op is neither a custom op nor a flex op", str(error)))
    )
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
