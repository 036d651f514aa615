"""Which variant on which engine: what this machine can run, and why not the rest."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from edgekit.backends import BACKENDS
from edgekit.errors import EdgekitError, UsageError, did_you_mean
from edgekit.manifest import Manifest, Variant
from edgekit.runtime.engines import ENGINES, NOT_INSTALLED, Engine, why_missing
from edgekit.runtime.engines import engine as find_engine
from edgekit.runtime.engines.base import version_numbers
from edgekit.runtime.machine import Machine


@dataclass(frozen=True)
class Choice:
    """One variant on one engine: whether this machine can run it, and the reason in one line."""

    variant: str
    engine: str
    usable: bool
    reason: str


def check_names(manifest: Manifest, variant: str | None, engine: str | None = None) -> None:
    """Refuse the name of a variant that *manifest* lacks, and that of an engine that edgekit does not know.

    Raises:
        UsageError: ``EK-ARGUMENT``: no such variant; ``EK-ENGINE``: no such engine.
    """
    names = [entry.name for entry in manifest.variants]
    if variant is not None and variant not in names:
        raise UsageError("EK-ARGUMENT", f"the bundle has no variant {variant!r}", did_you_mean(variant, names))
    if engine is not None:
        find_engine(engine)


def choices(
    manifest: Manifest,
    machine: Machine,
    variant: str | None = None,
    engine: str | None = None,
    *,
    installed: Mapping[str, str] | None = None,
) -> Iterator[Choice]:
    """Every variant on each of its engines, best first: the recommended variant, then those in manifest order.
    Variants that take several samples at a time come last: they are there to measure throughput.

    What counts is that the engine has a build for the architecture, glibc and CPU of *machine*, is installed, is
    new enough for the file, and that there is memory for it. An engine is
    looked for when it is its turn, which costs memory and milliseconds.

    Args:
        machine: This machine (see `edgekit.runtime.machine.read_machine`).
        variant, engine: Keep to these. An engine that the bundle was not checked with may be named, too.
        installed: Versions of the engines on *machine* by name, when it is not this machine.

    Raises:
        UsageError: ``EK-ARGUMENT`` or ``EK-ENGINE``: no such variant or engine.
    """
    check_names(manifest, variant, engine)
    best = manifest.recommended["variant"]
    kept = [entry for entry in manifest.variants if variant in (None, entry.name)]
    for entry in sorted(kept, key=lambda entry: (entry.batch > 1, entry.name != best)):
        for name in (engine,) if engine is not None else entry.engines:
            version = _version(name, installed)
            obstacle = _obstacle(manifest, entry, name, machine, version, installed is None)
            usual = "recommended for the bundle's target" if entry.name == best else "can run here"
            yield Choice(entry.name, name, obstacle is None, obstacle or f"{usual} ({name} {version})")


def why_not(
    manifest: Manifest, variant: Variant, engine: str, machine: Machine, *, installed: Mapping[str, str] | None = None
) -> str:
    """Why *machine* cannot run *variant* on *engine*, in one line; empty when it can. Arguments as for `choices`."""
    version = _version(engine, installed)
    return _obstacle(manifest, variant, engine, machine, version, installed is None) or ""


def choose(candidates: Iterable[Choice]) -> Choice:
    """The first usable one; those behind it are not looked at.

    Raises:
        EdgekitError: ``EK-NO-VARIANT``, with the reason against the best candidate.
    """
    first = None
    for candidate in candidates:
        if candidate.usable:
            return candidate
        first = first or candidate
    first = first or Choice("", "", False, "no engine runs it")
    message = f"nothing in the bundle can run here: {first.variant} on {first.engine}: {first.reason}"
    absent = first.engine in ENGINES and first.reason in (NOT_INSTALLED, why_missing(first.engine))
    hint = find_engine(first.engine).install_hint if absent else None
    raise EdgekitError("EK-NO-VARIANT", message, hint or "edgekit doctor BUNDLE has the reason for every variant")


def needed_memory_bytes(manifest: Manifest, variant: Variant) -> int:
    """An estimate of the memory that *variant* takes once it is loaded, besides the engine's own.

    Its file, the weights once more in the layout that the kernels want (XNNPACK packs them), intermediate values,
    inputs and outputs.
    """
    borders = sum(spec.size_bytes for spec in (*manifest.signature.inputs, *manifest.signature.outputs))
    return 2 * variant.size_bytes + (variant.arena_bytes or 0) + variant.batch * borders


def _version(name: str, installed: Mapping[str, str] | None) -> str | None:
    if installed is not None:
        return installed.get(name)
    return find_engine(name).version() if name in ENGINES else None


def _obstacle(
    manifest: Manifest, variant: Variant, name: str, machine: Machine, version: str | None, here: bool
) -> str | None:
    """What speaks against *variant* on the engine called *name*; *here*: on this very machine."""
    if name not in ENGINES:
        return "this edgekit does not know the engine"
    engine = find_engine(name)
    if variant.format not in engine.formats:
        return f"it does not load .{variant.format} files"
    backend = BACKENDS.get(variant.backend)
    if not variant.runs or (backend is not None and not backend.on_host):
        title, apps = (backend.title, backend.apps) if backend else (variant.backend, "an app")
        return f"it needs ExecuTorch's {title} backend, which only {apps} has: exported, not run"
    misfit = _platform_misfit(engine, machine)
    if misfit is not None:
        return misfit
    if version is None:
        return why_missing(name) if here else NOT_INSTALLED
    least = variant.minimum_runtime.get(name)
    if least is not None and version_numbers(version) < version_numbers(least):
        return f"version {version} is installed, the file needs {least}"
    needed, free = needed_memory_bytes(manifest, variant), machine.free_memory_bytes
    if free is not None and free < needed:
        return f"it takes about {_mib(needed)} of memory, {_mib(free)} are free"
    return None


def _platform_misfit(engine: Engine, machine: Machine) -> str | None:
    """What the engine's library needs and *machine* does not have."""
    if not engine.platforms:
        return None
    platform = next((each for each in engine.platforms if each.architecture == machine.architecture), None)
    if platform is None:
        known = " and ".join(each.architecture for each in engine.platforms)
        return f"there is no build for {machine.architecture}, only for {known}"
    if machine.glibc is not None and version_numbers(machine.glibc) < version_numbers(platform.glibc):
        return f"it needs glibc {platform.glibc}, this system has {machine.glibc}"
    missing = sorted(set(platform.features) - set(machine.features))
    return f"this CPU lacks {', '.join(missing)}" if missing else None


def _mib(size_bytes: int) -> str:
    return f"{math.ceil(size_bytes / (1 << 20))} MiB"
