"""TensorFlow functions and ``.tflite`` files as ONNX, by tf2onnx."""

from __future__ import annotations

import logging
import re
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import onnx
import tensorflow as tf
from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2
from tf2onnx import optimizer, tf_loader, tfonnx

from edgekit.errors import ConversionError
from edgekit.pipeline.bridges.onnx_file import ELSEWHERE, fitted, unsupported
from edgekit.pipeline.exporters.exported import record
from edgekit.pipeline.sources import SourceSpec, open_source
from edgekit.pipeline.work.events import Step, emit
from edgekit.tensors import Signature

#: The newest one that tf2onnx 1.17 writes.
_OPSET = 18
#: What tf2onnx 1.17 says of operators that it has no equivalent for: ``Tensorflow op [name: Type] is not supported``.
_UNSUPPORTED = re.compile(r"(?:Tensorflow|TFLite) op \[[^:\]]*: (\w+)\] is not supported")


def write(*, source: Mapping[str, Any], output: str) -> dict[str, Any]:
    """Write a source that has the hub ``tensorflow`` as ONNX; see `edgekit.source_kinds.Bridge`."""
    opened: Any = open_source(SourceSpec.from_json(source))
    emit(Step("converting"))
    frozen = convert_variables_to_constants_v2(opened.concrete(), lower_control_flow=False, aggressive_inlining=True)
    inputs, outputs = ([tensor.name for tensor in side] for side in (frozen.inputs, frozen.outputs))
    with _refusing() as said, tf.device("/cpu:0"):
        with tf.Graph().as_default():
            definition = tf_loader.tf_optimize(inputs, outputs, frozen.graph.as_graph_def(add_shapes=True))
        with tf.Graph().as_default() as own:
            tf.import_graph_def(definition, name="")
            converted = tfonnx.process_tf_graph(
                own, opset=_OPSET, input_names=inputs, output_names=outputs, continue_on_error=True
            )
            said.check()
            model = _optimized(converted)
    return _written(model, opened.signature, inputs, outputs, output)


def write_lite(data: bytes, signature: Signature, tensors: Sequence[Sequence[str]], output: str) -> dict[str, Any]:
    """Write a ``.tflite`` of one signature, fixed shapes and dense constants as ONNX that computes in float32.

    Args:
        tensors: What the signature's inputs and outputs are called in the file's graph.
    """
    emit(Step("converting"))
    with tempfile.TemporaryDirectory(prefix="edgekit-bridge-") as folder, _refusing() as said, tf.device("/cpu:0"):
        path = Path(folder, "model.tflite")
        path.write_bytes(data)
        with tf.Graph().as_default() as own:
            converted = tfonnx.process_tf_graph(
                own, tflite_path=str(path), opset=_OPSET, dequantize=True, continue_on_error=True
            )
            said.check()
            model = _optimized(converted)
    inputs, outputs = tensors
    return _written(model, signature, inputs, outputs, output)


def _optimized(converted: Any) -> onnx.ModelProto:
    model: onnx.ModelProto = optimizer.optimize_graph(converted, catch_errors=False).make_model("edgekit")
    return model


def _written(
    model: onnx.ModelProto, signature: Signature, inputs: Sequence[str], outputs: Sequence[str], output: str
) -> dict[str, Any]:
    Path(output).write_bytes(fitted(model, signature, inputs, outputs).SerializeToString(deterministic=True))
    made = record(("tf2onnx", "onnx"), {})
    made["producers"]["tensorflow"] = tf.__version__  # whichever of its distributions is installed
    return made


class _Said(logging.Handler):
    """Keeps what tf2onnx says of operators that it cannot convert, and of those alone."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.operators: dict[str, None] = {}

    def emit(self, record: logging.LogRecord) -> None:
        if found := _UNSUPPORTED.search(record.getMessage()):
            self.operators[found[1]] = None

    def check(self) -> None:
        """Raise `ConversionError` where an operator has no equivalent in ONNX."""
        if self.operators:
            message = unsupported(name.removeprefix("TFL_") for name in self.operators)
            raise ConversionError("EK-UNSUPPORTED", message, ELSEWHERE)


@contextmanager
def _refusing() -> Iterator[_Said]:
    """Around tf2onnx: what it says of single operators, and what else it stumbles over, is an error in one line."""
    said, logger = _Said(), logging.getLogger("tf2onnx")
    logger.addHandler(said)
    try:
        yield said
    except ConversionError:
        raise
    except Exception as error:  # each of its many handlers raises what it likes
        said.check()
        text = next(iter(str(error).strip().splitlines()), type(error).__name__)
        message = f"the model has no form in ONNX, on the way to PyTorch: {text}"[:300]
        raise ConversionError("EK-UNSUPPORTED", message, ELSEWHERE) from error
    finally:
        logger.removeHandler(said)
