"""Recipes: named numerical precision schemes, as data."""

from __future__ import annotations

from dataclasses import dataclass

from edgekit.errors import UsageError, did_you_mean
from edgekit.fidelity import column_db


@dataclass(frozen=True)
class Recipe:
    """One precision scheme.

    Attributes:
        weights: dtype in which weights are stored.
        activations: dtype in which activations are computed; ``dynamic`` means int8, with ranges found at run time.
        calibrated: Whether it needs calibration samples.
        bytes_per_parameter: What one weight costs in the file.
        minimum_snr_db: Outputs further than this from the float source model mean that the export went wrong.
    """

    name: str
    summary: str
    weights: str
    activations: str
    calibrated: bool
    bytes_per_parameter: int
    minimum_snr_db: float

    @property
    def minimum_column_snr_db(self) -> float:
        """What every single column of the outputs has to reach (see `edgekit.fidelity`)."""
        return column_db(self.minimum_snr_db)


RECIPES = {
    recipe.name: recipe
    for recipe in (
        Recipe("fp32", "float weights and activations, as trained", "float32", "float32", False, 4, 80.0),
        Recipe("fp16", "half-precision weights: half the size", "float16", "float16", False, 2, 25.0),
        Recipe(
            "int8",
            "weights per channel and activations in int8, calibrated; float input and output: a quarter of the size",
            "int8",
            "int8",
            True,
            1,
            10.0,
        ),
        Recipe(
            "int8-dynamic",
            "int8 weights, activation ranges found at run time: for linear and recurrent layers",
            "int8",
            "dynamic",
            False,
            1,
            10.0,
        ),
    )
}

#: The recipes that a ``.pte`` can have, by the backend that it is lowered to.
PTE_RECIPES = {
    "xnnpack": ("fp32", "fp16", "int8", "int8-dynamic"),
    "vulkan": ("fp32", "fp16"),
    "coreml": ("fp32", "fp16"),
}


def recipe(name: str) -> Recipe:
    """The recipe called *name*."""
    if name not in RECIPES:
        raise UsageError("EK-ARGUMENT", f"unknown recipe {name!r}", did_you_mean(name, RECIPES))
    return RECIPES[name]
