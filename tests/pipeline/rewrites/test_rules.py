"""Each rule gives what torch gives, over the arguments that it takes."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch.nn import functional as F

from edgekit.pipeline.rewrites import COMMON, LITERT, XNNPACK, volumes
from edgekit.pipeline.rewrites.complex_numbers import _OPERATORS, Complex

_ATEN = torch.ops.aten


@pytest.fixture(autouse=True)
def _seeded() -> None:
    torch.manual_seed(0)


def _each(*values: Any) -> list[Any]:
    return [*itertools.product(*values)]


def _three(value: Any) -> list[int]:
    return [value] * 3 if isinstance(value, int) else [*value]


@pytest.mark.parametrize("rules", [COMMON, LITERT], ids=["common", "litert"])
def test_convolutions_over_three_axes(rules: Any) -> None:
    x = torch.randn(1, 4, 7, 6, 8)
    for stride, padding, dilation, groups in _each((1, 2, (2, 1, 3)), (0, (1, 0, 2)), (1, (2, 1, 1)), (1, 2, 4)):
        given = tuple(map(_three, (stride, padding, dilation)))
        weight, bias = torch.randn(8, 4 // groups, 3, 2, 3), torch.randn(8)
        found = rules[_ATEN.conv3d.default](x, weight, bias, *given, groups)
        torch.testing.assert_close(found, F.conv3d(x, weight, bias, *given, groups), atol=1e-4, rtol=1e-4)
        weight = torch.randn(4, 8 // groups, 3, 2, 3)
        more = [int(far > 1) for far in given[0]]
        arguments = (weight, bias, given[0], given[1], more, groups, given[2])
        found = rules[_ATEN.conv_transpose3d.input](x, *arguments)
        torch.testing.assert_close(found, F.conv_transpose3d(x, *arguments), atol=1e-4, rtol=1e-4)
    one = volumes.rules()[_ATEN.conv3d.default](x[0], torch.randn(2, 4, 1, 1, 1), None)
    assert one.shape == (2, 7, 6, 8)


@pytest.mark.parametrize(
    ("kernel", "stride", "padding", "ceiling"),
    [(2, (), 0, False), (3, 2, 1, True), ((1, 2, 2), (1, 2, 2), 0, True), ((3, 2, 2), (2, 1, 2), (1, 0, 1), True)],
)
def test_pools_over_three_axes(kernel: Any, stride: Any, padding: Any, ceiling: bool) -> None:
    x = torch.randn(2, 3, 7, 6, 9)
    given = [_three(kernel), _three(stride) if stride != () else [], _three(padding)]
    found = COMMON[_ATEN.max_pool3d.default](x, *given, [1], ceiling)
    assert torch.equal(found, F.max_pool3d(x, given[0], given[1] or None, given[2], ceil_mode=ceiling))
    for counted, divisor in _each((True, False), (None, 5)):
        found = COMMON[_ATEN.avg_pool3d.default](x, *given, ceiling, counted, divisor)
        expected = F.avg_pool3d(x, given[0], given[1] or None, given[2], ceiling, counted, divisor)
        torch.testing.assert_close(found, expected)


@pytest.mark.parametrize("rules", [COMMON, LITERT], ids=["common", "litert"])
def test_pools_over_three_axes_to_a_size_and_with_indices(rules: Any) -> None:
    x = torch.randn(2, 3, 7, 8, 9)
    for size in ((2, 3, 3), (3, 1, 2), (7, 8, 9), (10, 3, 4)):
        for value in (x, x[0]):
            found = rules[_ATEN.adaptive_avg_pool3d.default](value, size)
            torch.testing.assert_close(found, F.adaptive_avg_pool3d(value, size))
    expected = F.adaptive_max_pool3d(x, (7, 4, 3), return_indices=True)
    found = rules[_ATEN.adaptive_max_pool3d.default](x, (7, 4, 3))
    assert all(torch.equal(*pair) for pair in zip(found, expected, strict=True))
    expected = F.max_pool3d(x, 3, 2, 1, ceil_mode=True, return_indices=True)
    found = rules[_ATEN.max_pool3d_with_indices.default](x, [3], [2], [1], [1], True)
    assert all(torch.equal(*pair) for pair in zip(found, expected, strict=True))


@pytest.mark.parametrize("rules", [COMMON, LITERT], ids=["common", "litert"])
@pytest.mark.parametrize(("dim", "descending"), _each((0, 1, -1), (False, True)))
def test_equal_values_stay_in_order(rules: Any, dim: int, descending: bool) -> None:
    x = torch.randint(-3, 4, (3, 4, 9))
    for value in (x, x.float()):
        found = rules[_ATEN.sort.default](value, dim, descending)
        expected = value.sort(dim=dim, descending=descending, stable=True)
        assert all(torch.equal(*pair) for pair in zip(found, expected, strict=True))


@pytest.mark.parametrize("size", [1, 2, 13, 16])
def test_what_runs_along_an_axis(size: int) -> None:
    x = torch.randn(2, size, 3).round(decimals=1)
    torch.testing.assert_close(COMMON[_ATEN.cumprod.default](x, 1), x.cumprod(1))
    torch.testing.assert_close(
        COMMON[_ATEN.logcumsumexp.default](20 * x, 1), (20 * x).logcumsumexp(1), rtol=1e-4, atol=1e-4
    )
    whole = (x * 10).to(torch.int64)
    for name in ("cummax", "cummin"):
        for value in (x, whole):  # some are equal: the last one counts
            found, expected = COMMON[getattr(_ATEN, name).default](value, 1), getattr(torch, name)(value, 1)
            assert all(torch.equal(*pair) for pair in zip(found, expected, strict=True))


@pytest.mark.parametrize(
    ("equation", "shapes"),
    [
        ("bnct,cw,wvt->bnv", [(1, 3, 4, 5), (4, 6), (6, 2, 5)]),
        ("...i,kij,...j->...k", [(2, 7, 6), (4, 6, 5), (2, 7, 5)]),
        ("bntw,wvt->bnv", [(1, 3, 5, 6), (6, 2, 5)]),
        ("btn,tn->b", [(2, 3, 4), (3, 4)]),
        ("bxtn,btny->yxb", [(2, 1, 3, 4), (2, 3, 4, 5)]),
        ("bijk,bkj->bi", [(2, 3, 4, 5), (1, 5, 4)]),
        ("bii->bi", [(2, 4, 4)]),
        ("ii", [(4, 4)]),
        ("iij,jk->ki", [(3, 3, 4), (4, 2)]),
        ("bi,bj,bk", [(2, 3), (2, 4), (2, 5)]),
        ("...ii->...i", [(2, 3, 4, 4)]),
        ("a b, b c, c d -> a d", [(2, 3), (3, 4), (4, 5)]),
    ],
)
def test_einstein_sums(equation: str, shapes: list[tuple[int, ...]]) -> None:
    tensors = [torch.randn(shape) for shape in shapes]
    found = LITERT[_ATEN.einsum.default](equation, tensors)
    torch.testing.assert_close(found, torch.einsum(equation, *tensors), atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize(("offset", "first", "second"), _each((0, 1, -2, 9), (0, 1), (2, -1)))
def test_diagonals(offset: int, first: int, second: int) -> None:
    x = torch.randn(5, 4, 6)
    line = x.diagonal(offset, first, second)
    assert torch.equal(LITERT[_ATEN.diagonal.default](x, offset, first, second), line)
    if line.numel():
        found = COMMON[_ATEN.diagonal_scatter.default](x, 2 * line, offset, first, second)
        assert torch.equal(found, x.diagonal_scatter(2 * line, offset, first, second))


def test_writing_in_turn_where_a_mask_is() -> None:
    x, source = torch.randn(4, 5), torch.randn(6, 5)
    for mask in (x > 0, x[0] > 0, x[:, :1] > 0, x > 9):
        found = LITERT[_ATEN.masked_scatter.default](x, mask, source)
        assert torch.equal(found, x.masked_scatter(mask, source))


def test_windows_that_overlap_in_a_pad() -> None:
    x = torch.randn(2, 12, 12)
    found = COMMON[_ATEN.col2im.default](x, [7, 8], [2, 3], [1, 2], [1, 1], [2, 2])
    torch.testing.assert_close(found, F.fold(x, (7, 8), (2, 3), stride=2, padding=1, dilation=(1, 2)))


def test_logarithms_of_sums() -> None:
    x, y = 9 * torch.randn(20), 9 * torch.randn(20)
    torch.testing.assert_close(COMMON[_ATEN.logaddexp2.default](x, y), torch.logaddexp2(x, y))


@pytest.mark.parametrize(
    ("shape", "indices", "dim"),
    [((4, 9), (4, 5), 1), ((4, 9), (3, 5), 1), ((9, 4, 3), (6, 4, 2), 0), ((3, 9, 4), (3, 2, 4), -2), ((7,), (5,), 0)],
)
@pytest.mark.parametrize("dtype", [torch.float32, torch.int64])
def test_writing_along_an_axis(shape: tuple[int, ...], indices: tuple[int, ...], dim: int, dtype: torch.dtype) -> None:
    x, source = (5 * torch.randn(shape)).to(dtype), (5 * torch.randn([size + 1 for size in indices])).to(dtype)
    size, axis = shape[dim], dim % len(shape)
    lines = torch.rand(indices).movedim(axis, -1)
    apart = torch.rand(*lines.shape[:-1], size).argsort(-1)[..., : indices[axis]].movedim(-1, axis)
    anywhere = torch.randint(0, size, indices)
    assert torch.equal(LITERT[_ATEN.scatter.src](x, dim, apart, source), x.scatter(dim, apart, source))
    assert torch.equal(LITERT[_ATEN.scatter.value](x, dim, anywhere, 3), x.scatter(dim, anywhere, 3))
    found = LITERT[_ATEN.scatter_add.default](x, dim, anywhere, source)
    torch.testing.assert_close(found, x.scatter_add(dim, anywhere, source))
    for reduce, own in _each(("sum", "mean", "amax", "amin", "prod"), (True, False)):
        if reduce != "mean" or dtype == torch.float32:
            found = LITERT[_ATEN.scatter_reduce.two](x, dim, anywhere, source, reduce, include_self=own)
            expected = x.scatter_reduce(dim, anywhere, source, reduce, include_self=own)
            torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("dim", [0, 1, -1])
def test_writing_slices(dim: int) -> None:
    x = torch.randn(4, 5, 6)
    index, twice = torch.tensor([2, 0]), torch.tensor([1, 1])
    source = x.narrow(dim, 0, 2) * 3
    found = LITERT[_ATEN.index_add.default](x, dim, twice, source, alpha=2)
    torch.testing.assert_close(found, x.index_add(dim, twice, source, alpha=2))
    assert torch.equal(LITERT[_ATEN.index_copy.default](x, dim, index, source), x.index_copy(dim, index, source))
    assert torch.equal(LITERT[_ATEN.index_fill.int_Scalar](x, dim, index, 2.0), x.index_fill(dim, index, 2.0))


def test_writing_by_index() -> None:
    x, k, m = torch.randn(4, 5, 6), torch.tensor([1, -1, 2]), torch.tensor([0, 2, 3])
    cases: list[tuple[tuple[torch.Tensor | None, ...], torch.Tensor]] = [
        ((k,), torch.randn(3, 5, 6)), ((k, m), torch.randn(3, 6)), ((None, m), torch.randn(4, 3, 6)),
        ((None, None, m), torch.randn(1)), ((k, None, m), torch.randn(3, 5)), ((None, m, k), torch.randn(4, 3)),
        ((k[:, None], m[None]), torch.randn(3, 3, 6)), ((None, k[:, None], m[None]), torch.randn(4, 3, 3)),
        ((x > 0,), torch.tensor(0.5)), ((x[:, 0, 0] > 0,), torch.tensor(0.5)),
    ]  # fmt: skip
    for indices, values in cases:
        for added in (False, True):
            found = LITERT[_ATEN.index_put.default](x, indices, values, added)
            torch.testing.assert_close(found, _ATEN.index_put(x, indices, values, added))


def test_bits() -> None:
    left, right, bits = (torch.randint(low, high, (60,)) for low, high in ((-500, 500), (-500, 500), (0, 6)))
    rules: dict[str, Callable[..., torch.Tensor]] = {
        "bitwise_and": torch.bitwise_and, "bitwise_or": torch.bitwise_or, "bitwise_xor": torch.bitwise_xor,
    }  # fmt: skip
    for name, operator in rules.items():
        rule = LITERT[getattr(_ATEN, name).Tensor]
        assert torch.equal(rule(left, right), operator(left, right))
        assert torch.equal(rule(left.int(), right.int()), operator(left.int(), right.int()))
        for number in (5, 7, -3, 0):
            assert torch.equal(LITERT[getattr(_ATEN, name).Scalar](left, number), operator(left, number))
    assert torch.equal(LITERT[_ATEN.__xor__.Tensor](left > 0, right > 0), (left > 0) ^ (right > 0))
    for rules in (LITERT, XNNPACK):
        assert torch.equal(rules[_ATEN.__lshift__.Tensor](left, bits), left << bits)
        assert torch.equal(rules[_ATEN.__rshift__.Tensor](left, bits), left >> bits)


@pytest.mark.parametrize(("mode", "size"), _each(("bilinear", "bicubic"), ((4, 3), (12, 15), (9, 2))))
def test_smoothed_resizing(mode: str, size: tuple[int, int]) -> None:
    x = torch.randn(1, 4, 9, 7)
    found = COMMON[getattr(_ATEN, f"_upsample_{mode}2d_aa").default](x, size, False)
    torch.testing.assert_close(found, F.interpolate(x, size=size, mode=mode, antialias=True), atol=1e-5, rtol=1e-4)
    factors = [0.4, 1.7]
    found = COMMON[getattr(_ATEN, f"_upsample_{mode}2d_aa").vec](x, None, True, factors)
    expected = F.interpolate(x, scale_factor=factors, mode=mode, antialias=True, align_corners=True)
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-4)


def test_searches_and_histograms() -> None:
    x, edges = torch.randn(3, 20).round(decimals=1), torch.tensor([-1.0, -0.5, 0.0, 0.7])
    for right in (False, True):
        assert torch.equal(
            COMMON[_ATEN.bucketize.Tensor](x, edges, right=right), torch.bucketize(x, edges, right=right)
        )
        rows = edges.expand(3, 4) * torch.tensor([[1.0], [2.0], [3.0]])
        found = COMMON[_ATEN.searchsorted.Tensor](rows, x, right=right)
        assert torch.equal(found, torch.searchsorted(rows.contiguous(), x, right=right))
    assert torch.equal(COMMON[_ATEN.histc.default](x, 5, -2, 2), torch.histc(x, 5, -2, 2))


@pytest.mark.parametrize("norm", [None, "ortho", "forward"])
def test_transforms_of_what_mirrors_itself(norm: str | None) -> None:
    x, z = torch.randn(9), torch.randn(9, dtype=torch.complex64)
    torch.testing.assert_close(COMMON[_ATEN.fft_hfft.default](z, norm=norm), torch.fft.hfft(z, norm=norm))
    found, expected = COMMON[_ATEN.fft_ihfft.default](x, norm=norm), torch.fft.ihfft(x, norm=norm)
    torch.testing.assert_close(torch.complex(found.real, found.imag), expected, atol=1e-5, rtol=1e-4)


def test_angles_of_real_frequencies_are_those_of_torch() -> None:
    x = torch.rand(4, 12) + 0.1
    found = COMMON[_ATEN.fft_rfft.default](x)
    torch.testing.assert_close(torch.atan2(found.imag, found.real), torch.fft.rfft(x).angle(), atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("name", ["log", "sqrt", "reciprocal", "sgn"])
def test_functions_of_complex_numbers(name: str) -> None:
    z = torch.randn(20, dtype=torch.complex64)
    found = _OPERATORS[name](Complex.of(z))
    torch.testing.assert_close(torch.complex(found.real, found.imag), getattr(torch, name)(z), atol=1e-5, rtol=1e-4)


def test_prelu_of_vectors() -> None:
    for shape in ((2, 6), (2, 6, 5), (2, 6, 3, 2, 2)):
        x = torch.randn(shape)
        for weight in (torch.tensor([0.3]), torch.randn(6)):
            torch.testing.assert_close(XNNPACK[_ATEN.prelu.default](x, weight), F.prelu(x, weight))


@pytest.mark.parametrize("mode", ["sum", "mean", "max"])
@pytest.mark.parametrize("padding", [None, 0, -1])
def test_bags_of_embeddings(mode: str, padding: int | None) -> None:
    weight, indices = torch.randn(9, 4), torch.randint(0, 9, (11,))
    number = {"sum": 0, "mean": 1, "max": 2}[mode]
    scales = torch.randn(11) if mode == "sum" else None
    for last in (False, True):
        offsets = torch.tensor([0, 3, 3, 11 if last else 7])
        wanted = F.embedding_bag(
            indices,
            weight,
            offsets,
            mode=mode,
            per_sample_weights=scales,
            include_last_offset=last,
            padding_idx=padding,
        )
        place = None if padding is None else padding % 9
        found = COMMON[_ATEN.embedding_bag.padding_idx](
            weight, indices, offsets, False, number, False, scales, last, place
        )
        torch.testing.assert_close(found[0], wanted)


def test_two_results_of_one_reduction() -> None:
    x = torch.randn(4, 5, 6)
    for name in ("var_mean", "std_mean"):
        torch.testing.assert_close(
            COMMON[getattr(_ATEN, name).correction](x, [1], correction=0), getattr(torch, name)(x, 1, correction=0)
        )
        torch.testing.assert_close(
            COMMON[getattr(_ATEN, name).dim](x, [0, 2], False, True), getattr(torch, name)(x, (0, 2), False, True)
        )
        torch.testing.assert_close(COMMON[getattr(_ATEN, name).default](x, True), getattr(torch, name)(x))


def test_powers_of_a_whole_number() -> None:
    k = torch.arange(0, 10).reshape(2, 5)
    for base in (2, 3, -2):
        assert torch.equal(LITERT[_ATEN.pow.Scalar](base, k), base**k)
    assert LITERT[_ATEN.pow.Scalar](2.0, k) is NotImplemented


@pytest.mark.parametrize(("align", "mode"), _each((False, True), (0, 1)))
def test_sampling_at_reflected_places(align: bool, mode: int) -> None:
    value, grid = torch.randn(1, 4, 6, 5), torch.rand(1, 7, 8, 2) * 8 - 4
    found = LITERT[_ATEN.grid_sampler.default](value, grid, mode, 2, align)
    torch.testing.assert_close(found, _ATEN.grid_sampler(value, grid, mode, 2, align), atol=1e-4, rtol=1e-4)
    assert LITERT[_ATEN.grid_sampler.default](value, grid, mode, 0, align) is NotImplemented


def test_powers_of_values() -> None:
    x = torch.randn(5)
    torch.testing.assert_close(COMMON[_ATEN.vander.default](x, 4), torch.vander(x, 4))
    torch.testing.assert_close(COMMON[_ATEN.vander.default](x, None, True), torch.vander(x, increasing=True))
    torch.testing.assert_close(COMMON[_ATEN.linalg_vander.default](x, N=3), torch.linalg.vander(x, N=3))


def test_where_extreme_whole_numbers_are() -> None:
    k = torch.randint(-3, 4, (4, 9, 5))
    for dim, keepdim in _each((0, 1, -1), (False, True)):
        for name in ("max", "min"):
            found, expected = LITERT[getattr(_ATEN, name).dim](k, dim, keepdim), getattr(torch, name)(k, dim, keepdim)
            assert all(torch.equal(*pair) for pair in zip(found, expected, strict=True))
            found = LITERT[getattr(_ATEN, f"arg{name}").default](k, dim, keepdim)
            assert torch.equal(found, getattr(torch, f"arg{name}")(k, dim, keepdim))
    assert torch.equal(LITERT[_ATEN.argmax.default](k), k.argmax())
    assert LITERT[_ATEN.argmax.default](k.float()) is NotImplemented


@pytest.mark.parametrize(
    ("mode", "name", "axes"),
    [("linear", "upsample_linear1d", 1), ("bilinear", "upsample_bilinear2d", 2), ("bicubic", "upsample_bicubic2d", 2),
     ("trilinear", "upsample_trilinear3d", 3)],
)  # fmt: skip
def test_resizing_by_a_factor_that_is_none_of_sizes(mode: str, name: str, axes: int) -> None:
    x = torch.randn(1, 3, *(9, 7, 8)[:axes])
    rule = COMMON[getattr(_ATEN, name).vec]
    for factors in ([1.3, 0.6, 1.05][:axes], [0.45, 2.5, 1.7][:axes]):
        expected = F.interpolate(x, scale_factor=tuple(factors), mode=mode)
        torch.testing.assert_close(rule(x, None, False, factors), expected, atol=1e-5, rtol=1e-4)
    assert rule(x, None, False, [2.0] * axes) is rule(x, [5] * axes, False) is NotImplemented


@pytest.mark.parametrize(("kernel", "stride", "padding", "ceiling"), _each((2, 3), (1, 2, 3, 4), (0, 1), (False, True)))
def test_pools_that_need_no_rounding_up_and_those_of_no_sample(
    kernel: int, stride: int, padding: int, ceiling: bool
) -> None:
    given = ([kernel], [stride], [padding])
    for size in range(8, 14):
        x = torch.randn(1, 4, size, size + 1)
        largest, mean = COMMON[_ATEN.max_pool2d.default], COMMON[_ATEN.avg_pool2d.default]
        expected = F.max_pool2d(x, kernel, stride, padding, 1, ceiling)
        assert torch.equal(largest(x[0], *given, [1], ceiling), expected[0])
        if (found := largest(x, *given, [1], ceiling)) is not NotImplemented:
            assert ceiling and torch.equal(found, expected)
        for counted in (False, True):
            expected = F.avg_pool2d(x, kernel, stride, padding, ceiling, counted)
            torch.testing.assert_close(mean(x[0], *given, ceiling, counted), expected[0])
            if (found := mean(x, *given, ceiling, counted)) is not NotImplemented:
                torch.testing.assert_close(found, expected)
    assert COMMON[_ATEN.avg_pool1d.default](torch.randn(1, 4, 21), [2], [3], [0], True) is not NotImplemented


def test_types_that_torch_converts() -> None:
    k = torch.arange(-9, 9)
    for name in ("exp", "sin", "sigmoid", "erf"):
        torch.testing.assert_close(LITERT[getattr(_ATEN, name).default](k), getattr(torch, name)(k))
    for name in ("floor", "ceil", "round", "trunc"):
        assert torch.equal(LITERT[getattr(_ATEN, name).default](k), k)
    assert torch.equal(LITERT[_ATEN.gt.Scalar](k, 0.5), k > 0.5)
    assert torch.equal(LITERT[_ATEN.gt.Scalar](k.to(torch.int8), 3), k > 3)
    assert torch.equal(LITERT[_ATEN.gt.Tensor](k > 0, k % 2 > 0), (k > 0) > (k % 2 > 0))
    joined = LITERT[_ATEN.cat.default]([k, k.float(), k > 0])
    assert joined.dtype == torch.float32 and torch.equal(joined, torch.cat([k, k.float(), k > 0]))
    torch.testing.assert_close(LITERT[_ATEN.pow.Tensor_Scalar](k.abs(), 0.5), k.abs() ** 0.5)
    torch.testing.assert_close(LITERT[_ATEN.remainder.Scalar](k, 0.7), k % 0.7)


@pytest.mark.parametrize("grouped", [False, True])
def test_attention_to_nothing(grouped: bool) -> None:
    query, (key, value) = torch.randn(1, 4, 5, 8), torch.randn(2, 1, 2 if grouped else 4, 7, 8)
    mask = torch.rand(1, 1, 5, 7) > 0.5
    mask[..., 0, :] = False
    found = LITERT[_ATEN.scaled_dot_product_attention.default](query, key, value, mask, enable_gqa=grouped)
    torch.testing.assert_close(found, F.scaled_dot_product_attention(query, key, value, mask, enable_gqa=grouped))


@pytest.mark.parametrize(("dim", "keepdim"), _each((0, 1, -2, -1), (False, True)))
def test_the_largest_along_an_axis_of_four(dim: int, keepdim: bool) -> None:
    x = torch.randint(-3, 4, (2, 3, 4, 5)).float()
    found, expected = XNNPACK[_ATEN.max.dim](x, dim, keepdim), x.max(dim, keepdim)
    assert all(torch.equal(*pair) for pair in zip(found, expected, strict=True))


@pytest.mark.parametrize(("dim", "index"), _each((0, 1, -1), (0, -1, 2)))
def test_writing_one_slice(dim: int, index: int) -> None:
    x = torch.randn(4, 5, 6)
    source = x.select(dim, 1) * 2
    assert torch.equal(
        LITERT[_ATEN.select_scatter.default](x, source, dim, index), x.select_scatter(source, dim, index)
    )


@pytest.mark.parametrize("mode", ["linear", "lower", "higher", "nearest", "midpoint"])
def test_quantiles(mode: str) -> None:
    x = torch.randn(4, 5, 6)
    for share in (0.0, 0.3, 0.5, 1.0):
        found = COMMON[_ATEN.quantile.scalar](x, share, 1, interpolation=mode)
        torch.testing.assert_close(found, x.quantile(share, dim=1, interpolation=mode))


@pytest.mark.parametrize(("dim", "size", "step"), _each((1, -1), (2, 3), (1, 2, 3)))
def test_windows_along_an_axis(dim: int, size: int, step: int) -> None:
    x = torch.randn(2, 7, 4, 8)
    assert torch.equal(LITERT[_ATEN.unfold.default](x, dim, size, step), x.unfold(dim, size, step))


def test_sums_by_the_names_of_scatter_and_distances_and_means_over_all() -> None:
    x, index = torch.randn(4, 5, 6), torch.randint(0, 6, (4, 5, 3))
    for reduce in ("add", "multiply"):
        found = COMMON[_ATEN.scatter.reduce](x, -1, index, x, reduce=reduce)
        torch.testing.assert_close(found, torch.scatter(x, -1, index, x, reduce=reduce))
        found = COMMON[_ATEN.scatter.value_reduce](x, -1, index, 2.0, reduce=reduce)
        torch.testing.assert_close(found, torch.scatter(x, -1, index, 2.0, reduce=reduce))
    torch.testing.assert_close(COMMON[_ATEN.dist.default](x, 2 * x), torch.dist(x, 2 * x))
    torch.testing.assert_close(LITERT[_ATEN.mean.dim](x, []), x.mean())
    divisors = x.abs() + 0.1
    torch.testing.assert_close(COMMON[_ATEN.remainder.Scalar_Tensor](2.0, divisors), 2.0 % divisors)
    torch.testing.assert_close(COMMON[_ATEN.ldexp.Tensor](x, index[..., :1]), torch.ldexp(x, index[..., :1]))


def test_a_line_without_an_axis_of_samples() -> None:
    x, weight = torch.randn(6, 20), torch.randn(8, 6, 4)
    torch.testing.assert_close(LITERT[_ATEN.conv1d.default](x, weight, None, [2]), F.conv1d(x, weight, stride=2))
    found = COMMON[_ATEN.conv1d.padding](x, weight, None, [1], "same")
    torch.testing.assert_close(found, F.conv1d(x, weight, padding="same"))
    one_left = LITERT[_ATEN.conv_transpose2d.input]
    y, kernel = torch.randn(1, 6, 1, 5), torch.randn(6, 4, 3, 3)
    torch.testing.assert_close(one_left(y, kernel, None, [2], [1]), F.conv_transpose2d(y, kernel, None, 2, 1))
