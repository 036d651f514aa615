"""Branches and loops. What decides them is known, or both branches are computed; loops are unrolled."""

from __future__ import annotations

import torch

from edgekit.pipeline.sources.onnx_to_torch.nodes import Node, Value, operator
from edgekit.pipeline.sources.onnx_to_torch.recording import is_traced

#: More steps than that make a file that nobody wants, and take minutes.
_MOST_STEPS = 1000


@operator("If")
def branch(node: Node, condition: Value) -> Value:
    if not is_traced(condition):
        return node.body(node.get("then_branch" if bool(condition.reshape(-1)[0]) else "else_branch"), ())
    yes, no = node.body(node.get("then_branch"), ()), node.body(node.get("else_branch"), ())
    for one, other in zip(yes, no, strict=True):
        if not isinstance(one, (torch.Tensor, torch.fx.Proxy)) or (one.shape, one.dtype) != (other.shape, other.dtype):
            node.refuse(
                "chooses by the model's input between results of different shapes",
                "files have fixed shapes: make what decides a constant, and export the model again",
            )
    # TensorFlow Lite and ExecuTorch have no branches that a delegate takes: both are computed, and one is taken.
    chosen = condition.reshape([])
    return tuple(torch.where(chosen, one, other) for one, other in zip(yes, no, strict=True))


@operator("Loop")
def loop(node: Node, count: Value, condition: Value, *carried: Value) -> Value:
    body = node.get("body")
    most = None if count is None else int(node.number(count, "M"))
    alive: Value = torch.tensor(True) if condition is None else condition
    collected: list[list[Value]] = [[] for _ in range(len(body.output) - 1 - len(carried))]
    state, step = list(carried), 0
    while most is None or step < most:
        if not bool(node.constant(alive, "cond").reshape(-1)[0]):
            break
        if step == _MOST_STEPS:
            node.refuse(f"has more than {_MOST_STEPS} steps", "export the model with fewer, or split it")
        alive, *results = node.body(body, [torch.tensor(step), torch.tensor(True), *state])
        state, step = results[: len(carried)], step + 1
        for kept, value in zip(collected, results[len(carried) :], strict=True):
            kept.append(value)
    if not step and collected:
        node.refuse("has no step, and collects what its steps give")
    return (*state, *(torch.stack(kept, 0) for kept in collected))


@operator("Scan")
def scan(node: Node, *values: Value) -> Value:
    body, scanned = node.get("body"), node.get("num_scan_inputs")
    if node.opset < 9:
        return _batched_scan(node, *values)
    kept = len(values) - scanned
    axes = node.get("scan_input_axes") or [0] * scanned
    turned = node.get("scan_input_directions") or [0] * scanned
    outputs = len(body.output) - kept
    out_axes = node.get("scan_output_axes") or [0] * outputs
    out_turned = node.get("scan_output_directions") or [0] * outputs
    sequences = [
        torch.flip(value, [axis]) if backwards else value
        for value, axis, backwards in zip(values[kept:], axes, turned, strict=True)
    ]
    steps = sequences[0].shape[axes[0]]
    if steps > _MOST_STEPS:
        node.refuse(f"has more than {_MOST_STEPS} steps", "export the model with fewer, or split it")
    state, collected = list(values[:kept]), [[] for _ in range(outputs)]  # type: ignore[var-annotated]
    for step in range(steps):
        now = [each.select(axis, step) for each, axis in zip(sequences, axes, strict=True)]
        results = node.body(body, [*state, *now])
        state = results[:kept]
        for kept_values, value in zip(collected, results[kept:], strict=True):
            kept_values.append(value)
    gathered = (
        torch.stack(list(reversed(parts)) if backwards else parts, axis % (parts[0].ndim + 1))
        for parts, axis, backwards in zip(collected, out_axes, out_turned, strict=True)
    )
    return (*state, *gathered)


def _batched_scan(node: Node, lengths: Value, *values: Value) -> Value:
    """As opset 8 had it: a batch axis before all, and lengths of the sequences."""
    return node.refuse("is of an operator set before 9", "export the model with a newer opset")
