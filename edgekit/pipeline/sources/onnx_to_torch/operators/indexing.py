"""Parts of tensors, by their positions."""

from __future__ import annotations

import math

import torch

from edgekit.pipeline.sources.onnx_to_torch.nodes import Node, Value, operator
from edgekit.pipeline.sources.onnx_to_torch.operators.elementwise import as_dtype, computable
from edgekit.pipeline.sources.onnx_to_torch.recording import is_traced


def from_the_start(indices: Value, size: int) -> Value:
    """*indices* into an axis of *size*, which may count from its end, counted from its start, in int64."""
    wide = as_dtype(indices, torch.int64)
    return torch.where(wide < 0, wide + size, wide)


@operator("Gather")
def gather(node: Node, x: Value, indices: Value) -> Value:
    axis = node.get("axis", 0) % x.ndim
    positions = from_the_start(indices, x.shape[axis])
    if isinstance(positions, torch.Tensor):
        if positions.ndim == 0:
            return x.select(axis, int(positions))
        first = int(positions.reshape(-1)[0]) if positions.numel() else 0
        if positions.ndim == 1 and positions.tolist() == list(range(first, first + len(positions))):
            return x.narrow(axis, first, len(positions))
    elif isinstance(x, torch.Tensor) and x.ndim == 2 and axis == 0 and x.is_floating_point():
        module = torch.nn.Embedding(*x.shape, device="meta")
        module.weight = node.recorder.parameter(x)
        return node.call(module, positions)
    picked = torch.index_select(x, axis, positions.reshape(-1))
    return picked if indices.ndim == 1 else picked.reshape(x.shape[:axis] + indices.shape + x.shape[axis + 1 :])


@operator("GatherElements")
def gather_elements(node: Node, x: Value, indices: Value) -> Value:
    axis = node.get("axis", 0) % x.ndim
    return torch.gather(x, axis, from_the_start(indices, x.shape[axis]))


@operator("GatherND")
def gather_nd(node: Node, x: Value, indices: Value) -> Value:
    batch = node.get("batch_dims", 0)
    depth = indices.shape[-1]
    flat = flat_positions(indices, x.shape[batch : batch + depth])
    shared, rest = x.shape[:batch], x.shape[batch + depth :]
    count = math.prod(shared)
    table = x.reshape(count * math.prod(x.shape[batch : batch + depth]), -1 if math.prod(rest) else 0)
    rows = flat.reshape(count, -1) + (torch.arange(count) * math.prod(x.shape[batch : batch + depth]))[:, None]
    picked = torch.index_select(table, 0, rows.reshape(-1))
    return picked.reshape(*indices.shape[:-1], *rest)


def flat_positions(indices: Value, shape: torch.Size) -> Value:
    """The positions that the last axis of *indices* gives, one number for each axis of *shape*, as numbers of a row."""
    flat = None
    for at, size in enumerate(shape):
        position = from_the_start(indices.select(-1, at), size)
        flat = position if flat is None else flat * size + position
    return torch.zeros(indices.shape[:-1], dtype=torch.int64) if flat is None else flat


_REDUCTIONS = {"none": None, "add": "sum", "mul": "prod", "max": "amax", "min": "amin"}


@operator("ScatterElements", "Scatter")
def scatter_elements(node: Node, x: Value, indices: Value, updates: Value) -> Value:
    axis = node.get("axis", 0) % x.ndim
    return _scattered(node, x, axis, from_the_start(indices, x.shape[axis]), updates)


@operator("ScatterND")
def scatter_nd(node: Node, x: Value, indices: Value, updates: Value) -> Value:
    depth = indices.shape[-1]
    rows = flat_positions(indices, x.shape[:depth]).reshape(-1, 1)
    width = math.prod(x.shape[depth:])
    table = x.reshape(math.prod(x.shape[:depth]), width)
    changed = _scattered(node, table, 0, rows.expand(rows.shape[0], width), updates.reshape(rows.shape[0], width))
    return changed.reshape(x.shape)


def _scattered(node: Node, x: Value, axis: int, positions: Value, updates: Value) -> Value:
    reduction = _REDUCTIONS[node.get("reduction", "none")]
    if reduction is None:
        return torch.scatter(x, axis, positions, updates)
    return computable(torch.scatter_reduce)(x, dim=axis, index=positions, src=updates, reduce=reduction)


@operator("Slice")
def slice_(
    node: Node, x: Value, starts: Value = None, ends: Value = None, axes: Value = None, steps: Value = None
) -> Value:
    if node.opset < 10:
        begin, end, along, by = node.get("starts"), node.get("ends"), node.get("axes"), None
    else:
        begin, end = node.ints(starts, "starts"), node.ints(ends, "ends")
        along = None if axes is None else node.ints(axes, "axes")
        by = None if steps is None else node.ints(steps, "steps")
    along = list(range(len(begin))) if along is None else along
    for at, axis in enumerate(along):
        x = _sliced(x, axis % x.ndim, begin[at], end[at], 1 if by is None else by[at])
    return x


