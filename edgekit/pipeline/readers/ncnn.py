"""``.ncnn``: the layers and weights of ncnn's text and weights."""

from __future__ import annotations

from edgekit.pipeline.readers.facts import Constant, FileFacts, kinds
from edgekit.runtime.contents import ncnn

_KINDS = kinds(
    convolution="Convolution ConvolutionDepthWise Convolution1D ConvolutionDepthWise1D Deconvolution "
    "DeconvolutionDepthWise Deconvolution1D DeconvolutionDepthWise1D",
    linear="InnerProduct Gemm MatMul MultiHeadAttention",
    recurrent="LSTM GRU RNN",
)
#: Layers that compute nothing.
_PLUMBING = (ncnn.INPUT, "Split", "MemoryData", "Noop")


def read(data: bytes) -> FileFacts:
    """The facts of an ``.ncnn`` file. ncnn has no delegate: every layer is its own.

    Raises:
        ValueError: It is none, or holds what `edgekit.runtime.contents` refuses.
    """
    found = ncnn.read(data)
    constants = [Constant(held.dtype, held.shape, held.size_bytes, held.layer) for held in found.weights]
    return FileFacts.undelegated(constants, [name for name in found.operators if name not in _PLUMBING], _KINDS)
