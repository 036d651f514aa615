"""TensorFlow SavedModels as source models, through their ``serving_default`` signature."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import tensorflow as tf
from google.protobuf.message import DecodeError
from tensorflow.core.protobuf import saved_model_pb2

from edgekit.errors import ConversionError, UsageError
from edgekit.names import distinct, tensor_name
from edgekit.pipeline.sources import SourceSpec, contents
from edgekit.pipeline.sources.determinism import check_repeatable, write_error
from edgekit.pipeline.sources.matching import match_file
from edgekit.pipeline.sources.samples import (
    apart,
    check_shapes,
    does_not_run,
    example_of,
    first_line,
    probes,
    stacked,
)
from edgekit.pipeline.sources.variables import VariableState, nudge
from edgekit.runtime.samples import Stack
from edgekit.tensors import Signature, TensorSpec

if TYPE_CHECKING:
    import torch

_SIGNATURE = "serving_default"
_GRAPH = "saved_model.pb"


class SavedModelSource:
    """A SavedModel's ``serving_default`` function; see `edgekit.pipeline.sources.Source`."""

    framework = "tensorflow"

    def __init__(
        self,
        loaded: Any,
        what: str,
        *,
        given: Sequence[str] = (),
        sample: Mapping[str, np.ndarray] | None = None,
    ):
        """*given* are the data's names for the inputs, *sample* is one of the data's by these."""
        # A loaded function does not keep its variables alive: the object it came from has to stay.
        self._loaded = loaded
        self._what = what
        self._function = loaded.signatures[_SIGNATURE]
        inputs, outputs = self._function.structured_input_signature[1], self._function.structured_outputs
        self._inputs, self._outputs = sorted(inputs), sorted(outputs)
        own = [_spec(name, inputs[key]) for key, name in _named(self._inputs, "input")]
        specs, self.data_names = match_file(own, given, what)
        self.signature = Signature(
            specs, tuple(_spec(name, outputs[key]) for key, name in _named(self._outputs, "output"))
        )
        self.example = example_of(specs, self.data_names, sample)
        self.parameter_count = _constants(self._function) + sum(
            int(np.prod(variable.shape))
            for variable in self._function.variables
            if not variable.name.rpartition("/")[2].startswith(("moving_mean", "moving_variance"))
        )

    def predict(self, inputs: Mapping[str, Stack]) -> dict[str, np.ndarray]:
        return stacked(self.signature, map(self._run, apart(self.signature, inputs)))

    def check(self, inputs: Mapping[str, Stack]) -> None:
        samples = probes(self.signature, inputs)
        state = VariableState(self._function.variables)
        if written := check_repeatable(self._what, self._run, samples, state, state.take()):
            raise write_error(self._what, written)

    def takes_batches(self, inputs: Mapping[str, Stack]) -> bool:
        return False  # no file of several samples is made of it

    def call(self, tensors: Sequence[Any]) -> list[Any]:
        """Outputs for TensorFlow tensors (batch first), both in signature order."""
        outputs = self._function(**dict(zip(self._inputs, tensors, strict=True)))
        return [outputs[name] for name in self._outputs]

    def _run(self, arrays: Sequence[np.ndarray]) -> list[np.ndarray]:
        """One sample: an array per input, batch axis of 1 included, in; the same per output."""
        pairs = zip(arrays, self.signature.inputs, strict=True)
        tensors = [tf.constant(array, spec.dtype) for array, spec in pairs]
        try:
            outputs = [tensor.numpy() for tensor in self.call(tensors)]
        except (ValueError, TypeError, tf.errors.OpError) as error:
            raise does_not_run(self._what, error) from error
        check_shapes(self.signature, outputs)
        return outputs

    def nudge(self, random: np.random.Generator) -> None:
        nudge(self._function.variables, random)

    def torch_module(self) -> torch.nn.Module:
        message = "a SavedModel gives .tflite only: its graph cannot be turned into a PyTorch module"
        hint = "for .pte, save the Keras model as .keras or write it in PyTorch; else build with --format tflite"
        raise ConversionError("EK-UNSUPPORTED", message, hint)


def open_source(spec: SourceSpec) -> SavedModelSource:
    """Open a ``saved-model`` source.

    Raises:
        UsageError: ``EK-SOURCE``: no SavedModel there, a damaged one, no ``serving_default`` signature, or a
            signature whose shapes are open beyond the batch; ``EK-CONTENTS``: it holds more than data.
    """
    path = Path(spec.path)
    if not (path / _GRAPH).is_file():
        message = f"{path} is not a SavedModel: it holds no saved_model.pb"
        raise UsageError("EK-SOURCE", message, "name a directory that tf.saved_model.save() or model.export() wrote")
    contents.folder(path, spec.trust)
    try:
        loaded = _load(path)
    except (OSError, ValueError, KeyError, AttributeError, DecodeError, tf.errors.OpError) as error:
        message = f"{path} cannot be loaded: {first_line(error)}"
        raise UsageError("EK-SOURCE", message, "save the model again") from error
    if _SIGNATURE not in loaded.signatures:
        message = f"{path} has no signature {_SIGNATURE!r}"
        hint = "save it with tf.saved_model.save(model, path, signatures={'serving_default': function})"
        raise UsageError("EK-SOURCE", message, hint)
    return SavedModelSource(loaded, path.name, given=[entry.name for entry in spec.inputs], sample=spec.read_sample())


def _load(path: Path) -> Any:
    """The SavedModel at *path*, without what its training left in it.

    ``tf.saved_model.load`` of TensorFlow 2.21 fails where an optimizer of an older Keras was saved with its momenta:
    "'_UserObject' object has no attribute 'add_slot'" (https://github.com/tensorflow/tensorflow/issues/52091).
    """
    graph = saved_model_pb2.SavedModel()
    graph.ParseFromString((path / _GRAPH).read_bytes())
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


def _named(keys: Sequence[str], default: str) -> list[tuple[str, str]]:
    """The signature's *keys* with the names that tensors have in a bundle."""
    return list(zip(keys, distinct(tensor_name(key, default) for key in keys), strict=True))


def _constants(function: Any) -> int:
    """Number of the floats in tables that are no variables, as the filters of a spectrogram are."""
    return sum(int(np.prod(table.shape)) for table in function.captured_inputs if table.dtype == tf.float32)


def _spec(name: str, tensor: Any) -> TensorSpec:
    shape = tensor.shape.as_list() if tensor.shape.rank is not None else None
    if not shape or shape[0] not in (None, 1) or None in shape[1:]:
        message = f"{name!r} of the SavedModel has shape {tensor.shape}: only the batch, which comes first, may be open"
        hint = "export it with a tf.TensorSpec such as [None, 224, 224, 3], and outputs that begin with the same axis"
        raise UsageError("EK-SOURCE", message, hint)
    return TensorSpec(name, (1, *shape[1:]), str(tensor.dtype.as_numpy_dtype.__name__))
