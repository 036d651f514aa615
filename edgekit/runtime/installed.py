"""Which version of a package is installed, without `importlib.metadata`, which brings 60 modules and 4 MB."""

from __future__ import annotations

import os
import re
import sys
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from edgekit.errors import UsageError

#: Where the facts of a package are: in a folder that pip made, or in what tools before it made.
_FILES = {".dist-info": ("METADATA",), ".egg-info": ("PKG-INFO", "")}
_VERSION = re.compile(r"^version:[ \t]*(\S+)", re.IGNORECASE | re.MULTILINE)


def package_version(package: str) -> str | None:
    """The installed version of a distribution, or None: that of the first one on Python's path."""
    if _is_unusual():
        return _asked(package)
    wanted = _canonical(package)
    for folder in sys.path:
        try:
            names = os.listdir(folder or ".")
        except OSError:
            continue
        for name in names:
            stem, suffix = os.path.splitext(name)
            if suffix in _FILES and _canonical(stem.partition("-")[0]) == wanted:
                version = _read(os.path.join(folder, name), suffix)
                if version is not None:
                    return version
    return None


def package_folders(package: str) -> list[Path]:
    """Where an importable package is; nothing where there is none. It is not imported."""
    spec = find_spec(package)
    return [] if spec is None else list(map(Path, spec.submodule_search_locations or ()))


def required(module: str, what: str, install: str) -> Any:
    """The *module* that *what* needs, imported. Raises `UsageError` ``EK-MISSING-PACKAGE``: it is not installed."""
    try:
        return import_module(module)
    except ImportError as error:
        raise UsageError("EK-MISSING-PACKAGE", what, install) from error


def _is_unusual() -> bool:
    """Whether packages may be elsewhere than in folders: in archives, or wherever an import hook has them."""
    hooks = [each for each in sys.meta_path if getattr(each, "__name__", "") != "PathFinder"]
    return any(hasattr(each, "find_distributions") for each in hooks) or any(map(os.path.isfile, sys.path))


def _asked(package: str) -> str | None:
    from importlib import metadata

    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _canonical(name: str) -> str:
    """Names as PEP 503 compares them."""
    return re.sub(r"[-_.]+", "-", name).lower()


def _read(path: str, suffix: str) -> str | None:
    for file in _FILES[suffix]:
        try:
            with open(os.path.join(path, file) if file else path, encoding="utf-8", errors="replace") as stream:
                found = _VERSION.search(stream.read().partition("\n\n")[0])
        except OSError:
            continue
        if found:
            return found[1]
    return None
