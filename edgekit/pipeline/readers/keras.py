"""``.keras``: the model's layers and weights, read without Keras."""

from __future__ import annotations

from collections import Counter
from math import prod

import numpy as np

from edgekit.pipeline.inspection import Constant, FileFacts
from edgekit.runtime.engines.keras_file import Weight, read_keras

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
        ValueError: It is none, or holds more than a float model of Keras's own layers.
    """
    file = read_keras(data)
    layers = Counter(name for name in file.layers if name != _INPUT)
    if not layers:
        raise ValueError("no layers")
    return FileFacts.undelegated(map(_constant, file.weights), layers, _KINDS)


def _constant(weight: Weight) -> Constant:
    return Constant(weight.dtype, len(weight.shape), prod(weight.shape) * np.dtype(weight.dtype).itemsize)
