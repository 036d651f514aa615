"""What each platform's apps can run, as data: ``platforms.toml``."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgekit.bundle import Bundle
from edgekit.errors import UsageError, did_you_mean
from edgekit.manifest import Manifest, Variant
from edgekit.runtime import given
from edgekit.runtime.selection import check_names
from edgekit.schema import conform

_DATA = Path(__file__).with_name("platforms.toml")
_FLOAT = "float32"


@dataclass(frozen=True)
class AppEngine:
    """One library that runs one format on a platform.

    Attributes:
        library: Its name and version, for people.
        backends: Those of `Variant.backend` that it has.
        files: Template of each file that only this library's starter has.
        values: What its templates ask for: coordinates, versions.
    """

    library: str
    format: str
    backends: tuple[str, ...]
    files: Mapping[str, str]
    values: Mapping[str, Any]


@dataclass(frozen=True)
class Picture:
    """How a platform's starter reads a picture: the *call*, what its argument *takes*, and whether a decoder of the
    platform applies colour profiles to it."""

    call: str
    takes: str
    profiled: bool = True


@dataclass(frozen=True)
class Platform:
    """One platform's starter: files to make, and where the model goes (see ``platforms.toml``).

    Attributes:
        language: What its constants are written in (see `edgekit.integration.languages`).
        target: The target to build for when a bundle has nothing that fits.
        check: The check vector's file where it is code; None where it is ``check.bin`` beside the model.
    """

    name: str
    title: str
    language: str
    target: str
    folder: str
    files: Mapping[str, str]
    image_files: Mapping[str, str]
    picture: Picture
    engines: tuple[AppEngine, ...]
    check: str | None = None

    def engine(self, variant: Variant) -> AppEngine | None:
        """What runs *variant* there; None when nothing does."""
        fitting = (each for each in self.engines if each.format == variant.format and variant.backend in each.backends)
        return next(fitting, None)


def find_platform(name: str) -> Platform:
    """The platform called *name*.

    Raises:
        UsageError: ``EK-ARGUMENT``: there is none.
    """
    known = tomllib.loads(_DATA.read_text(encoding="utf-8"))
    if name not in known:
        raise UsageError("EK-ARGUMENT", f"there is no platform {name!r}", did_you_mean(name, known))
    platform: Platform = conform(Platform, {**known[name], "name": name})
    return platform


def choose(bundle: Bundle, platform: Platform, name: str | None) -> tuple[Variant, AppEngine]:
    """The variant called *name*, or the recommended one, or else the first that fits; and what runs it.

    Raises:
        UsageError: ``EK-NO-VARIANT``: nothing fits *platform*, or not the one that was named; ``EK-INPUT``: its
            tensors are no 32-bit floats.
    """
    manifest = bundle.manifest
    for spec in (*manifest.signature.inputs, *manifest.signature.outputs):
        if spec.dtype != _FLOAT:
            message = f"{spec.name!r} is {spec.dtype}; a starter takes models with {_FLOAT} inputs and outputs"
            raise UsageError("EK-INPUT", message, "edgekit inspect shows what the model takes")
    if name is not None:
        check_names(manifest, name)
        variant = manifest.variant(name)
        reason = _why_not(variant, platform)
        if reason:
            raise UsageError("EK-NO-VARIANT", f"{variant.name} {reason}", _what_fits(manifest, platform))
    # What was checked comes before what was only exported.
    others = sorted(manifest.variants, key=lambda variant: not variant.runs)
    for variant in (manifest.variant(name or manifest.recommended["variant"]), *others):
        engine = platform.engine(variant)
        if engine is not None and not _why_not(variant, platform):
            return variant, engine
    name = given.named(bundle.path).name
    message = f"nothing in {name} runs in an app for {platform.title}: it takes {_takes(platform)}"
    raise UsageError("EK-NO-VARIANT", message, f"edgekit build PROJECT --target {platform.target}")


def _why_not(variant: Variant, platform: Platform) -> str:
    """Why an app on *platform* cannot run *variant*; empty when it can."""
    if variant.batch > 1:
        return f"takes {variant.batch} samples at a time: it is there to measure throughput"
    if platform.engine(variant) is not None:
        return ""
    if any(engine.format == variant.format for engine in platform.engines):
        return f"needs the backend {variant.backend}, which no library for {platform.title} has here"
    return f"is no file for {platform.title}, which takes {_takes(platform)}"


def _takes(platform: Platform) -> str:
    return " and ".join(dict.fromkeys(f".{engine.format}" for engine in platform.engines))


def _what_fits(manifest: Manifest, platform: Platform) -> str:
    fitting = [variant.name for variant in manifest.variants if not _why_not(variant, platform)]
    return f"it takes {', '.join(fitting)}" if fitting else f"edgekit build PROJECT --target {platform.target}"
