"""Small Keras models that between them use every layer edgekit rebuilds in PyTorch. Imported in workers only."""

from __future__ import annotations

import keras
import numpy as np
from keras import layers


def mobile() -> keras.Model:
    """Inverted residuals with ReLU6, `same` padding at an even size, and asymmetric zero padding."""

    def block(x, channels, stride, expand):
        y = layers.Conv2D(expand, 1, use_bias=False)(x)
        y = layers.ReLU(6.0)(layers.BatchNormalization()(y))
        if stride == 2:
            y = layers.ZeroPadding2D(((0, 1), (0, 1)))(y)
        y = layers.DepthwiseConv2D(3, stride, padding="valid" if stride == 2 else "same", use_bias=False)(y)
        y = layers.ReLU(6.0)(layers.BatchNormalization()(y))
        y = layers.BatchNormalization()(layers.Conv2D(channels, 1, use_bias=False)(y))
        return layers.Add()([x, y]) if stride == 1 and x.shape[-1] == channels else y

    image = keras.Input((32, 32, 3), name="image")
    x = layers.Conv2D(16, 3, 2, padding="same", use_bias=False)(image)
    x = layers.ReLU(6.0)(layers.BatchNormalization()(x))
    x = block(x, 16, 1, 32)
    x = block(x, 24, 2, 48)
    x = block(x, 24, 1, 48)
    x = layers.GlobalAveragePooling2D()(x)
    x = layers.Dropout(0.1)(x)
    return keras.Model(image, layers.Dense(4, name="scores")(x), name="mobile")


def windows() -> keras.Model:
    """Convolution and pooling at odd sizes, with strides, dilation, groups and even kernels; Flatten order."""
    image = keras.Input((15, 18, 4), name="image")
    x = layers.Conv2D(8, (3, 4), 2, padding="same", activation="leaky_relu")(image)
    a = layers.Conv2D(8, 3, padding="same", dilation_rate=2, groups=2, activation="tanh")(x)
    b = layers.DepthwiseConv2D(4, padding="same", depth_multiplier=2, activation="gelu")(x)
    c = layers.SeparableConv2D(6, 5, 2, padding="same", depth_multiplier=2, activation="swish")(image)
    d = layers.MaxPooling2D(2, 1, padding="same")(x)
    e = layers.AveragePooling2D(3, 1, padding="same")(x)
    f = layers.MaxPooling2D((3, 2), 2, padding="same")(image)
    g = layers.AveragePooling2D((4, 3), 2, padding="same")(image)
    x = layers.Concatenate()([a, b, c, d, e, f, g])
    x = layers.Cropping2D(((1, 0), (0, 2)))(x)
    x = layers.MaxPooling2D(2)(x)
    x = layers.Concatenate(axis=1)([x, layers.AveragePooling2D(3, 1, padding="same")(x)])
    return keras.Model(image, layers.Dense(5, activation="softmax")(layers.Flatten()(x)), name="windows")


def detector() -> keras.Model:
    """Boxes in pixels beside scores between 0 and 1 in one output; a product that is computed in place."""
    image = keras.Input((32, 32, 3), name="image")
    x = layers.Conv2D(16, 3, 2, padding="same", activation="relu")(image)
    x = layers.Conv2D(16, 3, 2, padding="same", activation="relu")(x)
    boxes = layers.Rescaling(300.0)(layers.Conv2D(4, 1)(x))
    scores = layers.Conv2D(3, 1, activation="sigmoid")(x)
    return keras.Model(image, layers.Reshape((64, 7))(layers.Concatenate()([boxes, scores])), name="detector")


def sequence() -> keras.Model:
    series = keras.Input((50, 6), name="series")
    x = layers.Conv1D(12, 5, 2, padding="same")(series)
    x = layers.ReLU()(layers.BatchNormalization()(x))
    y = layers.Conv1D(12, 3, dilation_rate=2, padding="causal", activation="relu")(x)
    x = layers.Add()([x, y])
    x = layers.SeparableConv1D(16, 4, padding="same")(x)
    x = layers.MaxPooling1D(2, padding="same")(layers.ZeroPadding1D((1, 2))(x))
    x = layers.UpSampling1D(2)(layers.DepthwiseConv1D(3, 2, padding="same")(x))
    x = layers.Dense(10, activation="relu")(x)
    x = layers.Conv1DTranspose(8, 3, 2, padding="same")(x)
    x = layers.Concatenate()([layers.GlobalAveragePooling1D()(x), layers.GlobalMaxPooling1D()(x)])
    return keras.Model(series, layers.Dense(7)(x), name="sequence")


def series() -> keras.Model:
    """What people train on sensor data."""
    series = keras.Input((64, 6), name="series")
    x = layers.Conv1D(16, 5, padding="same", use_bias=False)(series)
    x = layers.MaxPooling1D(2)(layers.ReLU()(layers.BatchNormalization()(x)))
    x = layers.Conv1D(24, 3, 2, padding="same", activation="relu")(x)
    x = layers.Dense(16, activation="relu")(x)
    return keras.Model(series, layers.Dense(7)(layers.GlobalAveragePooling1D()(x)), name="series")


