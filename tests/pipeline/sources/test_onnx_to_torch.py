"""What ONNX's operators become: some of ONNX's own cases, and uses that they leave out, against ONNX Runtime.

All of ONNX's cases are in ``tests/conformance``.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from onnx import defs, helper
from support import onnx_cases, onnx_models
from support.onnx_models import model_of

from edgekit.errors import ConversionError
from edgekit.pipeline.sources.onnx_to_torch import import_model, operators
from edgekit.pipeline.sources.onnx_to_torch.nodes import TABLE
from edgekit.runtime.contents.allowed import ONNX

RANDOM = np.random.default_rng(0)


def floats(*shape: int) -> np.ndarray:
    return RANDOM.standard_normal(shape).astype(np.float32)


def whole(*numbers: int) -> np.ndarray:
    return np.array(numbers, np.int64)


def agrees(
    op: str,
    attributes: Mapping[str, Any],
    inputs: list[np.ndarray],
    constants: Mapping[int, np.ndarray] | None = None,
    *,
    outputs: int = 1,
    opset: int = 19,
) -> torch.fx.GraphModule:
    """The import of one operator, which gives what ONNX Runtime does. *constants* by their place among its inputs."""
    known = dict(constants or {})
    rest = iter([f"x{at}" for at in range(len(inputs))])
    names = []
    for at in range(max([len(inputs) + len(known) - 1, *known]) + 1):
        names.append(f"c{at}" if at in known else next(rest, ""))
    made = helper.make_node(op, names, [f"y{at}" for at in range(outputs)], name="it", **attributes)
    feed = {f"x{at}": array for at, array in enumerate(inputs)}
    model = model_of(
        [made],
        {name: (array.dtype.name, array.shape) for name, array in feed.items()},
        list(made.output),
        {f"c{at}": array for at, array in known.items()},
        opset,
    )
    module = import_model(model, {name: torch.from_numpy(array) for name, array in feed.items()})
    with torch.no_grad():
        found = module(*(torch.from_numpy(array) for array in inputs))
    for tensor, expected in zip(
        found if isinstance(found, tuple) else (found,), onnx_models.run(model, feed), strict=True
    ):
        np.testing.assert_allclose(tensor.numpy(), expected, rtol=1e-4, atol=1e-5)
        assert tensor.numpy().dtype == expected.dtype
    return module


def refused(*arguments: Any, **options: Any) -> str:
    with pytest.raises(ConversionError) as caught:
        agrees(*arguments, **options)
    assert caught.value.hint and "'it'" in caught.value.message
    return caught.value.message


def test_onnx_s_own_cases() -> None:
    cases, _ = onnx_cases.cases()
    verdicts = [onnx_cases.judge(case) for case in cases[::15]]
    assert not [each for each in verdicts if each.outcome == "wrong"]
    assert sum(each.outcome == "passed" for each in verdicts) >= 0.92 * len(verdicts) > 100


def test_every_operator_and_attribute_is_known() -> None:
    """An attribute that nothing reads would be ignored: that of a new operator set, say."""
    text = "".join(path.read_text() for path in Path(operators.__file__).parent.glob("*.py"))
    ignored = {
        "kernel_shape", "hidden_size", "momentum", "spatial", "is_test", "seed", "sequence_map", "consumed_inputs",
        "stash_type", "value_string", "value_strings", "sparse_value", "precision", "dtype", "fmod",
        # Of `Attention`, what torch's own is not taken for.
        "is_causal", "softcap", "qk_matmul_output_mode", "softmax_precision", "window_size", "high", "low", "mean",
        "value_int", "value_ints", "value_float", "value_floats",
        "sample_size", "broadcast", "shape", "decay_factor", "training_mode", "center_point_box", "type",
    }  # fmt: skip
    for domain, name in TABLE.names():
        if domain:
            assert name in ONNX[domain]
            continue
        assert name in ONNX[""] | {"SimplifiedLayerNormalization"}
        if name == "Attention" or not defs.has(name, 28, ""):
            continue
        unread = [key for key in defs.get_schema(name, 28, "").attributes if f'"{key}"' not in text]
        assert set(unread) <= ignored, (name, unread)


@pytest.mark.parametrize("mode", ["reflect", "edge", "wrap", "constant"])
@pytest.mark.parametrize("shape", [(4,), (3, 4), (1, 3, 4), (2, 2, 3, 4), (1, 2, 3, 4, 4)])
def test_pads(mode: str, shape: tuple[int, ...]) -> None:
    grown, cut = [2 if size > 2 else 0 for size in shape], [0] * (len(shape) - 1)
    agrees("Pad", {"mode": mode}, [floats(*shape)], {1: whole(*[int(size > 1) for size in shape], *grown)})
    agrees("Pad", {"mode": mode}, [floats(*shape)], {1: whole(*cut, -1, *cut, 1)})


@pytest.mark.parametrize("auto_pad", ["SAME_UPPER", "SAME_LOWER", "VALID"])
def test_automatic_pads(auto_pad: str) -> None:
    x = floats(1, 2, 7, 8)
    module = agrees("Conv", {"auto_pad": auto_pad, "strides": [2, 2]}, [x], {1: floats(3, 2, 4, 3), 2: floats(3)})
    assert any(isinstance(part, torch.nn.Conv2d) for part in module.children())
    for pool in ("MaxPool", "AveragePool"):
        agrees(pool, {"auto_pad": auto_pad, "kernel_shape": [4, 3], "strides": [2, 2]}, [x])
    agrees("ConvTranspose", {"auto_pad": auto_pad, "strides": [2, 2]}, [x], {1: floats(2, 3, 4, 3)})


def test_pads_that_runtimes_differ_in() -> None:
    said = refused("MaxPool", {"auto_pad": "SAME_UPPER", "kernel_shape": [1], "strides": [3]}, [floats(1, 2, 9)])
    assert "auto_pad" in said
    said = refused("ConvTranspose", {"auto_pad": "SAME_UPPER", "strides": [3]}, [floats(1, 2, 5)], {1: floats(2, 2, 1)})
    assert "auto_pad" in said


@pytest.mark.parametrize("ceil", [0, 1])
@pytest.mark.parametrize("counted", [0, 1])
def test_pools_at_the_edges(ceil: int, counted: int) -> None:
    shape = {"kernel_shape": [3, 2], "strides": [2, 3], "pads": [1, 0, 0, 1], "ceil_mode": ceil}
    agrees("AveragePool", {**shape, "count_include_pad": counted}, [floats(1, 2, 8, 9)])
    agrees("AveragePool", {**shape, "dilations": [2, 1], "count_include_pad": counted}, [floats(1, 2, 8, 9)])
    agrees("MaxPool", {**shape, "storage_order": counted}, [floats(1, 2, 8, 9)], outputs=2)


@pytest.mark.parametrize(
    "attributes",
    [
        {"strides": [2, 3], "pads": [1, 0, 0, 1]},
        {"strides": [2, 3], "output_padding": [1, 2]},
        {"strides": [2, 2], "output_shape": [9, 10]},
        {"strides": [3, 2], "dilations": [2, 1], "group": 2},
    ],
)
def test_transposed_convolutions(attributes: dict[str, Any]) -> None:
    agrees("ConvTranspose", attributes, [floats(1, 4, 4, 5)], {1: floats(4, 2, 3, 3)})


@pytest.mark.parametrize("direction", ["forward", "reverse", "bidirectional"])
@pytest.mark.parametrize(
    ("kind", "gates", "native"), [("LSTM", 4, {}), ("GRU", 3, {"linear_before_reset": 1}), ("RNN", 1, {})]
)
def test_recurrent_layers(kind: str, gates: int, native: dict[str, Any], direction: str) -> None:
    """With initial states, lengths and peepholes; what torch has is torch's layer."""
    ways = 2 if direction == "bidirectional" else 1
    states = {5: floats(ways, 2, 4)} | ({6: floats(ways, 2, 4)} if kind == "LSTM" else {})
    weights = {1: floats(ways, gates * 4, 3), 2: floats(ways, gates * 4, 4), 3: floats(ways, 2 * gates * 4)}
    attributes = {"hidden_size": 4, "direction": direction, **native}
    outputs = 3 if kind == "LSTM" else 2
    module = agrees(kind, attributes, [floats(5, 2, 3)], {**weights, **states}, outputs=outputs, opset=14)
    assert [type(part).__name__ for part in module.children()] == [kind]
    full, short = np.array([5, 5], np.int32), np.array([5, 2], np.int32)
    module = agrees(kind, attributes, [floats(5, 2, 3)], {**weights, 4: full}, outputs=outputs, opset=14)
    assert [type(part).__name__ for part in module.children()] == [kind]
    agrees(kind, attributes, [floats(5, 2, 3)], {**weights, **states, 4: short}, outputs=outputs, opset=14)
    agrees(kind, {**attributes, "clip": 0.5}, [floats(5, 2, 3)], {**weights, **states}, outputs=outputs, opset=14)
    if kind == "GRU":
        agrees(kind, {**attributes, "linear_before_reset": 0}, [floats(5, 2, 3)], weights, outputs=2, opset=14)
    if kind == "LSTM":
        agrees(kind, attributes, [floats(5, 2, 3)], {**weights, **states, 7: floats(ways, 12)}, outputs=3, opset=14)


