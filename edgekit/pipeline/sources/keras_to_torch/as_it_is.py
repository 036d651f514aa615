"""Keras operations that run in Keras' own code, on its PyTorch backend."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import torch
from keras.src.backend import get_keras_mask, set_keras_mask  # masks are attributes of tensors, without a public name
from keras.src.backend.torch import nn as keras_torch
from torch import nn


def _lay_nothing_anew() -> None:
    """Have convolutions take tensors as they lie.

    Keras 3.15 lays them out channels last in memory. Symptom: executorch 1.5 fails at the first execution (0x12), or
    while lowering ("Failed to generate dim_order").
    """
    keras_torch._maybe_convert_to_channels_last = lambda tensor: tensor


_lay_nothing_anew()


class AsItIs(nn.Module):
    """A Keras operation as an ``nn.Module``: tensors in, a tuple of tensors out.

    It has the operation's variables as parameters of its own: Keras' are no part of a module that PyTorch exports, and
    would be constants in the graph.

    Attributes:
        structure: What the operation returns, as Keras has it; *masked* says which of it have masks, which follow the
            tensors in what ``forward`` gives. Both are known after the first call.
    """

    structure: Any
    masked: list[bool]

    def __init__(self, operation: Any, given: Any, value: type, masked: Sequence[bool]):
        """*given* are its arguments, by position and by name, with an instance of *value* for each tensor.

        ``forward`` takes these, and then the masks of those that are *masked*.
        """
        super().__init__()
        self._operation = (operation,)  # in a tuple, as a layer is an ``nn.Module`` too
        self._given = given
        self._is_tensor = [isinstance(each, value) for each in keras.tree.flatten(given)]
        self._masked = masked
        self._variables = tuple(getattr(operation, "variables", ()))
        self.own = nn.ParameterList(
            nn.Parameter(torch.as_tensor(keras.ops.convert_to_numpy(variable)), requires_grad=False)
            for variable in self._variables
        )

    def forward(self, *tensors: torch.Tensor) -> tuple[torch.Tensor, ...]:
        masks = iter(tensors[len(self._masked) :])
        for tensor, is_masked in zip(tensors, self._masked, strict=False):
            set_keras_mask(tensor, next(masks) if is_masked else None)
        rest = iter(tensors)
        flat = [
            next(rest) if is_tensor else each
            for is_tensor, each in zip(self._is_tensor, keras.tree.flatten(self._given), strict=True)
        ]
        args, settings = keras.tree.pack_sequence_as(self._given, flat)
        (operation,) = self._operation
        if getattr(operation, "_call_has_training_arg", False):
            settings = {**settings, "training": False}
        with keras.StatelessScope(state_mapping=list(zip(self._variables, self.own, strict=True))):
            returned = operation(*args, **settings)
        self.structure = keras.tree.map_structure(lambda _: None, returned)
        outputs = keras.tree.flatten(returned)
        found = [get_keras_mask(output) for output in outputs]
        self.masked = [mask is not None for mask in found]
        return (*outputs, *(mask for mask in found if mask is not None))


def looks_at_masks(operation: Any) -> bool:
    """Whether a layer does something else with inputs that have masks than to pass the mask on, or makes one."""
    if not isinstance(operation, keras.layers.Layer):
        return False
    takes = any(name == "mask" or name.endswith("_mask") for name in operation._call_signature.parameters)
    return takes or type(operation).compute_mask is not keras.layers.Layer.compute_mask


def makes_masks(operation: Any) -> bool:
    """Whether a layer gives outputs with masks for inputs that have none."""
    return isinstance(operation, keras.layers.Masking) or bool(getattr(operation, "mask_zero", False))
