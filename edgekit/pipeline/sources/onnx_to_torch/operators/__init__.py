"""What each of ONNX's operators computes, in torch; a module for each kind. To import this is to know them all."""

from edgekit.pipeline.sources.onnx_to_torch.operators import (  # noqa: F401
    activations,
    attention,
    casting,
    control,
    convolution,
    elementwise,
    generating,
    indexing,
    linear,
    losses,
    normalization,
    padding,
    pooling,
    quantization,
    recurrent,
    reductions,
    resizing,
    sampling,
    shaping,
    spectral,
)
