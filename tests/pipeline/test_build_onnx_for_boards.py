"""``--format onnx`` for a board, from a model to a bundle that runs: float, and int8 by ONNX Runtime's quantizer."""

from __future__ import annotations

from pathlib import Path

import onnx
import pytest
from support.two_inputs import write_net

import edgekit
from edgekit.devices.payload import assembly
from edgekit.runtime.verification import PASSED

pytestmark = [pytest.mark.builds, pytest.mark.slow]


def test_a_board_gets_float_and_int8_on_request(tmp_path: Path) -> None:
    write_net(tmp_path)
    source = f"{tmp_path / 'net.py'}:make"
    calibration = tmp_path / "samples.npz"
    with edgekit.build(source, target="rpi4", formats=["onnx"], calibration=calibration, out=tmp_path) as bundle:
        variants = {variant.name: variant for variant in bundle.manifest.variants}
        assert variants.keys() == {"fp32.onnx", "int8.onnx"}
        assert all(variant.engines == ("onnxruntime",) for variant in variants.values())
        assert assembly.formats_of(bundle.manifest) == ("onnx",) and "onnx" in assembly.sent_formats()
        graph = onnx.load_from_string(bundle.read(variants["int8.onnx"].file)).graph
        path = bundle.path
    assert {"QuantizeLinear", "DequantizeLinear"} <= {node.op_type for node in graph.node}
    assert {tensor.data_type for tensor in graph.initializer} >= {onnx.TensorProto.INT8}
    (found,) = edgekit.verify(path)
    ran = {row.variant: row.status for row in found.rows if row.engine == "onnxruntime"}
    assert ran == {"fp32.onnx": PASSED, "int8.onnx": PASSED}
