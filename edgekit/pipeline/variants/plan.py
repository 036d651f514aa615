"""The plan: which variants a build makes for a target, and what speaks against them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from edgekit.backends import BACKENDS
from edgekit.errors import UsageError
from edgekit.formats import FORMATS, Format
from edgekit.pipeline.exporters import Exporter, find_exporter
from edgekit.recipes import FP32, RECIPES, Recipe
from edgekit.source_kinds import SourceKind
from edgekit.target import FormatSupport, Target

_NO_CALIBRATION = "needs calibration samples: give --calibration FILE.npy with real, ready inputs"


@dataclass(frozen=True)
class Plan:
    """One variant to make.

    Attributes:
        backend: Name of what its operators are lowered to.
        runs_here: Whether an engine of a desktop can run it; otherwise it is exported, not run.
    """

    format: Format
    recipe: Recipe
    exporter: Exporter
    backend: str
    batch: int = 1
    runs_here: bool = True

    @property
    def name(self) -> str:
        """``fp32.pt2``; ``fp32-batch32.pt2`` when it takes 32 samples per inference."""
        batch = "" if self.batch == 1 else f"-batch{self.batch}"
        return f"{self.recipe.name}{batch}.{self.format.name}"


@dataclass(frozen=True)
class Skipped:
    """A variant that is not made, and why."""

    name: str
    reason: str


def plan_variants(
    target: Target, kind: SourceKind, recipes: Sequence[str] = (), formats: Sequence[str] = (), calibrated: bool = True
) -> tuple[tuple[Plan, ...], tuple[Skipped, ...]]:
    """What to build of a source of *kind* for *target*: what was asked for, else the target's own choice.

    Args:
        calibrated: Whether there are calibration samples.

    Variants that cannot run or are slower on the target are among its choice for no target: they are made when
    their recipe is asked for, and then carry a warning.

    Raises:
        UsageError: An unknown recipe or format; ``EK-UNSUPPORTED`` when nothing can be built.
    """
    chosen = [RECIPES[name] for name in dict.fromkeys(recipes)]
    wanted = [FORMATS[name] for name in formats or (entry.format for entry in target.formats if entry.recipes)]
    plans: list[Plan] = []
    skipped: list[Skipped] = []
    for format in dict.fromkeys(wanted):
        exporter = find_exporter(kind, format.name)
        for used in chosen or _default_recipes(target, format, exporter):
            support = target.support(format.name, used.name)
            refusal = _why_not(kind, format, exporter, used, support, calibrated)
            if exporter is None or refusal:
                skipped.append(Skipped(f"{used.name}.{format.name}", refusal))
                continue
            backend = next(iter(exporter.recipes)) if support is None else support.backend
            batches = support.batches if support and exporter.batches != "one" else (1,)
            runs_here = support is None or support.runs_on_host
            plans.extend(Plan(format, used, exporter, backend, batch, runs_here) for batch in batches)
    if chosen and not calibrated and any(used.is_static for used in chosen):
        message = f"recipe {next(used.name for used in chosen if used.is_static)} {_NO_CALIBRATION}"
        raise UsageError("EK-ARGUMENT", message, "50 to 200 typical samples are enough")
    if not plans:
        reason = skipped[0].reason if skipped else f"{target.title} takes no format that was asked for"
        raise UsageError("EK-UNSUPPORTED", reason, "edgekit targets NAME lists what a target takes")
    return tuple(plans), tuple(skipped)


def _default_recipes(target: Target, format: Format, exporter: Exporter | None) -> list[Recipe]:
    """What *target* builds in *format* by itself; in one built only on request: the usual ones."""
    names = dict.fromkeys(name for entry in target.formats if entry.format == format.name for name in entry.recipes)
    if names or exporter is None:
        return [RECIPES[name] for name in names] or [FP32]
    support = target.support(format.name)
    backend = next(iter(exporter.recipes)) if support is None else support.backend
    return [recipe for recipe in exporter.known(backend) if recipe.is_usual]


def _why_not(
    kind: SourceKind,
    format: Format,
    exporter: Exporter | None,
    used: Recipe,
    support: FormatSupport | None,
    calibrated: bool,
) -> str:
    """Why a variant is not made; empty when it is."""
    if exporter is None:
        given = " and ".join(f".{each.name}" for each in FORMATS if find_exporter(kind, each.name))
        return f"{kind.title} gives no .{format.name}, only {given}" + (f": {kind.elsewhere}" if kind.elsewhere else "")
    if format.is_baseline and not used.is_exact:
        return f".{format.name} is the float model as a baseline to measure against: it has no recipe but {FP32.name}"
    backend = next(iter(exporter.recipes)) if support is None else support.backend
    title = BACKENDS[backend].title
    if backend not in exporter.recipes:
        return f"this edgekit exports no .{format.name} for {title}"
    if not exporter.applies(used, backend):
        known = " and ".join(recipe.name for recipe in exporter.known(backend))
        return f"a .{format.name} for {title} has the recipes {known}, not {used.name}"
    return _NO_CALIBRATION if used.is_static and not calibrated else ""
