"""TensorFlow SavedModels as source models, through their ``serving_default`` signature."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import tensorflow as tf

from edgekit.errors import ConversionError, UsageError
from edgekit.pipeline.sources import SourceSpec, contents
from edgekit.tensors import Signature, TensorSpec

if TYPE_CHECKING:
    import torch

_SIGNATURE = "serving_default"
_BATCH = 64


class SavedModelSource:
    """A SavedModel's ``serving_default`` function; see `edgekit.pipeline.sources.Source`."""

    framework = "tensorflow"

    def __init__(self, loaded: Any):
        # A loaded function does not keep its variables alive: the object it came from has to stay.
        self._loaded = loaded
        self._function = loaded.signatures[_SIGNATURE]
        inputs, outputs = self._function.structured_input_signature[1], self._function.structured_outputs
        self.signature = Signature(
            tuple(_spec(name, inputs[name]) for name in sorted(inputs)),
            tuple(_spec(name, outputs[name]) for name in sorted(outputs)),
        )
        self.parameter_count = sum(
            int(np.prod(variable.shape))
            for variable in self._function.variables
            if not variable.name.rpartition("/")[2].startswith(("moving_mean", "moving_variance"))
        )
        # A model exported for a fixed batch of one takes its samples one by one.
        batches = {spec.shape[0] for spec in inputs.values()}
        self._batch = 1 if 1 in batches else _BATCH

    def predict(self, inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        arrays = [np.asarray(inputs[spec.name], spec.dtype) for spec in self.signature.inputs]
        parts = [
            [tensor.numpy() for tensor in self.call([tf.constant(array[at : at + self._batch]) for array in arrays])]
            for at in range(0, len(arrays[0]), self._batch)
        ]
        return {
            spec.name: np.concatenate(column)
            for spec, column in zip(self.signature.outputs, zip(*parts, strict=True), strict=True)
        }

    def call(self, tensors: Sequence[Any]) -> list[Any]:
        """Outputs for TensorFlow tensors (batch first), both in signature order."""
        named = {spec.name: tensor for spec, tensor in zip(self.signature.inputs, tensors, strict=True)}
        outputs = self._function(**named)
        return [outputs[spec.name] for spec in self.signature.outputs]

    def torch_module(self) -> torch.nn.Module:
        raise ConversionError(
            "EK-UNSUPPORTED",
            "a SavedModel gives .tflite only: its graph cannot be turned into a PyTorch module",
            "for .pte, save the Keras model as .keras or write it in PyTorch; else build with --format tflite",
        )


def open_source(spec: SourceSpec) -> SavedModelSource:
    """Open a ``saved-model`` source.

    Raises:
        UsageError: ``EK-SOURCE``: no SavedModel there, a damaged one, no ``serving_default`` signature, or a
            signature whose shapes are open beyond the batch; ``EK-CONTENTS``: it holds more than data.
    """
    path = Path(spec.path)
    if not (path / "saved_model.pb").is_file():
        raise UsageError(
            "EK-SOURCE",
            f"{path} is not a SavedModel: it holds no saved_model.pb",
            "name a directory that tf.saved_model.save() or model.export() wrote",
        )
    contents.folder(path, spec.trust)
    try:
        loaded = tf.saved_model.load(str(path))
    except (OSError, ValueError, KeyError, tf.errors.OpError) as error:
        reason = next(iter(str(error).strip().splitlines()), type(error).__name__)[:200]
        raise UsageError("EK-SOURCE", f"{path} cannot be loaded: {reason}", "save the model again") from error
    if _SIGNATURE not in loaded.signatures:
        raise UsageError(
            "EK-SOURCE",
            f"{path} has no signature {_SIGNATURE!r}",
            "save it with tf.saved_model.save(model, path, signatures={'serving_default': function})",
        )
    return SavedModelSource(loaded)


def _spec(name: str, tensor: Any) -> TensorSpec:
    shape = tensor.shape.as_list() if tensor.shape.rank is not None else None
    if not shape or shape[0] not in (None, 1) or None in shape[1:]:
        raise UsageError(
            "EK-SOURCE",
            f"{name!r} of the SavedModel has shape {tensor.shape}; only the batch, which comes first, may be open",
            "export it with a tf.TensorSpec such as [None, 224, 224, 3]",
        )
    return TensorSpec(name, (1, *shape[1:]), str(tensor.dtype.as_numpy_dtype.__name__))