@pytest.mark.parametrize("mode", ["nearest", "linear", "cubic"])
@pytest.mark.parametrize("coordinates", ["half_pixel", "pytorch_half_pixel", "align_corners", "asymmetric"])
def test_resizing(mode: str, coordinates: str) -> None:
    attributes = {"mode": mode, "coordinate_transformation_mode": coordinates}
    attributes |= {"nearest_mode": "floor"} if mode == "nearest" else {}
    module = agrees("Resize", attributes, [floats(1, 2, 5, 6)], {3: whole(1, 2, 10, 12)})
    if coordinates in ("half_pixel", "align_corners") and mode != "nearest":
        assert "interpolate" in module.code
    agrees("Resize", attributes, [floats(1, 2, 5, 6)], {3: whole(1, 2, 8, 3)})


@pytest.mark.parametrize("mode", ["linear", "cubic"])
def test_shrinking_smoothly(mode: str) -> None:
    agrees("Resize", {"mode": mode, "antialias": 1}, [floats(1, 2, 9, 8)], {3: whole(1, 2, 4, 5)})


def test_sizes_that_runtimes_differ_in() -> None:
    attributes = {"mode": "linear", "coordinate_transformation_mode": "align_corners"}
    said = refused("Resize", attributes, [floats(1, 1, 4, 4)], {2: np.array([1, 1, 0.6, 0.6], np.float32)})
    assert "no whole size" in said


