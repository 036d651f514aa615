"""Activations, on their own or inside another layer."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import keras
from torch import nn

from edgekit.pipeline.sources.keras_to_torch.builder import Builder, NoEquivalent, Value

_MODULES: dict[Callable[..., Any], Callable[[], nn.Module]] = {
    keras.activations.relu: nn.ReLU,
    keras.activations.relu6: nn.ReLU6,
    keras.activations.leaky_relu: partial(nn.LeakyReLU, 0.2),
    keras.activations.elu: nn.ELU,
    keras.activations.selu: nn.SELU,
    keras.activations.celu: nn.CELU,
    keras.activations.sigmoid: nn.Sigmoid,
    keras.activations.hard_sigmoid: nn.Hardsigmoid,
    keras.activations.tanh: nn.Tanh,
    keras.activations.hard_tanh: nn.Hardtanh,
    keras.activations.silu: nn.SiLU,
    keras.activations.hard_silu: nn.Hardswish,
    keras.activations.gelu: nn.GELU,
    keras.activations.mish: nn.Mish,
    keras.activations.softplus: nn.Softplus,
    keras.activations.softsign: nn.Softsign,
}

#: Those that look along the channels, which have to come last for it.
_ALONG_CHANNELS: dict[Callable[..., Any], Callable[[], nn.Module]] = {
    keras.activations.softmax: partial(nn.Softmax, -1),
    keras.activations.log_softmax: partial(nn.LogSoftmax, -1),
}


def activate(build: Builder, layer: Any, part: str, function: Any, x: Value) -> Value:
    """*x* through a Keras activation, function or layer, that *part* of *layer* names."""
    if isinstance(function, keras.layers.Layer):
        result: Value = build.call(function, x)
        return result
    if function is None or function is keras.activations.linear:
        return x
    if function in _ALONG_CHANNELS:
        return build.module(layer, part, _ALONG_CHANNELS[function], build.channels_last(x))
    if function not in _MODULES:
        raise NoEquivalent(f"activation {getattr(function, '__name__', function)!r}")
    return build.module(layer, part, _MODULES[function], x)
