"""The identity of a PyTorch module (see `edgekit.pipeline.sources.identity`)."""

from __future__ import annotations

import io
import random
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch

from edgekit.pipeline.sources import SourceSpec
from edgekit.pipeline.sources.identity import Identity, digest, weights_digest
from edgekit.pipeline.sources.torch import build_module, parameters_and_buffers

_NAMED = (torch.dtype, torch.device, torch.layout, torch.memory_format)


def identity(spec: SourceSpec, seed: int | None) -> Identity:
    """The identity of the module that the factory of *spec* makes.

    Raises:
        UsageError: As `build_module`.
    """

    def make() -> torch.nn.Module:
        if seed is not None:
            seed_all(seed)
        return build_module(spec)

    module = make()
    weights = weights_digest(parameters_and_buffers(module))
    structure = digest(module, _special)
    return Identity(weights, structure, weights_digest(parameters_and_buffers(make())) == weights)


def seed_all(seed: int) -> None:
    """Seed every generator that a model's own Python may use."""
    random.seed(seed)
    np.random.seed(seed % 2**32)
    torch.manual_seed(seed)


def _special(item: Any) -> Iterator[bytes] | None:
    if isinstance(item, torch.Tensor):
        return _tensor(item)
    if isinstance(item, torch.jit.ScriptModule):
        return iter([item.save_to_buffer()])
    return iter([repr(item).encode()]) if isinstance(item, _NAMED) else None


def _tensor(value: torch.Tensor) -> Iterator[bytes]:
    yield f"{type(value).__name__} {value.dtype} {tuple(value.shape)} {value.requires_grad}".encode()
    if value.layout is torch.strided and not value.is_quantized and not value.is_meta:
        yield value.detach().cpu().resolve_conj().resolve_neg().reshape(-1).view(torch.uint8).numpy().tobytes()
    else:
        stored = io.BytesIO()
        torch.save(value.detach(), stored)
        yield stored.getvalue()
