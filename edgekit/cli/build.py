"""``edgekit build``"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edgekit.cli import bare, console, options
from edgekit.formats import FORMATS
from edgekit.recipes import RECIPES
from edgekit.source_kinds import written

if TYPE_CHECKING:
    from edgekit.manifest import Variant
    from edgekit.metric import Metric
    from edgekit.pipeline.build import Result, Row


@click.command(
    epilog=f"""Models are {written()}.

\b
Examples:
  edgekit build --target rpi4                          the project in this folder
  edgekit build examples/digits --target rpi4 --target rpi5
  edgekit build examples/digits --target rpi4 --recipe int8 --format tflite
  edgekit build model.keras --target rpi4 --calibration samples.npy
  edgekit build model.onnx --target rpi4 --shape x=1,3,224,224
  edgekit build saved_model/ --target rpi4 --signature encode
  edgekit build net.py:make --target rpi4 --calibration samples.npy --max-drop 0.5
  edgekit build net.py:make --weights net.safetensors --shape 1,3,224,224 --target rpi4

\b
Exit codes: 0 done, 2 wrong usage, 3 a limit was not met, 5 no variant could be made, 130 stopped by Ctrl-C."""
)
@click.argument("project", default=".", metavar="[PROJECT | MODEL FILE]")
@click.option(
    "-t",
    "--target",
    "targets",
    multiple=True,
    required=True,
    help="What to build for; see edgekit targets. Repeatable.",
)
@click.option(
    "-r",
    "--recipe",
    "recipes",
    multiple=True,
    help=f"{RECIPES.listing()}, instead of the target's choice. Repeatable.",
)
@click.option(
    "-f",
    "--format",
    "formats",
    multiple=True,
    help=f"{FORMATS.listing()}, instead of the target's choice. Repeatable.",
)
@click.option(
    "--max-drop",
    type=click.FloatRange(min=0),
    metavar="POINTS",
    help="How much worse than the float model a variant may be: percentage points of accuracy, or in the unit of the "
    "project's metric.",
)
@bare.model
@click.option(
    "-o", "--out", type=click.Path(file_okay=False, path_type=Path), help="Folder for the bundle.  [PROJECT/build]"
)
@click.option("-j", "--jobs", type=click.IntRange(min=1), help="Worker processes side by side.  [one per core]")
@click.option("--fresh", is_flag=True, help="Ignore what earlier builds left in the cache.")
@click.option(
    "--trust",
    is_flag=True,
    help="Take a model file that holds more than data (code, say), after saying what it would do.",
)
@click.option("--strict", is_flag=True, help="Fail when any variant fails, not only when all do.")
@options.output
def command(project: str, targets: tuple[str, ...], strict: bool, as_json: bool, quiet: bool, **asked: Any) -> None:
    """Build the bundle of a project, or of a bare model file, for one or more targets.

    Trains if the project says so, exports every recipe in every format the target takes, runs each file with its
    real engine and compares it with the float model. Files for Vulkan and Core ML run in apps alone: their structure
    is checked, and they are marked as exported, not run. What was made before is taken from the cache.
    """
    from edgekit.cli.progress import Progress
    from edgekit.pipeline.build import run_build
    from edgekit.target import load_target

    for name in targets:  # all of them are checked before the first one takes time
        load_target(name)
    results: list[Result] = []
    documents: list[dict[str, Any]] = []
    for name in dict.fromkeys(targets):
        with Progress(quiet) as progress:
            result = run_build(project, target=name, listener=progress.update, **asked)
        results.append(result)
        if as_json:
            documents.append(_document(result))
            console.document(documents if len(set(targets)) > 1 else documents[0])
        else:
            console.say(*_summary(result))
    for result in results:
        result.raise_for_failure(strict)


def _summary(result: Result) -> list[str]:
    model, metric, accuracy = result.model, result.reference.metric, result.reference.accuracy
    headers = ("variant", "size", metric.title, "drop", "SNR dB", "agree %", "delegated %", "this host, 1 thread")
    lines = [
        "",
        f"float model: {model.parameter_count:,} parameters, "
        + ("no labels to score it with" if accuracy is None else f"{metric.name} {metric.value(accuracy)}"),
    ]
    if model.random:
        lines.append("check inputs are random numbers: give --calibration FILE.npy for figures that mean something")
    lines += ["", *console.table(headers, [_row(row, metric) for row in result.rows]), ""]
    lines += _failures(result.rows)
    for row in result.rows:
        if row.made is not None:
            undelegated = row.made.variant.undelegated_ops
            if undelegated:
                named = ", ".join(f"{count} x {op}" for op, count in undelegated.items())
                share = 100 - (row.made.variant.delegated_share or 0)
                lines.append(f"{row.plan.name}: outside the delegate, {share:.1f} % of the work: {named}")
            lines += partly(row.made.variant)
            lines += [f"{row.plan.name}: warning: {warning}" for warning in row.made.variant.warnings]
    lines += [f"{item.name} not built: {item.reason}" for item in result.skipped]
    lines += [f"limit not met: {line}" for line in result.unmet]
    if result.unproven:
        lines.append(f"limits not checked: {', '.join(result.unproven)}: exported, not run")
    if result.manifest is not None:
        recommended = result.manifest.recommended
        failed = sum(row.error is not None for row in result.rows)
        state = "unchanged" if result.unchanged else f"{len(result.rows) - failed} variants"
        lines += [
            f"recommended for {result.manifest.target}: {recommended['variant']} ({recommended['reason']})",
            f"{result.path} ({state}{f', {failed} failed' if failed else ''}, {result.seconds:.1f} s)",
        ]
    return lines


def partly(variant: Variant) -> Iterator[str]:
    """That it was not run on all evaluation samples, and what the figures are worth."""
    if None in (variant.samples, variant.samples_available) or variant.samples == variant.samples_available:
        return
    figure = "drop" if variant.accuracy_drop is not None else "agreement"
    known = "" if variant.margin is None else f": its {figure} is known to {variant.margin:.2f} points (95 %)"
    yield f"{variant.name}: run on {variant.samples:,} of {variant.samples_available:,} evaluation samples{known}"


def _failures(rows: Sequence[Row]) -> Iterator[str]:
    """What failed and why, each reason once."""
    reasons: dict[tuple[str, str, str | None], list[Row]] = {}
    for row in rows:
        if (error := row.error) is not None:
            reasons.setdefault((error.code, error.message, error.hint), []).append(row)
    for (code, message, hint), failed in reasons.items():
        yield f"{', '.join(row.plan.name for row in failed)} failed: {message} [{code}]"
        yield from [f"  hint: {hint}"] if hint else []
        first = failed[0].error
        yield from [f"  log: {first.log}"] if first is not None and first.log else []


def _row(row: Row, metric: Metric) -> tuple[str, ...]:
    from edgekit.backends import BACKENDS

    if row.made is None:
        return (row.plan.name, "failed", *("-" * 6))
    variant, trial = row.made.variant, row.made.trial
    if trial is None or trial.latency_ms is None:
        host = f"exported, not run ({BACKENDS[variant.backend].title})"
    else:
        host = f"{trial.latency_ms.median:.3f} ms"
    shares = (console.number(variant.agreement, 1), console.number(variant.delegated_share, 1))
    return (*figures(variant, metric), *shares, host)


def figures(variant: Variant, metric: Metric) -> tuple[str, ...]:
    """Name, size, metric, drop and SNR, as cells of a table."""
    scores = ("-" if each is None else metric.number(each) for each in (variant.accuracy, variant.accuracy_drop))
    return (variant.name, console.size(variant.size_bytes), *scores, console.number(variant.snr_db, 1))


def _document(result: Result) -> dict[str, Any]:
    from dataclasses import asdict

    rows = []
    for row in result.rows:
        entry: dict[str, Any] = {"name": row.plan.name, "format": row.plan.format.name, "recipe": row.plan.recipe.name}
        if row.made is not None:
            kept, trial = ("engine", "engine_version", "threads", "latency_ms", "load_ms"), row.made.trial
            host = None if trial is None else {key: asdict(trial)[key] for key in kept}
            status = "exported, not run" if trial is None else "ok"
            entry |= {"status": status, **asdict(row.made.variant), "host": host}
        elif row.error is not None:
            entry |= {"status": "failed", "error": row.error.to_json()}
        rows.append(entry)
    manifest = result.manifest
    return {
        "bundle": str(result.path) if manifest is not None else None,
        "target": manifest.target if manifest is not None else None,
        "metric": vars(result.reference.metric),
        "accuracy": result.reference.accuracy,
        "parameter_count": result.model.parameter_count,
        "random_inputs": result.model.random,
        "variants": rows,
        "skipped": [vars(item) for item in result.skipped],
        "unmet_limits": list(result.unmet),
        "unproven": list(result.unproven),
        "recommended": dict(manifest.recommended) if manifest is not None else None,
        "unchanged": result.unchanged,
        "seconds": round(result.seconds, 3),
    }
