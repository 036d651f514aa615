"""Shapes as people write them: ``x=1,3,224,224``, for inputs whose axes a file leaves open."""

from __future__ import annotations

import re
from collections.abc import Iterable

from edgekit.errors import UsageError

#: Of one axis, and axes of one shape.
_MOST_SIZE, _MOST_AXES = (1 << 31) - 1, 16
_SIZES = re.compile(r"\d{1,10}(\s*,\s*\d{1,10})*", re.ASCII)
_AS_IN = "as in --shape x=1,3,224,224"


def parse_shapes(texts: Iterable[str]) -> dict[str, tuple[int, ...]]:
    """Shapes by input name, of texts ``NAME=SIZE,SIZE,…``; a name may have ``=`` in it.

    Raises:
        UsageError: ``EK-ARGUMENT``: a text is none, or two are for one input.
    """
    shapes: dict[str, tuple[int, ...]] = {}
    for text in texts:
        name, _, written = text.rpartition("=")
        if not name or not _SIZES.fullmatch(written.strip()):
            raise UsageError("EK-ARGUMENT", f"--shape {text} is no name and sizes", _AS_IN)
        shape = tuple(int(size) for size in written.split(","))
        if len(shape) > _MOST_AXES or not all(0 < size <= _MOST_SIZE for size in shape):
            raise UsageError("EK-ARGUMENT", f"--shape {text} has a size or a number of axes that no tensor has", _AS_IN)
        if shapes.setdefault(name, shape) != shape:
            raise UsageError("EK-ARGUMENT", f"--shape is there twice for {name!r}", "leave one out")
    return shapes


def written(name: str, shape: Iterable[object]) -> str:
    """``--shape`` for an input, as in ``--shape x=1,3,H,W``."""
    return f"--shape {name}={','.join(map(str, shape))}"
