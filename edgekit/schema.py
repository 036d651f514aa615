"""Plain values of JSON or TOML into frozen dataclasses, with every type checked."""

from __future__ import annotations

import types
from collections.abc import Collection, Iterator, Mapping
from dataclasses import MISSING, Field, fields, is_dataclass
from functools import cache
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from edgekit.errors import did_you_mean

#: What people call the types that a file of theirs may hold.
_WORDS = {
    dict: "a table",
    list: "a list",
    str: "a text",
    bool: "true or false",
    int: "a whole number",
    float: "a number",
}


class Misfit(ValueError):
    """The first value that does not fit.

    Attributes:
        where: Where it stands: ``formats[0].engines``.
        told, hint: The same for somebody who wrote the file: what is wrong, and how to write it.
    """

    def __init__(self, message: str, where: str, told: str, hint: str):
        super().__init__(message)
        self.where, self.told, self.hint = where, told, hint


def conform(kind: Any, value: object, where: str = "") -> Any:
    """*value* as *kind*: a dataclass, ``tuple[X, ...]``, ``Mapping[str, X]``, ``X | None``, ``Literal``, ``Any``, or a
    plain type.

    Lists become tuples and whole numbers become floats where those are declared; nothing else is converted.

    Args:
        where: Where *value* stands, for the message.

    Raises:
        Misfit: A `ValueError`, which names the first value that does not fit.
    """
    origin = get_origin(kind)
    if kind is Any:
        return value
    if origin in (Union, types.UnionType):
        return None if value is None else conform(get_args(kind)[0], value, where)
    if is_dataclass(kind):
        return _dataclass(kind, _typed(dict, value, where), where)
    if origin is Literal:
        if value not in get_args(kind):
            known = get_args(kind)
            message = f"{where or 'it'} is {value!r}, not one of {', '.join(map(repr, known))}"
            raise Misfit(message, where, f"{where!r} is {value!r}", did_you_mean(str(value), known))
        return value
    if origin is tuple:
        items = _typed(list, value, where)
        return tuple(conform(get_args(kind)[0], item, f"{where}[{index}]") for index, item in enumerate(items))
    if origin is Mapping:
        inner = get_args(kind)[1]
        return {key: conform(inner, item, f"{where}.{key}") for key, item in _typed(dict, value, where).items()}
    if kind is float and type(value) is int:
        return float(value)
    return _typed(kind, value, where)


def walk(value: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    """Every text, number and list in *value*, however deep, each with the name of the field or key that it is of."""
    if isinstance(value, Mapping):
        for key, item in value.items():
            yield name, key
            yield from walk(item, key)
    elif is_dataclass(value):
        yield from walk(vars(value), name)
    else:
        yield name, value
        if isinstance(value, (list, tuple)):
            for item in value:
                yield from walk(item, name)


def _dataclass(kind: Any, value: Mapping[str, object], where: str) -> Any:
    known, hints = _declared(kind)
    inside = f" in {where!r}" if where else ""
    for name in value.keys() - known.keys():
        whole = f"{where}.{name}".lstrip(".")
        free: Collection[str] = known.keys() - value.keys() or known
        raise Misfit(f"{whole} is unknown", whole, f"unknown key {name!r}{inside}", did_you_mean(name, free))
    for name, item in known.items():
        if name not in value and item.default is MISSING and item.default_factory is MISSING:
            whole = f"{where}.{name}".lstrip(".")
            raise Misfit(f"{whole} is missing", whole, f"the key {name!r} is missing{inside}", f"add: {name} = ...")
    return kind(**{name: conform(hints[name], item, f"{where}.{name}".lstrip(".")) for name, item in value.items()})


@cache
def _declared(kind: Any) -> tuple[dict[str, Field[Any]], dict[str, Any]]:
    """Fields and types of a dataclass: looked up once, since it takes as long as all the rest."""
    return {item.name: item for item in fields(kind)}, get_type_hints(kind)


def _typed(kind: type, value: object, where: str) -> Any:
    if type(value) is not kind:
        told = f"{where!r} takes {_WORDS.get(kind, kind.__name__)}"
        hint = f"it has {_WORDS.get(type(value), repr(value))}"
        raise Misfit(f"{where or 'it'} is of type {type(value).__name__}, not {kind.__name__}", where, told, hint)
    return value