@pytest.mark.parametrize(
    ("op", "attributes", "inputs", "constants"),
    [
        ("Range", {}, [], {0: whole(0), 1: whole(4), 2: whole(0)}),
        ("Conv", {"strides": [0, 1]}, [floats(1, 2, 4, 4)], {1: floats(3, 2, 3, 3)}),
        ("MaxPool", {"kernel_shape": [2, 2], "strides": [0, 0]}, [floats(1, 2, 4, 4)], {}),
        ("SplitToSequence", {}, [floats(4, 4)], {1: np.array(0)}),
        ("ReverseSequence", {}, [floats(4, 4)], {1: whole(9, 9, 9, 9)}),
        ("Upsample", {}, [floats(1, 1, 4, 4)], {1: np.full(4, np.inf, np.float32)}),
    ],
)
def test_numbers_that_make_no_sense_are_refused_by_name(
    op: str, attributes: dict[str, Any], inputs: list[np.ndarray], constants: dict[int, np.ndarray]
) -> None:
    refused(op, attributes, inputs, constants, opset=9 if op == "Upsample" else 19)


@pytest.mark.parametrize("begin", [-20, -3, 0, 2, 9])
@pytest.mark.parametrize("end", [-(2**62), -6, -2, 0, 3, 2**62])
@pytest.mark.parametrize("step", [1, 2, -1, -2])
def test_slices(begin: int, end: int, step: int) -> None:
    agrees("Slice", {}, [floats(6, 3)], {1: whole(begin), 2: whole(end), 3: whole(-2), 4: whole(step)})


def test_indices_count_from_the_end_too() -> None:
    x, places = floats(3, 4, 5), np.array([[-1, 0], [2, -3]])
    agrees("Gather", {"axis": 1}, [x], {1: places})
    agrees("Gather", {"axis": 1}, [x, places])
    agrees("Gather", {"axis": -1}, [x], {1: np.array(-2)})
    module = agrees("Gather", {}, [places], {0: floats(4, 3)})
    assert [type(part).__name__ for part in module.children()] == ["Embedding"]
    agrees("GatherND", {"batch_dims": 1}, [x, np.array([[[-1]], [[0]], [[-4]]])])
    agrees("ScatterElements", {"axis": -1, "reduction": "max"}, [x, np.full((3, 4, 1), -2), floats(3, 4, 1)])


