"""Layers without windows: dense, embedding, normalization, activation, merging, reshaping, and ``keras.ops``."""

from __future__ import annotations

import operator
from collections.abc import Callable
from functools import reduce
from typing import Any

import keras
import torch
from keras.src.ops import nn as keras_nn  # what `keras.ops.relu(x)` or `x + 3` leave in a graph has no public name
from keras.src.ops import numpy as keras_numpy
from torch import nn

from edgekit.pipeline.sources.keras_to_torch.activations import activate
from edgekit.pipeline.sources.keras_to_torch.builder import Builder, NoEquivalent, Value, handles
from edgekit.pipeline.sources.keras_to_torch.modules import Affine
from edgekit.pipeline.sources.keras_to_torch.windows import filled, numbers


@handles(keras.layers.Dense)
def _dense(build: Builder, layer: Any, x: Value) -> Value:
    kernel = numbers(layer.kernel).T

    def make() -> nn.Module:
        module = nn.Linear(kernel.shape[1], kernel.shape[0], bias=layer.bias is not None)
        return filled(module, weight=kernel, bias=layer.bias)

    x = build.module(layer, "", make, build.channels_last(x))
    return activate(build, layer, "activation", layer.activation, x)


@handles(keras.layers.Embedding)
def _embedding(build: Builder, layer: Any, x: Value) -> Value:
    table = numbers(layer.embeddings)
    looked_up = build.module(layer, "", lambda: nn.Embedding(len(table), table.shape[1], _weight=table), x)
    return Value(looked_up.node, looked_up.sample, x.rank + 1)


# Normalization --------------------------------------------------------------------------------------------------------


def _on_last_axis(build: Builder, layer: Any, x: Value) -> None:
    axis = layer.axis if isinstance(layer.axis, (list, tuple)) else [layer.axis]
    if [index % x.rank for index in axis] != [x.rank - 1]:
        raise NoEquivalent(f"axis {layer.axis}")


@handles(keras.layers.BatchNormalization)
def _batch_normalization(build: Builder, layer: Any, x: Value) -> Value:
    _on_last_axis(build, layer, x)
    if x.rank > 2:
        x = build.channels_first(x)
    mean = numbers(layer.moving_mean)

    def make() -> nn.Module:
        module = (nn.BatchNorm1d if x.rank == 2 else nn.BatchNorm2d)(len(mean), layer.epsilon)
        module.running_mean, module.running_var = mean, numbers(layer.moving_variance)
        return filled(module, weight=layer.gamma, bias=layer.beta)

    return build.module(layer, "", make, x)


@handles(keras.layers.LayerNormalization)
def _layer_normalization(build: Builder, layer: Any, x: Value) -> Value:
    _on_last_axis(build, layer, x)
    if getattr(layer, "rms_scaling", False):
        raise NoEquivalent("rms_scaling")
    x = build.channels_last(x)

    def make() -> nn.Module:
        module = nn.LayerNorm(x.sample.shape[-1], layer.epsilon)
        return filled(module, weight=layer.gamma, bias=layer.beta)

    return build.module(layer, "", make, x)


@handles(keras.layers.Normalization)
def _normalization(build: Builder, layer: Any, x: Value) -> Value:
    if layer.invert:
        raise NoEquivalent("invert")
    x = build.channels_last(x)
    mean = numbers(layer.mean)
    spread = numbers(layer.variance).sqrt().clamp(min=keras.config.epsilon())
    return build.module(layer, "", lambda: Affine(1 / spread, -mean / spread), x)


@handles(keras.layers.Rescaling)
def _rescaling(build: Builder, layer: Any, x: Value) -> Value:
    scale = torch.as_tensor(layer.scale, dtype=torch.float32)
    offset = torch.as_tensor(layer.offset, dtype=torch.float32)
    if scale.ndim or offset.ndim:
        x = build.channels_last(x)
    # One per dimension, because XNNPACK takes no constants of rank zero.
    shape = [1] * (x.sample.ndim - 1)
    return build.module(layer, "", lambda: Affine(scale.reshape(*shape, -1), offset.reshape(*shape, -1)), x)


# Activation -----------------------------------------------------------------------------------------------------------


@handles(keras.layers.Activation)
def _activation(build: Builder, layer: Any, x: Value) -> Value:
    return activate(build, layer, "", layer.activation, x)


@handles(keras.layers.ReLU)
def _relu(build: Builder, layer: Any, x: Value) -> Value:
    if layer.threshold or (layer.negative_slope and layer.max_value is not None):
        raise NoEquivalent("threshold, or negative_slope and max_value")
    if layer.negative_slope:
        return build.module(layer, "", lambda: nn.LeakyReLU(float(layer.negative_slope)), x)
    if layer.max_value is None:
        return build.module(layer, "", nn.ReLU, x)
    limit = float(layer.max_value)
    return build.module(layer, "", lambda: nn.ReLU6() if limit == 6 else nn.Hardtanh(0.0, limit), x)


@handles(keras.layers.LeakyReLU)
def _leaky_relu(build: Builder, layer: Any, x: Value) -> Value:
    return build.module(layer, "", lambda: nn.LeakyReLU(float(layer.negative_slope)), x)


