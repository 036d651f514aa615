"""Recipes: named numerical precision schemes, as data."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from edgekit.registry import registry


@dataclass(frozen=True)
class Rule:
    """What becomes of some operators of a model; of several rules that fit one, the last counts.

    Attributes:
        scope: A regular expression that is searched for in an operator's name, as the exporter has it: for ExecuTorch
            the path of its module (``features.0``); for LiteRT the names of its outputs in the float ``.tflite``,
            which have the layers' names of a Keras model, and of a PyTorch model those of its outputs alone.
        treatment: ``float``: it stays as it is; ``recipe``: as the recipe says.
    """

    scope: str
    treatment: Literal["float", "recipe"]


@dataclass(frozen=True)
class Recipe:
    """One precision scheme.

    Attributes:
        weights: dtype in which weights are stored.
        activations: dtype in which activations are computed; ``dynamic`` means int8, with ranges found at run time.
        minimum_snr_db: Outputs further than this from the float source model mean that the export went wrong.
        instead: What to try where nothing is of an operator that it quantizes.
        is_usual: Whether a format that a target builds on request alone has it without being asked.
        host_tolerance: How far a device's outputs may be from the host's, relative to the largest value; None where no
            bound is known.
        least_app_tolerance: How far, relative to the largest value, an app's outputs may be from the reference at
            least: kernels sum in another order, or in 16 bits.
        exporters: Names of exporters that take it besides those that list it.
        rules: Exceptions in int8, by who quantizes: ``litert`` (for both exporters of ``.tflite``) or ``executorch``.
    """

    name: str
    summary: str
    weights: str
    activations: str
    minimum_snr_db: float
    instead: str = "use int8, or fp16"
    is_usual: bool = False
    host_tolerance: float | None = None
    least_app_tolerance: float = 1e-2
    exporters: tuple[str, ...] = ()
    rules: Mapping[str, tuple[Rule, ...]] = field(default_factory=dict)

    @property
    def is_exact(self) -> bool:
        """Whether a file computes what the source model does."""
        return self.weights == self.activations == "float32"

    @property
    def is_half(self) -> bool:
        return self.weights == "float16"

    @property
    def is_static(self) -> bool:
        """Whether ranges of activations are found beforehand, from calibration samples."""
        return self.activations == "int8"

    @property
    def is_dynamic(self) -> bool:
        return self.activations == "dynamic"

    @property
    def is_quantized(self) -> bool:
        """Whether weights are stored as whole numbers."""
        return self.is_static or self.is_dynamic

    def keeps_float(self, exporter: str, operator: str) -> bool:
        """Whether a rule for *exporter* leaves the operator of this name as it is."""
        fitting = [rule for rule in self.rules.get(exporter, ()) if re.search(rule.scope, operator)]
        return bool(fitting) and fitting[-1].treatment == "float"

    @property
    def minimum_column_snr_db(self) -> float:
        """What every single column of the outputs has to reach (see `edgekit.fidelity`)."""
        from edgekit.fidelity import column_db  # it takes numpy, and help texts do not

        return column_db(self.minimum_snr_db)


FP32 = Recipe(
    "fp32",
    "float weights and activations, as trained",
    "float32",
    "float32",
    80.0,
    is_usual=True,
    host_tolerance=1e-5,
    least_app_tolerance=1e-4,
)

RECIPES = registry(
    "recipe",
    FP32,
    Recipe("fp16", "half-precision weights: half the size", "float16", "float16", 25.0),
    Recipe(
        "int8",
        "weights per channel and activations in int8, calibrated; float input and output: a quarter of the size",
        "int8",
        "int8",
        10.0,
        instead="use fp16",
        is_usual=True,
        host_tolerance=0.0,
    ),
    Recipe(
        "int8-dynamic",
        "int8 weights, activation ranges found at run time: for linear and recurrent layers",
        "int8",
        "dynamic",
        10.0,
    ),
)