def segmentation() -> keras.Model:
    """Down, up again by every kind of upsampling, and a softmax over each pixel's channels."""
    image = keras.Input((12, 16, 3), name="image")
    a = layers.Conv2D(8, 3, padding="same", activation="relu")(image)
    b = layers.Conv2D(8, 3, 2, padding="same", activation="relu")(a)
    ups = [
        layers.Conv2DTranspose(6, 3, 2, padding="same")(b),
        layers.Conv2DTranspose(6, 2, 2, padding="valid")(b),
        layers.Conv2DTranspose(6, 4, 2, padding="same", activation="relu")(b),
        layers.UpSampling2D(2)(b),
        layers.UpSampling2D(2, interpolation="bilinear")(b),
    ]
    wide = layers.Conv2DTranspose(2, 2, 3, padding="valid")(b)
    x = layers.Concatenate()([a, *ups])
    pixels = layers.Conv2D(4, 1, activation="softmax", name="pixels")(x)
    return keras.Model(image, [pixels, layers.GlobalAveragePooling2D(name="wide")(wide)], name="segmentation")


def squeeze() -> keras.Model:
    """Squeeze and excite in both styles, arithmetic on tensors, two inputs in an order that is not alphabetical."""
    image = keras.Input((8, 8, 6), name="pixels")
    extra = keras.Input((5,), name="extra")
    x = layers.Rescaling(1 / 127.5, offset=-1.0)(image)
    x = layers.Conv2D(12, 3, padding="same", activation="hard_swish")(x)
    s = layers.GlobalAveragePooling2D(keepdims=True)(x)
    s = layers.Conv2D(12, 1, activation="hard_sigmoid")(s)
    x = layers.Multiply()([x, s])
    t = layers.Reshape((1, 1, 12))(layers.GlobalAveragePooling2D()(x))
    t = layers.Conv2D(12, 1)(t)
    t = keras.ops.relu6(t + 3.0) * (1 / 6)
    x = layers.PReLU(shared_axes=[1, 2])(x * t)
    x = layers.Permute((2, 1, 3))(x)
    x = layers.Average()([x, layers.Maximum()([x, layers.ELU()(x)])])
    x = layers.Concatenate()([layers.Flatten()(layers.GlobalMaxPooling2D(keepdims=True)(x)), extra])
    return keras.Model([image, extra], [layers.Dense(3, name="second")(x), layers.Dense(2, name="first")(x)])


def perceptron() -> keras.Model:
    image = keras.Input((24,), name="features")
    normalization = layers.Normalization(mean=np.linspace(-1, 1, 24), variance=np.linspace(0.5, 2, 24))
    x = layers.Dense(32, activation="relu")(normalization(image))
    x = layers.BatchNormalization()(x)
    x = layers.Dense(32, activation="mish")(layers.LayerNormalization()(x))
    x = layers.Softmax()(layers.Subtract()([x, layers.LeakyReLU(negative_slope=0.1)(x)]))
    return keras.Model(image, layers.Dense(3, activation="softplus")(x), name="perceptron")


def words() -> keras.Model:
    tokens = keras.Input((20,), dtype="int32", name="tokens")
    x = layers.Embedding(30, 8)(tokens)
    x = layers.Conv1D(8, 3, activation="relu", padding="same")(x)
    return keras.Model(tokens, layers.Dense(2)(layers.GlobalAveragePooling1D()(x)), name="words")


def nested() -> keras.Model:
    """Models as layers of a model, one of them called twice; made for training in mixed precision."""
    before = keras.mixed_precision.dtype_policy()
    keras.mixed_precision.set_dtype_policy("mixed_float16")
    try:
        image = keras.Input((16, 16, 3))
        x = layers.BatchNormalization()(layers.Conv2D(8, 3, 2, padding="same")(image))
        base = keras.Model(image, layers.ReLU(max_value=4.0)(x), name="base")
        adapter = [layers.RandomFlip("horizontal"), layers.Rescaling(2.0), layers.Conv2D(3, 1)]
        first = keras.Sequential(adapter, name="first")
        image = keras.Input((16, 16, 3), name="image")
        x = layers.UpSampling2D(2)(layers.Conv2D(3, 1)(base(first(image), training=False)))
        x = layers.Flatten()(base(x))
        return keras.Model(image, layers.Dense(3, dtype="float32", name="out")(x), name="nested")
    finally:
        keras.mixed_precision.set_dtype_policy(before)


