"""``.ptl``: the tensors and operators of PyTorch Mobile's archive."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from edgekit.pipeline.readers.facts import Call, Constant, FileFacts, kinds
from edgekit.runtime.contents import ptl
from edgekit.runtime.contents.torch_tensors import Tensor

_KINDS = {
    **kinds(
        prefix="aten::",
        convolution="conv1d conv2d _convolution",
        linear="linear addmm matmul",
        recurrent="lstm gru",
    ),
    **kinds(prefix="quantized::", convolution="conv2d conv2d_relu", linear="linear linear_relu"),
}
#: Operators that only change the type of a tensor.
_PLUMBING = ("aten::quantize_per_tensor", "aten::dequantize", "aten::to")


def read(data: bytes) -> FileFacts:
    """The facts of a ``.ptl`` file. PyTorch Mobile has no delegate here: every operator is outside."""
    found = ptl.read(data)
    (forward,) = (function for function in found.functions if function.name.endswith(".forward"))
    names = (forward.operators[index][0] for code, index, _ in forward.instructions if code in ("OP", "OPN"))
    calls = [Call(name) for name in names if name not in _PLUMBING]
    constants = [*_constants(found.weights), *_constants(found.constants)]
    return FileFacts.of(constants, calls, _KINDS)


def _constants(tensors: Iterable[Tensor]) -> Iterator[Constant]:
    """The tensors that share no storage with an earlier one, but single numbers: scales and zero points."""
    first = {tensor.key: tensor for tensor in reversed(list(tensors))}
    for tensor in first.values():
        if tensor.shape:
            yield Constant(tensor.dtype, tuple(tensor.shape), tensor.stored * tensor.itemsize)
