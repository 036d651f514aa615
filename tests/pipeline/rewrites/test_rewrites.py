"""Rewritten graphs give what the model gives, in operators that converters know."""

from __future__ import annotations

import warnings
from collections.abc import Iterator

import numpy as np
import pytest
import torch
from support import case_exports
from support.case_exports import SAMPLES
from torch import nn
from torch.fx import GraphModule
from torch.nn import functional as F
from torch.utils import _pytree as pytree

from edgekit.errors import ConversionError
from edgekit.fidelity import snr_db
from edgekit.pipeline.exporters import backends
from edgekit.pipeline.rewrites import LITERT, rewrite
from edgekit.pipeline.rewrites.constants import values_in

_TABLES = {"litert": LITERT, "xnnpack": backends.find("xnnpack").RULES}
each_table = pytest.mark.parametrize("rules", _TABLES.values(), ids=_TABLES)
_ATEN = torch.ops.aten


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def rewritten(module: nn.Module, *inputs: torch.Tensor, rules: object = LITERT) -> GraphModule:
    return rewrite(module.eval(), inputs, rules)  # type: ignore[arg-type]


def operators(graph_module: GraphModule) -> list[object]:
    return [node.target for node in graph_module.graph.nodes if node.op == "call_function"]


def samples(model: type[case_exports.Base], index: int = 0) -> tuple[torch.Tensor, ...]:
    return tuple(torch.tensor(array[index : index + 1]) for array in SAMPLES[model].values())


def compare(module: nn.Module, graph_module: GraphModule, inputs: tuple[torch.Tensor, ...]) -> None:
    with torch.no_grad():
        expected, found = (pytree.tree_leaves(each(*inputs)) for each in (module, graph_module))
    for one, other in zip(expected, found, strict=True):
        assert one.dtype == other.dtype and one.shape == other.shape
        if one.is_floating_point():
            assert snr_db(one.numpy(), other.numpy()) > 90
        else:
            assert torch.equal(one, other)


@each_table
@pytest.mark.parametrize(
    "name",
    [
        "Sums", "SumsInPlace", "SumsOfWholeNumbers", "Same", "SameByFunctions", "Pads", "Crops", "CropsOnALine",
        "ResizesToTheNearest", "ResizesALine", "WholeNumbers", "Hashes", "Buckets", "Tied", "Spectrogram", "Filter",
        "Plane", "Returned", "ReadInside",
    ],
)  # fmt: skip
def test_the_same_values_come_out(name: str, rules: object) -> None:
    model = getattr(case_exports, name)
    module = model().eval()
    graph_module = rewritten(module, *samples(model), rules=rules)
    for index in range(4):
        compare(module, graph_module, samples(model, index))


class Applied(nn.Module):
    def __init__(self, function: object):
        super().__init__()
        self.function = function

    def forward(self, *tensors):
        return self.function(*tensors)


@pytest.mark.parametrize(
    ("function", "gone"),
    [
        (lambda x: torch.add(x, x, alpha=3), _ATEN.add.Tensor),
        (lambda x: torch.rsub(x, 2.0, alpha=3), _ATEN.rsub.Scalar),
        (lambda x: torch.fmod(x, 0.3), _ATEN.fmod.Scalar),
        (lambda x: torch.floor_divide(x, 0.3), _ATEN.floor_divide.default),
        (lambda x: torch.round(x, decimals=1), _ATEN.round.decimals),
        (lambda x: torch.hypot(x, 2 * x), _ATEN.hypot.default),
        (lambda x: torch.pow(x, 3), _ATEN.pow.Tensor_Scalar),
        (lambda x: F.pad(x, (-1, 2)), _ATEN.pad.default),
        (lambda x: F.pad(x, (1, 2), mode="reflect"), _ATEN.pad.default),
        (lambda x: F.pad(x, (12, -3), mode="reflect"), _ATEN.constant_pad_nd.default),
        (lambda x: F.rrelu(x), _ATEN.rrelu.default),
    ],
)
def test_floats(function: object, gone: object) -> None:
    x = torch.linspace(-3, 3, 41).reshape(1, 41)
    module = Applied(function)
    graph_module = rewritten(module, x)
    compare(module, graph_module, (x,))
    left = [node for node in graph_module.graph.nodes if node.target == gone]
    assert not any(node.kwargs or min(node.args[1:2] or [0], default=0, key=str) == -1 for node in left)


@pytest.mark.parametrize(
    ("amounts", "shape"),
    [
        ((9, 9), (11, 12)), ((-1, 9), (2, 11, 12)), ((9, 0), (1, 1, 12)), ((0, 0, 9, 9), (1, 11, 1)),
        ((9, 3, 10, 0), (2, 11, 12)), ((-1, 9, 10, 2), (2, 11, 12)),
    ],
)  # fmt: skip
def test_many_reflections_are_those_of_a_picture(amounts: tuple[int, ...], shape: tuple[int, ...]) -> None:
    x = torch.randn(shape)
    module = Applied(lambda x: F.pad(x, amounts, mode="reflect"))
    graph_module = rewritten(module, x)
    compare(module, graph_module, (x,))
    (pad,) = (node for node in graph_module.graph.nodes if node.target == _ATEN.pad.default)
    assert pad.meta["val"].dim() == 4 and len(pad.args[1]) == 4


