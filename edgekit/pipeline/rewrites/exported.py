"""Modules exported by torch, with some of their sizes open."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

import torch
from torch._dynamo.exc import UserError
from torch.export import ExportedProgram
from torch.fx.experimental import _config
from torch.nn import functional
from torch.overrides import TorchFunctionMode

#: Of each input the open axes, each with a ``torch.export.Dim``.
DynamicShapes = tuple[Mapping[int, Any], ...]


def exported(
    module: torch.nn.Module, examples: tuple[torch.Tensor, ...], shapes: DynamicShapes | None = None
) -> ExportedProgram:
    """*module* as exported by torch.

    torch 2.13 takes a size of 1 for another model, as it might be broadcast. Symptom: "Not all values of length satisfy
    the generated guard length // 4 != 1", where strided layers leave one step of the shortest sample. So it is told not
    to ask where it asks; what is exported is held against the model at its least sizes.

    Args:
        examples: One sample.
        shapes: None where no size is open.
    """
    if shapes is None:
        return torch.export.export(module, examples)
    kinds = [each.kind for each in inspect.signature(module.forward).parameters.values()]
    as_list = kinds[:1] == [inspect.Parameter.VAR_POSITIONAL]  # forward(self, *inputs): one argument to torch
    given = (shapes,) if as_list else shapes
    with _OpenPools():
        try:
            return torch.export.export(module, examples, dynamic_shapes=given)
        except UserError as error:
            try:
                with _config.patch(backed_size_oblivious=True):
                    return torch.export.export(module, examples, dynamic_shapes=given)
            except UserError:
                raise error from None


#: Arguments of a pool of ``torch.nn.functional`` that is told by position to give indices, too.
_WITH_INDICES = 7


class _OpenPools(TorchFunctionMode):
    """Pools along one axis by those of planes of width 1.

    torch 2.13 takes ``max_pool1d`` apart in C++, which fixes all sizes. Symptom: "You marked length as dynamic but your
    code specialized it to be a constant".
    """

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        given = dict(kwargs or {})
        is_pool = func in (torch.max_pool1d, functional.max_pool1d) and len(args) < _WITH_INDICES
        if is_pool and not given.pop("return_indices", False):
            return _max_pool(*args, **given)
        return func(*args, **(kwargs or {}))


def _max_pool(
    input: torch.Tensor,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    dilation: Any = 1,
    ceil_mode: bool = False,
) -> torch.Tensor:
    kernel, steps, pad, spread = (
        each[0] if isinstance(each, (list, tuple)) and each else each
        for each in (kernel_size, stride or kernel_size, padding, dilation)
    )
    window = (kernel, 1), (steps, 1), (pad, 0), (spread, 1)
    return functional.max_pool2d(input.unsqueeze(-1), *window, ceil_mode=ceil_mode).squeeze(-1)
