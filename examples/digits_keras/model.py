"""The network of examples/digits in Keras: 9,034 trained parameters, 3x3 kernels and ReLU6 throughout."""

from __future__ import annotations

import keras
from keras import layers


def norm_relu6(x):
    return layers.ReLU(max_value=6.0)(layers.BatchNormalization(momentum=0.9, epsilon=1e-5)(x))


def separable(x, filters, strides=1):
    """A depthwise 3x3 convolution, then a pointwise one."""
    x = norm_relu6(layers.DepthwiseConv2D(3, strides, padding="same", use_bias=False)(x))
    return norm_relu6(layers.Conv2D(filters, 1, use_bias=False)(x))


def build() -> keras.Model:
    """Images of 28x28x1 in, ten scores out."""
    images = keras.Input((28, 28, 1), name="input")
    x = norm_relu6(layers.Conv2D(16, 3, 2, padding="same", use_bias=False)(images))
    x = separable(x, 32, strides=2)
    x = separable(x, 64)
    x = separable(x, 64)
    x = layers.GlobalAveragePooling2D()(x)
    return keras.Model(images, layers.Dense(10, name="output")(x), name="digits")
