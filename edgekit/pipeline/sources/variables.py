"""What a Keras or TensorFlow model keeps between calls: its variables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from edgekit.names import distinct
from edgekit.pipeline.sources.rounding import next_floats

#: Larger ones are weights, which a call would not write; copies of all would double the memory of a large model.
_MOST_BYTES = 64 << 20


class VariableState:
    """The `edgekit.pipeline.sources.determinism.State` of variables, each with ``numpy()`` and ``assign()``."""

    def __init__(self, variables: Sequence[Any]):
        small = [each for each in variables if 4 * int(np.prod(each.shape)) <= _MOST_BYTES]
        names = distinct(getattr(each, "path", each.name).removesuffix(":0") for each in small)
        self._variables = dict(zip(names, small, strict=True))

    def take(self) -> dict[str, np.ndarray]:
        return {name: np.array(variable.numpy()) for name, variable in self._variables.items()}

    def restore(self, taken: Mapping[str, np.ndarray]) -> None:
        for name in self.differences(taken).get("variable", ()):
            self._variables[name].assign(taken[name])

    def differences(self, taken: Mapping[str, np.ndarray]) -> Mapping[str, list[str]]:
        changed = [
            name
            for name, now in self.take().items()
            if not np.array_equal(taken[name], now, equal_nan=now.dtype.kind == "f")
        ]
        return {"variable": changed} if changed else {}


def nudge(variables: Sequence[Any], random: np.random.Generator) -> None:
    """Move every number of *variables* of float32 to one next to it."""
    for variable in variables:
        values = np.asarray(variable.numpy())
        if values.dtype == np.float32:
            variable.assign(next_floats(values, random))
