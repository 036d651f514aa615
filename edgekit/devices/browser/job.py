"""What the page is asked to do: a bundle's variants, its check vectors, and how to measure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any

import numpy as np

from edgekit.bundle import Bundle
from edgekit.devices.browser import assets
from edgekit.digests import sha256
from edgekit.errors import EdgekitError, UsageError, did_you_mean
from edgekit.fidelity import scale
from edgekit.manifest import Variant, manifest_bytes
from edgekit.runtime.profiler.session import MODES, settings_for
from edgekit.runtime.profiler.settings import Mode, Settings
from edgekit.tensors import Signature

SCHEMA_VERSION = 1

#: The only format that a browser runs.
FORMAT = "tflite"
#: Element types of LiteRT.js 2.5.3's tensors (``DATATYPES`` in its index.js); others fail at the first inference.
DTYPES = ("float32", "int32", "uint8")
#: How long a turn of a worker is, as `edgekit.runtime.profiler.block` has it.
_ROUND_MS = 50
#: Of each row, in the default mode. Somebody holds the phone meanwhile, and it heats up: with 5 workers, each of which
#: takes one or two seconds to load and settle, three variants take about a minute.
_DEFAULT_SECONDS, _DEFAULT_SAMPLES = 5.0, 256


def phone_settings(mode: Mode, *, seed: int, threads: int | None = None) -> Settings:
    """The settings that *mode* stands for on phones: those of every device, but shorter ones by default."""
    settings = replace(settings_for(mode, seed=seed, threads=threads), busy_repeats=None)  # a page sees no others
    return replace(settings, seconds=_DEFAULT_SECONDS, samples=_DEFAULT_SAMPLES) if mode == "default" else settings


def make_job(bundle: Bundle, settings: Settings, *, webgpu: bool, variants: Sequence[str] = ()) -> dict[str, Any]:
    """The job for *bundle*, as JSON can hold it.

    Args:
        webgpu: Whether to measure with WebGPU besides.
        variants: Names to keep to; empty for every ``.tflite`` variant. A quick session leaves out batches, unless they
            are named.

    Raises:
        UsageError: ``EK-ARGUMENT``: there is no such variant, or a browser does not run it.
        EdgekitError: ``EK-NO-VARIANT``: the bundle has nothing that a browser runs.
    """
    manifest = bundle.manifest
    chosen = [_job_variant(entry, manifest.signature) for entry in _chosen(bundle, settings, variants)]
    runnable = [entry for entry in chosen if not entry["reason"]]
    if not runnable:
        hint = "edgekit build PROJECT --format tflite  makes what browsers run"
        reason = chosen[0]["reason"] if chosen else f"it has no .{FORMAT} variant"
        raise EdgekitError("EK-NO-VARIANT", f"no browser runs {bundle.path}: {reason}", hint)
    mode = MODES[settings.mode]
    checks = manifest.checks
    return {
        "schema_version": SCHEMA_VERSION,
        "bundle": {"name": manifest.name, "sha256": sha256(manifest_bytes(manifest)), "target": manifest.target},
        "labels": list(manifest.labels),
        "runtime": {"litert_js": assets.version()},
        "signature": manifest.signature.to_json(),
        "preprocessing": None if manifest.preprocessing is None else dict(manifest.preprocessing),
        "checks": {
            "samples": checks["samples"],
            "inputs": _named_files(checks["inputs"]),
            "outputs": [
                {**named, "scale": _scale(bundle.array(named["file"]))} for named in _named_files(checks["outputs"])
            ],
            "random": bool(checks.get("random")),
        },
        "variants": chosen,
        "settings": {
            "mode": settings.mode,
            "seed": settings.seed,
            "repeats": settings.repeats,
            "seconds": settings.seconds,
            "samples": settings.samples,
            "threads": settings.threads,
            "accelerators": ["wasm", "webgpu"] if webgpu else ["wasm"],
            "least_warm_up_s": mode.least_warm_up_s,
            "most_warm_up_s": mode.most_warm_up_s,
            "round_ms": _ROUND_MS,
        },
    }


def files_of(job: Mapping[str, Any]) -> tuple[str, ...]:
    """The bundle's files that *job* names."""
    entries = (*job["variants"], *job["checks"]["inputs"], *job["checks"]["outputs"])
    return tuple(dict.fromkeys(entry["file"] for entry in entries))


def _chosen(bundle: Bundle, settings: Settings, names: Sequence[str]) -> list[Variant]:
    entries = bundle.manifest.variants
    known = [entry.name for entry in entries]
    for name in names:
        if name not in known:
            raise UsageError("EK-ARGUMENT", f"the bundle has no variant {name!r}", did_you_mean(name, known))
        if bundle.manifest.variant(name).format != FORMAT:
            hint = f"it has: {', '.join(entry.name for entry in entries if entry.format == FORMAT)}"
            raise UsageError("EK-ARGUMENT", f"no browser runs {name}: it is no .{FORMAT} file", hint)
    if names:
        return [entry for entry in entries if entry.name in names]
    return [entry for entry in entries if entry.format == FORMAT and (entry.batch == 1 or settings.mode != "quick")]


def _job_variant(entry: Variant, signature: Signature) -> dict[str, Any]:
    return {
        "name": entry.name,
        "file": entry.file,
        "size_bytes": entry.size_bytes,
        "recipe": entry.recipe,
        "batch": entry.batch,
        "required": None if entry.required is None else asdict(entry.required),
        "reason": _why_not(signature),
    }


def _why_not(signature: Signature) -> str:
    """Why no browser runs a file with *signature*, in one line; empty when they do."""
    for spec in (*signature.inputs, *signature.outputs):
        if spec.dtype not in DTYPES:
            known = ", ".join(DTYPES)
            return f"{spec.name!r} is {spec.dtype}, and LiteRT.js knows only {known}"
    return ""


def _scale(reference: np.ndarray) -> dict[str, Any] | None:
    """What the page holds noise against; None of whole numbers, which are judged here alone."""
    return asdict(scale(reference)) if reference.dtype.kind == "f" else None


def _named_files(files: Mapping[str, str]) -> list[dict[str, str]]:
    return [{"name": name, "file": file} for name, file in files.items()]
