"""Tensors from nothing, or from a shape."""

from __future__ import annotations

import math

import torch

from edgekit.pipeline.sources.onnx_to_torch.nodes import Node, Value, operator
from edgekit.pipeline.sources.onnx_to_torch.tensors import DTYPES, dtype_of


@operator("Constant")
def constant(node: Node) -> Value:
    if (value := node.get("value")) is not None:
        return value
    for name, dtype in {"float": torch.float32, "int": torch.int64}.items():
        for key in (f"value_{name}", f"value_{name}s"):
            if (value := node.get(key)) is not None:
                return torch.tensor(value, dtype=dtype)
    return node.refuse("holds text, or a sparse tensor")


@operator("ConstantOfShape")
def constant_of_shape(node: Node, shape: Value) -> Value:
    value = node.get("value")
    value = torch.zeros(1) if value is None else value
    return torch.full(node.ints(shape, "input"), value.reshape(-1)[0].item(), dtype=value.dtype)


@operator("Range")
def range_(node: Node, start: Value, limit: Value, delta: Value) -> Value:
    first, last, step = (
        node.number(value, what) for value, what in ((start, "start"), (limit, "limit"), (delta, "delta"))
    )
    count = max(0, math.ceil((last - first) / step))
    return (torch.arange(count, dtype=torch.float64 if start.is_floating_point() else torch.int64) * step + first).to(
        start.dtype
    )


@operator("EyeLike")
def eye_like(node: Node, x: Value) -> Value:
    dtype = DTYPES[node.get("dtype")] if node.get("dtype") else x.dtype
    rows, columns = x.shape
    return (torch.arange(columns)[None] - torch.arange(rows)[:, None] == node.get("k", 0)).to(dtype)


@operator("Dropout")
def dropout(node: Node, x: Value, ratio: Value = None, training: Value = None) -> Value:
    """Nothing, as a model that is used is not trained."""
    if training is not None and node.constant(training, "training_mode").item():
        share = 0.5 if ratio is None else node.number(ratio, "ratio")
        if share:
            node.refuse("is in training mode, where it draws random numbers", "export the model for inference")
    return x, torch.ones(x.shape, dtype=torch.bool)


@operator("Bernoulli", "Multinomial", "RandomNormal", "RandomNormalLike", "RandomUniform", "RandomUniformLike")
def draw(node: Node, *values: Value) -> Value:
    return node.refuse(
        "draws random numbers, which no exported file would draw alike", "make what it draws an input of the model"
    )


@operator("BlackmanWindow", "HammingWindow", "HannWindow")
def window(node: Node, size: Value) -> Value:
    count, dtype = int(node.number(size, "size")), dtype_of(node.get("output_datatype", 1), f"what {node} gives")
    weights = {
        "BlackmanWindow": (0.42, -0.5, 0.08),
        "HammingWindow": (25 / 46, -21 / 46),
        "HannWindow": (0.5, -0.5),
    }[node.op]
    turns = torch.arange(count, dtype=torch.float64) * 2 * math.pi / (count if node.get("periodic", 1) else count - 1)
    return sum(weight * torch.cos(at * turns) for at, weight in enumerate(weights)).to(dtype)


@operator("MelWeightMatrix")
def mel_weights(node: Node, bins: Value, length: Value, rate: Value, lower: Value, upper: Value) -> Value:
    count, size, sampled = (
        int(node.number(value, what))
        for value, what in ((bins, "num_mel_bins"), (length, "dft_length"), (rate, "sample_rate"))
    )
    low, high = node.number(lower, "lower_edge_hertz"), node.number(upper, "upper_edge_hertz")
    spectrum = size // 2 + 1
    mel_low, mel_high = (2595 * math.log10(1 + edge / 700) for edge in (low, high))
    step = (mel_high - mel_low) / (count + 2)
    positions = [
        int(((size + 1) * (700 * (10 ** ((mel_low + at * step) / 2595) - 1))) // sampled) for at in range(count + 2)
    ]
    weights = torch.zeros(spectrum, count, dtype=torch.float64)
    for at in range(count):
        start, centre, stop = positions[at : at + 3]
        if centre == start:
            weights[centre, at] = 1
        for row in range(start, centre + 1):
            if centre != start:
                weights[row, at] = (row - start) / (centre - start)
        for row in range(centre, stop):
            weights[row, at] = (stop - row) / (stop - centre)
    return weights.to(dtype_of(node.get("output_datatype", 1), f"what {node} gives"))
