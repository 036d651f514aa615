"""The plan: which variants a build makes for a target, and what speaks against them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from edgekit.backends import BACKENDS
from edgekit.errors import UsageError
from edgekit.formats import FORMATS, Format
from edgekit.pipeline.exporters import Exporter, Route, find_route
from edgekit.recipes import FP32, RECIPES, Recipe
from edgekit.source_kinds import Bridge, SourceKind
from edgekit.target import FormatSupport, Target

_NO_CALIBRATION = "needs calibration samples: give --calibration FILE.npy with real, ready inputs"


@dataclass(frozen=True)
class Plan:
    """One variant to make.

    Attributes:
        backend: Name of what its operators are lowered to.
        runs_here: Whether an engine of a desktop can run it; otherwise it is exported, not run.
        bridges: What the source crosses before the exporter takes it.
    """

    format: Format
    recipe: Recipe
    exporter: Exporter
    backend: str
    batch: int = 1
    runs_here: bool = True
    bridges: tuple[Bridge, ...] = ()

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
    target: Target,
    kind: SourceKind,
    recipes: Sequence[str] = (),
    formats: Sequence[str] = (),
    calibrated: bool = True,
    held: Recipe = FP32,
) -> tuple[tuple[Plan, ...], tuple[Skipped, ...]]:
    """What to build of a source of *kind* for *target*: what was asked for, else the target's own choice.

    Args:
        calibrated: Whether there are calibration samples.
        held: The recipe that the source's own file is in.

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
        route = find_route(kind, format.name)
        for used in chosen or _default_recipes(target, format, route, held):
            support = target.support(format.name, used.name)
            refusal = _why_not(kind, format, route, used, support, calibrated, held)
            if route is not None and not refusal and not formats:  # what was asked for is an error, where it is missing
                missing = (bridge.why_not(f".{format.name} of {kind.title}") for bridge in route.bridges)
                refusal = next(filter(None, missing), "")
            if route is None or refusal:
                skipped.append(Skipped(f"{used.name}.{format.name}", refusal))
                continue
            exporter = route.exporter
            backend = next(iter(exporter.recipes)) if support is None else support.backend
            batches = support.batches if support and exporter.batches != "one" else (1,)
            runs_here = support is None or support.runs_on_host
            plans.extend(Plan(format, used, exporter, backend, batch, runs_here, route.bridges) for batch in batches)
    if chosen and not calibrated and any(used.is_static and used is not held for used in chosen):
        message = f"recipe {next(used.name for used in chosen if used.is_static)} {_NO_CALIBRATION}"
        raise UsageError("EK-ARGUMENT", message, "50 to 200 typical samples are enough")
    if not plans:
        reason = skipped[0].reason if skipped else f"{target.title} takes no format that was asked for"
        raise UsageError("EK-UNSUPPORTED", reason, "edgekit targets NAME lists what a target takes")
    return tuple(plans), tuple(skipped)


def _default_recipes(target: Target, format: Format, route: Route | None, held: Recipe) -> list[Recipe]:
    """What *target* builds in *format* by itself; in one built only on request: the usual ones."""
    names = dict.fromkeys(name for entry in target.formats if entry.format == format.name for name in entry.recipes)
    if names or route is None:
        found = [RECIPES[name] for name in names] or [FP32]
        # A file as it is costs nothing, whatever is better on the target.
        return found if route is None or not _as_it_is(route, held) or held in found else [held, *found]
    support = target.support(format.name)
    backend = next(iter(route.exporter.recipes)) if support is None else support.backend
    return [recipe for recipe in route.exporter.known(backend) if recipe.is_usual]


def _as_it_is(route: Route, held: Recipe) -> bool:
    """Whether the source's own file comes out, in the recipe that it is in."""
    return route.exporter.keeps and not route.bridges and not held.is_exact


def _why_not(
    kind: SourceKind,
    format: Format,
    route: Route | None,
    used: Recipe,
    support: FormatSupport | None,
    calibrated: bool,
    held: Recipe,
) -> str:
    """Why a variant is not made; empty when it is."""
    if route is None:
        *others, last = [f".{each.name}" for each in FORMATS if find_route(kind, each.name)]
        given = f"{', '.join(others)} and {last}" if others else last
        return f"{kind.title} gives no .{format.name}, only {given}" + (f": {kind.elsewhere}" if kind.elsewhere else "")
    if format.is_baseline and not used.is_exact:
        return f".{format.name} is the float model as a baseline to measure against: it has no recipe but {FP32.name}"
    exporter = route.exporter
    backend = next(iter(exporter.recipes)) if support is None else support.backend
    title = BACKENDS[backend].title
    if backend not in exporter.recipes:
        return f"this edgekit exports no .{format.name} for {title}"
    if not exporter.applies(used, backend):
        known = " and ".join(recipe.name for recipe in exporter.known(backend))
        return f"a .{format.name} for {title} has the recipes {known}, not {used.name}"
    if _as_it_is(route, held):
        if used is held:
            return ""
        if held.is_quantized:
            return f"the file is in {held.name} already, and goes in as it is: give the float file it was made from"
    return _NO_CALIBRATION if used.is_static and not calibrated else ""
