"""Fourier transforms as products with matrices of sines and cosines.

litert-torch 0.10.0 has no complex type ("Unsupported ir element type: complex<f32>"), and executorch 1.5.1 no kernel
that takes one ("taking Tensor inputs with mismatched dtypes").
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch.nn import functional as F

from edgekit.errors import ConversionError
from edgekit.pipeline.rewrites.complex_numbers import Complex, unsupported

_ATEN = torch.ops.aten
#: The matrices of a longer transform take more than 64 MB.
_LONGEST = 2896
_SCALES: dict[str | None, float] = {None: 0.0, "backward": 0.0, "ortho": 0.5, "forward": 1.0}


def _waves(length: int, frequencies: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Cosine and sine of each of *frequencies*, at each of *length* places: two matrices [length, frequencies].

    From whole numbers of steps of the circle, so that large products lose nothing; the sine of half a circle is 0, for
    the sign of what is next to it decides about an angle.
    """
    if length > _LONGEST:
        message = f"a Fourier transform of {length:,} values takes a table of {2 * length * frequencies:,} weights"
        hint = "transform shorter frames, or leave the transform to the program that calls the model"
        raise ConversionError("EK-UNSUPPORTED", message, hint)
    steps = torch.outer(torch.arange(length), torch.arange(frequencies)) % length
    angles = steps.double() * (2 * math.pi / length)
    return torch.cos(angles).float(), torch.where(2 * steps % length == 0, 0.0, torch.sin(angles)).float()


def _sized(value: torch.Tensor, length: int) -> torch.Tensor:
    """*value* with *length* values along its last axis, by cutting off or by zeros behind."""
    own = value.shape[-1]
    return value[..., :length] if own > length else F.pad(value, (0, length - own)) if own < length else value


