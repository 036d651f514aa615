"""What tells one model that a factory made from another: its weights, and how it is put together.

Whatever decides what a factory makes (a file, a variable, a download, the clock), its result shows it.
"""

from __future__ import annotations

import functools
import hashlib
import os
import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import PurePath
from types import BuiltinFunctionType, CodeType, FunctionType, MethodType, ModuleType
from typing import Any

import numpy as np

from edgekit.pipeline.sources import SourceSpec
from edgekit.pipeline.work.python_file import file_of
from edgekit.registry import import_name
from edgekit.source_kinds import SOURCE_KINDS

_PLAIN = (bool, int, float, complex, str, type(None), type(...), PurePath, range)

#: Which of these are one object depends on whether the code was compiled just now.
_CONSTANT = (tuple, frozenset, CodeType)


@dataclass(frozen=True)
class Identity:
    """What `identify` finds, as SHA-256 each.

    Attributes:
        weights: See `weights_digest`.
        structure: Of the parts, their attributes and their code.
        repeats: Whether the factory makes the same weights again.
    """

    weights: str
    structure: str
    repeats: bool = True


def identify(*, source: Mapping[str, Any], seed: int | None) -> dict[str, Any]:
    """The identity of the model that a factory makes; a task for a worker of its framework.

    Args:
        source: A `SourceSpec` with a factory.
        seed: What training will seed all generators with; None without training.

    Raises:
        UsageError: What opening the source raises.
    """
    spec = SourceSpec.from_json(source)
    found: Identity = import_name(SOURCE_KINDS[spec.kind].identity)(spec, seed)
    return vars(found)


def weights_digest(arrays: Iterable[np.ndarray]) -> str:
    """SHA-256 over the weights of a model, floats in single precision, as everything is built from."""
    sha = hashlib.sha256()
    for array in arrays:
        whole = np.ascontiguousarray(array, np.float32 if array.dtype.kind == "f" else None)
        sha.update(f"{whole.dtype} {whole.shape}\n".encode())
        sha.update(whole.data)
    return sha.hexdigest()


def digest(value: object, special: Callable[[Any], Iterator[bytes] | None] = lambda value: None) -> str:
    """SHA-256 over *value* and all that hangs on it: the same for what is alike in another process.

    Functions and classes of the user's, or of packages, count by their code. What only C knows counts by its type.

    Args:
        special: Gives what stands for a value of a framework, such as a tensor; None for all others.
    """
    sha, seen, waiting = hashlib.sha256(), dict[int, int](), [value]
    kept = list[Any]()  # a number in *seen* is a value's as long as that lives
    while waiting:
        item = waiting.pop()
        if isinstance(item, bytes):
            sha.update(b"bytes %d\n" % len(item))
            sha.update(item)
            continue
        if isinstance(item, _PLAIN):
            sha.update(f"{type(item).__name__} {item!r}\n".encode("utf-8", "surrogatepass"))
            continue
        if not isinstance(item, _CONSTANT):
            if id(item) in seen:
                sha.update(f"again {seen[id(item)]}\n".encode())
                continue
            seen[id(item)] = len(seen)
            kept.append(item)
        blocks = special(item)
        if blocks is not None:
            for block in blocks:
                sha.update(block)
            continue
        try:
            word, parts = _parts(item)
        except Exception:  # somebody else's object may raise anything
            word, parts = _name(type(item)), []
        sha.update(f"{word} {len(parts)}\n".encode("utf-8", "surrogatepass"))
        waiting.extend(reversed(parts))
    return sha.hexdigest()


