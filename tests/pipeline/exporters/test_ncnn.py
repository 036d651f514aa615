"""``.ncnn``: what pnnx makes of networks of all kinds runs and agrees, or is refused by the operator's name."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from support import baselines
from support.ncnn_nets import NETS, Function, file_of, net, signature
from torch import nn

from edgekit.errors import ConversionError
from edgekit.fidelity import snr_db
from edgekit.pipeline.exporters.ncnn import convert
from edgekit.pipeline.readers.facts import FileFacts, inspect_file
from edgekit.pipeline.variants.gates import check_weights
from edgekit.recipes import RECIPES
from edgekit.runtime import engines


@pytest.mark.parametrize("name", NETS)
def test_a_file_gives_what_its_network_does(name: str) -> None:
    _, inputs, outputs = net(name)
    session = engines.open_session("ncnn", file_of(name), "ncnn", signature(inputs, outputs), 1)
    for _ in range(2):
        given = session.run([tensor.numpy() for tensor in inputs])
        for found, wanted in zip(given, outputs, strict=True):
            assert (found.shape, found.dtype) == (tuple(wanted.shape), np.float32)
            assert snr_db(wanted.numpy(), found) > 100
    session.close()


def facts_of(name: str, folder: Path, *, half: bool) -> FileFacts:
    path = folder / "model.ncnn"
    path.write_bytes(file_of(name, half=half))
    return inspect_file(path, "ncnn")


def test_half_precision_stores_half_and_computes_close_to_it(tmp_path: Path) -> None:
    full, half = (facts_of("image", tmp_path, half=each) for each in (False, True))
    assert (full.weight_bytes, half.weight_bytes) == ({"float32": 4 * 5832}, {"float16": 2 * 5832})
    assert full.kinds == half.kinds == ("convolution", "linear") and full.delegated_share is None
    assert check_weights(full, RECIPES["fp32"]) is None and check_weights(half, RECIPES["fp16"]) is None
    assert "weights are not float32" in str(check_weights(half, RECIPES["fp32"]))
    _, inputs, (wanted,) = net("image")
    session = engines.open_session("ncnn", file_of("image", half=True), "ncnn", signature(inputs, (wanted,)), 1)
    (given,) = session.run([tensor.numpy() for tensor in inputs])
    assert 40 < snr_db(wanted.numpy(), given) < 100


def test_the_same_network_gives_the_same_bytes() -> None:
    module, inputs, outputs = net("transformer")
    again = convert.converted(module, inputs, signature(inputs, outputs))
    assert again == file_of("transformer")
    for word in (b"site-packages", b"/tmp", str(Path(__file__).parent).encode()):
        assert word not in again


_IMAGE = torch.randn(1, 3, 16, 16)


@pytest.mark.parametrize(
    ("function", "operator"),
    [
        (lambda x: torch.fft.rfft(x).abs(), "torch.fft.rfft"),
        (lambda x: torch.where(x > 0, x, -x), "torch.gt"),
        (lambda x: x.sort(1)[0], "aten::sort"),
        (lambda x: x[:, [0, 2, 1]], "Tensor.index"),
        (lambda x: nn.functional.grid_sample(x, torch.zeros(1, 4, 4, 2), align_corners=False), "GridSample"),
    ],
)
def test_what_ncnn_lacks_is_named(function: Callable[[torch.Tensor], torch.Tensor], operator: str) -> None:
    with pytest.raises(ConversionError) as caught:
        convert.converted(Function(function), (_IMAGE,), signature((_IMAGE,), (function(_IMAGE),)))
    assert caught.value.code == "EK-UNSUPPORTED" and operator in caught.value.message
    assert "\n" not in caught.value.message and caught.value.hint


def test_an_input_without_effect_is_kept() -> None:
    inputs = (_IMAGE, torch.randn(1, 5))
    asked = signature(inputs, (_IMAGE,))
    data = convert.converted(Function(lambda x, y: x * 2), inputs, asked)
    (given,) = engines.open_session("ncnn", data, "ncnn", asked, 1).run([tensor.numpy() for tensor in inputs])
    np.testing.assert_array_equal(given, 2 * _IMAGE.numpy())


def test_other_numbers_than_float32_are_refused_before_anything_is_traced(tmp_path: Path) -> None:
    asked: dict[str, Any] = {"source": baselines.SPEC.to_json(), "recipe": "fp32", "calibration": None}
    with pytest.raises(ConversionError, match="takes and gives float32 alone, and 'index' is int64"):
        convert.export(**asked, output=str(tmp_path / "model.ncnn"))


def test_the_record_says_what_made_it_and_what_reads_it(tmp_path: Path) -> None:
    path = tmp_path / "net.py"
    path.write_text("from torch import nn\ndef make():\n    return nn.Sequential(nn.Linear(4, 3), nn.ReLU()).eval()\n")
    source = {**baselines.SPEC.to_json(), "path": str(path), "factory": "make"}
    source["inputs"] = source["inputs"][:1]
    made = convert.export(source=source, recipe="fp16", calibration=None, output=str(tmp_path / "model.ncnn"))
    assert made["producers"].keys() == {"torch", "pnnx"} and made["minimum_runtime"] == {"ncnn": "1.0.20261020"}
