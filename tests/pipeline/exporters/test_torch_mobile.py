"""``.ptl`` files, loaded and run by PyTorch's lite interpreter."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from support.torch_nets import Nets
from torch import nn
from torch.ao.quantization import get_default_qconfig_mapping
from torch.ao.quantization.quantize_fx import convert_fx, prepare_fx

from edgekit.fidelity import snr_db
from edgekit.pipeline.exporters.torch_mobile import export
from edgekit.pipeline.readers.facts import inspect_file
from edgekit.pipeline.variants.gates import check_weights
from edgekit.recipes import RECIPES


@pytest.mark.parametrize(
    ("net", "name", "least_snr_db"), [("padded", "fp32", 100), ("padded", "int8", 15), ("wave", "fp32", 100)]
)
def test_an_export_runs_and_agrees_with_its_source(
    nets: Nets, tmp_path: Path, net: str, name: str, least_snr_db: float
) -> None:
    path = tmp_path / "model.ptl"
    calibration = nets.calibration(net) if name == "int8" else None
    record = export(source=nets.spec(net), recipe=name, calibration=calibration, output=str(path))
    assert nets.snr(net, path) >= least_snr_db
    facts = inspect_file(path, "ptl")
    assert "convolution" in facts.kinds
    assert check_weights(facts, RECIPES[name]) is None
    assert "at its end" in record["warnings"][0]


def test_qnnpack_clamps_wrongly() -> None:
    """When this fails, `FloatClamp` can go."""
    torch.manual_seed(0)
    images = torch.randn(8, 8, 14, 14)
    net = nn.Sequential(nn.Conv2d(8, 16, 3), nn.ReLU6()).eval()
    engine = torch.backends.quantized.engine
    torch.backends.quantized.engine = "qnnpack"
    try:
        prepared = prepare_fx(net, get_default_qconfig_mapping("qnnpack"), (images,))
        prepared(images)
        measured = convert_fx(prepared)(images)
    finally:
        torch.backends.quantized.engine = engine
    assert snr_db(net(images).detach().numpy(), measured.detach().numpy()) < 10
