"""``edgekit inspect``: what a bundle says of itself, and what differs between two."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from edgekit.cli import console, options

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from edgekit.buckets import Buckets, Range
    from edgekit.manifest import Manifest, Variant
    from edgekit.metric import Metric
    from edgekit.tensors import TensorSpec

_LABELS_SHOWN = 10

_EPILOG = """\b
Examples:
  edgekit inspect digits.edgekit
  edgekit inspect digits.edgekit --json
  edgekit inspect face.tflite                                   a model file as it is
  edgekit inspect --diff monday.edgekit tuesday.edgekit
"""


@click.command("inspect", epilog=_EPILOG)
@options.bundles("BUNDLE [BUNDLE]", reference=False)
@click.option("--diff", is_flag=True, help="Name what differs between two bundles.")
@options.output
def command(bundles: tuple[Path, ...], diff: bool, as_json: bool, quiet: bool) -> None:
    """Show what is in BUNDLE, after checking every file's hash; or, with --diff, compare two.

    Of a model file as it is: what it takes and gives.
    """
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
    value = {"bundles": [str(options.named(path)) for path in (first, second)], "differences": lines}
    console.result(as_json, value, lines or ["the bundles have the same contents"])


def _lines(manifest: Manifest) -> Iterator[str]:
    from edgekit.cli.build import partly

    if manifest.is_given:
        yield from _given_lines(manifest)
        return
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
    if manifest.buckets is not None:
        yield from _buckets(manifest, manifest.buckets)
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


def _given_lines(manifest: Manifest) -> Iterator[str]:
    """What is known of a model file as it is."""
    from edgekit.display import size
    from edgekit.formats import FORMATS

    (variant,) = manifest.variants
    assert variant.given is not None
    title = FORMATS[variant.format].title if variant.format in FORMATS else f"a .{variant.format} file"
    yield f"{manifest.name}: {title} as it is, {size(variant.size_bytes)}"
    yield f"precision: {variant.recipe}, by its weights"
    yield f"engines: {', '.join(variant.engines)}"
    sides = (
        ("input", manifest.signature.inputs, variant.given.inputs),
        ("output", manifest.signature.outputs, variant.given.outputs),
    )
    for what, specs, quantized in sides:
        for spec in specs:
            found = quantized.get(spec.name)
            more = f": {found.scale:.9g} * (q - {found.zero_point}), which --dequantize makes floats" if found else ""
            yield f"{what}: {_spec(spec)}{more}"
    for name, signature in manifest.methods.items():
        for what, specs in (("input", signature.inputs), ("output", signature.outputs)):
            yield from (f"method {name}: {what}: {_spec(spec)}" for spec in specs)
    if variant.given.is_stateful:
        yield "state: it keeps values from one run to the next; they are new each time it is loaded"
    yield "no float model goes with it: engines are compared with each other, and nothing is said of quality"


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


def _buckets(manifest: Manifest, buckets: Buckets) -> Iterator[str]:
    bucketed = [variant for variant in manifest.variants if variant.bucket_snr_db]
    taken = {variant.name: _sizes(manifest.buckets_of(variant) or buckets) for variant in bucketed}
    for sizes in dict.fromkeys(taken.values()):
        same = [name for name, own in taken.items() if own == sizes]
        of_them = "" if len(same) == len(taken) else f" of {', '.join(same)}"
        yield f"buckets{of_them}: {sizes}"
    for variant in bucketed:
        name, worst = min(variant.bucket_snr_db.items(), key=lambda item: item[1])
        yield f"{variant.name}: its bucket that is furthest off, {name}, has {worst:.1f} dB"


def _sizes(buckets: Buckets) -> str:
    """What *buckets* take, in words."""
    batch = _range(buckets.batch_range) if buckets.batch_range else ", ".join(map(str, buckets.batch))
    line = f"{batch} samples at a time"
    if not buckets.length:
        return line
    axes = ", ".join(f"axis {axis} of {name}" for name, axis in (buckets.axes or {}).items())
    if buckets.length_range:
        return f"{line}; lengths {_range(buckets.length_range)} ({axes}), as they are"
    line += f"; lengths {', '.join(map(str, buckets.length))} ({axes})"
    return line + (f", shorter ones from {buckets.shortest} are filled up" if buckets.pad else ", no others")


def _range(sizes: Range) -> str:
    return f"{sizes[0]} to {sizes[1]}"


def _spec(spec: TensorSpec) -> str:
    return f"{spec.name} {spec.dtype}{list(spec.shape)}"


def _facts(value: Mapping[str, object]) -> str:
    """``key value`` pairs in one line; nested ones in brackets, empty ones left out."""

    def text(item: object) -> str:
        if isinstance(item, dict):
            return f"({_facts(item)})"
        return ", ".join(map(str, item)) if isinstance(item, (list, tuple)) else str(item)

    return "; ".join(f"{key} {text(item)}" for key, item in value.items() if item not in (None, [], (), {}, ""))
