"""The identity of a Keras model (see `edgekit.pipeline.sources.identity`)."""

from __future__ import annotations

from typing import Any

import keras

from edgekit.pipeline.sources import SourceSpec
from edgekit.pipeline.sources.identity import Identity, digest, weights_digest
from edgekit.pipeline.sources.keras import open_model


def identity(spec: SourceSpec, seed: int | None) -> Identity:
    """The identity of the model that the factory of *spec* makes.

    Raises:
        UsageError: As `open_model`.
    """

    def make() -> keras.Model:
        if seed is not None:
            keras.utils.set_random_seed(seed % 2**32)
        return open_model(spec)

    model = make()
    weights = _weights(model)
    structure = digest([_config(model), [type(layer) for layer in model._flatten_layers()]])
    return Identity(weights, structure, _weights(make()) == weights)


def _weights(model: keras.Model) -> str:
    return weights_digest(keras.ops.convert_to_numpy(variable) for variable in model.weights)


def _config(model: keras.Model) -> Any:
    try:
        return keras.saving.serialize_keras_object(model)
    except Exception:  # layers of the user's own may have none: their code and attributes are read all the same
        return [layer.name for layer in model._flatten_layers()]
