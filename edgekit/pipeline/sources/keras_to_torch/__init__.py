"""Rebuild a Keras model from PyTorch's own layers, so that it exports as a model written in PyTorch would.

Keras' torch backend runs a model as it is, but permutes tensors around every convolution, writes a dense layer as a
matmul and normalizes batches in bare arithmetic: nothing of it is delegated, folded or quantized (Keras 3.15,
ExecuTorch 1.5). Here images stay ``[N, C, H, W]`` between the layers that want them so; sequences are images of
height one. Inputs and outputs keep Keras' layout, channels last.
"""

from __future__ import annotations

import keras
import torch
from torch import fx, nn

from edgekit.pipeline.sources.keras_to_torch import attention as _attention  # noqa: F401  each fills the table of handlers
from edgekit.pipeline.sources.keras_to_torch import layers as _layers  # noqa: F401
from edgekit.pipeline.sources.keras_to_torch import recurrent as _recurrent  # noqa: F401
from edgekit.pipeline.sources.keras_to_torch import windows as _windows  # noqa: F401
from edgekit.pipeline.sources.keras_to_torch.builder import Builder


def rebuild(model: keras.Model) -> nn.Module:
    """*model*, functional and with flat inputs and outputs, as an ``nn.Module`` in evaluation mode.

    ``forward`` takes the model's inputs in order, in Keras' layout, and returns its output, or a tuple of them.

    Raises:
        ConversionError: ``EK-UNSUPPORTED``, naming the layer that has no equivalent.
    """
    builder = Builder()
    with torch.no_grad():
        outputs = keras.tree.flatten(builder.run(model, [builder.input(tensor) for tensor in model.inputs]))
        nodes = [builder.channels_last(value).node for value in outputs]
    builder.graph.output(nodes[0] if len(nodes) == 1 else tuple(nodes))
    return fx.GraphModule(builder.root, builder.graph, "KerasModel").eval()