def _transform(value: Any, length: int | None, dim: int, norm: str | None, *, half: bool, inverse: bool) -> Complex:
    """Discrete Fourier transform along one axis; with *half*, only the frequencies that a real signal needs."""
    signal = value if isinstance(value, Complex) else None
    real = signal.real if signal is not None else value
    length = length or int(real.shape[dim])
    parts = [_sized(part.transpose(dim, -1), length) for part in ([signal.real, signal.imag] if signal else [real])]
    cosine, sine = _waves(length, length // 2 + 1 if half else length)
    factor = length ** -(1.0 - _SCALES[norm] if inverse else _SCALES[norm])
    cosine, sine = cosine * factor, (sine if inverse else 0.0 - sine) * factor
    over = [(part @ cosine, part @ sine) for part in parts]
    found = over[0] if len(over) == 1 else (over[0][0] - over[1][1], over[0][1] + over[1][0])
    return Complex(*(part.transpose(dim, -1) for part in found))


def _to_real(value: Complex, length: int | None, dim: int, norm: str | None) -> torch.Tensor:
    """The real signal of *length* whose half transform is *value*."""
    length = length or 2 * (int(value.real.shape[dim]) - 1)
    frequencies = length // 2 + 1
    real, imag = (_sized(part.transpose(dim, -1), frequencies) for part in (value.real, value.imag))
    cosine, sine = (matrix.T for matrix in _waves(length, frequencies))
    # All but the first frequency, and the last one of an even length, stand for their mirror images, too.
    twice = torch.full((frequencies, 1), 2.0)
    twice = (
        torch.cat([torch.ones(1, 1), twice[1:]])
        if length % 2
        else torch.cat([torch.ones(1, 1), twice[2:], torch.ones(1, 1)])
    )
    factor = length ** -(1.0 - _SCALES[norm])
    return (real @ (cosine * twice * factor) - imag @ (sine * twice * factor)).transpose(dim, -1)


def _one_axis(*, half: bool, inverse: bool) -> Callable[..., Any]:
    def rule(value: Any, n: int | None = None, dim: int = -1, norm: str | None = None) -> Complex:
        return _transform(value, n, dim, norm, half=half, inverse=inverse)

    return rule


def _axes(*, half: bool, inverse: bool, two: bool) -> Callable[..., Any]:
    """A transform along several axes: the last one first."""

    def rule(value: Any, s: Sequence[int] | None = None, dim: Any = None, norm: str | None = None) -> Any:
        rank = (value.real if isinstance(value, Complex) else value).dim()
        if dim is None:
            dim = range(-2, 0) if two else range(-len(s) if s is not None else -rank, 0)
        sizes = list(s) if s is not None else [None] * len(dim)
        for number, (axis, size) in enumerate(reversed(list(zip(dim, sizes, strict=True)))):
            value = _transform(value, size, axis, norm, half=half and number == 0, inverse=inverse)
        return value

    return rule


def _fft_irfft(value: Any, n: int | None = None, dim: int = -1, norm: str | None = None) -> torch.Tensor:
    return _to_real(Complex.of(value), n, dim, norm)


def _fft_irfft2(
    value: Any, s: Sequence[int] | None = None, dim: Sequence[int] = (-2, -1), norm: str | None = None
) -> torch.Tensor:
    sizes = list(s) if s is not None else [None] * len(dim)
    number = Complex.of(value)
    for axis, size in list(zip(dim, sizes, strict=True))[:-1]:
        number = _transform(number, size, axis, norm, half=False, inverse=True)
    return _to_real(number, sizes[-1], dim[-1], norm)


_OPPOSITE: dict[str | None, str] = {None: "forward", "backward": "forward", "forward": "backward", "ortho": "ortho"}


def _fft_hfft(value: Any, n: int | None = None, dim: int = -1, norm: str | None = None) -> torch.Tensor:
    """Of the half of a signal that is its own mirrored conjugate: the inverse of the other transform."""
    number = Complex.of(value)
    return _to_real(Complex(number.real, -number.imag), n, dim, _OPPOSITE[norm])


def _fft_ihfft(value: torch.Tensor, n: int | None = None, dim: int = -1, norm: str | None = None) -> Complex:
    found = _transform(value, n, dim, _OPPOSITE[norm], half=True, inverse=False)
    return Complex(found.real, -found.imag)


def _window(window: torch.Tensor | None, win_length: int | None, n_fft: int) -> torch.Tensor:
    """The window over a whole frame: in its middle, zeros around."""
    size = win_length or n_fft
    window = torch.ones(size) if window is None else window
    before = (n_fft - size) // 2
    return F.pad(window, (before, n_fft - size - before)) if size < n_fft else window


def _stft(
    value: torch.Tensor,
    n_fft: int,
    hop_length: int | None = None,
    win_length: int | None = None,
    window: torch.Tensor | None = None,
    normalized: bool = False,
    onesided: bool | None = None,
    return_complex: bool | None = None,
    align_to_window: bool | None = None,
) -> Any:
    """Frames, window and transform at once: a convolution whose kernels are waves."""
    if isinstance(value, Complex) or align_to_window:
        raise unsupported("stft")
    frequencies = n_fft // 2 + 1 if onesided in (None, True) else n_fft
    cosine, sine = _waves(n_fft, frequencies)
    kernels = torch.cat([cosine, -sine], 1).T * _window(window, win_length, n_fft)
    kernels = kernels * n_fft**-0.5 if normalized else kernels
    sound = value.reshape(-1, 1, value.shape[-1])
    frames = F.conv1d(sound, kernels.unsqueeze(1), stride=hop_length or n_fft // 4)
    frames = frames.reshape(*value.shape[:-1], 2 * frequencies, -1)
    found = Complex(frames.narrow(-2, 0, frequencies), frames.narrow(-2, frequencies, frequencies))
    return found if return_complex else torch.stack([found.real, found.imag], -1)


def _istft(
    value: Any,
    n_fft: int,
    hop_length: int | None = None,
    win_length: int | None = None,
    window: torch.Tensor | None = None,
    center: bool = True,
    normalized: bool = False,
    onesided: bool | None = None,
    length: int | None = None,
    return_complex: bool = False,
) -> torch.Tensor:
    """The reverse: waves added up where frames overlap, over what the windows add up to."""
    if onesided is False or return_complex:
        raise unsupported("istft")
    number, hop = Complex.of(value), hop_length or n_fft // 4
    *lead, frequencies, steps = number.real.shape
    whole = _window(window, win_length, n_fft)
    kernels = (
        torch.cat([_to_real(part, n_fft, -1, "ortho" if normalized else None) for part in _units(frequencies)]) * whole
    )
    spectrum = torch.cat([number.real, number.imag], -2).reshape(-1, 2 * frequencies, steps)
    sound = F.conv_transpose1d(spectrum, kernels.unsqueeze(1), stride=hop)
    weight = F.conv_transpose1d(torch.ones(1, 1, steps), (whole * whole).reshape(1, 1, -1), stride=hop)
    begin = n_fft // 2 if center else 0
    known = int(sound.shape[-1]) - (begin if center else 0)
    end = known if length is None else min(begin + length, int(sound.shape[-1]))
    sound = sound[..., begin:end] / weight[..., begin:end]
    return _sized(sound.reshape(*lead, -1), length) if length else sound.reshape(*lead, -1)


def _units(frequencies: int) -> tuple[Complex, Complex]:
    """Every frequency by itself, real and imaginary."""
    one, none = torch.eye(frequencies), torch.zeros(frequencies, frequencies)
    return Complex(one, none), Complex(none, one)


RULES: dict[Any, Callable[..., Any]] = {
    _ATEN.fft_fft.default: _one_axis(half=False, inverse=False),
    _ATEN.fft_ifft.default: _one_axis(half=False, inverse=True),
    _ATEN.fft_rfft.default: _one_axis(half=True, inverse=False),
    _ATEN.fft_irfft.default: _fft_irfft,
    _ATEN.fft_hfft.default: _fft_hfft,
    _ATEN.fft_ihfft.default: _fft_ihfft,
    _ATEN.fft_fft2.default: _axes(half=False, inverse=False, two=True),
    _ATEN.fft_ifft2.default: _axes(half=False, inverse=True, two=True),
    _ATEN.fft_rfft2.default: _axes(half=True, inverse=False, two=True),
    _ATEN.fft_irfft2.default: _fft_irfft2,
    _ATEN.fft_fftn.default: _axes(half=False, inverse=False, two=False),
    _ATEN.fft_ifftn.default: _axes(half=False, inverse=True, two=False),
    _ATEN.fft_rfftn.default: _axes(half=True, inverse=False, two=False),
    _ATEN.stft.default: _stft,
    _ATEN.istft.default: _istft,
    _ATEN.view_as_complex.default: lambda pairs: Complex(pairs[..., 0], pairs[..., 1]),
    _ATEN.complex.default: Complex,
    _ATEN.polar.default: lambda size, angle: Complex(size * torch.cos(angle), size * torch.sin(angle)),
}
