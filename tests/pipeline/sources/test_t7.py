"""Torch7 networks: read as data, and rebuilt layer by layer."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
import torchfile
from support.damage import check_changes, check_cuts
from support.t7_files import Lua, layer, layers, write

from edgekit.errors import UsageError
from edgekit.pipeline.sources import Source, SourceSpec, open_source
from edgekit.runtime.contents.refusal import Malformed
from edgekit.runtime.contents.t7 import read
from edgekit.tensors import TensorSpec

RANDOM = np.random.default_rng(0)


def array(*shape: int) -> np.ndarray:
    return RANDOM.normal(size=shape).astype("f4")


def spec(path: Path, *shape: int, dtype: str = "float32") -> SourceSpec:
    return SourceSpec("t7", str(path), inputs=(TensorSpec("x", shape, dtype),))


def outputs(source: Source, x: np.ndarray) -> list[np.ndarray]:
    return list(source.predict({source.signature.inputs[0].name: x}).values())


CONVOLUTION = {"nInputPlane": 1, "nOutputPlane": 4, "kW": 3, "kH": 3, "dW": 1, "dH": 1, "padW": 1, "padH": 1}
LENET = layers(
    "Sequential",
    layer("SpatialConvolution", weight=array(4, 1, 3, 3), bias=array(4), **CONVOLUTION),
    layer(
        "SpatialBatchNormalization",
        running_mean=array(4),
        running_var=np.abs(array(4)) + 0.5,
        weight=array(4),
        bias=array(4),
        eps=1e-5,
    ),
    layer("ReLU", threshold=0, val=0, inplace=True),
    layer("SpatialMaxPooling", kW=2, kH=2, dW=2, dH=2, padW=0, padH=0, ceil_mode=False),
    layer("View", size=np.array([64], "i8"), numElements=64),
    layer("Dropout", p=0.5, v2=True),
    layer("Linear", weight=array(3, 64), bias=array(3)),
    layer("LogSoftMax"),
)


def lenet(x: torch.Tensor) -> torch.Tensor:
    """What `LENET` computes, written by hand."""
    conv, norm, *_, linear, _ = (part.fields for part in LENET.fields["modules"].values())
    weights = {name: torch.from_numpy(conv[name]) for name in ("weight", "bias")}
    x = F.conv2d(x, weights["weight"], weights["bias"], padding=1)
    statistics = [torch.from_numpy(norm[name]) for name in ("running_mean", "running_var", "weight", "bias")]
    x = F.max_pool2d(torch.relu(F.batch_norm(x, *statistics)), 2).flatten(1)
    return F.log_softmax(F.linear(x, *(torch.from_numpy(linear[name]) for name in ("weight", "bias"))), 1)


@pytest.mark.parametrize("ascii", [False, True])
def test_a_network_computes_what_its_layers_do(tmp_path: Path, ascii: bool) -> None:
    source = open_source(spec(write(LENET, tmp_path / "net.t7", ascii), 1, 1, 8, 8))
    x = array(5, 1, 8, 8)
    np.testing.assert_allclose(outputs(source, x)[0], lenet(torch.from_numpy(x)), atol=1e-5)
    assert source.parameter_count == 4 * 9 + 4 + 8 + 3 * 64 + 3
    torch.export.export(source.torch_module(), (torch.from_numpy(x[:1]),))


def test_an_independent_reader_finds_the_same(tmp_path: Path) -> None:
    path = write(LENET, tmp_path / "net.t7")
    ours, theirs = read(path.read_bytes()).value, torchfile.load(str(path))
    assert ours.name == theirs.torch_typename().decode()
    for number, module in enumerate(theirs[b"modules"], 1):
        mine = ours.fields["modules"][number]
        assert mine.name == module.torch_typename().decode()
        for name, value in module._obj.items():
            found = mine.fields[name.decode()]
            if isinstance(value, np.ndarray):
                np.testing.assert_array_equal(found, value)
            else:
                assert found == (value.decode() if isinstance(value, bytes) else value)


def case(network: Lua, given: np.ndarray, expected: Any) -> Any:
    return pytest.param(network, given, expected, id=network.name)


X, IMAGE, ROW = array(1, 6), array(1, 2, 5, 7), array(1, 4, 3)
T = torch.from_numpy
W1, W2, B = array(3, 6), array(3, 6), array(3)
KERNEL, SMALL = array(2, 3, 3, 3), {"nInputPlane": 2, "nOutputPlane": 3, "kW": 3, "kH": 3, "dW": 2, "dH": 2}
TABLE = layers("ConcatTable", layer("Linear", weight=W1), layer("Linear", weight=W2, bias=B))
ONE, OTHER = F.linear(T(X), T(W1)), F.linear(T(X), T(W2), T(B))


@pytest.mark.parametrize(
    ("network", "given", "expected"),
    [
        case(layers("Sequential", TABLE, layer("CAddTable")), X, ONE + OTHER),
        case(layers("Sequential", TABLE, layer("CMulTable")), X, ONE * OTHER),
        case(layers("Sequential", TABLE, layer("CSubTable")), X, ONE - OTHER),
        case(layers("Sequential", TABLE, layer("CDivTable")), X, ONE / OTHER),
        case(layers("Sequential", TABLE, layer("JoinTable", dimension=1, nInputDims=1)), X, torch.cat([ONE, OTHER], 1)),
        case(layers("Sequential", TABLE, layer("JoinTable", dimension=2)), X, torch.cat([ONE, OTHER], 1)),
        case(layers("Sequential", TABLE, layer("SelectTable", index=-1)), X, OTHER),
        case(
            layers("Sequential", TABLE, layers("ParallelTable", layer("Tanh"), layer("Sigmoid")), layer("CMaxTable")),
            X,
            torch.maximum(ONE.tanh(), OTHER.sigmoid()),
        ),
        case(
            layers("Concat", layer("Linear", weight=W1), layer("Linear", weight=W2, bias=B), dimension=2),
            X,
            torch.cat([ONE, OTHER], 1),
        ),
        case(layer("LeakyReLU", negval=0.2), X, F.leaky_relu(T(X), 0.2)),
        case(layer("PReLU", weight=np.array([0.3], "f4")), X, F.leaky_relu(T(X), 0.3)),
        case(layer("RReLU", lower=0.125, upper=0.375), X, F.leaky_relu(T(X), 0.25)),
        case(layer("ELU", alpha=0.5), X, F.elu(T(X), 0.5)),
        case(layer("Threshold", threshold=0.1, val=-2), X, F.threshold(T(X), 0.1, -2)),
        case(layer("HardTanh", min_val=-0.5, max_val=0.5), X, T(X).clamp(-0.5, 0.5)),
        case(layer("SoftMax"), IMAGE, T(IMAGE).softmax(1)),
        case(layer("SoftPlus", beta=2, threshold=20), X, F.softplus(T(X), 2)),
        case(layer("Power", pow=2), X, T(X) ** 2),
        case(layer("MulConstant", constant_scalar=0.5), X, T(X) * 0.5),
        case(layer("CMul", weight=array(6) * 0 + 2), X, T(X) * 2),
        case(layer("Normalize", p=2, eps=1e-10), X, F.normalize(T(X))),
        case(layer("Dropout", p=0.25, v2=False), X, T(X) * 0.75),
        case(layer("SpatialDropout", p=0.25), IMAGE, T(IMAGE) * 0.75),
        case(
            layer(
                "SpatialConvolutionMM", weight=KERNEL.reshape(2, 27)[:, :18].copy().repeat(2, 0)[:3], bias=B, **SMALL
            ),
            IMAGE,
            F.conv2d(T(IMAGE), T(KERNEL.reshape(2, 27)[:, :18].repeat(2, 0)[:3].reshape(3, 2, 3, 3)), T(B), 2),
        ),
        case(
            layer("SpatialFullConvolution", weight=KERNEL, bias=B, adjW=1, adjH=1, padW=1, padH=1, **SMALL),
            IMAGE,
            F.conv_transpose2d(T(IMAGE), T(KERNEL), T(B), 2, 1, 1),
        ),
        case(
            layer("SpatialAveragePooling", kW=2, kH=3, dW=2, dH=1, padW=1, padH=1, count_include_pad=False),
            IMAGE,
            F.avg_pool2d(T(IMAGE), (3, 2), (1, 2), 1, count_include_pad=False),
        ),
        case(
            layer("SpatialMaxPooling", kW=2, kH=2, dW=2, dH=2, ceil_mode=True),
            IMAGE,
            F.max_pool2d(T(IMAGE), 2, ceil_mode=True),
        ),
        case(
            layer("SpatialBatchNormalization", running_mean=array(2) * 0, running_std=array(2) * 0 + 0.5, eps=1e-3),
            IMAGE,
            T(IMAGE) * 0.5,
        ),
        case(layer("SpatialZeroPadding", pad_l=1, pad_r=-2, pad_t=0, pad_b=3), IMAGE, F.pad(T(IMAGE), (1, -2, 0, 3))),
        case(
            layer("Padding", dim=1, pad=-2, nInputDim=3, value=7), IMAGE, F.pad(T(IMAGE), (0, 0, 0, 0, 2, 0), value=7)
        ),
        case(layer("SpatialUpSamplingNearest", scale_factor=2), IMAGE, F.interpolate(T(IMAGE), scale_factor=2)),
        case(layer("Reshape", size=np.array([7, 10], "i8")), IMAGE, T(IMAGE).reshape(1, 7, 10)),
        case(layer("View", size=np.array([-1], "i8")), IMAGE, T(IMAGE).flatten(1)),
        case(layer("View", size=np.array([-1, 35], "i8")), IMAGE[:, :1].copy(), T(IMAGE[:, :1]).reshape(-1, 35)),
        case(layer("Mean", dimension=3), ROW, T(ROW).mean(2)),
        case(layer("Sum", dimension=1, nInputDims=2), ROW, T(ROW).sum(1)),
        case(layer("Max", dimension=2), ROW, T(ROW).amax(1)),
        case(layer("Narrow", dimension=2, index=2, length=2), ROW, T(ROW)[:, 1:3]),
        case(layer("Select", dimension=2, index=-1), ROW, T(ROW)[:, -1]),
        case(layer("Transpose", permutations={1: {1: 2, 2: 3}}), ROW, T(ROW).transpose(1, 2)),
        case(
            layer(
                "TemporalConvolution", inputFrameSize=3, outputFrameSize=2, kW=2, dW=1, weight=W1[:2].copy(), bias=B[:2]
            ),
            ROW,
            torch.stack([F.linear(T(ROW)[:, i : i + 2].flatten(1), T(W1[:2]), T(B[:2])) for i in range(3)], 1),
        ),
    ],
)
def test_layers_do_what_their_documentation_says(
    network: Lua, given: np.ndarray, expected: torch.Tensor, tmp_path: Path
) -> None:
    source = open_source(spec(write(network, tmp_path / "net.t7"), *given.shape))
    (found,) = outputs(source, given)
    assert found.shape == tuple(expected.shape)
    np.testing.assert_allclose(found, expected.numpy(), atol=1e-5)


def test_rows_of_a_table_are_counted_from_1(tmp_path: Path) -> None:
    path = write(layer("LookupTable", weight=W1), tmp_path / "net.t7")
    source = open_source(spec(path, 1, 2, dtype="int64"))
    np.testing.assert_array_equal(outputs(source, np.array([[1, 3]]))[0], W1[[0, 2]][None])


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (Lua("nn.gModule", {"modules": {}}), "holds 'nn.gModule', which has no equivalent"),
        (layers("Sequential", layer("Sigmoid"), Lua("inn.SpatialPyramid")), "'inn.SpatialPyramid' (layer 2)"),
        ({"model": LENET, "epoch": 3}, "holds a table (model, epoch), and no network"),
        (array(3), "holds a ndarray, and no network"),
        (layer("Linear"), "holds a layer that is damaged"),
        (layer("Linear", weight=array(3, 7), bias=array(3)), "does not take x: float32[1, 6]"),
    ],
)
def test_what_has_no_equivalent_is_named(value: Any, words: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError) as caught:
        open_source(spec(write(value, tmp_path / "net.t7"), 1, 6))
    assert (caught.value.code, words in caught.value.message) == ("EK-SOURCE", True), caught.value.message
    assert caught.value.hint


def test_damage_is_said_in_one_line(tmp_path: Path) -> None:
    whole = write(LENET, tmp_path / "net.t7").read_bytes()
    check_cuts(read, whole, 11)
    check_changes(read, whole, 300)


def test_a_tensor_does_not_leave_its_storage(tmp_path: Path) -> None:
    data = write(layer("Linear", weight=array(2, 3)), tmp_path / "net.t7").read_bytes()
    shape = np.array([2, 3], "i8").tobytes()
    assert data.count(shape) == 1
    with pytest.raises(Malformed, match="leaves its storage"):
        read(data.replace(shape, np.array([2, 300], "i8").tobytes()))
