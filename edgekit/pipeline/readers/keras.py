"""``.keras``: the model's layers and weights, read without Keras."""

from __future__ import annotations

import numpy as np

from edgekit.pipeline.readers.facts import Constant, FileFacts, kinds
from edgekit.runtime.contents import keras
from edgekit.runtime.contents.hdf5 import Array

_KINDS = kinds(
    convolution="Conv1D Conv2D Conv3D DepthwiseConv1D DepthwiseConv2D DepthwiseConv3D SeparableConv1D SeparableConv2D "
    "SeparableConv3D Conv1DTranspose Conv2DTranspose Conv3DTranspose Conv",
    linear="Dense EinsumDense Einsum Matmul MultiHeadAttention GroupQueryAttention",
    recurrent="LSTM GRU SimpleRNN LSTMCell GRUCell SimpleRNNCell",
)
#: What computes nothing.
_INPUT = "InputLayer"


def read(data: bytes) -> FileFacts:
    """The facts of a ``.keras`` file. TensorFlow has no delegate."""
    file = keras.read(data)
    layers = [name for name in file.layers if name != _INPUT]
    if not layers:
        raise ValueError("no layers")
    return FileFacts.undelegated(map(_constant, file.weights), layers, _KINDS)


def _constant(weight: Array) -> Constant:
    return Constant(np.dtype(weight.dtype).name, tuple(weight.shape), len(weight.values))
