"""What goes into an ONNX model: its inputs, with sizes for the axes that it leaves open."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import onnx
from onnx import TensorProto, numpy_helper

from edgekit.errors import UsageError, did_you_mean
from edgekit.names import distinct, tensor_name
from edgekit.runtime.given.onnx import axis_name
from edgekit.shapes import by_input
from edgekit.tensors import TensorSpec

_DTYPES = {
    TensorProto.FLOAT: "float32", TensorProto.INT8: "int8", TensorProto.INT16: "int16", TensorProto.INT32: "int32",
    TensorProto.INT64: "int64", TensorProto.UINT8: "uint8", TensorProto.UINT16: "uint16",
    TensorProto.UINT32: "uint32", TensorProto.UINT64: "uint64", TensorProto.BOOL: "bool",
}  # fmt: skip

#: An axis as the file has it: its size, the name of an open one, or None for one without a name.
_Axis = int | str | None


@dataclass(frozen=True)
class Input:
    """One input.

    Attributes:
        name: In the file.
        spec: As the bundle has it.
        bare: Whether the file's has no axis for samples, which then goes before its own.
    """

    name: str
    spec: TensorSpec
    bare: bool


def inputs_of(
    model: onnx.ModelProto, shapes: Mapping[str, tuple[int, ...]], data: Sequence[TensorSpec], what: str
) -> tuple[Input, ...]:
    """The inputs of *model*, with all sizes known.

    The first axis, if it is open, is that of samples, and of size 1. Others get their sizes from *shapes*, by the
    file's names; from the *data*, where these have the same name or are the only ones; or from another axis of the
    same name.

    Raises:
        UsageError: ``EK-SOURCE``: an axis is left open, or *shapes* do not fit.
    """
    constants = {each.name for each in model.graph.initializer}
    given = [each for each in model.graph.input if each.name not in constants]
    if not given:
        hint = "export it with the inputs that its outputs depend on"
        raise UsageError("EK-SOURCE", f"{what} has no inputs: its outputs are always the same", hint)
    axes = {each.name: _axes(each, what) for each in given}
    shapes = by_input(shapes, list(axes))
    for name in shapes:
        if name not in axes:
            raise UsageError(
                "EK-SOURCE", f"{what} has no input {name!r} to give a shape to", did_you_mean(name, list(axes))
            )
    sizes: dict[str, int] = {}
    for name, own in axes.items():
        known = shapes.get(name)
        if known is not None:
            _check_fits(name, own, known, what)
        elif own is not None:
            known = _from_data(name, own, data, alone=len(axes) == 1)
        if own and isinstance(own[0], str) and (known is None or known[0] == 1):
            sizes.setdefault(own[0], 1)
        for axis, size in zip(own or (), known or (), strict=False):
            if isinstance(axis, str):
                sizes.setdefault(axis, size)
    names = distinct(tensor_name(each.name, "input") for each in given)
    return tuple(
        _input(
            each, name, _closed(each.name, axes[each.name], shapes.get(each.name), sizes, data, len(axes) == 1, what)
        )
        for each, name in zip(given, names, strict=True)
    )


def fix_inputs(model: onnx.ModelProto, constants: Mapping[str, Sequence[float]], what: str) -> None:
    """Make constants of those inputs of *model* that always are the same.

    Raises:
        UsageError: ``EK-SOURCE``: there is no such input, or the numbers do not fit it.
    """
    given = {each.name: each for each in model.graph.input}
    for name, numbers in constants.items():
        if name not in given:
            hint = did_you_mean(name, list(given))
            raise UsageError("EK-SOURCE", f"{what} has no input {name!r} to make a constant of", hint)
        own = _axes(given[name], what) or []
        dtype = _DTYPES[given[name].type.tensor_type.elem_type]
        try:
            array = np.array(numbers).reshape([each if isinstance(each, int) else -1 for each in own])
            fits = dtype == "float32" or bool((array.astype(dtype) == array).all())
        except ValueError:
            fits = False
        if not fits:
            message = f"{what}'s input {name!r} is {dtype}{_shown(own)}, which {list(numbers)} does not fit"
            raise UsageError("EK-SOURCE", message, "give as many numbers as it has, of its type")
        model.graph.initializer.append(numpy_helper.from_array(array.astype(dtype), name))
    kept = [each for each in model.graph.input if each.name not in constants]
    del model.graph.input[:]
    model.graph.input.extend(kept)


def _input(given: onnx.ValueInfoProto, name: str, shape: tuple[int, ...]) -> Input:
    bare = not shape or shape[0] != 1
    dtype = _DTYPES[given.type.tensor_type.elem_type]
    return Input(given.name, TensorSpec(name, (1, *shape) if bare else shape, dtype), bare)


def _axes(given: onnx.ValueInfoProto, what: str) -> list[_Axis] | None:
    """The axes of an input; None where not even their number is known."""
    if given.type.WhichOneof("value") != "tensor_type" or given.type.tensor_type.elem_type not in _DTYPES:
        kind = given.type.WhichOneof("value") or "nothing"
        if kind == "tensor_type":
            kind = f"a tensor of {TensorProto.DataType.Name(given.type.tensor_type.elem_type).lower()}"
        message = f"{what} takes {given.name!r}, which is {kind.removesuffix('_type')}"
        raise UsageError("EK-SOURCE", message, "export it with inputs that are tensors of numbers")
    if not given.type.tensor_type.HasField("shape"):
        return None
    return [
        int(axis.dim_value) if axis.HasField("dim_value") and axis.dim_value > 0 else axis_name(axis.dim_param)
        for axis in given.type.tensor_type.shape.dim
    ]


def _check_fits(name: str, own: Sequence[_Axis] | None, shape: Sequence[int], what: str) -> None:
    fits = own is None or (
        len(own) == len(shape)
        and all(not isinstance(axis, int) or axis == size for axis, size in zip(own, shape, strict=True))
    )
    if not fits:
        message = f"{what}'s input {name!r} is {_shown(own)}, which {list(shape)} does not fit"
        raise UsageError("EK-SOURCE", message, f"give sizes to what is open: --shape {name}={_example(own)}")


def _from_data(name: str, own: Sequence[_Axis], data: Sequence[TensorSpec], alone: bool) -> tuple[int, ...] | None:
    """The shape of the data for an input, where they fit."""
    found = data[0] if alone and len(data) == 1 else next((each for each in data if each.name == name), None)
    if found is None or len(found.shape) not in (len(own), len(own) + 1):
        return None
    return found.shape[-len(own) :] if own else ()  # samples of an input without an axis for them have one more


def _closed(
    name: str,
    own: Sequence[_Axis] | None,
    given: Sequence[int] | None,
    sizes: Mapping[str, int],
    data: Sequence[TensorSpec],
    alone: bool,
    what: str,
) -> tuple[int, ...]:
    if given is not None:
        return tuple(given)
    found = None if own is None else _from_data(name, own, data, alone)
    shape = [] if own is None else [_size(at, axis, found, sizes) for at, axis in enumerate(own)]
    if own is None or None in shape:
        message = f"{what}'s input {name!r} leaves sizes open: {_shown(own)}"
        raise UsageError("EK-SOURCE", message, f"give them: --shape {name}={_example(own)}")
    return tuple(size for size in shape if size is not None)


def _size(at: int, axis: _Axis, found: Sequence[int] | None, sizes: Mapping[str, int]) -> int | None:
    if isinstance(axis, int):
        return axis
    if isinstance(axis, str) and axis in sizes:
        return sizes[axis]
    return found[at] if found is not None else 1 if at == 0 else None


def _shown(own: Sequence[_Axis] | None) -> str:
    return "of any shape" if own is None else f"[{', '.join('?' if each is None else str(each) for each in own)}]"


def _example(own: Sequence[_Axis] | None) -> str:
    """The axes with sizes for those that are open, as people often have them."""
    if own is None:
        return "1,3,224,224"
    usual = (224, 224, 224) if len(own) >= 4 else (100, 100)
    samples = next((at for at, each in enumerate(own) if not isinstance(each, int)), 0)
    samples = samples if samples < 2 else 0  # a state often has its layers first
    return ",".join(
        str(each) if isinstance(each, int) else "1" if at == samples else str(usual[max(0, min(at, len(usual)) - 1)])
        for at, each in enumerate(own)
    )
