"""Tensors with which PyTorch modules are traced and calibrated."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

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


def observe(prepared: Callable[..., Any], samples: Iterable[tuple[torch.Tensor, ...]]) -> None:
    """Run *samples* through a module with observers in it.

    On one thread: a small network one sample at a time gives threads nothing to share but their waiting (ten
    times slower on two cores that something else uses too, and exports run side by side).
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with torch.no_grad():
            for sample in samples:
                prepared(*sample)
    finally:
        torch.set_num_threads(threads)
