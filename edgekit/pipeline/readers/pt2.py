"""``.pt2``: an exported program's tensors and operators, read without torch."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import numpy as np

from edgekit.pipeline.inspection import Constant, FileFacts
from edgekit.runtime.engines.pt2 import Pt2, read_pt2

_KINDS = {
    f"aten::{name}": kind
    for kind, names in {
        "convolution": (
            *(f"conv{dimensions}d" for dimensions in (1, 2, 3)),
            *(f"conv_transpose{dimensions}d" for dimensions in (1, 2, 3)),
            "convolution",
        ),
        "linear": ("linear", "addmm", "matmul", "mm", "bmm"),
        "recurrent": ("lstm", "gru", "rnn_tanh", "rnn_relu"),
    }.items()
    for name in names
}
#: ``ScalarType`` in ``torch/_export/serde/schema.py``.
_DTYPES = {
    1: "uint8",
    2: "int8",
    3: "int16",
    4: "int32",
    5: "int64",
    6: "float16",
    7: "float32",
    8: "float64",
    12: "bool",
}


def read(data: bytes) -> FileFacts:
    """The facts of a ``.pt2`` file. torch has no delegate.

    Raises:
        ValueError: It is none, or holds more than a float program of fixed shapes.
    """
    archive = read_pt2(data)
    names = [node["target"].split(".") for node in archive.nodes]
    calls = Counter(f"aten::{name[3]}" for name in names if name[0] == "torch")
    return FileFacts.undelegated(_constants(archive), calls, _KINDS)


def _constants(archive: Pt2) -> Iterator[Constant]:
    """Every stored tensor, once, under the type of the first name that it has."""
    seen = set()
    for tensor in archive.tensors.values():
        if tensor["path_name"] not in seen:
            seen.add(tensor["path_name"])
            meta = tensor["tensor_meta"]
            dtype, shape = _DTYPES[meta["dtype"]], [size["as_int"] for size in meta["sizes"]]
            yield Constant(dtype, len(shape), int(np.prod(shape)) * np.dtype(dtype).itemsize)
