"""Files that people have at hand and that are something else than what was asked for: what they are, and what to do.

For every verb that takes a path. Files that edgekit builds from, or makes, are known by their kinds and formats.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from edgekit import documents
from edgekit.formats import FORMATS
from edgekit.schema import conform
from edgekit.source_kinds import SOURCE_KINDS, kind_of, written

#: What makes a folder a project.
PROJECT_FILE = "edgekit.toml"

_SOURCE = "edgekit build {path} --target NAME makes a bundle of it"
_FROM_SOURCE = (
    "edgekit build makes such files itself and checks each against the model it is from: give it that model, as "
)
_AS_IT_IS = "edgekit run, verify, inspect, profile and deploy take it as it is"


@dataclass(frozen=True)
class Foreign:
    """A file that is known, and not what was asked for.

    Attributes:
        what: What it is, as in "an ONNX model".
        hint: What to do, in one line.
    """

    what: str
    hint: str


@dataclass(frozen=True)
class _Kind:
    """Files of some suffixes."""

    suffixes: tuple[str, ...]
    what: str
    hint: str


@dataclass(frozen=True)
class _Table:
    """What ``foreign.toml`` holds."""

    hints: Mapping[str, str]
    files: tuple[_Kind, ...]

    def kind(self, suffix: str) -> _Kind | None:
        return next((kind for kind in self.files if suffix in kind.suffixes), None)


_PROJECT = Foreign("a project", "edgekit build {path} --target NAME makes a bundle of it, in its folder build/")
_FOLDER = Foreign("a folder, whatever its name says", "name the model file, which may lie in it")


def foreign(path: Path) -> Foreign | None:
    """What the file or folder at *path* is, by its name; None for what nobody knows, and what is not there."""
    if not path.exists():
        return None
    found = _PROJECT if (path / PROJECT_FILE).exists() else _own(path) or _other(path)
    if found is None:
        return None
    words = {"path": path, "name": path.name}
    for name, hint in _table().hints.items():  # each may name those above it
        words[name] = hint.format(**words)
    return Foreign(found.what, found.hint.format(**words))


def _own(path: Path) -> Foreign | None:
    """The same for what edgekit builds from, and what it makes."""
    own, suffix = kind_of(path), path.suffix.lower()
    format = FORMATS.get(suffix.removeprefix(".")) if suffix else None
    as_it_is = f"{_AS_IT_IS}; " if format is not None and format.interface is not None else ""
    for kind in SOURCE_KINDS:
        if kind.name == own or (kind.suffix == suffix != "" and not kind.entry):
            if path.is_dir() and not kind.marker:
                return _FOLDER
            return Foreign(f"{kind.title} folder" if kind.marker else kind.title, as_it_is + _SOURCE)
    if format is None:
        return None
    if path.is_dir():
        return _FOLDER
    return Foreign(format.title, "{others}" if format.is_baseline else f"{as_it_is}{_FROM_SOURCE}{written()}")


def _other(path: Path) -> Foreign | None:
    """The same for everybody else's."""
    kind = _table().kind(path.suffix.lower())
    return None if kind is None else Foreign(kind.what, kind.hint)


@cache
def _table() -> _Table:
    table: _Table = conform(_Table, documents.read_toml(Path(__file__).with_suffix(".toml"))[1])
    return table
