"""Tensors with which PyTorch modules are traced and calibrated."""

from __future__ import annotations

from collections.abc import Iterator

import torch

from edgekit.pipeline.exporters.samples import calibration_samples
from edgekit.tensors import Signature


def example_inputs(signature: Signature) -> tuple[torch.Tensor, ...]:
    """One zero tensor per input: tracing needs shapes and dtypes only."""
    return tuple(torch.zeros(spec.shape, dtype=getattr(torch, spec.dtype)) for spec in signature.inputs)


def calibration_tensors(path: str | None, recipe: str, signature: Signature) -> Iterator[tuple[torch.Tensor, ...]]:
    """Calibration samples in signature order (see `calibration_samples`)."""
    for sample in calibration_samples(path, recipe):
        yield tuple(torch.from_numpy(sample[spec.name]) for spec in signature.inputs)
