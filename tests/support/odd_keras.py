"""Keras models and SavedModels that keep a state, draw random numbers, or mix the samples of a batch."""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from edgekit.errors import EdgekitError
from edgekit.fidelity import compare
from edgekit.pipeline.sources import SourceSpec, open_source
from edgekit.tensors import TensorSpec

NOISE = """\
import keras

class Noise(keras.layers.Layer):
    def __init__(self, seed_generator=None, **more):
        super().__init__(**more)
        self.dice = seed_generator
    def call(self, x):
        return x + keras.random.normal((6,), seed=self.dice)

def generator():
    return keras.Sequential([keras.Input((6,), name="x"), Noise(keras.random.SeedGenerator(1), name="noise")])

def no_generator():
    return keras.Sequential([keras.Input((6,), name="x"), Noise(name="noise")])
"""
ROWS = np.random.default_rng(0).standard_normal((12, 6)).astype(np.float32)


def facts(folder: Path) -> dict[str, Any]:
    """For each model: the names of its outputs and the first sample's values, or the error that it is refused with."""
    made: dict[str, Any] = {}
    for name, make in {**_keras(), **_saved()}.items():
        kind, path = make(folder / name)
        made[name] = _tried(SourceSpec(kind, str(path)), {"x": ROWS})
    (folder / "noise.py").write_text(NOISE)
    for name in ("generator", "no_generator"):
        inputs = (TensorSpec("x", (1, 6), "float32"),)
        made[name] = _tried(SourceSpec("keras", str(folder / "noise.py"), name, inputs=inputs), {"x": ROWS})
    three = folder / "three.keras"
    _three().save(three)
    spec = SourceSpec("keras", str(three))
    for name, given in (("swapped", "a b"), ("in part", "z b"), ("numbered", "arr_0 arr_1"), ("by name", "z a")):
        data = dict(zip(given.split(), (ROWS, 2 * ROWS), strict=True))
        inputs = tuple(TensorSpec(key, (1, 6), "float32") for key in data)
        made[f"inputs {name}"] = _tried(replace(spec, inputs=inputs), data)
    for name, path in _spoiled(folder):
        made[name] = _tried(SourceSpec("keras", str(path)), {"x": ROWS})
    return made


def _tried(spec: SourceSpec, data: Mapping[str, np.ndarray]) -> dict[str, Any]:
    try:
        source = open_source(spec)
        if not spec.inputs:
            data = dict(zip(source.data_names, data.values(), strict=True))
        inputs = {
            own.name: data[given].reshape(-1, *own.shape[1:])
            for own, given in zip(source.signature.inputs, source.data_names, strict=True)
        }
        source.check(inputs)
        outputs = source.predict(inputs)
        source.nudge(np.random.default_rng(0))
        moved = source.predict(inputs)
    except EdgekitError as error:
        return error.to_json()
    names = [each.name for each in source.signature.outputs]
    return {
        "inputs": [each.name for each in source.signature.inputs],
        "outputs": names,
        "rounding_db": compare(outputs, moved).worst.snr_db,
        "first": [np.asarray(outputs[name][0], np.float64).ravel().tolist() for name in names],
    }


Maker = Callable[[Path], tuple[str, Path]]


def _keras() -> dict[str, Maker]:
    import keras
    from keras import layers as L

    x = keras.Input((6,), name="x")
    one = keras.Input((3, 2), batch_size=1, name="x3")
    dense = L.Dense(3)(x)
    models = {
        "dropout": keras.Model(x, L.Dropout(0.5)(L.GaussianNoise(0.3)(x))),
        "stateful RNN": keras.Model(one, L.LSTM(2, stateful=True, name="memory")(one)),
        "batch norm of the batch": keras.Model(x, L.BatchNormalization()(x, training=True)),
        "normalised by the batch": keras.Model(x, x / (keras.ops.max(x) - keras.ops.min(x))),
        "one number": keras.Model(x, keras.ops.max(x)),
        "samples split": keras.Model(x, keras.ops.reshape(x, (-1, 3))),
        "samples last": keras.Model(x, keras.ops.transpose(x)),
        "dict": keras.Model(x, {"p4": {"box": dense, "score": 2 * dense}, "p3": {"box": -dense, "score": dense + 1}}),
        "list of dicts": keras.Model(x, [{"labels": dense}, {"labels": -dense}]),
    }

    def saver(model: keras.Model) -> Maker:
        def save(path: Path) -> tuple[str, Path]:
            model.save(path.with_suffix(".keras"))
            return "keras", path.with_suffix(".keras")

        return save

    return {name: saver(model) for name, model in models.items()}