@pytest.mark.parametrize(
    ("a", "b"), [((3, 5), (5, 4)), ((2, 3, 5), (5, 4)), ((2, 1, 3, 5), (4, 5, 2)), ((5,), (5, 4)), ((3, 5), (5,))]
)
def test_products(a: tuple[int, ...], b: tuple[int, ...]) -> None:
    agrees("MatMul", {}, [floats(*a), floats(*b)])
    module = agrees("MatMul", {}, [floats(*a)], {1: floats(*b)})
    assert [type(part).__name__ for part in module.children()] == (["Linear"] if len(b) == 2 else [])


@pytest.mark.parametrize("c", [(4,), (1, 4), (3, 1), (3, 4), (1,), ()])
def test_products_with_a_sum(c: tuple[int, ...]) -> None:
    attributes = {"alpha": 0.5, "beta": 2.0, "transB": 1}
    module = agrees("Gemm", attributes, [floats(3, 5)], {1: floats(4, 5), 2: floats(*c)})
    (layer,) = module.children()
    assert isinstance(layer, torch.nn.Linear) and (layer.bias is not None) == (c not in [(3, 1), (3, 4)])


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int16", "uint16"])
def test_quantization(dtype: str) -> None:
    scale, zero = np.array([0.03, 0.1, 0.7], np.float32), np.array([1, 2, 3], dtype)
    agrees("QuantizeLinear", {"axis": 1}, [floats(2, 3, 4) * 9], {1: scale, 2: zero}, opset=21)
    agrees(
        "DequantizeLinear", {"axis": 1}, [np.arange(24, dtype=dtype).reshape(2, 3, 4)], {1: scale, 2: zero}, opset=21
    )


