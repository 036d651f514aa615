"""The plan: which variants a build makes for a target, and what speaks against them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from edgekit.errors import UsageError, did_you_mean
from edgekit.pipeline.project import FORMATS
from edgekit.pipeline.recipes import PTE_RECIPES, RECIPES, Recipe, recipe
from edgekit.target import BACKEND_TITLES, Target

#: What this edgekit lowers a format's files to; the first where the target says nothing of them.
_EXPORTED_BACKENDS: dict[str, tuple[str, ...]] = {
    "tflite": ("xnnpack", "gpu", "cpu"),
    "pte": tuple(PTE_RECIPES),
    "ptl": ("qnnpack", "xnnpack", "cpu"),
    **dict.fromkeys(("onnx", "pt2", "keras"), ("cpu",)),
}

#: Formats that hold the float source model as it is, as a baseline to measure against.
_FLOAT_FORMATS = frozenset({"onnx", "pt2", "keras"})

_NO_CALIBRATION = "needs calibration samples: give --calibration FILE.npy with real, ready inputs"


@dataclass(frozen=True)
class Plan:
    """One variant to make.

    Attributes:
        runs_here: Whether an engine of a desktop can run it; otherwise it is exported, not run.
    """

    format: str
    recipe: Recipe
    batch: int = 1
    backend: str = "xnnpack"
    runs_here: bool = True

    @property
    def name(self) -> str:
        """``fp32.pt2``; ``fp32-batch32.pt2`` when it takes 32 samples per inference."""
        batch = "" if self.batch == 1 else f"-batch{self.batch}"
        return f"{self.recipe.name}{batch}.{self.format}"


@dataclass(frozen=True)
class Skipped:
    """A variant that is not made, and why."""

    name: str
    reason: str


def plan_variants(
    target: Target, kind: str, recipes: Sequence[str] = (), formats: Sequence[str] = (), calibrated: bool = True
) -> tuple[tuple[Plan, ...], tuple[Skipped, ...]]:
    """What to build of a source of *kind* for *target*: what was asked for, else the target's own choice.

    Args:
        calibrated: Whether there are calibration samples.

    Variants that cannot run or are slower on the target are among its choice for no target: they are made when
    their recipe is asked for, and then carry a warning.

    Raises:
        UsageError: An unknown recipe or format; ``EK-UNSUPPORTED`` when nothing can be built.
    """
    for name in formats:
        if name not in FORMATS:
            raise UsageError("EK-ARGUMENT", f"unknown format {name!r}", did_you_mean(name, FORMATS))
    chosen = [recipe(name) for name in dict.fromkeys(recipes)]
    plans: list[Plan] = []
    skipped: list[Skipped] = []
    for format in dict.fromkeys(formats or [entry.format for entry in target.formats if entry.recipes]):
        for used in chosen or _default_recipes(target, format):
            support = target.support(format, used.name)
            backend = _EXPORTED_BACKENDS[format][0] if support is None else support.backend
            refusal = _refusal(kind, format, used, backend)
            if refusal is not None or (used.calibrated and not calibrated):
                skipped.append(Skipped(f"{used.name}.{format}", refusal or _NO_CALIBRATION))
                continue
            runs_here = support is None or support.runs_on_host
            batches = support.batches if support else (1,)
            plans.extend(Plan(format, used, batch, backend, runs_here) for batch in batches)
    if chosen and not calibrated and any(used.calibrated for used in chosen):
        raise UsageError(
            "EK-ARGUMENT",
            f"recipe {next(used.name for used in chosen if used.calibrated)} {_NO_CALIBRATION}",
            "50 to 200 typical samples are enough",
        )
    if not plans:
        reason = skipped[0].reason if skipped else f"{target.title} takes no format that was asked for"
        raise UsageError("EK-UNSUPPORTED", reason, "edgekit targets NAME lists what a target takes")
    return tuple(plans), tuple(skipped)


def _default_recipes(target: Target, format: str) -> list[Recipe]:
    """What *target* builds in *format* by itself; in one built only on request: float, and int8 if there is such."""
    names = [name for entry in target.formats if entry.format == format for name in entry.recipes]
    return [RECIPES[name] for name in names or (("fp32",) if format in _FLOAT_FORMATS else ("fp32", "int8"))]


def _refusal(kind: str, format: str, used: Recipe, backend: str) -> str | None:
    if format in _FLOAT_FORMATS and used.name != "fp32":
        return f".{format} is the float model as a baseline to measure against: it has no recipe but fp32"
    if backend not in _EXPORTED_BACKENDS[format]:
        return f"this edgekit exports no .{format} for {BACKEND_TITLES[backend]}"
    if format == "pte" and used.name not in PTE_RECIPES[backend]:
        known = " and ".join(PTE_RECIPES[backend])
        return f"a .pte for {BACKEND_TITLES[backend]} has the recipes {known}, not {used.name}"
    if format == "keras" and kind in ("torch", "pt2"):
        return "a PyTorch model gives no .keras, only Keras models do: use --format pt2 or onnx as a baseline"
    if kind == "saved-model" and format != "tflite":
        return f"a SavedModel gives .tflite only, not .{format}: save the Keras model as .keras, or use PyTorch"
    return None
