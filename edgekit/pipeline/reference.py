"""The float source model's own outputs: what every exported file is compared with."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from edgekit.errors import UsageError
from edgekit.fidelity import near_constant
from edgekit.pipeline.data import load_arrays, save_arrays
from edgekit.pipeline.sources import SourceSpec, open_source


def describe(*, source: Mapping[str, Any]) -> dict[str, Any]:
    """The source model's signature and size; a task for a worker of its framework."""
    opened = open_source(SourceSpec.from_json(source))
    return {
        "framework": opened.framework,
        "signature": opened.signature.to_json(),
        "parameter_count": opened.parameter_count,
    }


def measure(*, source: Mapping[str, Any], samples: str, outputs: str) -> dict[str, Any]:
    """Run the source model over the samples in *samples* and keep its outputs; a task for a worker.

    Returns:
        What `describe` returns.

    Raises:
        UsageError: ``EK-UNTRAINED`` when outputs hardly depend on the input, ``EK-DATA`` when data and
            model do not fit, ``EK-SOURCE`` when outputs are not finite.
    """
    opened = open_source(SourceSpec.from_json(source))
    inputs, _ = load_arrays(samples)
    for spec in opened.signature.inputs:
        given = inputs.get(spec.name)
        if given is None or given.shape[1:] != spec.shape[1:]:
            shown = "nothing" if given is None else f"samples of shape {list(given.shape[1:])}"
            raise UsageError(
                "EK-DATA",
                f"the model's input {spec.name!r} takes {list(spec.shape[1:])}, the data gives {shown}",
                "check preprocessing.layout and the shapes that data.py returns",
            )
    results = opened.predict(inputs)
    for name, array in results.items():
        if not np.isfinite(array).all():
            raise UsageError("EK-SOURCE", f"the source model's output {name!r} holds NaN or infinity", "train it again")
    if all(near_constant(array) for array in results.values()):
        raise UsageError(
            "EK-UNTRAINED",
            "the source model's outputs hardly depend on its input, so no comparison would mean anything",
            "train it first, or load trained weights with model.weights",
        )
    save_arrays(outputs, results)
    return {
        "framework": opened.framework,
        "signature": opened.signature.to_json(),
        "parameter_count": opened.parameter_count,
    }
