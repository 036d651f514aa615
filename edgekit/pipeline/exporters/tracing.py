"""Tensors with which PyTorch modules are traced and calibrated."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np
import torch

from edgekit.pipeline.exporters.inputs import calibration_samples
from edgekit.pipeline.sources import Source
from edgekit.pipeline.sources.torch import one_thread
from edgekit.tensors import Signature


def example_inputs(source: Source, batch: int = 1) -> tuple[torch.Tensor, ...]:
    """A sample of the user's own, *batch* times, one tensor per input: zeros are no sample of most data."""
    return tuple(torch.from_numpy(np.repeat(array, batch, axis=0)) for array in source.example)


def calibration_tensors(path: str | None, recipe: str, signature: Signature) -> Iterator[tuple[torch.Tensor, ...]]:
    """Calibration samples in signature order (see `calibration_samples`)."""
    for sample in calibration_samples(path, recipe):
        yield tuple(torch.from_numpy(sample[spec.name]) for spec in signature.inputs)


def observe(prepared: Callable[..., Any], samples: Iterable[tuple[torch.Tensor, ...]]) -> None:
    """Run *samples* through a module with observers in it.

    On one thread, as exports run side by side.
    """
    with torch.no_grad(), one_thread():
        for sample in samples:
            prepared(*sample)
