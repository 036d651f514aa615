"""Tensors with which PyTorch modules are traced and calibrated."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np
import torch
from torch.fx import GraphModule

from edgekit.errors import ConversionError, EdgekitError
from edgekit.pipeline.exporters.inputs import calibration_samples
from edgekit.pipeline.exporters.open_sizes import FIXED, OpenSizes
from edgekit.pipeline.exporters.recurrence import announce
from edgekit.pipeline.exporters.symptoms import explained
from edgekit.pipeline.rewrites import Rules, rewrite
from edgekit.pipeline.sources import Source
from edgekit.pipeline.sources.samples import first_line
from edgekit.pipeline.sources.torch import one_thread
from edgekit.pipeline.sources.tracing import code_line
from edgekit.pipeline.work.events import Step, emit
from edgekit.tensors import Signature


def example_inputs(source: Source, batch: int = 1) -> tuple[torch.Tensor, ...]:
    """A sample of the user's own, *batch* times, one tensor per input: zeros are no sample of most data."""
    return tuple(torch.from_numpy(np.repeat(array, batch, axis=0)) for array in source.example)


def traced(source: Source, examples: tuple[torch.Tensor, ...], rules: Rules, sizes: OpenSizes = FIXED) -> GraphModule:
    """The graph of *source* in operators that a converter knows (see `edgekit.pipeline.rewrites.rewrite`).

    Args:
        sizes: Those that are left open.

    Raises:
        ConversionError: ``EK-UNSUPPORTED``: torch cannot trace the model, or a rule refuses what is in it.
    """
    emit(Step("exporting"))
    inputs = source.signature.inputs
    try:
        graph_module = rewrite(source.torch_module(), examples, rules, sizes.shapes(inputs))
    except (EdgekitError, MemoryError):
        raise
    except Exception as error:  # torch.export raises whatever the model's code and its own passes do
        if (known := sizes.refusal(error, inputs) or explained(error)) is not None:
            raise known from error
        message = f"torch.export cannot trace the model{code_line(error)}: {first_line(error)}"
        hint = (
            "see the log; write that part with torch's plain operators, or leave it to the program that calls the model"
        )
        raise ConversionError("EK-UNSUPPORTED", message, hint) from error
    announce(graph_module)
    return graph_module


def calibration_tensors(path: str | None, recipe: str, signature: Signature) -> Iterator[tuple[torch.Tensor, ...]]:
    """Calibration samples in the order and the shapes of *signature* (see `calibration_samples`)."""
    specs = signature.inputs
    samples = calibration_samples(path, recipe, {spec.name: spec.shape for spec in specs})
    for sample in samples:
        yield tuple(torch.from_numpy(sample[spec.name]) for spec in specs)


def observe(prepared: Callable[..., Any], samples: Iterable[tuple[torch.Tensor, ...]]) -> None:
    """Run *samples* through a module with observers in it.

    On one thread, as exports run side by side.
    """
    with torch.no_grad(), one_thread():
        for sample in samples:
            prepared(*sample)