def _three() -> Any:
    import keras

    z, a = (keras.Input((6,), name=name) for name in "za")
    return keras.Model([z, a], z - 3 * a)


def _spoiled(folder: Path) -> Iterator[tuple[str, Path]]:
    """Files whose parts do not fit each other: every layer of Keras's has errors of its own for that."""
    import keras

    x = keras.Input((6,), name="x")
    whole = folder / "whole.keras"
    keras.Model(x, keras.layers.BatchNormalization(name="norm")(x)).save(whole)
    for name, old, new in (
        ("an axis that is not there", b'"axis": -1', b'"axis": 9'),
        ("an output of no layer", b'"output_layers": ["norm"', b'"output_layers": ["none"'),
    ):
        path = folder / f"{name}.keras"
        with zipfile.ZipFile(whole) as read, zipfile.ZipFile(path, "w") as written:
            for part in read.namelist():
                data = read.read(part)
                assert part != "config.json" or old in data, data
                written.writestr(part, data.replace(old, new) if part == "config.json" else data)
        yield name, path


def _saved() -> dict[str, Maker]:
    import tensorflow as tf

    class Model(tf.Module):
        def __init__(self, call: Callable[..., Any]):
            super().__init__()
            self.w = tf.Variable(np.eye(6, 3, dtype=np.float32), name="w")
            self.past = tf.Variable(np.zeros((1, 6), np.float32), name="past")
            self.opt = tf.compat.v1.train.AdamOptimizer(0.1)
            self.call = tf.function(
                lambda x: call(self, x), input_signature=[tf.TensorSpec([None, 6], tf.float32, name="x")]
            )

    def remembers(self: Model, x: tf.Tensor) -> dict[str, tf.Tensor]:
        y = (x + self.past) @ self.w
        self.past.assign(x[:1])
        return {"y": y}

    def counts(self: Model, x: tf.Tensor) -> dict[str, tf.Tensor]:
        self.past.assign_add(tf.ones_like(self.past))
        return {"y": x @ self.w}

    def saver(call: Callable[..., Any], *, trained: bool = False) -> Maker:
        def save(path: Path) -> tuple[str, Path]:
            model = Model(call)
            if trained:
                with tf.GradientTape() as tape:
                    loss = tf.reduce_sum(model.call(ROWS)["y"])
                model.opt.apply_gradients([(tape.gradient(loss, model.w), model.w)])
            tf.saved_model.save(model, str(path), signatures={"serving_default": model.call})
            return "saved-model", path

        return save

    return {
        "assigned variable": saver(remembers),
        "counted calls": saver(counts),
        "random": saver(lambda self, x: {"y": x @ self.w + tf.random.normal((3,))}),
        "normalised by the batch, saved": saver(lambda self, x: {"y": x / (tf.reduce_max(x) - tf.reduce_min(x))}),
        "optimizer slots": saver(lambda self, x: {"y": x @ self.w}, trained=True),
        "one number, saved": saver(lambda self, x: {"y": tf.reduce_max(x)}),
        "no axis of samples, saved": saver(lambda self, x: {"y": (x @ self.w)[0]}),
        "odd names, saved": saver(lambda self, x: {"labels": x @ self.w, "file": x, "a/b": -x}),
    }
