"""``edgekit inspect``: what a bundle says of itself, and what differs between two."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from edgekit.cli import console, options

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from edgekit.manifest import Manifest, Variant
    from edgekit.metric import Metric
    from edgekit.tensors import TensorSpec

_LABELS_SHOWN = 10

_EPILOG = """\b
Examples:
  edgekit inspect digits.edgekit
  edgekit inspect digits.edgekit --json
  edgekit inspect --diff monday.edgekit tuesday.edgekit
"""


@click.command("inspect", epilog=_EPILOG)
@click.argument("bundles", type=click.Path(path_type=Path), nargs=-1, required=True, metavar="BUNDLE [BUNDLE]")
@click.option("--diff", is_flag=True, help="Name what differs between two bundles.")
@options.output
def command(bundles: tuple[Path, ...], diff: bool, as_json: bool, quiet: bool) -> None:
    """Show what is in BUNDLE, after checking every file's hash; or, with --diff, compare two."""
    from edgekit.bundle import Bundle
    from edgekit.errors import UsageError

    wanted = 2 if diff else 1
    if len(bundles) != wanted:
        hint = "edgekit inspect --diff A B" if diff or len(bundles) == 2 else "edgekit inspect BUNDLE"
        raise UsageError("EK-ARGUMENT", f"{len(bundles)} bundles were named, not {wanted}", hint)
    if diff:
        _compare(*bundles, as_json=as_json)
        return
    with Bundle.open(bundles[0]) as bundle:
        bundle.verify()
        manifest = bundle.manifest
    console.note(f"{len(manifest.files)} files, all hashes right", quiet or as_json)
    console.result(as_json, manifest.to_json(), _lines(manifest))


def _compare(first: Path, second: Path, *, as_json: bool) -> None:
    from edgekit.bundle import Bundle, differences

    with Bundle.open(first) as one, Bundle.open(second) as other:
        lines = differences(one, other)
    value = {"bundles": [str(first), str(second)], "differences": lines}
    console.result(as_json, value, lines or ["the bundles have the same contents"])


def _lines(manifest: Manifest) -> Iterator[str]:
    from edgekit.cli.build import partly

    yield f"{manifest.name} for {manifest.target}, made by {manifest.producer}"
    yield f"recommended: {manifest.recommended['variant']}: {manifest.recommended.get('reason', '')}".rstrip(": ")
    yield ""
    metric = manifest.metric
    headers = ["variant", "size", metric.title, "drop", "SNR dB", "agreement", "delegated", "engines"]
    yield from console.table(headers, [_row(variant, metric) for variant in manifest.variants])
    for variant in manifest.variants:
        yield from partly(variant)
        if variant.undelegated_ops:
            ops = ", ".join(f"{name} x{count}" for name, count in sorted(variant.undelegated_ops.items()))
            yield f"{variant.name}: not delegated: {ops}"
        for warning in variant.warnings:
            yield f"{variant.name}: warning: {warning}"
    yield ""
    for what, specs in (("input", manifest.signature.inputs), ("output", manifest.signature.outputs)):
        yield from (f"{what}: {_spec(spec)}" for spec in specs)
    if manifest.preprocessing is not None:
        yield f"preprocessing: {_facts(manifest.preprocessing)}"
    if manifest.labels:
        more = f", ... ({len(manifest.labels)})" if len(manifest.labels) > _LABELS_SHOWN else ""
        yield f"labels: {', '.join(manifest.labels[:_LABELS_SHOWN])}{more}"
    yield f"source: {_facts(manifest.source)}"
    if manifest.calibration is not None:
        yield f"calibration: {_facts(manifest.calibration)}"
    checks = {key: value for key, value in manifest.checks.items() if key not in ("inputs", "outputs")}
    yield f"checks: {_facts(checks)}"
    producers: dict[str, str] = {}
    for variant in manifest.variants:
        producers.update(variant.producers)
    yield f"producers: {_facts(dict(sorted(producers.items())))}"


def _row(variant: Variant, metric: Metric) -> list[str]:
    from edgekit.backends import BACKENDS
    from edgekit.cli.build import figures

    where = ", ".join(variant.engines)
    if not variant.checked:
        title = BACKENDS[variant.backend].title if variant.backend in BACKENDS else variant.backend
        where += f" ({title}): exported, not run"
    return [
        *figures(variant, metric),
        "-" if variant.agreement is None else f"{variant.agreement:.1f} %",
        "-" if variant.delegated_share is None else f"{variant.delegated_share:.0f} %",
        where,
    ]


def _spec(spec: TensorSpec) -> str:
    return f"{spec.name} {spec.dtype}{list(spec.shape)}"


def _facts(value: Mapping[str, object]) -> str:
    """``key value`` pairs in one line; nested ones in brackets, empty ones left out."""

    def text(item: object) -> str:
        if isinstance(item, dict):
            return f"({_facts(item)})"
        return ", ".join(map(str, item)) if isinstance(item, (list, tuple)) else str(item)

    return "; ".join(f"{key} {text(item)}" for key, item in value.items() if item not in (None, [], (), {}, ""))
