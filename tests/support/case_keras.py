"""Keras models after public bug reports: saved with samples and the outputs that Keras gives for each of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np


def save(directory: str) -> list[str]:
    """Write NAME.keras, NAME.samples.npz and NAME.outputs.npz for each case; a task for a TensorFlow process."""
    import keras

    folder = Path(directory)
    made = _cases()
    for name, (model, samples, names) in made.items():
        model.save(folder / f"{name}.keras")
        order = [tensor.name for tensor in model.inputs]
        count = len(next(iter(samples.values())))
        rows = [
            keras.tree.flatten(model.predict_on_batch([samples[key][k : k + 1] for key in order])) for k in range(count)
        ]
        outputs = {name: np.concatenate(column) for name, column in zip(names, zip(*rows, strict=True), strict=True)}
        np.savez(folder / f"{name}.samples.npz", **samples)
        np.savez(folder / f"{name}.outputs.npz", **outputs)
    _unknown().save(folder / "unknown.keras")
    _own_function().save(folder / "own_function.keras")
    return list(made)


def _cases() -> dict[str, tuple[Any, dict[str, np.ndarray], list[str]]]:
    import keras
    from keras import layers as L

    keras.utils.set_random_seed(0)
    draw = np.random.default_rng(0)

    tokens = keras.Input((10,), dtype="int32", name="tokens")
    embedded = L.Embedding(30, 12, mask_zero=True)(tokens)
    steps = L.LSTM(8, return_sequences=True)(embedded)
    joined = L.concatenate([L.GlobalAveragePooling1D()(steps), L.GRU(6)(embedded)])
    length = draw.integers(2, 11, 16)
    ids = np.where(np.arange(10)[None] < length[:, None], draw.integers(1, 30, (16, 10)), 0).astype(np.int32)

    picture = keras.Input((17, 13, 3), name="picture")
    x = L.Rescaling(1 / 127.5, -1)(L.RandomRotation(0.2)(L.RandomFlip()(picture)))
    x = L.GaussianNoise(0.3)(x)
    x = L.Conv2D(8, 3, 2, "same", activation="relu")(x)
    x = L.DepthwiseConv2D(5, 2, "same", depth_multiplier=2)(L.Dropout(0.3)(x))
    classes = L.Dense(4, activation="softmax", name="klass")(L.GlobalAveragePooling2D()(x))
    larger = L.UpSampling2D(2, interpolation="bilinear", name="larger")(x)
    pictures = draw.integers(0, 256, (16, 17, 13, 3)).astype(np.float32)

    z, a, m = (keras.Input((6,), name=name) for name in "zam")
    h = L.Dense(8, activation="tanh")(z) + 3 * L.Dense(8)(a) - L.Dense(8, activation="relu")(m)
    heads = [L.Dense(4, name=name)(h) for name in ("zulu", "alpha", "mike")]
    rows = {
        name: draw.standard_normal((16, 6)).astype(np.float32) * size for name, size in (("a", 1), ("m", 2), ("z", 3))
    }

    row = keras.Input((6,), name="row")
    hidden = L.Dense(8, activation="tanh")(row)
    levels = {name: {"labels": L.Dense(3)(hidden), "box": L.Dense(4)(hidden)} for name in ("p4", "p3")}
    return {
        "mask": (keras.Model(tokens, L.Dense(3, name="scores")(joined)), {"tokens": ids}, ["scores"]),
        "vision": (keras.Model(picture, [classes, larger]), {"picture": pictures}, ["klass", "larger"]),
        "order": (keras.Model([z, a, m], heads), rows, ["zulu", "alpha", "mike"]),
        "levels": (keras.Model(row, levels), {"row": rows["a"]}, ["p3.box", "p3.labels", "p4.box", "p4.labels"]),
        "by_the_batch": (
            keras.Model(row, L.Dense(3, name="y")(row / (keras.ops.max(row) - keras.ops.min(row)))),
            {"row": rows["a"]},
            ["y"],
        ),
    }


def _unknown() -> Any:
    import keras

    class Scale(keras.layers.Layer):
        def call(self, x: Any) -> Any:
            return 2 * x

    row = keras.Input((6,))
    return keras.Model(row, Scale()(row))


def _own_function() -> Any:
    import keras

    def squared(x: Any) -> Any:
        return x * x

    return keras.Sequential([keras.Input((6,)), keras.layers.Dense(3, activation=squared)])