@handles(keras.layers.ELU)
def _elu(build: Builder, layer: Any, x: Value) -> Value:
    return build.module(layer, "", lambda: nn.ELU(float(layer.alpha)), x)


@handles(keras.layers.PReLU)
def _prelu(build: Builder, layer: Any, x: Value) -> Value:
    slopes = numbers(layer.alpha)
    if slopes.numel() != slopes.shape[-1]:
        raise NoEquivalent("slopes that differ within a channel; set shared_axes")
    if x.rank > 2:
        x = build.channels_first(x)
    return build.module(layer, "", lambda: filled(nn.PReLU(slopes.numel()), weight=slopes.flatten()), x)


@handles(keras.layers.Softmax)
def _softmax(build: Builder, layer: Any, x: Value) -> Value:
    _on_last_axis(build, layer, x)
    return build.module(layer, "", lambda: nn.Softmax(-1), build.channels_last(x))


# Merging --------------------------------------------------------------------------------------------------------------

_MERGES: dict[type, Callable[..., Any]] = {
    keras.layers.Add: torch.add,
    keras.layers.Subtract: torch.sub,
    keras.layers.Multiply: torch.mul,
    keras.layers.Maximum: torch.maximum,
    keras.layers.Minimum: torch.minimum,
    keras.layers.Average: torch.add,
}


@handles(*_MERGES)
def _merge(build: Builder, layer: Any, inputs: list[Value]) -> Value:
    if len({x.rank for x in inputs}) > 1:
        raise NoEquivalent("inputs of different rank")
    values = build.alike(inputs)
    function = _MERGES[type(layer)]
    merged = reduce(lambda left, right: build.function(function, left, right, like=left), values)
    if isinstance(layer, keras.layers.Average):
        merged = build.function(torch.mul, merged, 1 / len(values), like=merged)
    return merged


@handles(keras.layers.Concatenate)
def _concatenate(build: Builder, layer: Any, inputs: list[Value]) -> Value:
    values = build.alike(inputs)
    first = values[0]
    axis = layer.axis % first.rank
    if first.channels_first:
        axis = 1 if axis == first.rank - 1 else axis + (5 - first.rank)
    return build.function(torch.cat, values, axis, like=first)


# Reshaping ------------------------------------------------------------------------------------------------------------


@handles(keras.layers.Flatten)
def _flatten(build: Builder, layer: Any, x: Value) -> Value:
    return x if x.rank == 2 else build.reshape(x, (-1,))


@handles(keras.layers.Reshape)
def _reshape(build: Builder, layer: Any, x: Value) -> Value:
    return build.reshape(x, layer.target_shape)


@handles(keras.layers.Permute)
def _permute(build: Builder, layer: Any, x: Value) -> Value:
    x = build.channels_last(x)
    return build.function(torch.permute, x, (0, *layer.dims), like=x)


# Nothing but noise while training: nothing at all here.
@handles(
    keras.layers.Dropout,
    keras.layers.SpatialDropout1D,
    keras.layers.SpatialDropout2D,
    keras.layers.AlphaDropout,
    keras.layers.GaussianDropout,
    keras.layers.GaussianNoise,
    keras.layers.ActivityRegularization,
    keras.layers.Identity,
    keras.layers.RandomBrightness,
    keras.layers.RandomContrast,
    keras.layers.RandomFlip,
    keras.layers.RandomRotation,
    keras.layers.RandomTranslation,
    keras.layers.RandomZoom,
)
def _identity(build: Builder, layer: Any, x: Value) -> Value:
    return x


# keras.ops and operators ----------------------------------------------------------------------------------------------

_ARITHMETIC = {
    keras_numpy.Add: operator.add,
    keras_numpy.Subtract: operator.sub,
    keras_numpy.Multiply: operator.mul,
    keras_numpy.TrueDivide: operator.truediv,
    keras_numpy.Divide: operator.truediv,
}

_FUNCTIONS = {
    keras_nn.Relu: keras.activations.relu,
    keras_nn.Relu6: keras.activations.relu6,
    keras_nn.Sigmoid: keras.activations.sigmoid,
    keras_nn.HardSigmoid: keras.activations.hard_sigmoid,
    keras_nn.Silu: keras.activations.silu,
    keras_nn.HardSilu: keras.activations.hard_silu,
    keras_numpy.Tanh: keras.activations.tanh,
}


@handles(*_ARITHMETIC)
def _arithmetic(build: Builder, operation: Any, left: Any, right: Any) -> Value:
    values = [side for side in (left, right) if isinstance(side, Value)]
    others = [side for side in (left, right) if not isinstance(side, (Value, int, float))]
    if others:
        raise NoEquivalent(f"a constant of type {type(others[0]).__name__}")
    if len(values) == 2:
        left, right = values = build.alike(values)
    widest = max(values, key=lambda x: x.rank)
    return build.function(_ARITHMETIC[type(operation)], left, right, like=widest)


@handles(*_FUNCTIONS)
def _function(build: Builder, operation: Any, x: Value) -> Value:
    return activate(build, operation, "", _FUNCTIONS[type(operation)], x)
