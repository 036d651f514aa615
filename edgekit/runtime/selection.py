"""Which variant on which engine: what this machine can run, and why not the rest."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from edgekit.bundle import Manifest, Variant
from edgekit.errors import EdgekitError, UsageError, did_you_mean
from edgekit.runtime.engines import engine as find_engine
from edgekit.runtime.engines import engine_names


@dataclass(frozen=True)
class Choice:
    """One variant on one engine: whether this machine can run it, and the reason in one line."""

    variant: str
    engine: str
    usable: bool
    reason: str


def choices(
    manifest: Manifest, features: Collection[str], variant: str | None = None, engine: str | None = None
) -> tuple[Choice, ...]:
    """Every variant on each of its engines, best first: the recommended variant, then those in manifest order.

    Args:
        features: CPU features of this machine, as `edgekit.runtime.machine` names them.
        variant, engine: Keep to these. An engine that the bundle was not checked with may be named, too.

    Raises:
        UsageError: ``EK-ARGUMENT`` or ``EK-ENGINE``: no such variant or engine.
    """
    names = [entry.name for entry in manifest.variants]
    if variant is not None and variant not in names:
        raise UsageError("EK-ARGUMENT", f"the bundle has no variant {variant!r}", did_you_mean(variant, names))
    if engine is not None:
        find_engine(engine)
    best = manifest.recommended["variant"]
    ordered = sorted(manifest.variants, key=lambda entry: entry.name != best)
    kept = [entry for entry in ordered if variant in (None, entry.name)]
    return tuple(
        _judge(entry, name, features, entry.name == best)
        for entry in kept
        for name in ((engine,) if engine is not None else entry.engines)
    )


def choose(candidates: Sequence[Choice]) -> Choice:
    """The first usable one.

    Raises:
        EdgekitError: ``EK-NO-VARIANT``, with the reason against the best candidate.
    """
    for candidate in candidates:
        if candidate.usable:
            return candidate
    first = candidates[0] if candidates else Choice("", "", False, "no engine runs it")
    message = f"nothing in the bundle can run here: {first.variant} on {first.engine}: {first.reason}"
    raise EdgekitError("EK-NO-VARIANT", message, _hint(first))


def _judge(variant: Variant, name: str, features: Collection[str], recommended: bool) -> Choice:
    def refused(reason: str) -> Choice:
        return Choice(variant.name, name, False, reason)

    if name not in engine_names():
        return refused("this edgekit does not know the engine")
    engine = find_engine(name)
    if variant.format not in engine.formats:
        return refused(f"it does not load .{variant.format} files")
    version = engine.version()
    if version is None:
        return refused("not installed")
    least = variant.minimum_runtime.get(name)
    if least is not None and _numbers(version) < _numbers(least):
        return refused(f"version {version} is installed, the file needs {least}")
    missing = sorted(set(variant.requires_features) - set(features))
    if missing:
        return refused(f"this CPU lacks {', '.join(missing)}")
    why = "recommended for the bundle's target" if recommended else "can run here"
    return Choice(variant.name, name, True, f"{why} ({name} {version})")


def _hint(choice: Choice) -> str | None:
    return find_engine(choice.engine).install_hint if choice.reason == "not installed" else None


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(number) for number in re.findall(r"\d+", version.split("+")[0])[:3])
