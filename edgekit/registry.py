"""Values by name: edgekit's own, and those that other packages register in an entry point group."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping
from functools import cache
from importlib import import_module
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

from edgekit.errors import UsageError, did_you_mean

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

T = TypeVar("T")


class Registry(Generic[T]):
    """What there is of one kind of thing.

    Own values may be given as ``module:NAME`` and are imported when they are asked for. Other packages are only asked
    for what edgekit has not itself: looking for them takes time and memory on a small device.

    Attributes:
        group: The entry point group in which other packages register theirs: ``edgekit.formats`` for formats.
    """

    def __init__(self, what: str, own: Mapping[str, T | str], code: str = "EK-ARGUMENT"):
        """*what* is the word for one of them, *code* the one of the error for a name that is unknown."""
        self.group = f"edgekit.{what.replace(' ', '_')}s"
        self._what = what
        self._own = own
        self._code = code

    def names(self) -> tuple[str, ...]:
        """Own ones first, in their order."""
        return (*self._own, *(point.name for point in self._others() if point.name not in self._own))

    def listing(self) -> str:
        """All names, as in ``fp32, fp16 or int8``."""
        *others, last = self.names()
        return f"{', '.join(others)} or {last}" if others else last

    def __contains__(self, name: object) -> bool:
        return name in self._own or any(point.name == name for point in self._others())

    def __iter__(self) -> Iterator[T]:
        return map(self.__getitem__, self.names())

    def __getitem__(self, name: str) -> T:
        """The one called *name*. Raises `UsageError`: there is none."""
        if name in self._own:
            own = self._own[name]
            if not isinstance(own, str):
                return own
            found: T = import_name(own)
            return found
        for point in self._others():
            if point.name == name:
                other: T = point.load()
                return other
        raise UsageError(self._code, f"unknown {self._what} {name!r}", did_you_mean(name, self.names()))

    def get(self, name: str) -> T | None:
        """The one called *name*; None where there is none."""
        return self[name] if name in self else None  # noqa: SIM401 (it would call itself)

    def _others(self) -> list[EntryPoint]:
        found = _entry_points(tuple(sys.path))
        return [] if found is None else list(found.select(group=self.group))


@cache
def _entry_points(path: tuple[str, ...]) -> Any:
    """Those of all packages on *path*; None where none is edgekit's. What reads them takes 40 ms and 4 MB, and most
    people's packages give no reason for that."""
    if not any(map(_may_register, path)):
        return None
    from importlib.metadata import entry_points

    return entry_points()


def _may_register(folder: str) -> bool:
    """Whether a package in *folder* has entry points for edgekit; true of an archive, which is not looked into."""
    try:
        with os.scandir(folder or ".") as packages:
            names = [package.name for package in packages if package.name.endswith((".dist-info", ".egg-info"))]
    except NotADirectoryError:
        return True
    except OSError:
        return False
    return any(_has_group(os.path.join(folder, name, "entry_points.txt")) for name in names)


def _has_group(file: str) -> bool:
    try:
        with open(file, "rb") as stream:
            return b"[edgekit." in stream.read()
    except OSError:
        return False


def import_name(reference: str) -> Any:
    """What ``module:NAME`` names; its module is imported."""
    module, _, name = reference.partition(":")
    return getattr(import_module(module), name)


class Named(Protocol):
    """What knows its name."""

    @property
    def name(self) -> str: ...


N = TypeVar("N", bound=Named)


def registry(what: str, *own: N, named: Mapping[str, str] = MappingProxyType({})) -> Registry[N]:
    """Of values that know their names, and behind them those that are *named* as ``module:NAME``."""
    return Registry(what, {**{value.name: value for value in own}, **named})
