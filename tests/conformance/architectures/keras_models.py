"""Architectures in Keras: ``NAME()`` makes one, ``samples(NAME)`` its inputs."""

from __future__ import annotations

from collections.abc import Callable

import keras
import numpy as np
from keras import layers

SAMPLES = 16
_MADE: dict[str, tuple[Callable[[], keras.Model], tuple[int, ...]]] = {}


def _architecture(*shape: int) -> Callable[[Callable[[], keras.Model]], Callable[[], keras.Model]]:
    """Register a maker of models with one input of *shape*."""

    def register(make: Callable[[], keras.Model]) -> Callable[[], keras.Model]:
        def settled() -> keras.Model:
            keras.utils.set_random_seed(0)
            return _settled(make(), samples(make.__name__))

        _MADE[make.__name__] = (settled, shape)
        return settled

    return register


def names() -> tuple[str, ...]:
    return tuple(_MADE)


def samples(name: str) -> np.ndarray:
    shape = _MADE[name][1]
    draw = np.random.default_rng(0)
    array = draw.standard_normal((SAMPLES, *shape)) + draw.standard_normal((SAMPLES, *[1] * len(shape)))
    return array.astype(np.float32)


def _settled(model: keras.Model, inputs: np.ndarray) -> keras.Model:
    """Batch norms with the statistics of real activations: untrained networks answer with constants otherwise."""
    norms = [layer for layer in model._flatten_layers() if isinstance(layer, layers.BatchNormalization)]
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.momentum = 0.0
    if norms:
        model(inputs, training=True)
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
    return model


_APPLIED = {"weights": None, "classes": 10, "classifier_activation": None, "input_shape": (64, 64, 3)}


@_architecture(64, 64, 3)
def keras_mobilenet_v2() -> keras.Model:
    return keras.applications.MobileNetV2(alpha=0.35, **_APPLIED)


@_architecture(64, 64, 3)
def keras_mobilenet_v3() -> keras.Model:
    return keras.applications.MobileNetV3Small(alpha=1.0, include_preprocessing=False, **_APPLIED)


@_architecture(64, 64, 3)
def keras_efficientnet_v2() -> keras.Model:
    return keras.applications.EfficientNetV2B0(include_preprocessing=False, **_APPLIED)


@_architecture(30, 8)
def keras_lstm() -> keras.Model:
    series = keras.Input((30, 8), name="series")
    x = layers.Bidirectional(layers.LSTM(16, return_sequences=True))(series)
    x = layers.GRU(16)(x)
    return keras.Model(series, layers.Dense(4)(x))


@_architecture(40, 12)
def keras_attention() -> keras.Model:
    series = keras.Input((40, 12), name="series")
    x = layers.Conv1D(24, 3, padding="same", activation="relu")(series)
    x = layers.LayerNormalization()(x + layers.MultiHeadAttention(4, 6)(x, x))
    x = layers.GRU(16, return_sequences=True)(x)
    return keras.Model(series, layers.Dense(4)(layers.GlobalAveragePooling1D()(x)))
