"""What the page is asked to do: a bundle's variants, its check vectors, and how to measure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from edgekit.bundle import Bundle
from edgekit.devices.browser import assets
from edgekit.digests import sha256
from edgekit.errors import EdgekitError, UsageError, did_you_mean
from edgekit.fidelity import Scale, scale
from edgekit.manifest import Variant, manifest_bytes
from edgekit.runtime import given
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


@dataclass(frozen=True)
class JobBundle:
    name: str
    sha256: str
    target: str


@dataclass(frozen=True)
class CheckFile:
    """Values of an input or output; *scale* is what the page holds noise against, None of what is judged here alone."""

    name: str
    file: str
    scale: Scale | None = None


@dataclass(frozen=True)
class JobChecks:
    samples: int
    inputs: tuple[CheckFile, ...]
    outputs: tuple[CheckFile, ...]
    random: bool


@dataclass(frozen=True, kw_only=True)
class JobSettings(Settings):
    """How to measure; see also `edgekit.runtime.profiler.session.ModeSettings`."""

    accelerators: tuple[str, ...]
    least_warm_up_s: float
    most_warm_up_s: float
    round_ms: int = _ROUND_MS


@dataclass(frozen=True)
class Job:
    """What the page is served as ``job.json``."""

    bundle: JobBundle
    labels: tuple[str, ...]
    runtime: Mapping[str, str]
    signature: Signature
    preprocessing: Mapping[str, Any] | None
    checks: JobChecks
    variants: tuple[Variant, ...]
    settings: JobSettings
    schema_version: int = SCHEMA_VERSION

    @property
    def files(self) -> tuple[str, ...]:
        """The bundle's files that it names."""
        checks = (*self.checks.inputs, *self.checks.outputs)
        return tuple(dict.fromkeys([*(entry.file for entry in self.variants), *(entry.file for entry in checks)]))


def make_job(bundle: Bundle, settings: Settings, *, webgpu: bool, variants: Sequence[str] = ()) -> Job:
    """The job for *bundle*.

    Args:
        webgpu: Whether to measure with WebGPU besides.
        variants: Names to keep to; empty for every ``.tflite`` variant. A quick session leaves out batches, unless they
            are named.

    Raises:
        UsageError: ``EK-ARGUMENT``: there is no such variant, or a browser does not run it.
        EdgekitError: ``EK-NO-VARIANT``: the bundle has nothing that a browser runs.
    """
    manifest = bundle.manifest
    chosen = _chosen(bundle, settings, variants)
    reason = _why_not(manifest.signature) if chosen else f"it has no .{FORMAT} variant"
    if reason:
        hint = "edgekit build PROJECT --format tflite  makes what browsers run"
        raise EdgekitError("EK-NO-VARIANT", f"no browser runs {given.named(bundle.path)}: {reason}", hint)
    mode = MODES[settings.mode]
    inputs, outputs = manifest.checks["inputs"].items(), manifest.checks["outputs"].items()
    return Job(
        bundle=JobBundle(manifest.name, sha256(manifest_bytes(manifest)), manifest.target),
        labels=manifest.labels,
        runtime={"litert_js": assets.version()},
        signature=manifest.signature,
        preprocessing=manifest.preprocessing,
        checks=JobChecks(
            samples=manifest.checks["samples"],
            inputs=tuple(CheckFile(name, file) for name, file in inputs),
            outputs=tuple(CheckFile(name, file, _scale(bundle.array(file))) for name, file in outputs),
            random=bool(manifest.checks.get("random")),
        ),
        variants=tuple(chosen),
        settings=JobSettings(
            **vars(settings),
            accelerators=("wasm", "webgpu") if webgpu else ("wasm",),
            least_warm_up_s=mode.least_warm_up_s,
            most_warm_up_s=mode.most_warm_up_s,
        ),
    )


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


def _why_not(signature: Signature) -> str:
    """Why no browser runs a file with *signature*, in one line; empty when they do."""
    for spec in (*signature.inputs, *signature.outputs):
        if spec.dtype not in DTYPES:
            known = ", ".join(DTYPES)
            return f"{spec.name!r} is {spec.dtype}, and LiteRT.js knows only {known}"
    return ""


def _scale(reference: np.ndarray) -> Scale | None:
    return scale(reference) if reference.dtype.kind == "f" else None
