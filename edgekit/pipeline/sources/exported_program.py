"""``.pt2`` files, as ``torch.export.save`` writes them, and what reading any PyTorch file has in common."""

from __future__ import annotations

import io
import pickle
import zipfile
from pathlib import Path
from typing import Any

import torch
from torch.utils._pytree import TreeSpec, tree_unflatten

from edgekit.errors import UsageError
from edgekit.pipeline.sources import contents
from edgekit.tensors import TensorSpec

#: What torch 2.13 raises for a file that is cut short, is no archive, or holds other things than tensors.
UNREADABLE = (OSError, EOFError, RuntimeError, ValueError, KeyError, pickle.UnpicklingError, zipfile.BadZipFile)


def load_exported(path: Path, trust: bool = False) -> tuple[torch.nn.Module, list[TensorSpec]]:
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
        raise UsageError(
            "EK-SOURCE",
            f"{path.name} cannot be loaded: {first_line(error)}",
            f"write it with torch.export.save() of torch {torch.__version__.partition('+')[0]}",
        ) from error
    module = program.module()
    odd = {str(value.dtype) for value in module.parameters() if value.is_floating_point()} - {"torch.float32"}
    if odd:
        raise UsageError("EK-SOURCE", f"{path.name} holds {', '.join(odd)} weights", "export it in float32")
    placeholders = {node.name: node for node in program.graph.nodes if node.op == "placeholder"}
    inputs = []
    for name in program.graph_signature.user_inputs:
        value = placeholders[name].meta["val"] if isinstance(name, str) else None
        if not isinstance(value, torch.Tensor):
            raise UsageError(
                "EK-SOURCE", f"{path.name} takes inputs that are not tensors", "export it with tensors only"
            )
        batch, *rest = value.shape or (0,)  # a number has no axis for samples
        fixed = all(isinstance(size, int) for size in rest)
        if not fixed or (isinstance(batch, int) and batch != 1):
            raise UsageError(
                "EK-SOURCE",
                f"{path.name}'s input {name!r} has the shape {[str(size) for size in value.shape]}",
                "export it for one sample: a first dimension of 1 or dynamic, the others fixed",
            )
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


def dtype_name(value: torch.Tensor) -> str:
    """The numpy name of a tensor's dtype."""
    return str(value.dtype).removeprefix("torch.")


def first_line(error: BaseException) -> str:
    """The first line of what *error* says, short enough for a message."""
    return next(iter(str(error).strip().splitlines()), type(error).__name__)[:200]
