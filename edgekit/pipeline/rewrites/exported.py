"""Modules exported by torch, with some of their sizes open."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

import torch
from torch.export import ExportedProgram
from torch.fx.experimental import _config

#: Of each input the open axes, each with a ``torch.export.Dim``.
DynamicShapes = tuple[Mapping[int, Any], ...]


def exported(
    module: torch.nn.Module, examples: tuple[torch.Tensor, ...], shapes: DynamicShapes | None = None
) -> ExportedProgram:
    """*module* as exported by torch.

    torch 2.13 takes a size of 1 for another model, as it might be broadcast. Symptom: "Not all values of length satisfy
    the generated guard length // 4 != 1", where strided layers leave one step of the shortest sample. So it is told not
    to ask; what is exported is held against the model at its least sizes.

    Args:
        examples: One sample.
        shapes: None where no size is open.
    """
    if shapes is None:
        return torch.export.export(module, examples)
    kinds = [each.kind for each in inspect.signature(module.forward).parameters.values()]
    as_list = kinds[:1] == [inspect.Parameter.VAR_POSITIONAL]  # forward(self, *inputs): one argument to torch
    with _config.patch(backed_size_oblivious=True):
        return torch.export.export(module, examples, dynamic_shapes=(shapes,) if as_list else shapes)