def recurrent() -> keras.Model:
    """Every recurrent layer, both ways, from states of another one, and layers that run at every step."""
    series = keras.Input((9, 5), name="series")
    x = layers.LSTM(8, return_sequences=True)(series)
    x = layers.Bidirectional(layers.LSTM(6, return_sequences=True))(x)
    y = layers.Bidirectional(layers.GRU(4, return_sequences=True), merge_mode="ave")(x)
    z = layers.SimpleRNN(8, go_backwards=True, return_sequences=True)(x)
    x = layers.TimeDistributed(layers.Dense(6, activation="relu"))(layers.Concatenate()([y, z]))
    before = layers.GRU(6, reset_after=False, recurrent_activation="hard_sigmoid")(x)
    last, *state = layers.LSTM(6, return_state=True, use_bias=False)(x)
    x = layers.LSTM(6, return_sequences=True)(layers.RepeatVector(4)(last), initial_state=state)
    return keras.Model(series, [layers.TimeDistributed(layers.Dense(3))(x), layers.Dense(2)(before)], name="recurrent")


def attentive() -> keras.Model:
    """Attention of several heads: to itself, causal, and to another sequence."""
    series, other = keras.Input((9, 8), name="series"), keras.Input((6, 5), name="other")
    x = layers.LayerNormalization()(series + layers.MultiHeadAttention(2, 4)(series, series))
    x = x + layers.MultiHeadAttention(2, 3, value_dim=5)(x, x, use_causal_mask=True)
    x = layers.MultiHeadAttention(4, 2, output_shape=10, use_bias=False)(x, other)
    x = layers.EinsumDense("abc,cd->abd", output_shape=(None, 6), bias_axes="d", activation="relu")(x)
    return keras.Model([series, other], layers.Dense(3)(layers.GlobalAveragePooling1D()(x)), name="attentive")


def masked() -> keras.Model:
    """Steps that do not count, for every kind of layer that asks."""
    tokens = keras.Input((10,), dtype="int32", name="tokens")
    x = layers.Embedding(30, 8, mask_zero=True)(tokens)
    x = layers.Dropout(0.1)(layers.LSTM(8, return_sequences=True)(x))
    x = layers.Add()([x, layers.MultiHeadAttention(2, 4)(x, x)])
    x = layers.Bidirectional(layers.GRU(5, return_sequences=True))(x)
    x = layers.Concatenate()([layers.GlobalAveragePooling1D()(x), layers.LSTM(4)(x)])
    return keras.Model(tokens, layers.Dense(3)(x), name="masked")


def unusual() -> keras.Model:
    """Layers and operations that PyTorch has no counterpart of, beside some that it has."""
    clip = keras.Input((4, 10, 12, 3), name="clip")
    x = layers.ConvLSTM2D(6, 3, padding="same")(clip)
    x = layers.GroupNormalization(3)(layers.Conv2D(6, 3, activation="relu")(x))
    y = layers.Reshape((-1, 6))(x)
    y = layers.Attention()([y, layers.RMSNormalization()(y)])
    y = keras.ops.softmax(keras.ops.matmul(y, keras.ops.transpose(y, (0, 2, 1)))[:, :4], axis=-1)
    return keras.Model(clip, layers.Dense(3)(layers.UnitNormalization()(layers.Flatten()(y))), name="unusual")


def mobilenet_v2() -> keras.Model:
    return keras.applications.MobileNetV2((64, 64, 3), alpha=0.35, weights=None, classes=10, classifier_activation=None)


MODELS = (
    mobile,
    windows,
    detector,
    sequence,
    series,
    segmentation,
    squeeze,
    perceptron,
    words,
    nested,
    recurrent,
    attentive,
    masked,
    unusual,
    mobilenet_v2,
)


def samples(model: keras.Model, count: int, seed: int = 1) -> list[np.ndarray]:
    """Random inputs in the model's shapes; integers stay below 30."""
    draw = np.random.default_rng(seed)
    return [
        draw.integers(0, 30, (count, *tensor.shape[1:])).astype("int32")
        if "int" in tensor.dtype
        else draw.standard_normal((count, *tensor.shape[1:])).astype("float32")
        for tensor in model.inputs
    ]


def settle(model: keras.Model, inputs: list[np.ndarray]) -> None:
    """Give batch norms the statistics of real activations, and in small models all that starts at 0 or 1 a value.

    Untrained, deep networks answer with a constant, and any comparison of constants passes.
    """
    draw = np.random.default_rng(0)
    norms = [layer for layer in model._flatten_layers() if isinstance(layer, layers.BatchNormalization)]
    small = model.count_params() < 100_000  # noise added in each of fifty layers would drown the rounding it is to show
    for variable in model.trainable_variables if small else ():
        if variable.path.endswith(("bias", "beta", "alpha")):
            variable.assign(0.1 * draw.standard_normal(variable.shape))
        elif variable.path.endswith("gamma"):
            variable.assign(draw.uniform(0.7, 1.3, variable.shape))
    momenta = [layer.momentum for layer in norms]
    for layer in norms:
        layer.momentum = 0.0
    model(inputs if len(inputs) > 1 else inputs[0], training=True)
    for layer, momentum in zip(norms, momenta, strict=True):
        layer.momentum = momentum