def _parts(item: Any) -> tuple[str, list[Any]]:
    """What kind of thing *item* is, and what it consists of."""
    kind = type(item)
    if isinstance(item, (np.ndarray, np.generic)):
        array = np.asarray(item)
        parts = array.tolist() if array.dtype.hasobject else array.tobytes()
        return f"array {array.dtype} {array.shape}", [parts]
    if isinstance(item, Mapping):
        return _name(kind), [part for pair in item.items() for part in pair] + _attributes(item)
    if isinstance(item, (set, frozenset)):
        return _name(kind), sorted(digest(part) for part in item)
    if isinstance(item, (list, tuple, deque)):
        return _name(kind), [*item, *_attributes(item)]
    if isinstance(item, functools.partial):
        return "partial", [item.func, item.args, item.keywords]
    if isinstance(item, MethodType):
        return "method", [item.__func__, item.__self__]
    if isinstance(item, FunctionType):
        held = [*_held(item), *_globals(item)]
        return f"function {item.__qualname__}", [item.__code__, item.__defaults__, item.__kwdefaults__, *held]
    if isinstance(item, CodeType):
        return f"code {item.co_name}", [item.co_code, item.co_consts, item.co_names, item.co_varnames]
    if isinstance(item, (staticmethod, classmethod)):
        return kind.__name__, [item.__func__]
    if isinstance(item, property):
        return "property", [item.fget]
    if isinstance(item, type):
        return _name(item), _code(item)
    if isinstance(item, (ModuleType, BuiltinFunctionType)):
        return f"{kind.__name__} {item.__name__}", []
    return _name(kind), [*_code(kind), *_attributes(item)]


def _globals(function: FunctionType) -> list[Any]:
    """What a function takes from its module, and from others that it names: values, and functions of the user's.

    Paths do not count: the same code elsewhere is the same model, and what lies there is read, and seen as that.
    """
    found: list[Any] = []
    names = _names(function.__code__)
    for name in names:
        value = function.__globals__.get(name)
        if isinstance(value, ModuleType) and not _is_foreign(value.__name__):
            inner = {each: vars(value)[each] for each in names if each in vars(value)}
        else:
            inner = {name: value}
        for key, each in inner.items():
            if _is_data(each) or (isinstance(each, FunctionType) and not _is_foreign(each.__module__)):
                found += [key, each]
    return found


def _names(code: CodeType) -> list[str]:
    """All that *code*, and what is defined in it, has from outside."""
    inner = [name for part in code.co_consts if isinstance(part, CodeType) for name in _names(part)]
    return list(dict.fromkeys([*code.co_names, *inner]))


def _is_data(value: object) -> bool:
    """Whether *value* is a number, a text, an array, or made of such; not a path."""
    if isinstance(value, PurePath) or (isinstance(value, str) and os.path.isabs(value)):
        return False
    if isinstance(value, (*_PLAIN, bytes, np.ndarray, np.generic, list, tuple, dict, set, frozenset, deque)):
        return value is not None
    return hasattr(value, "shape") and hasattr(value, "dtype") and not isinstance(value, type)


def _is_foreign(module: str) -> bool:
    """Whether a module is Python's, or of an installed package."""
    top, file = module.partition(".")[0], getattr(sys.modules.get(module), "__file__", None) or ""
    return top in sys.stdlib_module_names or "site-packages" in file


def _name(kind: type) -> str:
    """A class's name, with the version of the package that it is from."""
    package = sys.modules.get(kind.__module__.partition(".")[0])
    return f"{file_of(kind.__module__)}.{kind.__qualname__} {getattr(package, '__version__', '')}"


def _code(kind: type) -> list[Any]:
    """The functions and settings of a class and those that it is made of, but for those of Python and frameworks."""
    found: list[Any] = []
    for each in kind.__mro__:
        top = each.__module__.partition(".")[0]
        if (top in sys.stdlib_module_names and top != "__main__") or top in ("torch", "keras", "tensorflow", "numpy"):
            continue
        own = {name: value for name, value in vars(each).items() if not name.startswith("__") or callable(value)}
        kept = (FunctionType, staticmethod, classmethod, property)
        chosen = {name: value for name, value in own.items() if isinstance(value, kept) or _is_data(value)}
        found += [part for pair in sorted(chosen.items(), key=lambda pair: pair[0]) for part in pair]
    return found


def _attributes(item: Any) -> list[Any]:
    slots = [name for each in type(item).__mro__ for name in getattr(each, "__slots__", ()) if isinstance(name, str)]
    own = [name for name in slots if name not in ("__dict__", "__weakref__") and hasattr(item, name)]
    values = {name: getattr(item, name) for name in own} | getattr(item, "__dict__", {})
    # torch numbers all hooks of a process.
    hooks = {
        name: list(value.values()) for name, value in values.items() if "_hooks" in name and hasattr(value, "values")
    }
    return [part for pair in (values | hooks).items() for part in pair]


def _held(function: FunctionType) -> list[Any]:
    """What a function has from the one around it."""
    held = []
    for cell in function.__closure__ or ():
        with suppress(ValueError):  # it may be empty
            held.append(cell.cell_contents)
    return held
