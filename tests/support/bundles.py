"""Bundles made of others."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from support.figures import not_run

from edgekit import archive
from edgekit.bundle import MANIFEST, Bundle, canonical_json, seal, sha256, write_bundle


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
