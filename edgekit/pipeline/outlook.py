"""What a build would make of a model, before it is built: what each format refuses, and what its backend takes."""

from __future__ import annotations

import concurrent.futures
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from time import monotonic

from edgekit.errors import EdgekitError, UsageError
from edgekit.formats import FORMATS
from edgekit.pipeline.exporters import Route, find_route
from edgekit.pipeline.model.source_model import SourceModel, prepare_model
from edgekit.pipeline.project.origin import ModelOptions, Origin, find_origin
from edgekit.pipeline.sources import contents, signatures
from edgekit.pipeline.variants.crossing import cross
from edgekit.pipeline.work.answers import Forecast
from edgekit.pipeline.work.cache import Cache
from edgekit.pipeline.work.events import Listener, StageEvent, Warned
from edgekit.pipeline.work.pool import Pool
from edgekit.pipeline.work.stages import Stages


@dataclass(frozen=True)
class FormatOutlook:
    """What will become of a model in one format: a forecast, or the error that a build would end with."""

    format: str
    backend: str
    forecast: Forecast | None = None
    error: EdgekitError | None = None


@dataclass(frozen=True)
class ModelOutlook:
    """The same of a model in all formats that there is a forecast for.

    Attributes:
        unknown: Formats that can be built of it, but not foretold.
    """

    name: str
    parameter_count: int
    formats: tuple[FormatOutlook, ...]
    unknown: tuple[str, ...]
    seconds: float


def look_ahead(
    model: str, given: ModelOptions, *, trust: bool = False, listener: Listener = lambda event: None
) -> ModelOutlook:
    """The outlook of *model*, a project or a model file; nothing is trained, and no bundle is written.

    Args:
        given: What is said of a bare model beside its file.
        trust: As `edgekit.pipeline.build.build` takes it.

    Raises:
        UsageError: It cannot be read, or no file can do what it does.
    """
    began = monotonic()
    origin = _untrained(find_origin(model, given, trust))
    origin.kind.check_installed()
    formats = [format.name for format in FORMATS if not format.is_baseline]
    routes = [route for name in formats if (route := find_route(origin.kind, name)) is not None]
    foretold = [route for route in routes if route.exporter.forecast is not None]
    if not foretold:
        message = f"nothing can be foretold of {origin.kind.title}"
        raise UsageError(
            "EK-UNSUPPORTED", message, "build it: edgekit build MODEL --target NAME says what is delegated"
        )
    for route in foretold:
        for bridge in route.bridges:
            bridge.check_installed(f".{route.exporter.format} of {origin.kind.title}")
    if (said := contents.check(origin.source)) is not None:
        listener(StageEvent("source", origin.name, Warned(said)))
    origin = replace(origin, source=signatures.chosen(origin.source))
    cache = Cache.default(False)
    with Pool(os.cpu_count() or 1) as pool:
        stages = Stages(cache, pool, listener, origin.name, origin.directory)
        source = prepare_model(stages, origin)
        outlooks = _formats(stages, source, foretold)
    unknown = {route.exporter.format for route in routes if route not in foretold}
    return ModelOutlook(
        origin.name, source.parameter_count, outlooks, tuple(sorted(unknown)), round(monotonic() - began, 1)
    )


def _untrained(origin: Origin) -> Origin:
    """*origin* as its factory makes it: weights decide nothing here."""
    if origin.project is None or origin.project.training is None:
        return origin
    return replace(origin, project=origin.project.model_copy(update={"training": None}))


def _formats(stages: Stages, source: SourceModel, routes: Sequence[Route]) -> tuple[FormatOutlook, ...]:
    def outlook(route: Route) -> FormatOutlook:
        exporter = route.exporter
        backend = next(iter(exporter.recipes))
        assert exporter.forecast is not None
        try:
            answer = stages.ask(
                "forecast",
                f".{exporter.format}",
                function=exporter.forecast,
                family=exporter.family,
                arguments={"source": cross(stages, source, route.bridges).spec.to_json(), "backend": backend},
                failure="EK-EXPORT",
            )
        except EdgekitError as error:
            return FormatOutlook(exporter.format, backend, error=error)
        return FormatOutlook(exporter.format, backend, Forecast.read(answer))

    with concurrent.futures.ThreadPoolExecutor(len(routes)) as threads:
        return tuple(threads.map(outlook, routes))
