"""Model files with tensors of every type, and with two methods, exported by the real converters.

Imports torch; never import it where tensorflow is.
"""

from __future__ import annotations

import contextlib
import io
from dataclasses import dataclass

import numpy as np
import torch
from executorch.exir import to_edge_transform_and_lower
from small_models import _pte, _tflite
from torch import nn

from edgekit.tensors import Signature, TensorSpec


def _spec(name: str, array: np.ndarray) -> TensorSpec:
    return TensorSpec(name, array.shape, array.dtype.name)


@dataclass(frozen=True)
class Exported:
    """One method: what it is called, what goes in and comes out, and an example of both from the float module."""

    signature: Signature
    inputs: tuple[np.ndarray, ...]
    outputs: tuple[np.ndarray, ...]


@dataclass(frozen=True)
class TypedModels:
    """Files by format: ``typed`` moves values of eight types about, ``coder`` has the methods encode and decode."""

    typed: dict[str, bytes]
    typed_facts: Exported
    coder: dict[str, bytes]
    coder_facts: dict[str, Exported]


class _Typed(nn.Module):
    def forward(self, flag, byte, small, whole, long, half, scale):  # type: ignore[no-untyped-def]
        doubled = [torch.cat([values, values], 1) for values in (byte, small)]
        # tflite-runtime 2.14 has few operators on float16: this one has no arithmetic.
        turned = half.reshape(3, 1)
        return torch.logical_not(flag), *doubled, turned, whole + whole, long + 1, scale * 2, whole.float() * scale


class _Encode(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(6, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.layer(x)


class _Decode(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(3, 6)

    def forward(self, code: torch.Tensor, gain: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return self.layer(code) * gain, code + 1


def build_typed_models() -> TypedModels:
    torch.manual_seed(0)
    typed, example = _Typed().eval(), _examples()
    encode, decode = _Encode().eval(), _Decode().eval()
    coders = {
        "encode": (encode, (torch.randn(1, 6),)),
        "decode": (decode, (torch.randn(1, 3), torch.tensor(2.0))),
    }
    names = {"encode": (("x",), ("code",)), "decode": (("code", "gain"), ("x", "next"))}
    programs = {name: torch.export.export(module, inputs) for name, (module, inputs) in coders.items()}
    inputs = ("flag", "byte", "small", "whole", "long", "half", "scale")
    outputs = ("not", "bytes", "smalls", "turned", "wholes", "longs", "scaled", "product")
    return TypedModels(
        {"pte": _pte(typed, example, delegate=True), "tflite": _tflite(typed, example)},
        _facts(typed, example, inputs, outputs),
        {"pte": bytes(to_edge_transform_and_lower(programs).to_executorch().buffer), "tflite": _signatures(coders)},
        {name: _facts(module, example, *names[name]) for name, (module, example) in coders.items()},
    )


def _examples() -> tuple[torch.Tensor, ...]:
    return (
        torch.tensor([[True, False, True]]),
        torch.tensor([[0, 128, 255]], dtype=torch.uint8),
        torch.tensor([[-128, 0, 127]], dtype=torch.int8),
        torch.tensor([[-(2**30), 7, 2**29]], dtype=torch.int32),
        torch.tensor([[-(2**31), 7, 2**31 - 2]]),
        torch.tensor([[-1.5, 65504.0, 6e-8]], dtype=torch.float16),
        torch.tensor(1.5),
    )


def _facts(
    module: nn.Module, example: tuple[torch.Tensor, ...], inputs: tuple[str, ...], outputs: tuple[str, ...]
) -> Exported:
    with torch.no_grad():
        given = module(*example)
    given = given if isinstance(given, tuple) else (given,)
    taken, results = tuple(t.numpy() for t in example), tuple(t.numpy() for t in given)
    return Exported(Signature(tuple(map(_spec, inputs, taken)), tuple(map(_spec, outputs, results))), taken, results)


def _signatures(coders: dict[str, tuple[nn.Module, tuple[torch.Tensor, ...]]]) -> bytes:
    import litert_torch

    (first, (module, example)), *others = coders.items()
    converter = litert_torch.signature(first, module, example)
    for name, (module, example) in others:
        converter.signature(name, module, example)
    with contextlib.redirect_stdout(io.StringIO()):
        return bytes(converter.convert().model_content())
