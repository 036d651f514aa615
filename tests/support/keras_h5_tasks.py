"""HDF5 files of Keras for tests, and what comes of them; in a process of its own, with Keras on TensorFlow."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import h5py
import keras
import numpy as np

from edgekit.errors import EdgekitError
from edgekit.pipeline.sources import SourceSpec, open_source
from edgekit.pipeline.sources.keras_files import load_weights, read_model

layers = keras.layers


def net() -> keras.Model:
    keras.utils.set_random_seed(0)
    image = keras.Input((12, 12, 1), name="image")
    x = layers.Conv2D(4, 3, activation="relu")(image)
    x = layers.DepthwiseConv2D(3)(layers.BatchNormalization(moving_variance_initializer="random_normal")(x))
    x = layers.LSTM(5)(layers.Reshape((16, 16))(x))
    return keras.Model(image, layers.Dense(3, activation="softmax")(x))


def as_keras_2(path: Path) -> None:
    """What Keras 2 wrote in such a file and Keras 3 does not take: an argument, and its version."""
    with h5py.File(path, "r+") as file:
        config = json.loads(file.attrs["model_config"])
        for layer in config["config"]["layers"]:
            if layer["class_name"] == "DepthwiseConv2D":
                layer["config"]["groups"] = 1
        file.attrs["model_config"] = json.dumps(config)
        file.attrs["keras_version"] = file["model_weights"].attrs["keras_version"] = b"2.15.0"


def main(folder: Path) -> dict[str, Any]:
    model, made = net(), dict[str, Any]()
    image = np.random.default_rng(0).normal(size=(2, 12, 12, 1)).astype("f4")
    expected = model.predict(image, verbose=0)
    model.compile("adam", "mse")
    model.fit(image, np.zeros((2, 3)), verbose=0)
    expected = model.predict(image, verbose=0)
    model.save(folder / "whole.h5")
    model.save_weights(folder / "only.weights.h5")
    model.save(folder / "old.h5")
    as_keras_2(folder / "old.h5")
    with h5py.File(folder / "whole.h5") as whole, h5py.File(folder / "weights.h5", "w") as weights:
        for name in whole["model_weights"]:
            whole.copy(whole["model_weights"][name], weights, name)
        for name, value in whole["model_weights"].attrs.items():
            weights.attrs[name] = value
    for name in ("whole.h5", "old.h5"):
        source = open_source(SourceSpec("keras", str(folder / name)))
        made[name] = float(np.abs(next(iter(source.predict({"image": image}).values())) - expected).max())
    for name in ("only.weights.h5", "weights.h5", "whole.h5"):
        fresh = net()
        for variable in fresh.variables:
            variable.assign(np.zeros(variable.shape))
        load_weights(fresh, folder / name, trust=False)
        made[f"weights of {name}"] = float(np.abs(fresh.predict(image, verbose=0) - expected).max())
    keras.Sequential([keras.Input((4,)), layers.Lambda(lambda x: x * 2)]).save(folder / "lambda.h5")
    keras.Sequential([keras.Input((4,)), layers.Activation("hard_sigmoid")]).save(folder / "hard.h5")
    as_keras_2(folder / "hard.h5")
    (folder / "short.h5").write_bytes((folder / "whole.h5").read_bytes()[:3000])
    for name in ("lambda.h5", "hard.h5", "short.h5", "weights.h5"):
        try:
            read_model(folder / name, "EK-SOURCE", trust=False)
        except EdgekitError as error:
            made[f"refused {name}"] = [error.code, error.message, error.hint]
    return made


if __name__ == "__main__":
    print(json.dumps(main(Path(sys.argv[1]))))
