"""``--shape``: what goes into a model that does not say so itself, or leaves it open."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence

from edgekit.errors import UsageError, did_you_mean
from edgekit.tensors import DTYPES, TensorSpec

#: Values of one input: more would not fit into the memory of a device.
_MOST_VALUES = 1 << 28
_WRITTEN = re.compile(r"(?:(?P<name>[^=]+)=)?(?P<sizes>[\d,\s]+)(?::(?P<dtype>\w+))?")
_HINT = "write it as --shape 1,3,224,224, or --shape NAME=1,3,224,224 for each of several inputs; whole numbers may be"
_HINT += " said to be: --shape ids=1,16:int64"


def read_shapes(texts: Sequence[str], default: str) -> tuple[TensorSpec, ...]:
    """What *texts* say of inputs, such as ``x=1,3,224,224``, ``1,3,224,224`` or ``ids=1,16:int64``.

    Args:
        default: Name of the only input, where it has none.

    Returns:
        One spec for each, with batch size 1; ``float32`` where nothing else is said.

    Raises:
        UsageError: ``EK-ARGUMENT``: one of them is no shape of one sample.
    """
    specs = [_read(text, default, alone=len(texts) == 1) for text in texts]
    for spec in specs:
        if [other.name for other in specs].count(spec.name) > 1:
            raise UsageError("EK-ARGUMENT", f"--shape says {spec.name!r} twice", "give each input one shape")
    return tuple(specs)


def _read(text: str, default: str, alone: bool) -> TensorSpec:
    found = _WRITTEN.fullmatch(text.strip())
    sizes = [size.strip() for size in found["sizes"].split(",")] if found else []
    if found is None or not all(size.isdigit() and size.isascii() and len(size) < 12 for size in sizes):
        raise UsageError("EK-ARGUMENT", f"--shape {text!r} is no shape", _HINT)
    name = (found["name"] or "").strip()
    if not name and not alone:
        raise UsageError("EK-ARGUMENT", f"--shape {text!r} does not say of which input", _HINT)
    shape = tuple(int(size) for size in sizes)
    if shape[0] != 1:
        message = f"--shape {text!r} begins with {shape[0]}"
        hint = "the first number is that of samples, and files take one at a time: begin with 1"
        raise UsageError("EK-ARGUMENT", message, hint)
    if not 0 < math.prod(shape) <= _MOST_VALUES:
        what = "has no values" if 0 in shape else f"has {math.prod(shape):,} values, more than a device could hold"
        raise UsageError("EK-ARGUMENT", f"--shape {text!r} {what}", "give the shape of one sample")
    dtype = found["dtype"] or "float32"
    if dtype not in DTYPES:
        raise UsageError("EK-ARGUMENT", f"--shape {text!r}: there is no type {dtype!r}", did_you_mean(dtype, DTYPES))
    return TensorSpec(name or default, shape, dtype)
