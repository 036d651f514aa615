"""JSON Schema of frozen dataclasses: the rules by which `edgekit.schema.conform` reads them, for other programs."""

from __future__ import annotations

import re
import textwrap
import types
from collections.abc import Mapping
from dataclasses import MISSING, fields, is_dataclass
from inspect import getdoc
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

_PLAIN = {str: "string", int: "integer", float: "number", bool: "boolean"}


def schema(kind: Any, *, title: str, constants: Mapping[str, Any] | None = None, gaps: bool = False) -> dict[str, Any]:
    """The schema of documents that are a *kind*, with its docstrings as descriptions.

    Args:
        constants: Values of fields of *kind* that are always the same.
        gaps: Whether any number may be null: those that JSON lacks, such as a limit that is infinite.

    Raises:
        TypeError: Something in *kind* has a type that no JSON value is of.
    """
    definitions: dict[str, Any] = {}
    found = _Kinds(definitions, gaps).of(kind)
    if is_dataclass(kind):
        found = definitions.pop(kind.__name__)
        for name, value in (constants or {}).items():
            found["properties"][name] = {**found["properties"][name], "const": value}
            found["required"] = [each for each in found["properties"] if each in {*found["required"], name}]
    head = {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": title}
    return {**head, **found, **({"$defs": dict(sorted(definitions.items()))} if definitions else {})}


class _Kinds:
    def __init__(self, definitions: dict[str, Any], gaps: bool):
        self._definitions = definitions
        self._gaps = gaps
        self._kinds: dict[str, Any] = {}

    def of(self, kind: Any) -> dict[str, Any]:
        origin, inner = get_origin(kind), get_args(kind)
        if kind is Any:
            return {}
        if origin in (Union, types.UnionType):
            return {"anyOf": [{"type": "null"} if each is type(None) else self.of(each) for each in inner]}
        if is_dataclass(kind):
            return self._reference(kind)
        if origin is Literal:
            return {"enum": list(inner)}
        if origin is tuple and inner[1:] == (...,):
            return {"type": "array", "items": self.of(inner[0])}
        if origin is tuple:
            return {"type": "array", "prefixItems": [self.of(each) for each in inner], "minItems": len(inner)}
        if origin is Mapping:
            return {"type": "object", "additionalProperties": self.of(inner[1])}
        if kind not in _PLAIN:
            raise TypeError(f"{kind} is of no type that JSON has")
        return {"type": ["number", "null"] if self._gaps and kind is float else _PLAIN[kind]}

    def _reference(self, kind: Any) -> dict[str, Any]:
        name = kind.__name__
        if self._kinds.setdefault(name, kind) is not kind:
            raise TypeError(f"two types are called {name}")
        if name not in self._definitions:
            self._definitions[name] = {}
            self._definitions[name] |= self._object(kind)
        return {"$ref": f"#/$defs/{name}"}

    def _object(self, kind: Any) -> dict[str, Any]:
        hints, (text, said) = get_type_hints(kind), _described(kind)
        properties = {
            each.name: self.of(hints[each.name]) | ({"description": said[each.name]} if each.name in said else {})
            for each in fields(kind)
        }
        required = [each.name for each in fields(kind) if each.default is MISSING and each.default_factory is MISSING]
        return {
            "description": text,
            "type": "object",
            "properties": properties,
            "required": required,
            "additionalProperties": False,
        }


def _described(kind: Any) -> tuple[str, dict[str, str]]:
    """What the docstring of *kind* says of it, and of each attribute that it names, those of the classes it is made of
    included."""
    said: dict[str, str] = {}
    for each in reversed(kind.__mro__[:-1]):
        text, _, attributes = str(getdoc(each) if each.__doc__ else "").partition("Attributes:\n")
        for entry in re.split(r"\n(?=\S)", textwrap.dedent(attributes)):
            names, colon, words = entry.partition(":")
            if colon:
                said |= {name.strip(): " ".join(words.split()) for name in names.split(",")}
    return " ".join(text.split()), said
