"""``.pt2`` and ``.onnx``: the float source model for the desktop's baseline engines."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper
from support import baselines
from support.baselines import EXPORTERS
from support.torch_nets import Nets

from edgekit.errors import BundleError
from edgekit.pipeline.exporters.exported_program import float_program
from edgekit.pipeline.readers.facts import inspect_file
from edgekit.pipeline.variants.gates import check_weights
from edgekit.recipes import RECIPES

each_format = pytest.mark.parametrize("format", EXPORTERS)


@pytest.mark.parametrize(("net", "format"), [("padded", "pt2"), ("padded", "onnx"), ("wave", "pt2")])
def test_an_export_runs_and_agrees_with_its_source(nets: Nets, tmp_path: Path, net: str, format: str) -> None:
    path = tmp_path / f"model.{format}"
    record = EXPORTERS[format](source=nets.spec(net), output=str(path))
    assert nets.snr(net, path) >= 100
    facts = inspect_file(path, format)
    assert facts.kinds == ("convolution", "linear") and (facts.delegated_share, facts.undelegated_ops) == (None, {})
    assert check_weights(facts, RECIPES["fp32"]) is None
    assert "int8 changes nothing here" in str(check_weights(facts, RECIPES["int8"]))
    engines = {
        "pt2": {"torch", "torch-compile", "torch-cuda", "torch-compile-cuda"},
        "onnx": {"onnxruntime", "onnxruntime-cuda"},
    }
    assert record["minimum_runtime"].keys() == engines[format]


@each_format
def test_an_export_is_the_same_anywhere(tmp_path: Path, format: str) -> None:
    """The same bytes again, and no path of this machine among them."""
    first, second = (baselines.export(format, tmp_path / f"{name}.{format}") for name in ("first", "second"))
    assert first == second
    for word in (b"site-packages", str(Path(baselines.__file__).parent).encode(), b"Lookup"):
        assert word not in first


def test_a_program_of_a_module_that_switches_gradients_off_is_plain() -> None:
    """Exported with gradients on, it has an operator of torch that holds a graph of its own."""
    spec = {**baselines.SPEC.to_json(), "factory": "without_gradients"}
    program, _ = float_program(spec)
    assert {str(node.target).partition(".")[0] for node in program.graph.nodes if node.op == "call_function"} == {
        "aten"
    }


def test_tensors_in_other_files_are_refused(tmp_path: Path) -> None:
    tensor = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=[4], data_location=TensorProto.EXTERNAL)
    x, y = (helper.make_tensor_value_info(name, TensorProto.FLOAT, [4]) for name in "xy")
    graph = helper.make_graph([helper.make_node("Add", ["x", "w"], ["y"])], "graph", [x], [y], [tensor])
    path = tmp_path / "model.onnx"
    path.write_bytes(helper.make_model(graph).SerializeToString())
    with pytest.raises(BundleError, match="in another file"):
        inspect_file(path, "onnx")


def test_weights_inside_branches_and_constants_are_counted(tmp_path: Path) -> None:
    def branch(name: str) -> Any:
        kernel = numpy_helper.from_array(np.ones((8, 4), np.float32), f"{name}_kernel")
        node = helper.make_node("Constant", [], [f"{name}_y"], value=kernel)
        return helper.make_graph([node], name, [], [helper.make_tensor_value_info(f"{name}_y", 1, [8, 4])])

    node = helper.make_node("If", ["condition"], ["y"], then_branch=branch("a"), else_branch=branch("b"))
    condition = helper.make_tensor_value_info("condition", TensorProto.BOOL, [])
    graph = helper.make_graph([node], "g", [condition], [helper.make_tensor_value_info("y", 1, [8, 4])])
    path = tmp_path / "model.onnx"
    path.write_bytes(helper.make_model(graph).SerializeToString())
    facts = inspect_file(path, "onnx")
    assert (facts.weight_bytes, facts.operators) == ({"float32": 2 * 8 * 4 * 4}, {"If": 1})
