"""The project's own Python: functions loaded from its files, with errors that name the file and line."""

from __future__ import annotations

import functools
import hashlib
import importlib.util
import inspect
import os
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

from edgekit.errors import EdgekitError, UsageError, did_you_mean
from edgekit.source_kinds import SOURCE_KINDS

#: A module's name starts with this and with so many digits of a hash: files of one name are apart.
_PREFIX, _DIGITS = "edgekit_project_", 12


def split_reference(reference: str) -> tuple[str, str | None]:
    """``file.py:function`` as (file, function); (file, None) for anything else."""
    file, separator, function = reference.rpartition(":")
    return (file, function) if separator and file.endswith(".py") else (reference, None)


def load_callable(path: Path, name: str) -> Callable[..., Any]:
    """The function *name* of the Python file *path*; what it raises when called becomes a `UsageError`.

    The file's directory joins ``sys.path``, so that it can import its neighbours. A file is run once per process,
    and again when it has changed.

    Raises:
        UsageError: ``EK-MISSING-FILE``, or ``EK-CODE``: the file fails to run, or has no such function.
    """
    module = _load(path)
    path = path.resolve()
    function = getattr(module, name, None)
    if not callable(function):
        known = [key for key, value in vars(module).items() if callable(value) and not key.startswith("_")]
        raise UsageError("EK-CODE", f"{path.name} has no function {name!r}", did_you_mean(name, known))

    @functools.wraps(function)
    def guarded(*args: Any, **kwargs: Any) -> Any:
        _check_takes(f"{path.name}:{name}", function, *args, **kwargs)
        try:
            return function(*args, **kwargs)
        except EdgekitError:
            raise
        except (Exception, SystemExit) as error:  # somebody else's code may raise anything
            raise _fault(path, error) from error

    return guarded


def _check_takes(what: str, function: Callable[..., Any], *args: Any, **kwargs: Any) -> None:
    try:
        inspect.signature(function).bind(*args, **kwargs)
    except TypeError as error:
        given = f"{len(args) + len(kwargs)} arguments" if args or kwargs else "no arguments"
        hint = "give the others a default, or name a function that calls it"
        raise UsageError("EK-CODE", f"edgekit calls {what} with {given}: {error}", hint) from error
    except ValueError:  # C code may not say what it takes
        return


def file_of(module: str) -> str:
    """The name of the module that was loaded as *module*, wherever its file lies."""
    return module[len(_PREFIX) + _DIGITS + 1 :] if module.startswith(_PREFIX) else module


def _load(path: Path) -> ModuleType:
    if not path.is_file():
        what = "is not a file" if path.exists() else "does not exist"
        raise UsageError("EK-MISSING-FILE", f"{path} {what}", "name a Python file, as model.py:FUNCTION")
    path = path.resolve()
    try:
        contents = path.read_bytes()
    except OSError as error:
        raise UsageError("EK-MISSING-FILE", f"{path} cannot be read: {error.strerror}", f"chmod u+r {path}") from error
    known = hashlib.sha256(os.fsencode(path) + b"\0" + contents).hexdigest()  # it may be edited between two builds
    key = f"{_PREFIX}{known[:_DIGITS]}_{path.stem}"
    if key in sys.modules:
        return sys.modules[key]
    spec = importlib.util.spec_from_file_location(key, path)
    if spec is None or spec.loader is None:
        raise UsageError("EK-CODE", f"{path.name} is not a Python file", "name a file that ends in .py")
    module = importlib.util.module_from_spec(spec)
    if str(path.parent) not in sys.path:
        sys.path.insert(0, str(path.parent))
    sys.modules[key] = module
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:  # somebody else's code may raise anything
        del sys.modules[key]
        raise _fault(path, error) from error
    return module


def _fault(path: Path, error: Exception | SystemExit) -> UsageError:
    """One line for an error in the project's code, at the innermost line of it that lies beside *path*."""
    where, line = path.name, getattr(error, "lineno", None) if isinstance(error, SyntaxError) else None
    for frame in traceback.extract_tb(error.__traceback__):
        if Path(frame.filename).is_relative_to(path.parent) and "site-packages" not in frame.filename:
            where, line = str(Path(frame.filename).relative_to(path.parent)), frame.lineno
    where += "" if line is None else f":{line}"
    if isinstance(error, SystemExit):  # of a script that reads its command line, say
        return UsageError(
            "EK-CODE",
            f"{where}: ends Python, with {error.code!r}",
            "keep what a script does by itself out of what edgekit imports and calls: below if __name__ == "
            '"__main__":, or in a file of its own',
        )
    if isinstance(error, ModuleNotFoundError) and (install := _install_of(error.name or "")):
        return UsageError("EK-MISSING-PACKAGE", f"{where} imports {error.name}, which is not installed", install)
    text = next(iter(str(error).strip().splitlines()), "")[:200]
    return UsageError(
        "EK-CODE",
        f"{where}: {type(error).__name__}: {text}",
        "correct the project's Python; --debug shows the whole traceback",
    )


def _install_of(module: str) -> str:
    """How to get *module*, where its package is not installed and a kind of source needs it; empty else."""
    top = module.partition(".")[0]
    if not top or importlib.util.find_spec(top) is not None:
        return ""
    return next((kind.install for kind in SOURCE_KINDS if top in (*kind.modules, *kind.packages)), "")
