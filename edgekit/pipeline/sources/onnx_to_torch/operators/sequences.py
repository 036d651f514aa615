"""Sequences of tensors, as exporters write what Python had in a list: lists, which are gone when the graph is read."""

from __future__ import annotations

import torch

from edgekit.pipeline.sources.onnx_to_torch.nodes import Node, Value, operator

_Sequence = list[Value]


@operator("SequenceConstruct")
def construct(node: Node, *values: Value) -> tuple[_Sequence]:
    return (list(values),)


@operator("SequenceEmpty")
def empty(node: Node) -> tuple[_Sequence]:
    return ([],)


@operator("SplitToSequence")
def split(node: Node, x: Value, sizes: Value = None) -> tuple[_Sequence]:
    axis, keep = node.get("axis", 0) % x.ndim, bool(node.get("keepdims", 1))
    if sizes is None:
        parts = [x.narrow(axis, at, 1) if keep else x.select(axis, at) for at in range(x.shape[axis])]
        return (parts,)
    given = node.ints(sizes, "split")
    if sizes.ndim == 0:
        given = [min(given[0], x.shape[axis] - start) for start in range(0, x.shape[axis], given[0])]
    starts = [sum(given[:at]) for at in range(len(given))]
    return ([x.narrow(axis, start, count) for start, count in zip(starts, given, strict=True)],)


@operator("SequenceAt")
def at(node: Node, sequence: _Sequence, position: Value) -> Value:
    return sequence[int(node.number(position, "position"))]


@operator("SequenceInsert")
def insert(node: Node, sequence: _Sequence, value: Value, position: Value = None) -> tuple[_Sequence]:
    before = len(sequence) if position is None else int(node.number(position, "position"))
    before = before + len(sequence) if before < 0 else before
    return ([*sequence[:before], value, *sequence[before:]],)


@operator("SequenceErase")
def erase(node: Node, sequence: _Sequence, position: Value = None) -> tuple[_Sequence]:
    gone = len(sequence) - 1 if position is None else int(node.number(position, "position")) % len(sequence)
    return ([*sequence[:gone], *sequence[gone + 1 :]],)


@operator("SequenceLength")
def length(node: Node, sequence: _Sequence) -> Value:
    return torch.tensor(len(sequence))


@operator("ConcatFromSequence")
def concat(node: Node, sequence: _Sequence) -> Value:
    axis = node.get("axis")
    return torch.stack(sequence, axis) if node.get("new_axis", 0) else torch.cat(sequence, axis)


@operator("Optional", "OptionalGetElement")
def optional(node: Node, value: Value = None) -> tuple[Value]:
    if value is None:
        node.refuse("is an optional value that is not there")
    return (value,)


@operator("OptionalHasElement")
def has_element(node: Node, value: Value = None) -> Value:
    return torch.tensor(value is not None)
