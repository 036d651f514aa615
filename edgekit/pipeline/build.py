"""``edgekit build``: from a project or model file to a bundle, with everything measured on the way."""

from __future__ import annotations

import concurrent.futures
import math
import os
import platform
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from time import monotonic
from typing import TypeVar

from edgekit.backends import BACKENDS
from edgekit.bundle import SUFFIX, Bundle
from edgekit.errors import ConversionError, EdgekitError, Interrupted, LimitError, UsageError
from edgekit.manifest import Manifest, Variant
from edgekit.pipeline.model.reference import Reference, make_reference
from edgekit.pipeline.model.source_model import SourceModel, prepare_model
from edgekit.pipeline.packaging import assemble
from edgekit.pipeline.project.origin import ModelOptions, Origin, find_origin
from edgekit.pipeline.project.paths import check_destination, check_name, check_space
from edgekit.pipeline.sources import contents, signatures
from edgekit.pipeline.variants.make import Made, make_variant
from edgekit.pipeline.variants.plan import Plan, Skipped, plan_variants
from edgekit.pipeline.work.cache import Cache
from edgekit.pipeline.work.events import Listener, StageEvent, Warned
from edgekit.pipeline.work.pool import Pool
from edgekit.pipeline.work.stages import Stages
from edgekit.shapes import as_texts
from edgekit.target import Target, load_target

T = TypeVar("T")


@dataclass(frozen=True)
class Row:
    """What came of one planned variant: what was made, or the error."""

    plan: Plan
    made: Made | None = None
    error: EdgekitError | None = None


@dataclass(frozen=True)
class Result:
    """What a build gave.

    Attributes:
        path: The bundle.
        manifest: Its manifest; None when none was written.
        model: The float source model.
        reference: What it answers.
        rows: One per planned variant, the failed ones too.
        skipped: What was not planned, and why.
        unmet: Each missed limit as one line; empty when a bundle was written.
        unchanged: The bundle was there already, byte for byte.
        unproven: Variants that no limit could be held against, because they were exported, not run; empty without
            limits.
    """

    path: Path
    manifest: Manifest | None
    model: SourceModel
    reference: Reference
    rows: tuple[Row, ...]
    skipped: tuple[Skipped, ...]
    unmet: tuple[str, ...]
    seconds: float
    unchanged: bool = False
    unproven: tuple[str, ...] = ()

    def raise_for_failure(self, strict: bool = False) -> None:
        """Raise what the exit code is for: limits that were not met, or variants that failed.

        Raises:
            ConversionError: Every variant failed, or with *strict* any.
            LimitError: A limit was not met.
        """
        failed = [row for row in self.rows if row.error is not None]
        if failed and (strict or len(failed) == len(self.rows)):
            first = failed[0]
            assert first.error is not None
            hint = first.error.hint
            alike = all(row.error is not None and row.error.message == first.error.message for row in failed)
            which = "" if alike else f", first {first.plan.name}"
            message = f"{len(failed)} of {len(self.rows)} variants failed{which}: {first.error.message}"
            raise ConversionError(first.error.code, message, hint, first.error.log)
        if self.unmet:
            more = f" (and {len(self.unmet) - 1} more)" if len(self.unmet) > 1 else ""
            message = f"{self.unmet[0]}{more}"
            raise LimitError("EK-LIMIT", message, "no bundle was written; loosen the limit, or leave that variant out")


