"""The identity of a JAX model (see `edgekit.pipeline.sources.identity`)."""

from __future__ import annotations

import random

import numpy as np

from edgekit.pipeline.sources import SourceSpec
from edgekit.pipeline.sources.identity import Identity, digest, weights_digest
from edgekit.pipeline.sources.jax import JaxSource, open_source


def identity(spec: SourceSpec, seed: int | None) -> Identity:
    """The identity of the model that the factory of *spec* makes. Raises `UsageError`, as `open_source`."""

    def opened() -> JaxSource:
        if seed is not None:
            random.seed(seed)
            np.random.seed(seed % 2**32)
        return open_source(spec)

    source = opened()
    weights = _weights(source)
    structure = digest([str(source.program.jaxpr), source.signature.to_json()])
    return Identity(weights, structure, _weights(opened()) == weights)


def _weights(source: JaxSource) -> str:
    return weights_digest(np.asarray(each) for each in source.program.consts)
