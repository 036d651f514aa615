"""ONNX graphs as PyTorch modules that read like written ones."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import onnx
import torch
from torch.fx import GraphModule

from edgekit.pipeline.sources.onnx_to_torch import operators as operators
from edgekit.pipeline.sources.onnx_to_torch.fusing import fuse
from edgekit.pipeline.sources.onnx_to_torch.graphs import Walker
from edgekit.pipeline.sources.onnx_to_torch.recording import Recorder


def import_model(
    model: onnx.ModelProto,
    examples: Mapping[str, torch.Tensor],
    bare_inputs: Collection[str] = (),
    bare_outputs: Collection[str] = (),
) -> GraphModule:
    """*model* as a module that takes its inputs in order.

    Args:
        examples: For each input a tensor of its shape and dtype. The module takes these shapes alone.
        bare_inputs: Inputs that have an axis of 1 in *examples* before those that the model has.
        bare_outputs: Outputs that the module gives with such an axis.

    Returns:
        A module in evaluation mode. Its ``code`` is readable; convolutions, recurrent layers and products with constant
        weights are parts of it (``nn.Conv2d``, ``nn.LSTM``, ``nn.Linear``, …), batch norm is folded into them, and
        whatever no input reaches was computed.

    Raises:
        UnsupportedOperator: ``EK-UNSUPPORTED``: something in it is not imported, by name.
    """
    recorder = Recorder()
    inputs = {name: recorder.input(name, example) for name, example in examples.items()}
    inputs |= {name: inputs[name].squeeze(0) for name in bare_inputs}
    outputs = Walker(model, recorder).graph(model.graph, inputs, {})
    names = [each.name for each in model.graph.output]
    outputs = [each.unsqueeze(0) if name in bare_outputs else each for name, each in zip(names, outputs, strict=True)]
    return fuse(recorder.finish(tuple(outputs)))
