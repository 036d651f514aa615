"""``.pt2`` files, as ``torch.export.save`` writes them, as source models."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import torch
from torch.utils._pytree import TreeSpec, tree_unflatten

from edgekit.errors import UsageError
from edgekit.pipeline.sources import SourceSpec, contents
from edgekit.pipeline.sources.matching import match_file
from edgekit.pipeline.sources.samples import first_line
from edgekit.pipeline.sources.torch import TorchSource, dtype_name
from edgekit.tensors import TensorSpec


def open_source(spec: SourceSpec) -> TorchSource:
    """Open a ``pt2`` source.

    Raises:
        UsageError: ``EK-SOURCE`` (no readable program, or one that does not take the inputs) or ``EK-DATA`` (the data
            name other inputs).
    """
    name = Path(spec.path).name
    module, own = _load(Path(spec.path), spec.trust)
    inputs, data_names = match_file(own, [entry.name for entry in spec.inputs], name)
    return TorchSource(module, inputs, name, data_names=data_names, sample=spec.read_sample())


def _load(path: Path, trust: bool) -> tuple[torch.nn.Module, list[TensorSpec]]:
    """The module in *path*, and its inputs.

    Raises:
        UsageError: ``EK-SOURCE``: no such file, written by another torch, or not for one sample in float32;
            ``EK-CONTENTS``: it holds more than data, and *trust* is False.
    """
    if not path.is_file():
        raise UsageError("EK-SOURCE", f"{path} is not a file", "name a file that torch.export.save() wrote")
    checked = contents.program(path, trust)
    try:
        program = torch.export.load(path if checked is None else io.BytesIO(checked))
    except Exception as error:  # torch's verifier has errors of its own, and what is trusted may raise anything
        message = f"{path.name} cannot be loaded: {first_line(error)}"
        hint = f"write it with torch.export.save() of torch {torch.__version__.partition('+')[0]}"
        raise UsageError("EK-SOURCE", message, hint) from error
    module = program.module()
    odd = {str(value.dtype) for value in module.parameters() if value.is_floating_point()} - {"torch.float32"}
    if odd:
        raise UsageError("EK-SOURCE", f"{path.name} holds {', '.join(odd)} weights", "export it in float32")
    placeholders = {node.name: node for node in program.graph.nodes if node.op == "placeholder"}
    inputs = []
    for name in program.graph_signature.user_inputs:
        value = placeholders[name].meta["val"] if isinstance(name, str) else None
        if not isinstance(value, torch.Tensor):
            message = f"{path.name} takes inputs that are not tensors"
            raise UsageError("EK-SOURCE", message, "export it with tensors only")
        batch, *rest = value.shape or (0,)  # a number has no axis for samples
        fixed = all(isinstance(size, int) for size in rest)
        if not fixed or (isinstance(batch, int) and batch != 1):
            message = f"{path.name}'s input {name!r} has the shape {[str(size) for size in value.shape]}"
            hint = "export it for one sample: a first dimension of 1 or dynamic, the others fixed"
            raise UsageError("EK-SOURCE", message, hint)
        inputs.append(TensorSpec(str(name), (1, *(int(size) for size in rest)), dtype_name(value)))
    return _InOrder(module, program.call_spec.in_spec), inputs


class _InOrder(torch.nn.Module):
    """A program that takes its tensors one after the other, however they were nested and named when it was exported."""

    def __init__(self, program: torch.nn.Module, in_spec: TreeSpec):
        super().__init__()
        self.wrapped = program
        self.in_spec = in_spec

    def forward(self, *tensors: torch.Tensor) -> Any:
        arguments, named = tree_unflatten(tensors, self.in_spec)
        return self.wrapped(*arguments, **named)
