"""Bundles made of others."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from support.figures import figures, not_run

from edgekit import archive
from edgekit.bundle import Bundle, write_bundle
from edgekit.digests import sha256
from edgekit.documents import canonical_json
from edgekit.manifest import MANIFEST, Manifest, Variant, seal
from edgekit.runtime.remote import Server
from edgekit.tensors import Signature


def only(bundle: Path, variants: tuple[str, ...], into: Path) -> Path:
    """A bundle at *into* with these *variants* of *bundle* and all that belongs to them."""
    with Bundle.open(bundle) as opened:
        manifest = opened.manifest
        left_out = {entry.file for entry in manifest.variants if entry.name not in variants}
        files = {name: opened.read(name) for name in manifest.files if name not in left_out}
    kept = tuple(entry for entry in manifest.variants if entry.name in variants)
    write_bundle(replace(manifest, variants=kept, recommended={"variant": variants[0], "reason": "here"}), files, into)
    return into


def forged(bundle: Path, change: Callable[[dict[str, Any], dict[str, bytes]], object], into: Path) -> Path:
    """A bundle at *into* as somebody makes it who controls every byte: *change* gets the manifest as JSON and the
    files, and all hashes fit afterwards."""
    with Bundle.open(bundle) as opened:
        files = {name: opened.read(name) for name in opened.manifest.files}
        value = opened.manifest.to_json()
    value = json.loads(canonical_json(value))
    change(value, files)
    value["files"] = {name: {"size_bytes": len(data), "sha256": sha256(data)} for name, data in files.items()}
    for entry in value["variants"]:
        if entry["file"] in files:
            entry |= value["files"][entry["file"]]
    with into.open("wb") as stream:
        archive.write({MANIFEST: seal(value), **dict(sorted(files.items()))}, stream)
    return into


def with_file(bundle: Path, variant: str, data: bytes, into: Path) -> Path:
    """A bundle at *into* that has *data* as its only variant, under the name and with the facts of *variant*."""
    with Bundle.open(bundle) as opened:
        manifest = opened.manifest
        entry = replace(manifest.variant(variant), size_bytes=len(data), sha256=sha256(data))
        kept = {name: opened.read(name) for name in manifest.files if not name.startswith("variants/")}
    recommended = {"variant": variant, "reason": "here"}
    write_bundle(replace(manifest, variants=(entry,), recommended=recommended), {**kept, entry.file: data}, into)
    return into


def as_exported(bundle: Path, variant: str, backend: str, into: Path) -> Path:
    """A bundle at *into* whose *variant* is said to be for *backend*, and was not run."""
    unknown = not_run()
    with Bundle.open(bundle) as opened:
        manifest = opened.manifest
        files = {name: opened.read(name) for name in manifest.files}
    variants = tuple(
        replace(entry, backend=backend, **unknown) if entry.name == variant else entry for entry in manifest.variants
    )
    write_bundle(replace(manifest, variants=variants), files, into)
    return into


def of_file(data: bytes, engine: str, format: str, signature: Signature, into: Path) -> Path:
    """A bundle at *into* of one file, whose check vectors are what it gives for random inputs."""
    draw = np.random.default_rng(0)
    samples = [[draw.random(spec.shape).astype(spec.dtype) for spec in signature.inputs] for _ in range(4)]
    with Server.start(engine) as server:
        session = server.open(data, format, signature, 1)
        rows = [session.run(sample) for sample in samples]
    inputs, outputs = ([np.concatenate(column) for column in zip(*side, strict=True)] for side in (samples, rows))
    return of_vectors(data, engine, format, signature, inputs, outputs, into)


def of_vectors(
    data: bytes,
    engine: str,
    format: str,
    signature: Signature,
    inputs: Sequence[np.ndarray],
    outputs: Sequence[np.ndarray],
    into: Path,
) -> Path:
    """A bundle at *into* of one file, with these check vectors (samples first)."""
    checks: dict[str, Any] = {"inputs": {}, "outputs": {}, "samples": len(inputs[0]), "random": True}
    files = {f"variants/fp32.{format}": data}
    for side, specs, arrays in (("inputs", signature.inputs, inputs), ("outputs", signature.outputs, outputs)):
        for number, (spec, array) in enumerate(zip(specs, arrays, strict=True)):
            buffer = io.BytesIO()
            np.save(buffer, array, allow_pickle=False)
            checks[side][spec.name] = f"checks/{side}_{number}.npy"
            files[f"checks/{side}_{number}.npy"] = buffer.getvalue()
    variant = Variant(
        name=f"fp32.{format}",
        file=f"variants/fp32.{format}",
        size_bytes=len(data),
        sha256=sha256(data),
        format=format,
        recipe="fp32",
        engines=(engine,),
        minimum_runtime={},
        producers={"made": "by a test"},
        **figures(agreement=None),
        delegated_share=None,
        undelegated_ops={},
    )
    manifest = Manifest(
        name="single",
        target="desktop",
        signature=signature,
        preprocessing=None,
        labels=(),
        variants=(variant,),
        recommended={"variant": variant.name, "reason": "the only one"},
        source={"framework": "torch", "parameter_count": 1},
        calibration=None,
        checks=checks,
        producer="edgekit tests",
    )
    write_bundle(manifest, files, into)
    return into
