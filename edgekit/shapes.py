"""Shapes as people write them: ``1,3,224,224``, ``x=1,3,224,224`` for each of several inputs, ``ids=1,16:int64``."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence

from edgekit.errors import UsageError, did_you_mean
from edgekit.tensors import DTYPES, TensorSpec

#: Of one input: more values would not fit into the memory of a device. And axes of one shape.
_MOST_VALUES, _MOST_AXES = 1 << 28, 16
_WRITTEN = re.compile(
    r"(?:(?P<name>.+)=)?\s*(?P<sizes>\d{1,10}(?:\s*,\s*\d{1,10})*)\s*(?::(?P<dtype>\w+))?", re.ASCII | re.DOTALL
)
_HINT = "write 1,3,224,224, or x=1,3,224,224 for each of several inputs"
_TYPED_HINT = f"{_HINT}; whole numbers may be said to be: ids=1,16:int64"


def parse_shapes(texts: Iterable[str], where: str = "--shape", code: str = "EK-ARGUMENT") -> dict[str, tuple[int, ...]]:
    """Shapes by input name; a name may have ``=`` in it, and is empty where a single text has none.

    Raises:
        UsageError: *code*: a text is none, says a type, or two are for one input. *where* is where they stand.
    """
    shapes: dict[str, tuple[int, ...]] = {}
    for text, name, shape, dtype in _parsed(tuple(texts), where, code, _HINT):
        if dtype is not None:
            raise UsageError(code, f"{where} {text} says a type, and the file has its own", "leave it out")
        shapes[name] = shape
    return shapes


def parse_inputs(
    texts: Iterable[str], default: str, where: str = "--shape", code: str = "EK-ARGUMENT"
) -> tuple[TensorSpec, ...]:
    """What goes into a model that does not say so itself, for one sample: ``float32`` where nothing else is said.

    Args:
        default: Name of the only input, where it has none.

    Raises:
        UsageError: *code*: one of them is no shape of one sample. *where* is where they stand.
    """
    specs = []
    for text, name, shape, dtype in _parsed(tuple(texts), where, code, _TYPED_HINT):
        if shape[0] != 1:
            hint = "the first number is that of samples, and files take one at a time: begin with 1"
            raise UsageError(code, f"{where} {text} begins with {shape[0]}", hint)
        if dtype is not None and dtype not in DTYPES:
            raise UsageError(code, f"{where} {text}: there is no type {dtype!r}", did_you_mean(dtype, DTYPES))
        specs.append(TensorSpec(name or default, shape, dtype or "float32"))
    return tuple(specs)


def by_input(shapes: Mapping[str, tuple[int, ...]], names: Sequence[str]) -> Mapping[str, tuple[int, ...]]:
    """*shapes*, of which one without a name is for the only one of *names*."""
    return {names[0]: shapes[""]} if "" in shapes and len(names) == 1 else shapes


def written(name: str, shape: Iterable[object]) -> str:
    """``--shape`` for an input, as in ``--shape x=1,3,H,W``."""
    return f"--shape {name}={','.join(map(str, shape))}"


def as_texts(shapes: Mapping[str, Sequence[float]] | Sequence[str]) -> tuple[str, ...]:
    """Shapes, or other numbers, by name as texts; texts as they are."""
    if isinstance(shapes, Mapping):
        return tuple(f"{name}={','.join(map(str, shape))}" for name, shape in shapes.items())
    return tuple(shapes)


def _parsed(
    texts: Sequence[str], where: str, code: str, hint: str
) -> list[tuple[str, str, tuple[int, ...], str | None]]:
    """Of each text: itself, the name, the sizes and the type."""
    parts: list[tuple[str, str, tuple[int, ...], str | None]] = []
    for text in texts:
        found = _WRITTEN.fullmatch(text.strip())
        if found is None:
            raise UsageError(code, f"{where} {text!r} is no shape", hint)
        name = (found["name"] or "").strip()
        if not name and len(texts) > 1:
            raise UsageError(code, f"{where} {text} does not say of which input", hint)
        shape = tuple(int(size) for size in found["sizes"].split(","))
        if len(shape) > _MOST_AXES:
            raise UsageError(code, f"{where} {text} has {len(shape)} axes, more than any input", hint)
        if not 0 < math.prod(shape) <= _MOST_VALUES:
            what = "has no values" if 0 in shape else f"has {math.prod(shape):,} values, more than a device could hold"
            raise UsageError(code, f"{where} {text} {what}", "give the shape of one sample")
        if any(name == other for _, other, _, _ in parts):
            raise UsageError(code, f"{where} is there twice for {name!r}", "leave one out")
        parts.append((text, name, shape, found["dtype"]))
    return parts
