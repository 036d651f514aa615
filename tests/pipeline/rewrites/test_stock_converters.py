"""What the stock converters do with models as they are. When one of these fails, the rewrite that it names can go."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path
from unittest.mock import patch

import litert_torch
import numpy as np
import pytest
import torch
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter
from ai_edge_quantizer.quantizer import Quantizer
from executorch.backends.xnnpack.quantizer.xnnpack_quantizer import (
    XNNPACKQuantizer,
    get_symmetric_quantization_config,
)
from support import case_exports
from support.case_exports import SAMPLES
from torch import nn
from torch.nn import functional as F
from torchao.quantization.pt2e.quantize_pt2e import prepare_pt2e

from edgekit.errors import EdgekitError
from edgekit.fidelity import snr_db
from edgekit.pipeline.exporters.backends import xnnpack
from edgekit.pipeline.exporters.executorch import lower
from edgekit.pipeline.readers import pte
from edgekit.pipeline.readers.facts import FileFacts
from edgekit.pipeline.recipes.litert import rules
from edgekit.recipes import RECIPES
from edgekit.runtime.engines import open_session
from edgekit.tensors import Signature, TensorSpec

pytestmark = pytest.mark.slow


class Applied(nn.Module):
    def __init__(self, function: object):
        super().__init__()
        self.function = function

    def forward(self, *tensors):
        return self.function(*tensors)


def tflite(module: nn.Module, x: torch.Tensor) -> np.ndarray:
    """What stock litert-torch's file gives for *x*."""
    return np.asarray(litert_torch.convert(module.eval(), (x,))(x))


def program(module: nn.Module, x: torch.Tensor) -> bytes:
    return lower(torch.export.export(module.eval(), (x,)).module(), (x,))


def run_pte(module: nn.Module, x: torch.Tensor) -> np.ndarray:
    """What a stock .pte gives for *x*."""
    output = module(x).detach()
    specs = [TensorSpec(name, tuple(each.shape), str(each.numpy().dtype)) for name, each in (("x", x), ("y", output))]
    session = open_session("executorch", program(module, x), "pte", Signature((specs[0],), (specs[1],)), 1)
    try:
        return session.run([x.numpy()])[0]
    finally:
        session.close()


def facts(module: nn.Module, x: torch.Tensor) -> FileFacts:
    return pte.read(program(module, x))


ROW = torch.linspace(-3, 3, 8).reshape(1, 8)
MAP_OF_SIX = torch.randn(1, 6, 8, 8, generator=torch.Generator().manual_seed(0))
MAP = torch.randn(1, 3, 11, 9, generator=torch.Generator().manual_seed(0))


def test_litert_torch_takes_no_factor_of_a_sum() -> None:
    """``arithmetic``"""
    with pytest.raises(TypeError, match="alpha"):
        tflite(Applied(lambda x: torch.add(x, x.exp(), alpha=3)), ROW)


def test_litert_torch_takes_no_uneven_padding() -> None:
    """``padding``"""
    with pytest.raises(RuntimeError, match="padding"):
        tflite(nn.Conv1d(1, 2, 4, padding="same"), ROW.unsqueeze(1))


def test_litert_torch_reflects_no_two_axes_of_three() -> None:
    """``padding``"""
    with pytest.raises(Exception, match="perm tensor elements size"):
        tflite(Applied(lambda x: F.pad(x, (0, 0, 2, 2), mode="reflect")), MAP[0])


def test_litert_torch_rounds_the_rest_of_a_division_away() -> None:
    """``arithmetic``"""
    three = torch.full((1, 8), 3.0)
    assert torch.fmod(three, 0.3)[0, 0] > 0.29
    assert tflite(Applied(lambda x: torch.fmod(x, 0.3)), three)[0, 0] == 0


def test_litert_torch_has_no_one_hot() -> None:
    """``arithmetic``"""
    with pytest.raises(RuntimeError, match="_assert_async"):
        tflite(Applied(lambda x: F.one_hot(x.to(torch.int64), 8)), ROW.abs())


def test_litert_torch_has_no_sign_of_whole_numbers() -> None:
    """``arithmetic``"""
    with pytest.raises(Exception, match="sign"):
        tflite(Applied(lambda x: torch.sign(x.to(torch.int64))), ROW)


def test_litert_torch_resizes_to_other_neighbours() -> None:
    """``resizing``"""
    resize = Applied(lambda x: F.interpolate(x, size=(16, 25), mode="nearest"))
    assert snr_db(resize(MAP).numpy(), tflite(resize, MAP)) < 20


def test_both_resize_by_sizes_alone() -> None:
    """``resizing``"""
    resize = Applied(lambda x: F.interpolate(x, scale_factor=1.3, mode="bilinear"))
    for run in (tflite, run_pte):
        assert snr_db(resize(MAP).numpy(), run(resize, MAP)) < 20


