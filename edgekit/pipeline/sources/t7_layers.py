"""Layers of Torch7's ``nn`` as PyTorch modules, in evaluation mode, for inputs with an axis of samples first.

What each layer does: https://github.com/torch/nn. Axes are counted from 1 there, and tables are lists of tensors.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from edgekit.errors import UsageError
from edgekit.pipeline.sources.t7_shapes import (
    Fields,
    Function,
    along,
    depth_concat,
    edges,
    flattened,
    join_table,
    listed,
    narrow,
    padding,
    position_of,
    select,
    squeeze,
    total,
    transpose,
    unsqueeze,
    view,
)
from edgekit.runtime.contents.t7 import LuaObject


def rebuild(network: LuaObject, what: str) -> nn.Module:
    """The module that *network* is.

    Raises:
        UsageError: ``EK-SOURCE``, naming the layer that has no equivalent, or is damaged.
    """
    try:
        return _Builder(what).build(network, "")
    except UsageError:
        raise
    except (AttributeError, KeyError, TypeError, ValueError, IndexError, RuntimeError) as error:
        message = f"{what} holds a layer that is damaged ({type(error).__name__}: {str(error)[:80]})"
        raise UsageError("EK-SOURCE", message, "save the network again, after model:clearState()") from error


class _Builder:
    def __init__(self, what: str):
        self._what = what
        self._built: dict[int, nn.Module] = {}

    def build(self, layer: Any, position: str) -> nn.Module:
        """One layer; the same module where the same object lies in two places, as shared weights do."""
        if not isinstance(layer, LuaObject):
            raise UsageError(
                "EK-SOURCE", f"{self._what} has no layer at {position or 'its top'}", "save the network again"
            )
        if id(layer) in self._built:
            return self._built[id(layer)]
        name = layer.name.rpartition(".")[2]
        package = layer.name.rpartition(".")[0]
        fields: Fields = layer.fields if isinstance(layer.fields, dict) else {}
        if package in ("nn", "cudnn", "cunn") and name in _CONTAINERS:
            inner = [
                self.build(each, f"{position}.{index}".lstrip(".")) for index, each in listed(fields.get("modules"))
            ]
            made = _CONTAINERS[name](fields, inner)
        elif package in ("nn", "cudnn", "cunn") and name in _LAYERS:
            made = _LAYERS[name](fields)
        else:
            where = f" (layer {position})" if position else ""
            message = f"{self._what} holds {layer.name!r}{where}, which has no equivalent in PyTorch here"
            hint = "write the model in PyTorch, and load its weights in a factory: FILE.py:FUNCTION"
            if name == "gModule":
                hint = "a graph of nngraph is code as well: write the model in PyTorch, and load its weights there"
            raise UsageError("EK-SOURCE", message, hint)
        self._built[id(layer)] = made
        return made


class _All(nn.Module):
    """Layers side by side: each on the input, or each on its own, and what is done with their outputs."""

    def __init__(self, inner: Sequence[nn.Module], own: bool, join: Callable[[list[Any]], Any]):
        super().__init__()
        self.inner = nn.ModuleList(inner)
        self._own, self._join = own, join

    def forward(self, value: Any) -> Any:
        given = value if self._own else [value] * len(self.inner)
        return self._join([layer(each) for layer, each in zip(self.inner, given, strict=True)])


def _tensor(value: Any) -> torch.Tensor:
    if not isinstance(value, np.ndarray):
        raise ValueError("a tensor is missing")
    array = value.astype(np.float32) if value.dtype.kind == "f" else value
    return torch.from_numpy(np.array(array))


def _set(module: nn.Module, **values: Any) -> nn.Module:
    """*module* with weights of the shapes that it has."""
    for name, value in values.items():
        target = getattr(module, name)
        target.data = _tensor(value).reshape(target.shape)
    return module


def _bias(fields: Fields) -> Any:
    """The bias, where there is one."""
    value = fields.get("bias")
    return value if isinstance(value, np.ndarray) and value.size else None


def _weighted(module: nn.Module, fields: Fields, weight: Any = None) -> nn.Module:
    bias = _bias(fields)
    weight = fields["weight"] if weight is None else weight
    return _set(module, weight=weight, **({} if bias is None else {"bias": bias}))


def _pair(fields: Fields, high: str, wide: str, default: int) -> tuple[int, int]:
    return int(fields.get(high, default) or default), int(fields.get(wide, default) or default)


def _convolution(fields: Fields) -> nn.Module:
    padding = fields.get("padding", 0) or 0
    module = nn.Conv2d(
        int(fields["nInputPlane"]),
        int(fields["nOutputPlane"]),
        _pair(fields, "kH", "kW", 1),
        _pair(fields, "dH", "dW", 1),
        (int(fields.get("padH", padding) or 0), int(fields.get("padW", padding) or 0)),
        _pair(fields, "dilationH", "dilationW", 1),
        int(fields.get("groups", 1) or 1),
        bias=_bias(fields) is not None,
    )
    return _weighted(module, fields)


def _transposed_convolution(fields: Fields) -> nn.Module:
    module = nn.ConvTranspose2d(
        int(fields["nInputPlane"]),
        int(fields["nOutputPlane"]),
        _pair(fields, "kH", "kW", 1),
        _pair(fields, "dH", "dW", 1),
        (int(fields.get("padH", 0) or 0), int(fields.get("padW", 0) or 0)),
        (int(fields.get("adjH", 0) or 0), int(fields.get("adjW", 0) or 0)),
        bias=_bias(fields) is not None,
    )
    return _weighted(module, fields)


def _temporal_convolution(fields: Fields) -> nn.Module:
    """Over ``[samples, steps, features]``."""
    sizes = int(fields["inputFrameSize"]), int(fields["outputFrameSize"]), int(fields["kW"])
    module = nn.Conv1d(*sizes, int(fields.get("dW", 1)))
    weight = fields["weight"].reshape(sizes[1], sizes[2], sizes[0]).transpose(0, 2, 1)
    return nn.Sequential(_turned(), _weighted(module, fields, weight), _turned())


def _turned() -> nn.Module:
    return Function(lambda value: value.transpose(1, 2), "transpose")


def _linear(fields: Fields) -> nn.Module:
    outputs, inputs = fields["weight"].shape
    return _weighted(nn.Linear(inputs, outputs, bias=_bias(fields) is not None), fields)


def _norm(kind: Callable[..., nn.Module]) -> Callable[[Fields], nn.Module]:
    def make(fields: Fields) -> nn.Module:
        mean, eps = fields["running_mean"], float(fields.get("eps", 1e-5))
        if "running_var" in fields:
            variance = fields["running_var"]
        else:  # before 2015: one over the deviation
            variance = 1 / np.square(fields["running_std"].astype(np.float64)) - eps
        affine = isinstance(fields.get("weight"), np.ndarray) and fields["weight"].size > 0
        module = kind(len(mean), eps=eps, affine=affine)
        _set(module, running_mean=mean, running_var=variance.astype(np.float32))
        return _weighted(module, fields) if affine else module

    return make


def _max_pool(fields: Fields) -> nn.Module:
    return nn.MaxPool2d(
        _pair(fields, "kH", "kW", 1),
        _pair(fields, "dH", "dW", 1),
        (int(fields.get("padH", 0) or 0), int(fields.get("padW", 0) or 0)),
        ceil_mode=bool(fields.get("ceil_mode", False)),
    )


def _average_pool(fields: Fields) -> nn.Module:
    window = _pair(fields, "kH", "kW", 1)
    divide = fields.get("divide", True)
    return nn.AvgPool2d(
        window,
        _pair(fields, "dH", "dW", 1),
        (int(fields.get("padH", 0) or 0), int(fields.get("padW", 0) or 0)),
        ceil_mode=bool(fields.get("ceil_mode", False)),
        count_include_pad=bool(fields.get("count_include_pad", True)),
        divisor_override=None if divide in (None, True) else 1,
    )


def _dropout(fields: Fields) -> nn.Module:
    """Of before 2014, training leaves outputs small, and evaluation makes them so."""
    kept = 1 - float(fields.get("p", 0.5))
    return nn.Identity() if fields.get("v2", True) else Function(lambda value: value * kept, f"times {kept}")


def _spatial_dropout(fields: Fields) -> nn.Module:
    kept = 1 - float(fields.get("p", 0.5))
    stochastic = fields.get("stochasticInference", fields.get("stochastic_inference"))
    if stochastic:
        raise UsageError("EK-SOURCE", "SpatialDropout draws in evaluation as well", "leave it out")
    return Function(lambda value: value * kept, f"times {kept}")


def _threshold(fields: Fields) -> nn.Module:
    threshold, value = float(fields.get("threshold", 0) or 0), float(fields.get("val", 0) or 0)
    return nn.ReLU() if threshold == value == 0 else nn.Threshold(threshold, value)


def _combined(function: Callable[[Any, Any], Any]) -> Callable[[Fields], nn.Module]:
    def combine(values: Any) -> Any:
        result = values[0]
        for each in values[1:]:
            result = function(result, each)
        return result

    return lambda fields: Function(combine, function.__name__)


def _plain(function: Callable[[Any], Any], name: str) -> Callable[[Fields], nn.Module]:
    return lambda fields: Function(function, name)


class _Scaled(nn.Module):
    """``CMul``, ``CAdd``, ``Mul`` and ``Add``: one value for each place of a sample."""

    def __init__(self, values: Any, multiplies: bool):
        super().__init__()
        tensor = _tensor(values)
        self.values = nn.Parameter(tensor if tensor.ndim and tensor.shape[0] == 1 else tensor[None])
        self._multiplies = multiplies

    def forward(self, value: torch.Tensor) -> torch.Tensor:
        return value * self.values if self._multiplies else value + self.values


class _Lookup(nn.Module):
    """``LookupTable``: rows by numbers from 1."""

    def __init__(self, weight: Any):
        super().__init__()
        self.weight = nn.Parameter(_tensor(weight))

    def forward(self, value: torch.Tensor) -> torch.Tensor:
        return F.embedding(value.long() - 1, self.weight)


def _normalize(fields: Fields) -> nn.Module:
    power, eps = float(fields.get("p", 2)), float(fields.get("eps", 1e-10))
    return Function(lambda value: value / (value.abs().pow(power).sum(1, keepdim=True) + eps).pow(1 / power), "norm")


def _resize(mode: str) -> Callable[[Fields], nn.Module]:
    def make(fields: Fields) -> nn.Module:
        scale = float(fields["scale_factor"])
        return nn.Upsample(scale_factor=scale, mode=mode, align_corners=True if mode == "bilinear" else None)

    return make


def _prelu(fields: Fields) -> nn.Module:
    return _set(nn.PReLU(int(np.size(fields["weight"]))), weight=fields["weight"])


_CONTAINERS: dict[str, Callable[[Fields, list[nn.Module]], nn.Module]] = {
    "Concat": lambda fields, inner: _All(inner, False, lambda values: torch.cat(values, int(fields["dimension"]) - 1)),
    "ConcatTable": lambda fields, inner: _All(inner, False, list),
    "DataParallelTable": lambda fields, inner: inner[0],
    "DepthConcat": lambda fields, inner: _All(inner, False, depth_concat(int(fields["dimension"]) - 1)),
    "ParallelTable": lambda fields, inner: _All(inner, True, list),
    "Sequential": lambda fields, inner: nn.Sequential(*inner),
}


_LAYERS: dict[str, Callable[[Fields], nn.Module]] = {
    "Abs": _plain(torch.abs, "abs"),
    "Add": lambda fields: _Scaled(fields["bias"], False),
    "AddConstant": lambda fields: _constant(fields, False),
    "BatchNormalization": _norm(nn.BatchNorm1d),
    "CAdd": lambda fields: _Scaled(fields["bias"], False),
    "CAddTable": _combined(torch.add),
    "CDivTable": _combined(torch.div),
    "CMaxTable": _combined(torch.maximum),
    "CMinTable": _combined(torch.minimum),
    "CMul": lambda fields: _Scaled(fields["weight"], True),
    "CMulTable": _combined(torch.mul),
    "CSubTable": _combined(torch.sub),
    "Clamp": lambda fields: nn.Hardtanh(float(fields["min_val"]), float(fields["max_val"])),
    "Contiguous": lambda fields: nn.Identity(),
    "Copy": lambda fields: nn.Identity(),
    "Dropout": _dropout,
    "ELU": lambda fields: nn.ELU(float(fields.get("alpha", 1))),
    "Exp": _plain(torch.exp, "exp"),
    "FlattenTable": lambda fields: Function(flattened, "flatten"),
    "HardShrink": lambda fields: nn.Hardshrink(float(fields.get("lambda", 0.5))),
    "HardTanh": lambda fields: nn.Hardtanh(float(fields.get("min_val", -1)), float(fields.get("max_val", 1))),
    "Identity": lambda fields: nn.Identity(),
    "JoinTable": join_table,
    "LeakyReLU": lambda fields: nn.LeakyReLU(float(fields.get("negval", 0.01))),
    "Linear": _linear,
    "Log": _plain(torch.log, "log"),
    "LogSigmoid": lambda fields: nn.LogSigmoid(),
    "LogSoftMax": lambda fields: nn.LogSoftmax(1),
    "LookupTable": lambda fields: _Lookup(fields["weight"]),
    "Max": lambda fields: along(fields, torch.amax),
    "Mean": lambda fields: along(fields, torch.mean),
    "Min": lambda fields: along(fields, torch.amin),
    "Mul": lambda fields: _Scaled(fields["weight"], True),
    "MulConstant": lambda fields: _constant(fields, True),
    "Narrow": narrow,
    "Normalize": _normalize,
    "PReLU": _prelu,
    "Padding": padding,
    "PixelShuffle": lambda fields: nn.PixelShuffle(int(fields["upscaleFactor"])),
    "Power": lambda fields: Function(lambda value: value ** float(fields["pow"]), "power"),
    "RReLU": lambda fields: nn.LeakyReLU((float(fields["lower"]) + float(fields["upper"])) / 2),
    "ReLU": _threshold,
    "ReLU6": lambda fields: nn.ReLU6(),
    "Reshape": view,
    "Select": select,
    "SelectTable": lambda fields: Function(lambda values: values[position_of(int(fields["index"]))], "select"),
    "Sigmoid": lambda fields: nn.Sigmoid(),
    "SoftMax": lambda fields: nn.Softmax(1),
    "SoftMin": lambda fields: nn.Softmin(1),
    "SoftPlus": lambda fields: nn.Softplus(float(fields.get("beta", 1)), float(fields.get("threshold", 20))),
    "SoftShrink": lambda fields: nn.Softshrink(float(fields.get("lambda", 0.5))),
    "SoftSign": lambda fields: nn.Softsign(),
    "SpatialAdaptiveAveragePooling": lambda fields: nn.AdaptiveAvgPool2d((int(fields["H"]), int(fields["W"]))),
    "SpatialAdaptiveMaxPooling": lambda fields: nn.AdaptiveMaxPool2d((int(fields["H"]), int(fields["W"]))),
    "SpatialAveragePooling": _average_pool,
    "SpatialBatchNormalization": _norm(nn.BatchNorm2d),
    "SpatialConvolution": _convolution,
    "SpatialConvolutionMM": _convolution,
    "SpatialCrossMapLRN": lambda fields: nn.LocalResponseNorm(
        int(fields["size"]),
        float(fields.get("alpha", 1e-4)),
        float(fields.get("beta", 0.75)),
        float(fields.get("k", 1)),
    ),
    "SpatialDilatedConvolution": _convolution,
    "SpatialDropout": _spatial_dropout,
    "SpatialFullConvolution": _transposed_convolution,
    "SpatialLogSoftMax": lambda fields: nn.LogSoftmax(1),
    "SpatialMaxPooling": _max_pool,
    "SpatialReflectionPadding": edges("reflect"),
    "SpatialReplicationPadding": edges("replicate"),
    "SpatialSoftMax": lambda fields: nn.Softmax(1),
    "SpatialUpSamplingBilinear": _resize("bilinear"),
    "SpatialUpSamplingNearest": _resize("nearest"),
    "SpatialZeroPadding": edges("constant"),
    "Sqrt": _plain(torch.sqrt, "sqrt"),
    "Square": _plain(torch.square, "square"),
    "Squeeze": squeeze,
    "Sum": total,
    "Tanh": lambda fields: nn.Tanh(),
    "TanhShrink": lambda fields: nn.Tanhshrink(),
    "TemporalConvolution": _temporal_convolution,
    "TemporalMaxPooling": lambda fields: nn.Sequential(
        _turned(), nn.MaxPool1d(int(fields["kW"]), int(fields.get("dW", fields["kW"]))), _turned()
    ),
    "Threshold": _threshold,
    "Transpose": transpose,
    "Unsqueeze": unsqueeze,
    "View": view,
    "VolumetricBatchNormalization": _norm(nn.BatchNorm3d),
}


def _constant(fields: Fields, multiplies: bool) -> nn.Module:
    number = fields["constant_scalar"]
    if not isinstance(number, (int, float)) or not math.isfinite(number):
        raise ValueError("a constant is no number")
    return Function(lambda value: value * number if multiplies else value + number, f"constant {number}")
