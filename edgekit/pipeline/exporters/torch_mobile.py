"""PyTorch -> ``.ptl`` for PyTorch Mobile: for apps that are still on it."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch.ao.quantization import get_default_qconfig_mapping
from torch.ao.quantization.fx.custom_config import PrepareCustomConfig
from torch.ao.quantization.quantize_fx import convert_fx, prepare_fx

from edgekit.pipeline.exporters.exported import record
from edgekit.pipeline.exporters.tracing import calibration_tensors, example_inputs, observe
from edgekit.pipeline.sources import SourceSpec, open_source
from edgekit.pipeline.work.events import Step, emit
from edgekit.recipes import RECIPES
from edgekit.runtime.engines.pytorch_mobile import ENGINE

#: PyTorch Mobile's int8 kernels for Arm; the engine decides how weights are packed in the file.
_ENGINE = "qnnpack"


def export(*, source: Mapping[str, Any], recipe: str, calibration: str | None, output: str) -> dict[str, Any]:
    """Export a source model as a ``.ptl`` for the lite interpreter, with float32 input and output.

    As `edgekit.pipeline.exporters.Exporter` has it.
    """
    opened = open_source(SourceSpec.from_json(source))
    static = RECIPES[recipe].is_static
    emit(Step("exporting"))
    module = opened.torch_module()
    examples = example_inputs(opened)
    if static:
        module = quantize(module, examples, calibration_tensors(calibration, recipe, opened.signature))
    with torch.no_grad():
        scripted = torch.jit.trace(
            module, examples, check_trace=False
        )  # dropout-free: the source is in evaluation mode
        scripted = scripted if static else torch.jit.freeze(scripted.eval())
    scripted._save_for_lite_interpreter(output)
    return record(
        ("torch",),
        {ENGINE.name: "1.10"},
        ["PyTorch Mobile is at its end: torch 2.13 builds it without XNNPACK, so it is slow; prefer .pte"],
    )


def quantize(
    module: torch.nn.Module, examples: tuple[torch.Tensor, ...], samples: Iterable[tuple[torch.Tensor, ...]]
) -> torch.nn.Module:
    """*module* in static int8 for QNNPACK, calibrated on *samples*.

    ReLU6 stays in float: torch 2.13.0's QNNPACK clamp returns garbage on x86 (-1 dB for one layer).
    """
    emit(Step("calibrating"))
    torch.backends.quantized.engine = _ENGINE
    module = _with_float_clamps(copy.deepcopy(module))
    custom = PrepareCustomConfig().set_non_traceable_module_classes([FloatClamp])
    prepared = prepare_fx(module, get_default_qconfig_mapping(_ENGINE), examples, prepare_custom_config=custom)
    observe(prepared, samples)
    return convert_fx(prepared)


class FloatClamp(torch.nn.Module):
    """ReLU6 as a module that the quantizer does not know, and so leaves in float."""

    def forward(self, tensor: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.relu6(tensor)


def _with_float_clamps(module: torch.nn.Module) -> torch.nn.Module:
    for name, child in module.named_children():
        setattr(module, name, FloatClamp() if isinstance(child, torch.nn.ReLU6) else _with_float_clamps(child))
    return module