def _sliced(x: Value, axis: int, start: int, end: int, step: int) -> Value:
    size = x.shape[axis]
    if step < 0:  # ONNX counts down from the first, and to before it, where Python's slices find nothing
        begin, stop = (0 if start < -size else start), (None if end < -size else end)
        positions = range(size)[slice(begin, stop, step)]
    else:
        positions = range(size)[slice(start, end, step)]
    if len(positions) == x.shape[axis] and step == 1:
        return x
    if not positions or step == 1:
        return x.narrow(axis, positions.start if positions else 0, len(positions))
    whole = [slice(None)] * x.ndim
    if step > 0:
        whole[axis] = slice(positions.start, positions[-1] + 1, step)
        return x[tuple(whole)]
    whole[axis] = slice(positions[-1], positions.start + 1, -step)
    return torch.flip(x[tuple(whole)], [axis])


@operator("Compress")
def compress(node: Node, x: Value, condition: Value) -> Value:
    axis = node.get("axis")
    if axis is None:
        x, axis = x.reshape(-1), 0
    kept = torch.nonzero(node.constant(condition, "condition")).reshape(-1)
    return torch.index_select(x, axis % x.ndim, kept)


@operator("ReverseSequence")
def reverse_sequence(node: Node, x: Value, lengths: Value) -> Value:
    time, batch = node.get("time_axis", 0), node.get("batch_axis", 1)
    positions = reversed_positions(node.ints(lengths, "sequence_lens"), x.shape[time])
    view = [1] * x.ndim
    view[time], view[batch] = x.shape[time], x.shape[batch]
    positions = positions if time < batch else positions.T
    return torch.gather(x, time, positions.reshape(view).expand(x.shape))


def reversed_positions(lengths: list[int], size: int) -> torch.Tensor:
    """[*size*, batch]: of each sequence, where its steps are when those within its length are turned round."""
    positions = torch.arange(size)[:, None]
    given = torch.tensor(lengths)[None]
    return torch.where(positions < given, given - 1 - positions, positions)


@operator("OneHot")
def one_hot(node: Node, indices: Value, depth: Value, values: Value) -> Value:
    count, axis = int(node.number(depth, "depth")), node.get("axis", -1)
    axis = axis % (indices.ndim + 1)
    positions = indices.to(torch.int64)
    positions = torch.where(positions < 0, positions + count, positions).unsqueeze(axis)
    steps = torch.arange(count).reshape([-1 if at == axis else 1 for at in range(indices.ndim + 1)])
    return torch.where(positions == steps, values.select(0, 1), values.select(0, 0))


@operator("NonZero")
def non_zero(node: Node, x: Value) -> Value:
    return torch.nonzero(_known(node, x)).T


def _known(node: Node, x: Value) -> torch.Tensor:
    if is_traced(x):
        node.refuse(
            "gives as many numbers as it finds: files have fixed shapes",
            "torch.where or a product with the mask keeps all positions, TopK takes a fixed number",
        )
    return x


@operator("Unique")
def unique(node: Node, x: Value) -> Value:
    known, axis = _known(node, x), node.get("axis")
    rows = known.reshape(-1, 1) if axis is None else known.movedim(axis, 0).reshape(known.shape[axis], -1)
    found, inverse, counts = torch.unique(rows, dim=0, return_inverse=True, return_counts=True)
    first = torch.stack([torch.nonzero(inverse == each)[0, 0] for each in range(len(found))])
    order = torch.arange(len(found)) if node.get("sorted", 1) else torch.argsort(first)
    position = torch.argsort(order)
    first, inverse, counts = first[order], position[inverse], counts[order]
    if axis is None:
        return known.reshape(-1)[first], first, inverse, counts
    return torch.index_select(known, axis, first), first, inverse, counts


@operator("TensorScatter")
def tensor_scatter(node: Node, x: Value, update: Value, starts: Value = None) -> Value:
    axis = node.get("axis", -2) % x.ndim
    begin = torch.zeros(x.shape[0], dtype=torch.int64) if starts is None else starts.to(torch.int64)
    positions = begin.reshape(-1, 1) + torch.arange(update.shape[axis])[None]
    if node.get("mode", "linear") == "circular":
        positions = torch.remainder(positions, x.shape[axis])
    view = [1] * x.ndim
    view[0], view[axis] = x.shape[0], update.shape[axis]
    return torch.scatter(x, axis, positions.reshape(view).expand(update.shape), update)


@operator("Trilu")
def trilu(node: Node, x: Value, k: Value = None) -> Value:
    diagonal = 0 if k is None else int(node.number(k, "k"))
    return (torch.triu if node.get("upper", 1) else torch.tril)(x, diagonal)
