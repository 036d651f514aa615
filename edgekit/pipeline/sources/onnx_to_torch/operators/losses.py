"""Losses, which some exported models still hold."""

from __future__ import annotations

import torch

from edgekit.pipeline.sources.onnx_to_torch.nodes import Node, Value, operator


@operator("NegativeLogLikelihoodLoss")
def negative_log_likelihood(node: Node, scores: Value, target: Value, weight: Value = None) -> Value:
    return _loss(node, scores, target, weight)


@operator("SoftmaxCrossEntropyLoss")
def cross_entropy(node: Node, scores: Value, target: Value, weight: Value = None) -> Value:
    logarithms = torch.log_softmax(scores, 1)
    return _loss(node, logarithms, target, weight), logarithms


def _loss(node: Node, logarithms: Value, target: Value, weight: Value) -> Value:
    ignored, reduction = node.get("ignore_index"), node.get("reduction", "mean")
    positions = target.to(torch.int64)
    counted = None if ignored is None else positions != ignored
    if counted is not None:
        positions = torch.where(counted, positions, torch.zeros((), dtype=torch.int64))
    picked = torch.gather(logarithms, 1, positions.unsqueeze(1)).squeeze(1)
    share = torch.ones(positions.shape, dtype=logarithms.dtype)
    if weight is not None:
        share = torch.index_select(weight, 0, positions.reshape(-1)).reshape(positions.shape)
    if counted is not None:
        share = torch.where(counted, share, torch.zeros((), dtype=logarithms.dtype))
    losses = -picked * share
    if reduction == "none":
        return losses
    total = torch.sum(losses)
    return total if reduction == "sum" else total / torch.sum(share)
