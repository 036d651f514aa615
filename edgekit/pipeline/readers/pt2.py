"""``.pt2``: an exported program's tensors and operators, read without torch."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from edgekit.pipeline.readers.facts import Constant, FileFacts, kinds
from edgekit.runtime.contents import pt2
from edgekit.runtime.contents.pt2 import DTYPES, Pt2

_KINDS = kinds(
    prefix="aten::",
    convolution="conv1d conv2d conv3d conv_transpose1d conv_transpose2d conv_transpose3d convolution",
    linear="linear addmm matmul mm bmm",
    recurrent="lstm gru rnn_tanh rnn_relu",
)


def read(data: bytes) -> FileFacts:
    """The facts of a ``.pt2`` file. torch has no delegate."""
    archive = pt2.read(data)
    names = [operator.split(".") for operator in archive.operators]
    calls = [f"aten::{name[3]}" for name in names if name[0] == "torch" and len(name) > 3]
    return FileFacts.undelegated(_constants(archive), calls, _KINDS)


def _constants(archive: Pt2) -> Iterator[Constant]:
    """Every stored tensor, once, under the type of the first name that it has."""
    seen = set()
    for tensor in archive.tensors.values():
        if tensor["path_name"] not in seen:
            seen.add(tensor["path_name"])
            meta = tensor["tensor_meta"]
            (dtype, itemsize), shape = DTYPES[meta["dtype"]], tuple(size["as_int"] for size in meta["sizes"])
            yield Constant(dtype, shape, int(np.prod(shape)) * itemsize)