def build(
    project: str | Path,
    *,
    target: str = "desktop-x86_64",
    recipes: Sequence[str] = (),
    formats: Sequence[str] = (),
    max_drop: float | None = None,
    out: str | Path | None = None,
    calibration: str | Path | None = None,
    weights: str | Path | None = None,
    shapes: Mapping[str, Sequence[int]] | Sequence[str] = (),
    framework: str | None = None,
    jobs: int | None = None,
    fresh: bool = False,
    trust: bool = False,
    signature: str | None = None,
    constants: Mapping[str, Sequence[float]] | Sequence[str] = (),
) -> Bundle:
    """Build the bundle of *project* for *target* and open it.

    Args:
        project: A project folder, or a model file of a kind in `edgekit.source_kinds`, or ``model.py:factory``.
        target: A name that ``edgekit targets`` lists, or the path of a target file.
        recipes, formats: What to build instead of the target's own choice.
        max_drop: How much worse than the float model a variant may be, in percentage points of accuracy or the metric's
            unit; overrides the project's limit.
        out: Folder for the bundle; ``build/`` in the project when it is not given.
        calibration: Array file with real samples, for a bare model file.
        weights: Trained weights for what ``model.py:factory`` makes: a ``state_dict`` in ``.safetensors``, ``.pt`` or
            ``.pth``.
        shapes: What goes into a bare model that does not say so itself, or leaves sizes open, for one sample: by input,
            ``{"x": (1, 3, 224, 224)}``, or as `edgekit.shapes` has it, ``["ids=1,16:int64"]``.
        framework: Of ``model.py:factory``, where it is not ``torch``.
        jobs: Worker processes at work side by side; by default one per core.
        fresh: Ignore the cache.
        trust: Take a model file that holds more than data, with a warning that says what it would do.
        signature: Which signature of the model to build, where it has several.
        constants: What inputs of an ``.onnx`` file always are, and the bundle does not ask for: ``{"rate": (16000,)}``.

    Raises:
        EdgekitError: With a code, a hint and the exit code that the command line would give.
    """
    result = run_build(
        str(project),
        target=target,
        recipes=recipes,
        formats=formats,
        max_drop=max_drop,
        out=None if out is None else Path(out),
        calibration=None if calibration is None else str(calibration),
        weights=None if weights is None else str(weights),
        shapes=as_texts(shapes),
        framework=framework,
        jobs=jobs,
        fresh=fresh,
        trust=trust,
        signature=signature,
        constants=as_texts(constants),
        listener=_warn,
    )
    result.raise_for_failure()
    return Bundle.open(result.path)


def _warn(event: StageEvent) -> None:
    if isinstance(event.what, Warned):
        warnings.warn(event.what.text, stacklevel=4)  # at the call of `build`


def run_build(
    project: str,
    *,
    target: str,
    recipes: Sequence[str] = (),
    formats: Sequence[str] = (),
    max_drop: float | None = None,
    out: Path | None = None,
    calibration: str | None = None,
    weights: str | None = None,
    shapes: Sequence[str] = (),
    framework: str | None = None,
    jobs: int | None = None,
    fresh: bool = False,
    trust: bool = False,
    signature: str | None = None,
    constants: Sequence[str] = (),
    listener: Listener = lambda event: None,
) -> Result:
    """`build`, giving every row instead of only the bundle, and telling *listener* what happens meanwhile."""
    began = monotonic()
    device = load_target(target)
    given = ModelOptions(calibration, weights, tuple(shapes), framework, signature, tuple(constants))
    origin = find_origin(project, given, trust)
    wanted = origin.project.build if origin.project is not None else None
    plans, skipped = plan_variants(
        device,
        origin.kind,
        recipes or (wanted.recipes if wanted else ()),
        formats or (wanted.formats if wanted else ()),
        calibrated=origin.project is not None or origin.calibration is not None,
        held=contents.recipe(origin.source),
    )
    if jobs is not None and jobs < 1:
        raise UsageError("EK-ARGUMENT", f"--jobs is {jobs}", "it takes a number from 1")
    if max_drop is not None and not 0 <= max_drop < math.inf:
        raise UsageError("EK-ARGUMENT", f"--max-drop is {max_drop}", "it takes a number from 0")
    _check_host()
    _check_installed(origin, plans)
    said = contents.check(origin.source)
    if said is not None:
        listener(StageEvent("source", origin.name, Warned(said)))
    origin = replace(origin, source=signatures.chosen(origin.source))
    folder = out or origin.directory / "build"
    destination = folder / f"{origin.name}-{device.name}{SUFFIX}"
    check_destination(destination)
    cache = Cache.default(fresh)
    check_name(cache.root)
    check_space(cache.root, folder)
    with Pool(jobs or os.cpu_count() or 1) as pool:
        stages = Stages(cache, pool, listener, origin.name, origin.directory)
        model, reference, rows = _interruptible(
            pool, lambda: _make(stages, pool, origin, plans, device, _allowed(origin, max_drop))
        )
        made = [row.made for row in rows if row.made is not None]
        variants = [item.variant for item in made]
        unmet, unproven = _unmet(origin, reference, variants, max_drop), _unproven(origin, variants, max_drop)
        manifest, unchanged = None, False
        if made and not unmet:
            manifest, unchanged = assemble(origin, device, model, reference, made, max_drop, destination)
    cache.prune()
    return Result(
        destination, manifest, model, reference, rows, skipped, unmet, monotonic() - began, unchanged, unproven
    )