@pytest.mark.parametrize(
    "function",
    [
        lambda k: k // 4, lambda k: k % 7, lambda k: k % -7, lambda k: torch.fmod(k, 7), lambda k: k.abs(),
        lambda k: k**3, lambda k: k << 3, lambda k: k >> 2, lambda k: k & 7, lambda k: ~k,
        lambda k: torch.div(k, 3, rounding_mode="trunc"), lambda k: k @ k.T, lambda k: torch.add(k, k, alpha=-2),
    ],
)  # fmt: skip
@each_table
def test_whole_numbers(function: object, rules: object) -> None:
    k = torch.arange(-40, 40).reshape(4, 20)
    module = Applied(function)
    compare(module, rewritten(module, k, rules=rules), (k,))


@pytest.mark.parametrize("size", [(7, 4), (16, 25), (22, 18), (11, 9), (1, 1), (33, 10)])
@pytest.mark.parametrize("mode", ["nearest", "nearest-exact"])
def test_resizing_to_the_nearest(size: tuple[int, int], mode: str) -> None:
    x = torch.randn(1, 2, 11, 9)
    module = Applied(lambda x: F.interpolate(x, size=size, mode=mode))
    graph_module = rewritten(module, x)
    compare(module, graph_module, (x,))
    chosen = _ATEN.index_select.default in operators(graph_module)
    assert chosen == (size not in ((22, 18), (11, 9))), "by a whole factor converters do it right"


def test_plain_arguments_stay_as_they_are() -> None:
    x = torch.randn(1, 4)
    assert operators(rewritten(Applied(lambda x: x + 2 * x), x)) == [_ATEN.mul.Tensor, _ATEN.add.Tensor]
    assert operators(rewritten(nn.Conv1d(1, 2, 3, padding=1), x.unsqueeze(1))) == [_ATEN.conv1d.default]


def test_what_no_input_reaches_is_computed_before() -> None:
    graph_module = rewritten(case_exports.Repeated(), *samples(case_exports.Repeated))
    named = {name for name, _ in graph_module.named_buffers()}
    assert not any("mask" in name for name in named), "only the part of the mask that is read is kept"
    # a table of 40 words, a layer of 32 by 32 and one of 32 by 4 with biases, and a mask of 10 by 10
    assert values_in(graph_module) == 40 * 32 + 33 * 32 + 33 * 4 + 10 * 10


def test_equal_tensors_count_once_and_unread_ones_not_at_all() -> None:
    tied = rewritten(case_exports.Tied(), *samples(case_exports.Tied))
    assert values_in(tied) == 40 * 32 + 33 * 32 + 10 * 32
    encoder = rewritten(case_exports.Encoder(), *samples(case_exports.Encoder))
    whole = sum(parameter.numel() for parameter in case_exports.Encoder().parameters())
    assert values_in(encoder) < 0.6 * whole, "two layers that start as copies"


def test_every_node_knows_its_line() -> None:
    graph_module = rewritten(case_exports.Sums(), *samples(case_exports.Sums))
    assert all(
        "case_exports.py" in node.meta["stack_trace"] for node in graph_module.graph.nodes if node.op == "call_function"
    )


@pytest.mark.parametrize(
    "function",
    [
        lambda x: torch.fft.rfft(x).abs(), lambda x: torch.fft.irfft(torch.fft.rfft(x, n=24)),
        lambda x: torch.fft.fft(x, norm="ortho").real, lambda x: torch.fft.ifft(torch.fft.fft(x) * 1j).imag,
        lambda x: torch.view_as_real(torch.fft.fft2(x.reshape(4, 10))),
        lambda x: torch.istft(torch.stft(x, 16, 4, return_complex=True), 16, 4),
        lambda x: torch.stft(x, 16, 4, 12, torch.hann_window(12), center=False, return_complex=True).abs(),
        lambda x: torch.polar(x.abs(), x).angle(), lambda x: x.to(torch.complex64).real,
        lambda x: (torch.complex(x, x) / torch.complex(x, 1 - x)).real,
    ],
)  # fmt: skip
def test_complex_numbers_in_real_ones(function: object) -> None:
    x = torch.randn(1, 40, generator=torch.Generator().manual_seed(0))
    module = Applied(function)
    graph_module = rewritten(module, x)
    compare(module, graph_module, (x,))
    values = [node.meta["val"] for node in graph_module.graph.nodes if isinstance(node.meta.get("val"), torch.Tensor)]
    assert not any(value.is_complex() for value in values)


