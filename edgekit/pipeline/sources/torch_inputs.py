"""What a module's forward() takes, and the data's inputs in its order."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch

from edgekit.pipeline.sources.matching import Parameters, match
from edgekit.pipeline.sources.torchscript import script_parameters
from edgekit.tensors import TensorSpec


def in_order(
    module: torch.nn.Module, inputs: Sequence[TensorSpec], what: str
) -> tuple[torch.nn.Module, tuple[TensorSpec, ...], tuple[str, ...]]:
    """The module and inputs such that ``module(*inputs)`` gives each parameter of forward() its own input.

    And the data's names for them. The signature has the names of the parameters, but for a single input, which keeps
    the data's.
    """
    parameters, leading = _parameters(module)
    targets = match([spec.name for spec in inputs], parameters, what)
    pairs = sorted(zip(targets, inputs, strict=True), key=lambda pair: pair[0].position)
    names = [target.name for target, _ in pairs]
    by_position = names[: len(leading)] == leading[: len(names)] and not any(names[len(leading) :])
    if not by_position:
        module = _ByKeyword(module, [str(name) for name in names])
    specs = tuple(
        spec if len(pairs) == 1 or name is None else replace(spec, name=name)
        for name, (_, spec) in zip(names, pairs, strict=True)
    )
    return module, specs, tuple(spec.name for _, spec in pairs)


def _parameters(module: torch.nn.Module) -> tuple[Parameters, list[str]]:
    """The parameters of forward(), and the names of those that can be given by position."""
    if isinstance(module, torch.jit.ScriptModule):
        return script_parameters(module)
    kinds = inspect.Parameter
    try:
        known = list(inspect.signature(module.forward).parameters.values())
    except (TypeError, ValueError):  # a forward() that is no Python function
        return Parameters((), more_by_position=True), []
    named = [each for each in known if each.kind not in (kinds.VAR_POSITIONAL, kinds.VAR_KEYWORD)]
    parameters = Parameters(
        tuple(each.name for each in named),
        tuple(each.name for each in named if each.default is kinds.empty),
        more_by_position=any(each.kind is kinds.VAR_POSITIONAL for each in known),
        more_by_name=any(each.kind is kinds.VAR_KEYWORD for each in known),
    )
    return parameters, [each.name for each in named if each.kind is not kinds.KEYWORD_ONLY]


def fitting(error: Exception, inputs: Sequence[TensorSpec]) -> str:
    """What to do about *inputs* that a module does not take."""
    text = str(error)
    if "more than 1 value per channel when training" in text:
        return "leave batch norm in evaluation mode: training=self.training; files take one sample at a time"
    if "index out of range" in text:
        return "give indices that the model has a row or place for: from 0, and below the size of its nn.Embedding"
    if any(word in text for word in ("dtype", "scalar type", "Byte", "Long", "Int", "Char", "Half", "Bool")):
        if "Double" in text and all(spec.dtype == "float32" for spec in inputs):
            return "models are built in float32, weights and all: leave .double() out of forward()"
        return (
            "give samples of the type that forward() computes with: array.astype('float32'), 'int64' for indices; or "
            "convert them in forward()"
        )
    return "make the data's shapes and preprocessing.layout fit the model's forward()"


class _ByKeyword(torch.nn.Module):
    """A module whose inputs are not the first parameters of its forward()."""

    def __init__(self, module: torch.nn.Module, names: Sequence[str]):
        super().__init__()
        self.wrapped = module
        self.names = tuple(names)

    def forward(self, *tensors: torch.Tensor) -> Any:
        return self.wrapped(**dict(zip(self.names, tensors, strict=True)))