def test_litert_torch_has_no_complex_numbers() -> None:
    """``spectrum`` and ``complex_numbers``"""
    with pytest.raises(RuntimeError, match="complex"):
        tflite(Applied(lambda x: torch.stft(x, 8, 2, return_complex=True).abs()), ROW.repeat(1, 4))


def test_executorch_gives_the_remainder_another_sign() -> None:
    """``arithmetic``"""
    remainder = Applied(lambda x: torch.remainder(x.to(torch.int64), 7))
    assert (run_pte(remainder, 3 * ROW) != remainder(3 * ROW).numpy()).any()


def test_executorch_forgets_the_factors_of_a_product() -> None:
    """``arithmetic``"""
    weight, bias = torch.randn(8, 4, generator=torch.Generator().manual_seed(0)), torch.ones(4)

    class Product(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight, self.bias = nn.Parameter(weight, requires_grad=False), nn.Parameter(bias, requires_grad=False)

        def forward(self, x):
            return torch.addmm(self.bias, x, self.weight, beta=0.5, alpha=3)

    assert snr_db(Product()(ROW).numpy(), run_pte(Product(), ROW)) < 20


def test_executorch_crops_by_a_pad_in_a_kernel_that_fails() -> None:
    """``padding``"""
    with pytest.raises(EdgekitError, match="Padding values must be non-negative"):
        run_pte(Applied(lambda x: F.pad(x, (-1, 2)).exp()), MAP)


def test_executorch_computes_every_gelu_alike() -> None:
    """``activations``"""
    gelu = nn.GELU(approximate="tanh")
    assert snr_db(gelu(MAP).numpy(), run_pte(gelu, MAP)) < 90


def test_executorch_copies_the_numbers_of_a_hard_sigmoid() -> None:
    """``activations``"""
    found = facts(nn.Sequential(nn.Conv2d(3, 3, 1), nn.Hardsigmoid()), MAP)
    assert found.undelegated_ops.get("dim_order_ops::_to_dim_order_copy", 0) > 0


def test_executorch_observes_whole_numbers() -> None:
    """`edgekit.pipeline.recipes.xnnpack.FloatQuantizer`"""
    sample = (torch.tensor(SAMPLES[case_exports.Hashes]["k"][:1]),)
    graph_module = torch.export.export(case_exports.Hashes().eval(), sample).module()
    quantizer = XNNPACKQuantizer().set_global(get_symmetric_quantization_config(is_per_channel=True))
    with pytest.raises(RuntimeError, match="Float"):
        prepare_pt2e(graph_module, quantizer)(*sample)


@pytest.mark.parametrize("model", [case_exports.Returned, case_exports.ReadInside])
def test_ai_edge_quantizer_loses_outputs_that_are_read_twice(model: type[case_exports.Base], tmp_path: Path) -> None:
    """`edgekit.pipeline.exporters.output_types`"""
    samples = [{"args_0": row[None]} for row in SAMPLES[model]["x"]]
    path = tmp_path / "model.tflite"
    litert_torch.convert(model().eval(), (torch.tensor(samples[0]["args_0"]),)).export(str(path))
    quantizer = Quantizer(str(path), rules(RECIPES["int8"], path.read_bytes()).get_quantization_recipe())
    ranges = quantizer.calibrate({"serving_default": samples})
    made = bytes(quantizer.quantize(ranges).quantized_model)
    read = schema.ModelT.InitFromObj(schema.Model.GetRootAs(made, 0))
    graph, (signature,) = read.subgraphs[0], read.signatureDefs
    ends = {entry.tensorIndex for entry in signature.outputs}
    lost = ends - set(graph.outputs)
    whole = [number for number in graph.outputs if graph.tensors[number].type == schema.TensorType.INT8]
    try:
        Interpreter(model_content=made).allocate_tensors()
        runs = True
    except RuntimeError:
        runs = False
    assert lost or whole or not runs


@pytest.mark.parametrize(
    ("function", "said"),
    [
        (lambda x: F.adaptive_max_pool2d(x, 1), "adaptive_max_pool2d"),  # pooling
        (lambda x: x.median(1)[0], "median"),  # ordering
        (lambda x: torch.argsort(x, 1), "comparator"),  # ordering
        (lambda x: F.conv_transpose2d(x, torch.ones(3, 2, 3, 3), None, 2, 1, 1), "convolution"),  # transposed
        (lambda x: F.bilinear(x, x, torch.ones(2, 9, 9)), "_trilinear"),  # arithmetic
        (lambda x: torch.cumprod(x, 1), "cumprod"),  # cumulative
        (lambda x: torch.bucketize(x, torch.arange(3.0)), "bucketize|searchsorted"),  # ordering
        (lambda x: F.interpolate(x, size=(5, 5), mode="bilinear", antialias=True), "_aa"),  # resizing
        (lambda x: x.to(torch.int64) ^ x.round().to(torch.int64), "xor"),  # bits
        (lambda x: torch.einsum("bcii->bci", x[:, :, :9]), "equal"),  # sums
        (lambda x: F.conv3d(x.reshape(1, 3, 11, 3, 3), torch.ones(3, 1, 2, 2, 2), groups=3), "Conv3D"),  # volumes
        (lambda x: torch.float_power(x, 2).float(), "pow"),  # the type that stands for double precision
        (lambda x: torch.cond(x.sum() > 0, torch.sin, torch.cos, (x,)), "cond"),  # branches
        (lambda x: F.embedding_bag(x.flatten(1).abs().long().clamp(max=4), torch.ones(5, 2)), "bag"),  # embeddings
    ],
)
def test_litert_torch_lacks(function: object, said: str) -> None:
    with pytest.raises((RuntimeError, ValueError), match=said):
        tflite(Applied(function), MAP)


@pytest.mark.parametrize(
    "function",
    [
        lambda x: x.topk(2, 1)[0],  # ordering
        lambda x: F.fold(x.reshape(1, 27, 11)[..., :9], (9, 9), 3, stride=3),  # transposed
        lambda x: x.scatter_add(1, torch.zeros_like(x, dtype=torch.int64), x),  # scattering
    ],
)
def test_litert_does_not_open_what_litert_torch_makes_of(function: object) -> None:
    with pytest.raises((RuntimeError, ValueError)):
        tflite(Applied(function), MAP)


@pytest.mark.parametrize(
    "function",
    [
        lambda x: torch.sort(x)[0],  # ordering
        lambda x: F.adaptive_max_pool2d(x, 1),  # pooling
        lambda x: torch.cumprod(x, 1),  # cumulative
        lambda x: x.to(torch.int64) << x.to(torch.int64).abs(),  # bits
        lambda x: F.conv3d(x.reshape(1, 3, 11, 3, 3), torch.ones(3, 3, 2, 2, 2)),  # volumes
        lambda x: torch.var_mean(x, 1)[0],  # reductions
        lambda x: x.scatter_reduce(1, torch.zeros_like(x, dtype=torch.int64), x, "amax"),  # scattering
    ],
)
def test_executorch_lacks(function: object) -> None:
    with pytest.raises(Exception, match=r"sort|adaptive_max_pool2d|cumprod|shift|3-D or 4-D|var_mean|scatter"):
        run_pte(Applied(function), MAP)


def test_executorch_lays_vectors_out_as_pictures() -> None:
    """``activations``"""
    with pytest.raises(Exception, match="ChannelsLastTaggedReshapePass"):
        program(nn.PReLU(), ROW)


def test_litert_torch_makes_up_the_indices_of_maxima() -> None:
    """``pooling``"""
    module = Applied(lambda x: F.max_pool2d(x, 2, return_indices=True)[1].float())
    assert not np.array_equal(tflite(module, MAP), module(MAP).numpy())


class Behind(nn.Module):
    """A convolution, *function* of what it makes, and another one."""

    def __init__(self, function: object):
        super().__init__()
        self.first, self.function, self.last = nn.Conv2d(4, 4, 1), function, nn.Conv2d(4, 3, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.last(self.function(self.first(x)))


@pytest.mark.parametrize(
    "function",
    [
        lambda y: torch.cdist(y, y.flip(2)),
        lambda y: y * y.mean((2, 3), keepdim=True).expand_as(y),
    ],
    ids=["layouts", "broadcasts"],
)
def test_litert_torch_mixes_up_layouts(function: object) -> None:
    """``exporters.layouts`` and ``broadcasts``"""
    torch.manual_seed(0)
    module, x = Behind(function).eval(), torch.randn(1, 4, 4, 4)
    assert snr_db(module(x).detach().numpy(), tflite(module, x)) < 30


def test_litert_torch_lays_out_weights_as_inputs() -> None:
    """``exporters.layouts``"""
    with pytest.raises(RuntimeError, match="weight of size"):
        tflite(Applied(lambda x: F.conv2d(x, torch.ones(4, 6, 3, 3) * x.mean((2, 3)).reshape(1, 6, 1, 1))), MAP_OF_SIX)


def test_executorch_computes_softmax_along_channels() -> None:
    """``backends.xnnpack.softmax_of_rows``"""
    torch.manual_seed(0)
    module, x = Behind(lambda y: y.softmax(-1)).eval(), torch.randn(1, 4, 4, 4)
    with patch.object(xnnpack, "softmax_of_rows", nullcontext):
        found = run_pte(module, x)
    assert snr_db(module(x).detach().numpy(), found) < 30
