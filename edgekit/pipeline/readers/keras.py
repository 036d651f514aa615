"""``.keras``: the model's layers and weights, read without Keras."""

from __future__ import annotations

import numpy as np

from edgekit.pipeline.readers.facts import Constant, FileFacts
from edgekit.runtime.contents import keras
from edgekit.runtime.contents.hdf5 import Array

_KINDS = {
    name: kind
    for kind, names in {
        "convolution": (
            *(f"{prefix}Conv{dimensions}D" for prefix in ("", "Depthwise", "Separable") for dimensions in (1, 2, 3)),
            *(f"Conv{dimensions}DTranspose" for dimensions in (1, 2, 3)),
            "Conv",
        ),
        "linear": ("Dense", "EinsumDense", "Einsum", "Matmul", "MultiHeadAttention", "GroupQueryAttention"),
        "recurrent": ("LSTM", "GRU", "SimpleRNN", "LSTMCell", "GRUCell", "SimpleRNNCell"),
    }.items()
    for name in names
}
#: What computes nothing.
_INPUT = "InputLayer"


def read(data: bytes) -> FileFacts:
    """The facts of a ``.keras`` file. TensorFlow has no delegate.

    Raises:
        ValueError: It is none, or holds what `edgekit.runtime.contents` refuses.
    """
    file = keras.read(data)
    layers = [name for name in file.layers if name != _INPUT]
    if not layers:
        raise ValueError("no layers")
    return FileFacts.undelegated(map(_constant, file.weights), layers, _KINDS)


def _constant(weight: Array) -> Constant:
    return Constant(np.dtype(weight.dtype).name, tuple(weight.shape), len(weight.values))
