"""TensorFlow SavedModels as source models, through one of their signatures."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from google.protobuf.message import DecodeError
from tensorflow.core.protobuf import saved_model_pb2

from edgekit.errors import UsageError
from edgekit.pipeline.sources import SourceSpec, contents
from edgekit.pipeline.sources.samples import first_line
from edgekit.pipeline.sources.signatures import choose
from edgekit.pipeline.sources.tf_function import Function, FunctionSource
from edgekit.pipeline.sources.tf_graph import graph_function
from edgekit.runtime.contents.saved_model import INIT

_GRAPH = "saved_model.pb"
#: Variables of TensorFlow 1 that are no resources.
_REFERENCES = ("Variable", "VariableV2")


def open_source(spec: SourceSpec) -> FunctionSource:
    """Open a ``saved-model`` source.

    Raises:
        UsageError: ``EK-SOURCE``: no SavedModel there, a damaged one, none with signatures, or one whose shapes stay
            open; ``EK-ARGUMENT``: several signatures, and none was chosen; ``EK-CONTENTS``: it holds more than data.
    """
    path = Path(spec.path)
    if not (path / _GRAPH).is_file():
        message = f"{path} is not a SavedModel: it holds no saved_model.pb"
        raise UsageError("EK-SOURCE", message, "name a directory that tf.saved_model.save() or model.export() wrote")
    contents.folder(path, spec.trust)
    try:
        graph = saved_model_pb2.SavedModel()
        graph.ParseFromString((path / _GRAPH).read_bytes())
        if any(node.op in _REFERENCES for meta in graph.meta_graphs for node in meta.graph_def.node):
            return FunctionSource(_in_session(path, graph.meta_graphs[0], spec.signature), path.name, spec)
        loaded = _load(path, graph)
    except (OSError, ValueError, KeyError, AttributeError, DecodeError, tf.errors.OpError) as error:
        message = f"{path} cannot be loaded: {first_line(error)}"
        raise UsageError("EK-SOURCE", message, "save the model again") from error
    return FunctionSource(signature(loaded, path.name, spec.signature), path.name, spec)


def signature(loaded: Any, what: str, wanted: str | None) -> Function:
    """The function of one signature of *loaded*; raises as `open_source`."""
    if not loaded.signatures:
        raise _unsigned(what)
    function = loaded.signatures[choose(what, sorted(loaded.signatures), wanted)]
    inputs, outputs = function.structured_input_signature[1], function.structured_outputs
    keys, results = sorted(inputs), sorted(outputs)

    def call(tensors: Any) -> list[Any]:
        found = function(**dict(zip(keys, tensors, strict=True)))
        return [found[name] for name in results]

    return Function(
        {key: inputs[key] for key in keys},
        {key: outputs[key] for key in results},
        call,
        function.variables,
        _constants(function),
        keeps=loaded,  # a loaded function does not keep its variables alive
    )


def _in_session(path: Path, meta: Any, wanted: str | None) -> Function:
    """The function of one signature of a SavedModel that TensorFlow 1 wrote, loaded as TensorFlow 1 does.

    Variables that are references cannot be turned to constants otherwise: convert_variables_to_constants_v2 of
    TensorFlow 2.21 ends in "The name 'StatefulPartitionedCall/w:0' refers to a Tensor which does not exist".
    """
    names = sorted(name for name in meta.signature_def if name != INIT)
    if not names:
        raise _unsigned(path.name)
    chosen = meta.signature_def[choose(path.name, names, wanted)]
    sides = [{key: info[key].name for key in sorted(info)} for info in (chosen.inputs, chosen.outputs)]
    v1 = tf.compat.v1
    with tf.Graph().as_default() as own, v1.Session(graph=own) as session:
        v1.saved_model.load(session, list(meta.meta_info_def.tags), str(path))
        nodes = [name.partition(":")[0] for name in sides[1].values()]
        frozen = v1.graph_util.convert_variables_to_constants(session, own.as_graph_def(), nodes)
    return graph_function(frozen, *sides)


def _unsigned(what: str) -> UsageError:
    hint = "save it with tf.saved_model.save(model, path, signatures={'serving_default': function})"
    return UsageError("EK-SOURCE", f"{what} has no signatures", hint)


def _load(path: Path, graph: Any) -> Any:
    """The SavedModel at *path*, without what its training left in it.

    ``tf.saved_model.load`` of TensorFlow 2.21 fails where an optimizer of an older Keras was saved with its momenta:
    "'_UserObject' object has no attribute 'add_slot'" (https://github.com/tensorflow/tensorflow/issues/52091).
    """
    nodes = [node for meta in graph.meta_graphs for node in meta.object_graph_def.nodes if node.slot_variables]
    if not nodes:
        return tf.saved_model.load(str(path))
    for node in nodes:
        del node.slot_variables[:]
    folder = tempfile.TemporaryDirectory()
    for entry in path.iterdir():
        if entry.name != _GRAPH:
            Path(folder.name, entry.name).symlink_to(entry.resolve())
    Path(folder.name, _GRAPH).write_bytes(graph.SerializeToString())
    loaded = tf.saved_model.load(folder.name)
    loaded._edgekit_folder = folder  # files that a table is read from are named by their place in it
    return loaded


def _constants(function: Any) -> int:
    """Number of the floats in tables that are no variables, as the filters of a spectrogram are."""
    return sum(int(np.prod(table.shape)) for table in function.captured_inputs if table.dtype == tf.float32)