def _make(
    stages: Stages, pool: Pool, origin: Origin, plans: Sequence[Plan], target: Target, max_drop: float | None
) -> tuple[SourceModel, Reference, tuple[Row, ...]]:
    """Everything that takes time: the float model, then its answers and all variants side by side."""
    model = prepare_model(stages, origin)

    def row(plan: Plan) -> Row:
        try:
            return Row(plan, make_variant(stages, origin, model, reference, plan, target, max_drop))
        except Interrupted:
            raise
        except EdgekitError as error:
            return Row(plan, error=error)

    # One thread for each; the pool holds back all but as many processes as there are jobs.
    with concurrent.futures.ThreadPoolExecutor(len(plans) + 1) as threads:
        reference = threads.submit(make_reference, stages, origin, model)
        rows = threads.map(row, plans)
        try:
            answers = reference.result()
        except EdgekitError:  # no file can be better than that
            pool.close()
            raise
        return model, answers, tuple(rows)


def _interruptible(pool: Pool, work: Callable[[], T]) -> T:
    """Do *work* in a thread, so that Ctrl-C in this one can first let running tasks save what they have."""
    with concurrent.futures.ThreadPoolExecutor(1) as threads:
        future = threads.submit(work)
        try:
            return future.result()
        except KeyboardInterrupt:
            pool.interrupt()
            try:
                return future.result()
            except KeyboardInterrupt:
                pool.close()
                raise


def _unmet(
    origin: Origin, reference: Reference, variants: Sequence[Variant], max_drop: float | None
) -> tuple[str, ...]:
    """Each limit that was missed, as one line."""
    metric, limits, allowed, lines = reference.metric, origin.limits, _allowed(origin, max_drop), list[str]()
    reached = reference.accuracy
    for name, worst in (("min_accuracy", limits.min_accuracy), ("worst", limits.worst)):
        if worst is not None and reached is not None and metric.drop(worst, reached) > 0:
            lines.append(f"the float model reaches {metric.value(reached)}, limits.{name} is {metric.value(worst)}")
    for variant in variants:
        if allowed is None or variant.accuracy is None or variant.accuracy_drop is None:
            continue
        if variant.accuracy_drop > allowed:
            behind = f"{metric.difference(variant.accuracy_drop)} the float model"
            beyond = f"{metric.amount(variant.accuracy_drop - allowed)} more than the {allowed:g} allowed"
            lines.append(f"{variant.name} has {metric.name} {metric.value(variant.accuracy)}, {behind}, {beyond}")
    return tuple(lines)


def _unproven(origin: Origin, variants: Sequence[Variant], max_drop: float | None) -> tuple[str, ...]:
    """Names of the variants whose quality is limited and not known."""
    limited = _allowed(origin, max_drop) is not None or origin.limits.min_snr_db is not None
    return tuple(variant.name for variant in variants if not variant.checked) if limited else ()


def _allowed(origin: Origin, max_drop: float | None) -> float | None:
    """The limit on the drop in accuracy, in percentage points."""
    return origin.limits.max_drop if max_drop is None else max_drop


def _check_installed(origin: Origin, plans: Sequence[Plan]) -> None:
    """Raise `UsageError` when a package that the source or one of *plans* needs is missing."""
    origin.kind.check_installed()
    for plan in plans:
        plan.exporter.check_installed()
        for bridge in plan.bridges:
            bridge.check_installed(f".{plan.format.name} of {origin.kind.title}")
        BACKENDS[plan.backend].check_installed()


def _check_host() -> None:
    """Refuse to build where no converter runs."""
    if platform.system() == "Linux" and platform.machine() not in ("x86_64", "AMD64"):
        message = f"edgekit build runs on a desktop (x86_64), this is {platform.machine()}: no converter exists for it"
        hint = "build there and copy the bundle here; edgekit run and edgekit.load work on this machine"
        raise UsageError("EK-UNSUPPORTED", message, hint)
