"""``edgekit doctor MODEL``: what a build would make of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from edgekit.cli import console

if TYPE_CHECKING:
    from edgekit.pipeline.outlook import FormatOutlook, ModelOutlook


def is_model(name: str) -> bool:
    """Whether *name* is a project, or what `edgekit build` takes for a model."""
    from pathlib import Path

    from edgekit.foreign import PROJECT_FILE
    from edgekit.pipeline.work.python_file import split_reference
    from edgekit.source_kinds import kind_of

    path, factory = split_reference(name)
    file = Path(path)
    return (
        factory is not None or file.name == PROJECT_FILE or (file / PROJECT_FILE).is_file() or kind_of(file) is not None
    )


def refuse(name: str) -> None:
    """Raise `UsageError` where *name* is that of a file that people have, and edgekit does not build from."""
    from pathlib import Path

    from edgekit.errors import UsageError
    from edgekit.foreign import foreign

    path = Path(name)
    if path.suffix != ".toml" and (known := foreign(path)) is not None:
        message = f"{name} is {known.what}, of which edgekit doctor has nothing to say"
        raise UsageError("EK-ARGUMENT", message, known.hint)


def show(model: str, given: Mapping[str, Any], trust: bool, as_json: bool, quiet: bool) -> None:
    """Print the outlook of *model*, with what is *given* beside it (see `edgekit.cli.bare`).

    Raises:
        ConversionError: Every format refuses it.
    """
    from edgekit.cli.progress import Progress
    from edgekit.pipeline.outlook import look_ahead
    from edgekit.pipeline.project.origin import ModelOptions

    with Progress(quiet) as progress:
        found = look_ahead(model, ModelOptions(**given), trust=trust, listener=progress.update)
    console.result(as_json, _document(model, found), list(_lines(found)))
    errors = [each.error for each in found.formats if each.error is not None]
    if len(errors) == len(found.formats):
        raise errors[0]


def _document(model: str, found: ModelOutlook) -> dict[str, Any]:
    formats = [
        {
            "format": each.format,
            "backend": each.backend,
            "forecast": None if each.forecast is None else asdict(each.forecast),
            "error": None if each.error is None else each.error.to_json(),
        }
        for each in found.formats
    ]
    return {
        "model": model,
        "parameter_count": found.parameter_count,
        "formats": formats,
        "unknown": list(found.unknown),
        "seconds": found.seconds,
    }


def _lines(found: ModelOutlook) -> Iterator[str]:
    from edgekit.backends import BACKENDS

    yield f"{found.name}: {found.parameter_count:,} parameters; looked at in {found.seconds:.1f} s, nothing was built"
    for each in found.formats:
        yield ""
        yield from _format_lines(each, BACKENDS[each.backend].title)
    if found.unknown:
        yield ""
        yield f"{', '.join(f'.{name}' for name in found.unknown)}: only a build says"


def _format_lines(outlook: FormatOutlook, backend: str) -> Iterator[str]:
    from edgekit.pipeline.work.answers import QUICK_STEPS

    name = f".{outlook.format}"
    if outlook.forecast is None:
        assert outlook.error is not None
        yield f"{name}: will be refused: {outlook.error.message} [{outlook.error.code}]"
        yield from [f"  hint: {outlook.error.hint}"] if outlook.error.hint else []
        return
    forecast = outlook.forecast
    outside = sum(each.count for each in forecast.outside)
    yield f"{name}: {backend} takes {forecast.inside} operators" + (
        f", and {outside} not:" if outside else ", all of them"
    )
    for each in forecast.outside:
        where = "; ".join(filter(None, (f"layer {', '.join(each.layers)}" if each.layers else "", each.line)))
        yield f"  {each.count} x {each.operator}" + (f"  ({where})" if where else "")
    if forecast.rewritten:
        yield f"  spelled otherwise: {', '.join(forecast.rewritten)}"
    if forecast.steps:
        slow = ": the export takes minutes" if forecast.steps > QUICK_STEPS else ""
        yield f"  {forecast.steps:,} recurrent steps, one by one{slow}"
