"""``.pte`` files, loaded and run by ExecuTorch itself."""

from __future__ import annotations

import copy
from pathlib import Path

import numpy as np
import pytest
import torch
from executorch.backends.xnnpack.partition.graphs import sdpa
from executorch.backends.xnnpack.partition.xnnpack_partitioner import XnnpackPartitioner
from executorch.exir import to_edge_transform_and_lower
from support import case_models
from support.torch_nets import Nets
from torch.fx.passes.infra.pass_base import PassResult

from edgekit.errors import UsageError
from edgekit.fidelity import snr_db
from edgekit.pipeline.exporters import executorch
from edgekit.pipeline.exporters.executorch import HalfInside, export, lower, quantize
from edgekit.pipeline.readers.facts import inspect_file
from edgekit.pipeline.recipes.xnnpack import FloatQuantizer, StaticQuantizer
from edgekit.pipeline.rewrites import XNNPACK, rewrite
from edgekit.pipeline.sources import SourceSpec, open_source
from edgekit.pipeline.variants.gates import check_weights, remarks
from edgekit.recipes import RECIPES
from edgekit.runtime.engines import open_session
from edgekit.tensors import TensorSpec


@pytest.mark.parametrize(
    ("net", "name", "least_snr_db"),
    [
        ("clamped", "fp32", 100), ("clamped", "fp16", 45), ("clamped", "int8", 17),
        ("wave", "fp32", 100), ("wave", "int8", 23), ("dense", "int8-dynamic", 30),
    ],
)  # fmt: skip
def test_an_export_runs_and_agrees_with_its_source(
    nets: Nets, tmp_path: Path, net: str, name: str, least_snr_db: float
) -> None:
    path = tmp_path / "model.pte"
    calibration = nets.calibration(net) if name == "int8" else None
    record = export(source=nets.spec(net), recipe=name, calibration=calibration, output=str(path))
    assert nets.snr(net, path) >= least_snr_db
    facts = inspect_file(path, "pte")
    assert check_weights(facts, RECIPES[name]) is None
    assert record["producers"].keys() == {"torch", "torchao", "executorch"}
    if net != "dense":
        outside = {"dim_order_ops::_to_dim_order_copy": 2} if name == "fp16" else {}  # the conversions at both ends
        assert facts.undelegated_ops == outside


def test_int8_beside_what_is_not_delegated_runs(nets: Nets, tmp_path: Path) -> None:
    path = tmp_path / "model.pte"
    export(source=nets.spec("soft"), recipe="int8", calibration=nets.calibration("soft"), output=str(path))
    assert nets.snr("soft", path) >= 20


def test_int8_of_a_head_on_many_levels_is_right_on_each(nets: Nets, tmp_path: Path) -> None:
    path = tmp_path / "model.pte"
    export(source=nets.spec("pyramid"), recipe="int8", calibration=nets.calibration("pyramid"), output=str(path))
    assert nets.snr("pyramid", path) >= 25
    assert inspect_file(path, "pte").undelegated_ops == {}


def test_stock_executorch_quantizes_only_the_first_call_of_a_layer(
    nets: Nets, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """When this fails, weights and a bias for each call can go."""
    monkeypatch.setattr(StaticQuantizer, "transform_for_annotation", FloatQuantizer.transform_for_annotation)
    path = tmp_path / "model.pte"
    export(source=nets.spec("pyramid"), recipe="int8", calibration=nets.calibration("pyramid"), output=str(path))
    with pytest.raises(Exception, match="Failed to create convolution node"):
        nets.run("pyramid", path)


def test_stock_executorch_lays_out_for_all_what_one_reads(nets: Nets, monkeypatch: pytest.MonkeyPatch) -> None:
    """When this fails, a dequantizer for each reader can go."""
    source = open_source(SourceSpec.from_json(nets.spec("soft")))
    calibration = [(torch.from_numpy(array),) for array in source.example]
    examples = calibration[0]
    module = quantize(rewrite(source.torch_module(), examples, XNNPACK), StaticQuantizer(RECIPES["int8"]), calibration)
    monkeypatch.setattr(executorch, "own_dequantizers", lambda graph_module: PassResult(graph_module, False))
    with pytest.raises(Exception, match=r"static tensor|ChannelsLastTaggedReshapePass"):
        data = lower(module, examples)
        open_session("executorch", data, "pte", source.signature, 1).run(list(source.example))


def test_dynamic_int8_says_which_convolutions_stay_float(nets: Nets, tmp_path: Path) -> None:
    """executorch 1.5.1 exports it without a word; when this fails, dynamic int8 of convolutions has got well."""
    path = tmp_path / "model.pte"
    export(source=nets.spec("clamped"), recipe="int8-dynamic", calibration=None, output=str(path))
    facts = inspect_file(path, "pte")
    (said,) = remarks(facts, RECIPES["int8-dynamic"], None, path.stat().st_size, run=True)
    assert "of the weights are not int8" in said and "float32 in XNNDepthwiseConv2d" in said
    assert check_weights(facts, RECIPES["int8-dynamic"]) is None


def test_static_int8_without_calibration_says_what_is_missing(nets: Nets, tmp_path: Path) -> None:
    with pytest.raises(UsageError) as raised:
        export(source=nets.spec("clamped"), recipe="int8", calibration=None, output=str(tmp_path / "model.pte"))
    assert raised.value.code == "EK-DATA"


def test_a_model_that_takes_bytes_computes_in_half_precision_too(tmp_path: Path) -> None:
    """Its own conversion to float32 would meet weights in half precision."""
    inputs = (TensorSpec("image", (1, 8, 8, 3), "uint8"),)
    spec = SourceSpec("torch", case_models.__file__, "Camera", inputs=inputs)
    export(source=spec.to_json(), recipe="fp16", calibration=None, output=str(tmp_path / "half.pte"))
    source = open_source(spec)
    images = np.random.default_rng(0).integers(0, 256, (4, 8, 8, 3), dtype=np.uint8)
    session = open_session("executorch", (tmp_path / "half.pte").read_bytes(), "pte", source.signature, 1)
    measured = np.concatenate([session.run([image[None]])[0] for image in images])
    session.close()
    assert snr_db(source.predict({"image": images})["output"], measured) > 40
    assert "float32" not in inspect_file(tmp_path / "half.pte", "pte").weight_bytes


@pytest.fixture(scope="module")
def stock_half(nets: Nets, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A half-precision file of executorch's own making."""
    example = (torch.zeros(1, 3, 24, 24),)
    network = copy.deepcopy(nets.source("clamped").torch_module())  # whose weights an exported module shares
    module = HalfInside(torch.export.export(network, example).module())
    program = torch.export.export(module, example)
    path = tmp_path_factory.mktemp("stock") / "half.pte"
    sdpa.get_graphs.cache_clear()
    path.write_bytes(to_edge_transform_and_lower(program, partitioner=[XnnpackPartitioner()]).to_executorch().buffer)
    return path


def test_stock_executorch_stores_half_precision_kernels_as_float32(stock_half: Path) -> None:
    """When this fails, `half_constants` can go."""
    assert inspect_file(stock_half, "pte").weight_bytes["float32"] > 0


def test_stock_executorch_traces_attention_for_a_network_that_has_none(stock_half: Path) -> None:
    """When this fails, `only_patterns_of` can go."""
    assert sdpa.get_graphs.cache_info().currsize == 1
