"""Fourier transforms, as products with constant matrices of sines and cosines: files have no complex numbers."""

from __future__ import annotations

import math

import torch

from edgekit.pipeline.sources.onnx_to_torch.nodes import Node, Value, operator


def _turns(
    rows: int, columns: int, size: int, dtype: torch.dtype, inverse: bool = False
) -> tuple[torch.Tensor, torch.Tensor]:
    """Cosines and sines of the transform from *rows* numbers to *columns* frequencies, of a period of *size*."""
    steps = torch.arange(rows)[:, None] * torch.arange(columns)[None] % size
    angles = steps.to(torch.float64) * (2 * math.pi / size) * (1 if inverse else -1)
    return torch.cos(angles).to(dtype), torch.sin(angles).to(dtype)


@operator("DFT")
def fourier(node: Node, x: Value, length: Value = None, axis: Value = None) -> Value:
    """*x* is [batch, …, 1 or 2]: real, or with an imaginary part."""
    along = node.get("axis", 1) if node.opset < 20 else -2 if axis is None else int(node.number(axis, "axis"))
    along %= x.ndim
    size = x.shape[along] if length is None else int(node.number(length, "dft_length"))
    inverse, half = bool(node.get("inverse", 0)), bool(node.get("onesided", 0))
    if inverse and half:
        return _half_inverse(x, along, size, length is not None)
    taken = min(size, x.shape[along])
    columns = size // 2 + 1 if half else size
    cosines, sines = _turns(taken, columns, size, x.dtype, inverse)
    given = x.narrow(along, 0, taken).movedim(along, -1)  # [..., parts, taken]
    real = given.select(-2, 0)
    first, second = torch.matmul(real, cosines), torch.matmul(real, sines)
    if x.shape[-1] == 2:
        imaginary = given.select(-2, 1)
        first = first - torch.matmul(imaginary, sines)
        second = second + torch.matmul(imaginary, cosines)
    result = torch.stack([first, second], -1)
    if inverse:
        result = result / size
    return result.movedim(-2, along)


def _half_inverse(x: Value, along: int, size: int, given_size: bool) -> Value:
    """Real numbers from the first half of their frequencies."""
    size = size if given_size else 2 * (x.shape[along] - 1)
    rows = min(size // 2 + 1, x.shape[along])
    cosines, sines = _turns(rows, size, size, x.dtype, True)
    twice = torch.full((rows, 1), 2.0, dtype=x.dtype)
    twice[0] = 1
    if size % 2 == 0 and rows == size // 2 + 1:
        twice[-1] = 1
    given = x.narrow(along, 0, rows).movedim(along, -1)
    result = torch.matmul(given.select(-2, 0), cosines * twice)
    if x.shape[-1] == 2:
        result = result - torch.matmul(given.select(-2, 1), sines * twice)
    return (result / size).unsqueeze(-1).movedim(-2, along)


@operator("STFT")
def short_time_fourier(node: Node, signal: Value, step: Value, window: Value = None, length: Value = None) -> Value:
    """*signal* is [batch, length] or [batch, length, 1]; [batch, frames, frequencies, 2] comes out."""
    size = int(node.number(length, "frame_length")) if length is not None else window.shape[0]
    hop = int(node.number(step, "frame_step"))
    if signal.ndim == 3:
        if signal.shape[2] != 1:
            node.refuse("is of complex numbers")
        signal = signal.squeeze(2)
    columns = size // 2 + 1 if node.get("onesided", 1) else size
    frames = signal.unfold(1, size, hop)
    if window is not None:
        frames = frames * window
    cosines, sines = _turns(size, columns, size, signal.dtype)
    return torch.stack([torch.matmul(frames, cosines), torch.matmul(frames, sines)], -1)
