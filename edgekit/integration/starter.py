"""The starter's files: templates filled with a model's facts, the model itself, its labels and one check vector."""

from __future__ import annotations

import base64
import html
import json
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from string import Template
from typing import Any

from edgekit.bundle import Bundle
from edgekit.errors import EdgekitError, UsageError
from edgekit.integration import markdown
from edgekit.integration.facts import Facts, facts_of
from edgekit.integration.languages import LANGUAGES, constants
from edgekit.integration.platforms import AppEngine, Platform, choose, find_platform
from edgekit.runtime.contents import read_variant
from edgekit.tensors import TensorSpec

_TEMPLATES = Path(__file__).with_name("templates")
#: Templates with placeholders; all other files are copied as they are.
_FILLED = (
    "README",
    "ModelSpec.",
    "spec.",
    "check.js",
    "index.html",
    "build.gradle.kts",
    "Package.swift",
    "Podfile",
    "pubspec.yaml",
    "package.json",
)
#: What is to be known of a picture, where a decoder of the platform applies its colour profile and where none does.
_STORED = "   Pictures are upright and opaque, with the values that are stored, as `edgekit.read_image` reads them"
_PROFILED = "a decoder that applies a picture's colour profile, as those of phones do, differs by a few units"


@dataclass(frozen=True)
class Starter:
    """What was written: for which platform, of which variant, with which library; paths relative to *folder*."""

    platform: str
    variant: str
    library: str
    folder: Path
    files: tuple[str, ...]


def integrate(bundle: Bundle, platform: str, destination: Path, variant: str | None = None) -> Starter:
    """Write a starter for an app that runs a variant of *bundle*.

    Args:
        platform: A name in ``platforms.toml``.
        destination: A folder that is empty, or not there yet.
        variant: Its name; by default the recommended one, or the first that the platform takes.

    Raises:
        UsageError: ``EK-ARGUMENT``: an unknown name, or *destination* is not empty; ``EK-NO-VARIANT``: nothing fits
            the platform; ``EK-INPUT``: the model takes or gives something other than 32-bit floats.
        BundleError: The bundle is damaged, or the file holds more than data.
        EdgekitError: ``EK-WRITE``: *destination* cannot be written.
    """
    app = find_platform(platform)
    if destination.exists() and (not destination.is_dir() or any(destination.iterdir())):
        raise UsageError("EK-ARGUMENT", f"{destination} is there already", "name another folder with -o")
    chosen, engine = choose(bundle, app, variant)
    facts = facts_of(bundle, chosen)
    files = _files(app, engine, facts, bytes(read_variant(bundle, chosen).data))
    try:
        destination.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f".{destination.name}.", dir=destination.parent) as scratch:
            whole = Path(scratch, "starter")
            for name, data in files.items():
                path = whole / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(data)
            whole.replace(destination)
    except OSError as error:
        raise EdgekitError("EK-WRITE", f"cannot write {destination}: {error.strerror}", "write elsewhere") from error
    return Starter(platform, chosen.name, engine.library, destination, tuple(sorted(files)))


def _files(platform: Platform, engine: AppEngine, facts: Facts, model: bytes) -> dict[str, bytes]:
    values = _values(platform, engine, facts)
    templates = {**platform.files, **engine.files, **(platform.image_files if facts.image is not None else {})}
    files = {name: _filled(template, values) for name, template in templates.items()}
    folder = f"{platform.folder}/" if platform.folder else ""
    files[f"{folder}model.{engine.format}"] = model
    files[f"{folder}labels.txt"] = "".join(f"{label}\n" for label in facts.labels).encode()
    if platform.check is None:
        files[f"{folder}check.bin"] = facts.check
    return files


def _filled(template: str, values: Mapping[str, str]) -> bytes:
    path = _TEMPLATES / template
    data = path.read_bytes()
    if not path.name.startswith(_FILLED):
        return data
    return Template(data.decode()).substitute(values).encode()


def _values(platform: Platform, engine: AppEngine, facts: Facts) -> dict[str, str]:
    return {
        **constants(platform.language, facts),
        **{name: _shown(value) for name, value in engine.values.items()},
        "name": facts.name,
        "variant": facts.variant.name,
        "format": engine.format,
        "title": html.escape(facts.name),
        "heading": markdown.text(facts.name),
        "file_label": "A picture:" if facts.image else "A JSON file with the raw values by input name:",
        "accept": "image/png,image/jpeg" if facts.image else "application/json",
        "about": _about(engine, facts),
        "usage": _usage(platform, facts),
        "check_note": _check_note(platform, facts),
        "check": base64.b64encode(facts.check).decode(),
    }


def _shown(value: Any) -> str:
    """A value of ``platforms.toml`` as its template takes it."""
    if isinstance(value, dict):
        return json.dumps(value, indent=4).replace("\n}", "\n  }")
    if isinstance(value, list):
        return "\n".join(f'                .product(name: "{name}", package: "executorch"),' for name in value)
    return str(value)


def _about(engine: AppEngine, facts: Facts) -> str:
    variant = facts.variant
    about = f"`{variant.name}` of the bundle {markdown.code(facts.name)}, run by {engine.library}."
    if variant.runs:
        return about
    never = f"**This file has never run:** where it was built nothing has its backend, {variant.backend}."
    return f"{about}\n{never} The self-test below is its first check."


def _usage(platform: Platform, facts: Facts) -> str:
    """The lines that run the model, as a block of code below a step of the README, and what they take."""
    language, picture = LANGUAGES[platform.language], platform.picture
    inputs, note = facts.signature.inputs, ""
    if facts.image is not None:
        meaning, note = picture.takes, f"{_STORED};\n   {_PROFILED}." if picture.profiled else f"{_STORED}."
        pairs = [language.pair.format(language.text(inputs[0].name), picture.call)]
    else:
        names = ["values"] if len(inputs) == 1 else [f"values{number}" for number in range(1, len(inputs) + 1)]
        pairs = [language.pair.format(language.text(spec.name), name) for spec, name in zip(inputs, names, strict=True)]
        shapes = (f"`{name}` has {list(_raw_shape(facts, spec))}" for name, spec in zip(names, inputs, strict=True))
        meaning = f"raw values, row by row: {', '.join(shapes)}"
    lines = [language.call.format(", ".join(pairs)), *([language.rank] if facts.labels else [])]
    block = "\n".join(f"   {line}" for line in (f"```{platform.language}", *lines, "```"))
    return f"{meaning}:\n\n{block}\n\n{note}" if note else f"{meaning}:\n\n{block}"


def _raw_shape(facts: Facts, spec: TensorSpec) -> tuple[int, ...]:
    """The shape of a raw sample: channels last, whatever the model takes."""
    sample = spec.shape[1:]
    return (*sample[1:], sample[0]) if facts.preprocessing.layout == "channels-first" and sample else sample


def _check_note(platform: Platform, facts: Facts) -> str:
    kind, file = "A random input" if facts.random else "One input", platform.check or "check.bin"
    given = facts.variant.given
    whose = "the float model's outputs" if given is None else f"what {given.reference} gives"
    return (
        f"{kind} and {whose} for it are the check, `{file}`: 32-bit floats in the order of the\n"
        f"file. Outputs may be up to {facts.tolerance:.3g} off; the largest is {facts.largest:.3g}."
    )
