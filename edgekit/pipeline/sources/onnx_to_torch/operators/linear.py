"""Products of matrices. With constant weights they are ``nn.Linear``, which quantizers know."""

from __future__ import annotations

import torch

from edgekit.pipeline.sources.onnx_to_torch.nodes import Node, Value, operator


def linear(node: Node, x: Value, weight: torch.Tensor, bias: torch.Tensor | None) -> Value:
    """``x @ weight.T + bias`` as a module; *weight* is [out, in]."""
    module = torch.nn.Linear(weight.shape[1], weight.shape[0], bias=bias is not None, device="meta")
    module.weight = node.recorder.parameter(weight)
    if bias is not None:
        module.bias = node.recorder.parameter(bias.reshape(-1).expand(weight.shape[0]))
    return node.call(module, x)


def is_weight(value: Value, ndim: int) -> bool:
    """Whether *value* is a constant of real numbers with *ndim* axes."""
    return isinstance(value, torch.Tensor) and value.is_floating_point() and value.ndim == ndim and value.numel() > 0


@operator("MatMul")
def matmul(node: Node, a: Value, b: Value) -> Value:
    if is_weight(b, 2) and a.ndim >= 1 and not isinstance(a, torch.Tensor):
        return linear(node, a, b.T, None)
    return torch.matmul(a, b)


@operator("Gemm")
def gemm(node: Node, a: Value, b: Value, c: Value = None) -> Value:
    alpha, beta = node.get("alpha", 1.0), node.get("beta", 1.0)
    a = a.transpose(0, 1) if node.get("transA", 0) else a
    if is_weight(b, 2) and not isinstance(a, torch.Tensor):
        weight = b if node.get("transB", 0) else b.T
        weight = weight if alpha == 1.0 else weight * alpha
        as_bias = (
            c is not None
            and isinstance(c, torch.Tensor)
            and (c.numel() == 1 or c.shape[-1] == c.numel() == len(weight))
        )
        result = linear(node, a, weight, (c if beta == 1.0 else c * beta) if as_bias else None)
        return result if c is None or as_bias else result + (c if beta == 1.0 else c * beta)
    product = torch.matmul(a, b.transpose(0, 1) if node.get("transB", 0) else b)
    if not product.is_floating_point():
        product = product if alpha == 1.0 else (product * alpha).to(a.dtype)
        return product if c is None else product + (c if beta == 1.0 else (c * beta).to(a.dtype))
    product = product if alpha == 1.0 else product * alpha
    return product if c is None else product + (c if beta == 1.0 else c * beta)


@operator("FusedMatMul", "TransposeMatMul", domain="com.microsoft")
def fused_matmul(node: Node, a: Value, b: Value) -> Value:
    if node.get("transBatchA", 0) or node.get("transBatchB", 0):
        node.refuse("moves the batch axis of what it multiplies")
    a = a.transpose(-1, -2) if node.get("transA", 0) else a
    b = b.transpose(-1, -2) if node.get("transB", 0) else b
    alpha = node.get("alpha", 1.0)
    return torch.matmul(a, b) if alpha == 1.0 else torch.matmul(a, b) * alpha


@operator("Einsum")
def einsum(node: Node, *values: Value) -> Value:
    return torch.einsum(node.get("equation").replace(" ", ""), *values)