def test_complex_numbers_without_a_form_in_real_ones_are_refused() -> None:
    with pytest.raises(ConversionError, match=r"no file can hold complex numbers, and aten\.\w+ of them"):
        rewritten(Applied(lambda x: torch.linalg.eigvals(x).abs()), torch.randn(3, 3))
    with pytest.raises(ConversionError, match="a Fourier transform of 5,000 values takes a table"):
        rewritten(Applied(lambda x: torch.fft.rfft(x).abs()), torch.randn(1, 5000))


def test_work_in_place_becomes_functional() -> None:
    def function(x: torch.Tensor) -> torch.Tensor:
        y = x * 2
        y[:, 1:3] += 1
        y.relu_().clamp_(max=1.5)
        return y

    x = torch.randn(1, 6)
    module = Applied(function)
    graph_module = rewritten(module, x)
    compare(module, graph_module, (x,))
    assert not any(getattr(target, "_schema", None) and target._schema.is_mutable for target in operators(graph_module))  # type: ignore[attr-defined]


def test_places_are_those_of_single_precision() -> None:
    """``interpolate`` of 29 values to 41 takes another value here and there in double precision."""
    x = torch.arange(29.0).reshape(1, 1, 29)
    for factor in np.linspace(0.3, 2.9, 27):
        module = Applied(lambda x, factor=factor: F.interpolate(x, scale_factor=float(factor), mode="nearest"))
        compare(module, rewritten(module, x), (x,))


LINES = torch.randn(2, 5, 7, generator=torch.Generator().manual_seed(3)).round(decimals=1)  # with some equal values
KERNEL = torch.randn(4, 3, 3, 2, generator=torch.Generator().manual_seed(5))


@each_table
@pytest.mark.parametrize(
    "function",
    [
        lambda x: torch.sort(x, 1)[0], lambda x: torch.sort(x, descending=True, stable=True, dim=-2)[0],
        lambda x: x.gather(0, torch.argsort(x, 0)), lambda x: x.topk(2, 1, largest=False)[0], lambda x: x.topk(3)[0],
        lambda x: x.median(1)[0], lambda x: x.median()[None], lambda x: x.kthvalue(2, 1, True)[0], lambda x: x.msort(),
        lambda x: x.quantile(0.3, 1), lambda x: torch.sort((x * 2).int(), 1)[0],
        lambda x: F.bilinear(x, x.sin(), torch.linspace(-1, 1, 147).reshape(3, 7, 7), torch.ones(3)),
        lambda x: F.adaptive_max_pool2d(x, (2, 3), return_indices=True), lambda x: F.adaptive_max_pool1d(x, 1),
        lambda x: F.max_pool2d(x, 3, 2, 1, return_indices=True), lambda x: F.max_pool1d(x, 3, return_indices=True),
        lambda x: F.max_pool2d(x, 2, 1, 1, dilation=2, return_indices=True),
    ],
)  # fmt: skip
def test_orders_and_maxima(function: object, rules: object) -> None:
    module = Applied(function)
    compare(module, rewritten(module, LINES, rules=rules), (LINES,))


@pytest.mark.parametrize(
    ("function", "shape"),
    [
        (lambda x: F.conv_transpose2d(x, KERNEL, torch.ones(6), 2, 1, 1, groups=2), (1, 4, 5, 6)),
        (lambda x: F.conv_transpose2d(x, KERNEL, torch.ones(3), 2, (2, 1), (1, 0), dilation=(1, 2)), (1, 4, 5, 6)),
        (lambda x: F.conv_transpose2d(x, KERNEL, torch.ones(3), 3, 0, (2, 1), dilation=2), (1, 4, 5, 6)),
        (lambda x: F.conv_transpose1d(x, KERNEL[..., 0], torch.ones(3), 2, 1, 1), (1, 4, 9)),
        (lambda x: F.fold(x, (9, 7), (3, 2), dilation=(2, 1), padding=(1, 2), stride=(2, 3)), (1, 12, 16)),
        (lambda x: F.fold(x, (6, 6), 2, stride=2), (1, 12, 9)),
    ],
)
def test_transposed_convolutions(function: object, shape: tuple[int, ...]) -> None:
    x = torch.randn(shape, generator=torch.Generator().manual_seed(6))
    module = Applied(function)
    graph_module = rewritten(module, x)
    compare(module, graph_module, (x,))


@each_table
def test_expansions_are_left_to_what_broadcasts(rules: object) -> None:
    x, y = torch.randn(1, 4, 5, 3), torch.randn(1, 4, 1, 1)
    module = Applied(lambda x, y: (x * y.expand_as(x), F.normalize(x, dim=1)))
    graph_module = rewritten(module, x, y, rules=rules)
    compare(module, graph_module, (x, y))
    assert not {_ATEN.expand.default, _ATEN.expand_as.default} & {*operators(graph_module)}
    module = Applied(lambda x, y: y.expand(1, 4, 5, 3) * y)  # both are small: here it is needed
    compare(module, rewritten(module, x, y, rules=rules), (x, y))