def test_batch_norm_and_biases_are_folded() -> None:
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["c"], pads=[1, 1, 1, 1]),
        helper.make_node("BatchNormalization", ["c", "scale", "shift", "mean", "variance"], ["b"]),
        helper.make_node("Mul", ["b", "gain"], ["m"]),
        helper.make_node("Add", ["bias", "m"], ["a"]),
        helper.make_node("Relu", ["a"], ["y"]),
    ]
    constants = {
        "w": floats(3, 2, 3, 3),
        "variance": np.abs(floats(3)),
        "gain": floats(3, 1, 1),
        "bias": floats(1, 3, 1, 1),
    }
    constants |= {name: floats(3) for name in ("scale", "shift", "mean")}
    model, x = model_of(nodes, {"x": ("float32", [1, 2, 5, 5])}, ["y"], constants), floats(1, 2, 5, 5)
    module = import_model(model, {"x": torch.from_numpy(x)})
    assert [each.op for each in module.graph.nodes] == ["placeholder", "call_module", "call_function", "output"]
    np.testing.assert_allclose(module(torch.from_numpy(x)), onnx_models.run(model, {"x": x})[0], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("approach", ["divided", "multiplied"])
def test_functions_that_exporters_spell_out_are_found_again(approach: str) -> None:
    make = helper.make_node
    inner = make("Div", ["x", "root"], ["s"]) if approach == "divided" else make("Mul", ["x", "inverse"], ["s"])
    outer = (
        [make("Mul", ["x", "p"], ["m"]), make("Mul", ["m", "half"], ["g"])]
        if approach == "divided"
        else [make("Mul", ["half", "x"], ["m"]), make("Mul", ["m", "p"], ["g"])]
    )
    nodes = [
        inner,
        make("Erf", ["s"], ["e"]),
        make("Add", ["e", "one"], ["p"]),
        *outer,
        make("Add", ["g", "three"], ["a"]),
        make("Clip", ["a", "zero", "six"], ["c"]),
        make("Mul", ["g", "c"], ["h"]),
        make("Div", ["h", "six"], ["y"]),
    ]
    numbers = {"root": 2**0.5, "inverse": 0.5**0.5, "half": 0.5, "one": 1, "three": 3, "zero": 0, "six": 6}
    constants = {name: np.array(number, np.float32) for name, number in numbers.items()}
    model, x = model_of(nodes, {"x": ("float32", [1, 50])}, ["y"], constants), 3 * floats(1, 50)
    module = import_model(model, {"x": torch.from_numpy(x)})
    called = [each.target.__name__ for each in module.graph.nodes if each.op == "call_function"]
    assert called == ["gelu", "hardswish"]
    np.testing.assert_allclose(module(torch.from_numpy(x)), onnx_models.run(model, {"x": x})[0], rtol=1e-4, atol=1e-5)


def test_weights_that_two_operators_share_are_there_once() -> None:
    nodes = [helper.make_node("MatMul", ["x", "w"], ["a"]), helper.make_node("MatMul", ["a", "w"], ["y"])]
    model = model_of(nodes, {"x": ("float32", [1, 8])}, ["y"], {"w": floats(8, 8)})
    module = import_model(model, {"x": torch.zeros(1, 8)})
    assert sum(each.numel() for each in module.parameters()) == 64


def test_sequences_are_gone() -> None:
    make = helper.make_node
    nodes = [
        make("SplitToSequence", ["x"], ["parts"], axis=1, keepdims=0),
        make("SequenceAt", ["parts", "last"], ["one"]),
        make("SequenceInsert", ["parts", "one", "last"], ["more"]),
        make("SequenceErase", ["more"], ["less"]),
        make("ConcatFromSequence", ["less"], ["y"], axis=0, new_axis=1),
        make("SequenceLength", ["less"], ["count"]),
    ]
    model = model_of(nodes, {"x": ("float32", [2, 3])}, ["y", "count"], {"last": np.array(-1)})
    x = floats(2, 3)
    found = import_model(model, {"x": torch.from_numpy(x)})(torch.from_numpy(x))
    for tensor, expected in zip(found, onnx_models.run(model, {"x": x}), strict=True):
        np.testing.assert_array_equal(tensor, expected)


def test_shapes_that_are_changed_back_are_not_changed() -> None:
    make = helper.make_node
    nodes = [
        make("Transpose", ["x"], ["a"], perm=[0, 2, 3, 1]),
        make("Transpose", ["a"], ["b"], perm=[0, 3, 1, 2]),
        make("Unsqueeze", ["b", "one"], ["c"]),
        make("Squeeze", ["c", "one"], ["d"]),
        make("Reshape", ["d", "flat"], ["e"]),
        make("Reshape", ["e", "whole"], ["f"]),
        make("Relu", ["f"], ["y"]),
        make("Transpose", ["a"], ["z"], perm=[0, 2, 1, 3]),
    ]
    constants = {"one": whole(1), "flat": whole(1, -1), "whole": whole(1, 2, 3, 4)}
    model, x = model_of(nodes, {"x": ("float32", [1, 2, 3, 4])}, ["y", "z"], constants), floats(1, 2, 3, 4)
    module = import_model(model, {"x": torch.from_numpy(x)})
    called = [each.target for each in module.graph.nodes if each.op.startswith("call")]
    assert called == [torch.relu, "permute"]
    for tensor, expected in zip(module(torch.from_numpy(x)), onnx_models.run(model, {"x": x}), strict=True):
        np.testing.assert_array_equal(tensor, expected)


def test_loops_are_unrolled() -> None:
    body = helper.make_graph(
        [helper.make_node("Add", ["state", "step"], ["next"]), helper.make_node("Identity", ["go"], ["on"])],
        "body",
        [helper.make_tensor_value_info(name, kind, []) for name, kind in (("at", 7), ("go", 9))]
        + [helper.make_tensor_value_info("state", 1, [1, 2])],
        [helper.make_tensor_value_info("on", 9, []), *[helper.make_tensor_value_info("next", 1, [1, 2])]],
    )
    loop = helper.make_node("Loop", ["count", "", "x"], ["y"], body=body)
    model = model_of([loop], {"x": ("float32", [1, 2])}, ["y"], {"count": np.array(3), "step": floats(1, 2)})
    x = floats(1, 2)
    module = import_model(model, {"x": torch.from_numpy(x)})
    np.testing.assert_allclose(module(torch.from_numpy(x)), onnx_models.run(model, {"x": x})[0], rtol=1e-5)
