"""Profiles as files: read, written, and put together."""

from __future__ import annotations

from collections.abc import Container, Sequence
from dataclasses import replace
from pathlib import Path

from edgekit import documents
from edgekit.documents import canonical_json
from edgekit.errors import UsageError
from edgekit.foreign import foreign
from edgekit.runtime.profiler import plausibility
from edgekit.runtime.profiler.profile import Profile
from edgekit.writing import replacing

#: In a profile: several sessions of hours, with what was seen of their machines twice a second.
_MOST_VALUES = 5_000_000
_MOST_BYTES = 128 << 20


def read_profile(path: str | Path) -> Profile:
    """The profile in the ``.json`` file at *path*.

    Raises:
        UsageError: ``EK-MISSING-FILE``: it cannot be read; ``EK-ARGUMENT``: it holds no profile.
    """
    path = Path(path)
    hint = "edgekit profile BUNDLE -o FILE.json writes a profile"
    try:
        value = documents.parse(documents.read(path, _MOST_BYTES), _MOST_VALUES)
    except OSError as error:
        raise UsageError("EK-MISSING-FILE", f"cannot read {path}: {error.strerror}", hint) from error
    except ValueError as error:
        known = foreign(path)
        if known is not None and path.suffix.lower() != ".json":
            raise UsageError("EK-ARGUMENT", f"{path} is {known.what}, not a profile", hint) from error
        raise UsageError("EK-ARGUMENT", f"{path} is not JSON: {error}", hint) from error
    try:
        profile = Profile.from_json(value)
        if profile.settings.seed < 0:
            raise ValueError("the seed is below zero")
        for cell in profile.cells:  # what every reader takes for granted
            profile.bundle(cell).variant(cell.variant)
            profile.device(cell)
            plausibility.check(cell)
    except UsageError as error:
        raise UsageError(error.code, f"{path}: {error.message}", error.hint) from error
    except StopIteration:
        raise UsageError("EK-ARGUMENT", f"{path}: a row's bundle, variant or device is missing from it") from None
    except ValueError as error:
        raise UsageError("EK-ARGUMENT", f"{path}: a row cannot be: {error}", hint) from error
    return profile


def write_profile(profile: Profile, path: str | Path) -> None:
    """Write *profile* to *path*, whole or not at all.

    Raises:
        EdgekitError: ``EK-WRITE``, ``EK-SPACE``: it cannot be written.
    """
    with replacing(Path(path)) as temporary:
        temporary.write_bytes(canonical_json(profile.to_json()))


def merge(profiles: Sequence[Profile]) -> Profile:
    """Several profiles as one, for a common report; settings and date are those of the first.

    A device that was measured on in several sessions becomes several devices, ``local`` and ``local (2)``: what was
    not measured side by side is not compared. The same profile given twice counts once.
    """
    first, *others = profiles
    merged = first
    for other in others:
        if other in profiles[: profiles.index(other)] or other == first:
            continue
        taken = {record.name for record in merged.devices}
        names = {record.name: free_name(record.name, taken) for record in other.devices}
        known = {bundle.sha256 for bundle in merged.bundles}
        merged = replace(
            merged,
            bundles=(*merged.bundles, *(bundle for bundle in other.bundles if bundle.sha256 not in known)),
            devices=(*merged.devices, *(replace(record, name=names[record.name]) for record in other.devices)),
            cells=(*merged.cells, *(replace(cell, device=names[cell.device]) for cell in other.cells)),
            notes=(*merged.notes, *other.notes, *_differing(first, other, tuple(names.values()))),
        )
    return merged


def free_name(name: str, taken: Container[str]) -> str:
    """*name*, or ``NAME (2)`` and so on when it is *taken*."""
    free, number = name, 1
    while free in taken:
        number += 1
        free = f"{name} ({number})"
    return free


def _differing(first: Profile, other: Profile, devices: Sequence[str]) -> list[str]:
    """What the settings shown do not say of the devices of *other*."""
    one, two = ({**vars(profile.settings), "seed": None} for profile in (first, other))
    words = [f"{key} {two[key]}" for key in one if one[key] != two[key]]
    words.append(f"seed {other.settings.seed}, begun {other.created}")
    return [f"{', '.join(devices)}: {', '.join(words)}"]
