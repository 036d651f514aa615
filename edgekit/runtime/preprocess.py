"""From a raw sample to a model's input tensor, the same on the host and on the device."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from edgekit import arrays
from edgekit.arrays import ArrayError
from edgekit.errors import UsageError
from edgekit.runtime.pictures import pillow, read_image
from edgekit.runtime.pictures.kinds import ARRAYS, SOUND, Kind, kind_of_file
from edgekit.schema import conform

_LAYOUTS = (None, "channels-first", "channels-last")
#: Each side of what pictures are scaled to, before the centre is cut out: the largest that cameras make.
_MOST_PIXELS_A_SIDE = 1 << 14
#: Of a scaled picture, whatever its sides.
_MOST_PIXELS = 1 << 24
#: Of scale, mean and std, either way: what is farther from 1 leaves no digits of a float32.
_LARGEST_FACTOR = 1e9
_MOST_CHANNELS = 4096


@dataclass(frozen=True)
class Resize:
    """Scale an image until it covers ``height/crop`` x ``width/crop`` pixels, then cut out its centre."""

    height: int
    width: int
    crop: float = 1.0

    def __post_init__(self) -> None:
        if self.height < 1 or self.width < 1 or not 0 < self.crop <= 1:
            raise ValueError(f"resize to {self.height} x {self.width}, crop {self.crop}")
        if max(self.height, self.width) / self.crop > _MOST_PIXELS_A_SIDE:
            raise ValueError(f"resize to {self.height} x {self.width}, crop {self.crop:g}: larger than any picture")


@dataclass(frozen=True)
class Preprocessing:
    """What is done to one raw sample, in this order.

    Attributes:
        resize: For images, bicubic; None leaves the size.
        scale: Factor for every value, such as 1/255.
        mean, std: ``(value - mean) / std`` over the last axis: one value, or one per channel; empty for none.
        layout: ``channels-first`` moves the last axis to the front; ``channels-last`` and None leave it. With a
            layout, a grey image without a channel axis gets one.
    """

    scale: float = 1.0
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()
    layout: str | None = None
    resize: Resize | None = None

    def __post_init__(self) -> None:
        if self.layout not in _LAYOUTS:
            raise ValueError(f"layout is {self.layout!r}, not channels-first or channels-last")
        if 0 in self.std:
            raise ValueError("std holds a zero")
        for name, values in (("scale", (self.scale,)), ("mean", self.mean), ("std", self.std)):
            if len(values) > _MOST_CHANNELS or not all(abs(value) <= _LARGEST_FACTOR for value in values):
                raise ValueError(f"{name} is larger than any picture's or sound's")
        if not all(abs(value) >= 1 / _LARGEST_FACTOR for value in self.std):
            raise ValueError("std holds next to nothing")

    def to_json(self) -> dict[str, Any]:
        resize = None if self.resize is None else vars(self.resize)
        return {**vars(self), "mean": list(self.mean), "std": list(self.std), "resize": resize}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Preprocessing:
        """The preprocessing that `to_json` described. ValueError when *value* is something else."""
        preprocessing: Preprocessing = conform(cls, dict(value), "preprocessing")
        return preprocessing

    def apply(self, sample: np.ndarray, rank: int | None = None) -> np.ndarray:
        """The float32 input tensor of one raw sample, without a batch axis.

        Args:
            sample: An image (height, width[, channels]), a series (time, channels), or anything else, of any
                numeric dtype.
            rank: Number of axes of the tensor, where it is known: a sample with one axis fewer gets a channel
                axis of size 1, and a series of one channel loses it where the model wants none. Where it is
                not known, a two-dimensional sample is taken as a grey image when it is uint8 or is resized.

        Raises:
            UsageError: ``EK-INPUT``: the sample does not fit; ``EK-MISSING-PACKAGE``: resizing needs Pillow.
        """
        return self.scaled(self.arranged(sample, rank))

    def arranged(self, sample: np.ndarray, rank: int | None = None) -> np.ndarray:
        """The first half of `apply`, after which all samples have one shape: resized, with the axes the tensor needs.

        Pictures of bytes stay such.
        """
        values = np.asarray(sample)
        if values.dtype.kind not in "fiub":
            raise UsageError("EK-INPUT", f"a sample holds {values.dtype}, not numbers", "pass a numeric array")
        if self.resize is not None:
            values = _resized(values, self.resize)
        if self._lacks_channels(values, rank):
            values = values[..., None]
        elif rank is not None and values.ndim == rank + 1 and values.shape[-1] == 1:
            values = values[..., 0]
        return values

    def scaled(self, values: np.ndarray) -> np.ndarray:
        """The second half of `apply`: of what `arranged` gave, the float32 tensor."""
        values = values.astype(np.float32)
        if self.scale != 1.0:
            values *= np.float32(self.scale)
        try:
            if self.mean:
                values -= np.asarray(self.mean, np.float32)
            if self.std:
                values /= np.asarray(self.std, np.float32)
        except ValueError as error:
            channels = max(len(self.mean), len(self.std))
            raise UsageError(
                "EK-INPUT", f"a sample of shape {list(values.shape)} does not have {channels} channels last"
            ) from error
        if self.layout == "channels-first" and values.ndim > 1:
            values = np.moveaxis(values, -1, 0)
        return np.ascontiguousarray(values)

    def arranged_batch(self, samples: np.ndarray) -> np.ndarray:
        """`arranged` for each of *samples* (first axis); themselves, where nothing has to be done."""
        first = self.arranged(samples[0])
        if first.shape == samples.shape[1:] and self.resize is None:
            return samples
        batch = np.empty((len(samples), *first.shape), first.dtype)
        for index, sample in enumerate(samples):
            batch[index] = self.arranged(sample)
        return batch

    def apply_batch(self, samples: Sequence[np.ndarray] | np.ndarray) -> np.ndarray:
        """`apply` for each of *samples* (first axis), stacked into one array."""
        if len(samples) == 0:
            raise UsageError("EK-INPUT", "there are no samples")
        return np.stack([self.apply(sample) for sample in samples])

    def _lacks_channels(self, values: np.ndarray, rank: int | None) -> bool:
        if rank is not None:
            return values.ndim == rank - 1
        return values.ndim == 2 and (self.resize is not None or (self.layout is not None and values.dtype == np.uint8))


def read_sample(path: str | Path, channels: int | None = None, most_bytes: int | None = None) -> np.ndarray:
    """One raw sample from a file.

    Args:
        path: ``.npy``, ``.npz`` with one array, or ``.wav``; anything else is a picture, whatever it is called.
        channels: For pictures: 1 for grey, 3 for colour; None for what the file has.
        most_bytes: As `read_arrays`.

    Returns:
        The array; a picture as `edgekit.read_image` gives it; sound as float32 (time, channels) in -1..1.

    Raises:
        UsageError: ``EK-MISSING-FILE``, ``EK-INPUT``, or ``EK-MISSING-PACKAGE`` for a picture without Pillow.
    """
    path = Path(path)
    if not path.is_file():
        raise UsageError("EK-MISSING-FILE", f"there is no file {path}", "name an .npy, .npz, .png, .jpg or .wav file")
    suffix = path.suffix.lower()
    if suffix in (".npy", ".npz"):
        arrays = read_arrays(path, most_bytes)
        if len(arrays) != 1:
            raise UsageError("EK-INPUT", f"{path} holds {len(arrays)} arrays, not one sample: {', '.join(arrays)}")
        return next(iter(arrays.values()))
    if suffix == ".wav":
        return _read_sound(path)
    return read_image(path, channels)


def read_arrays(path: Path, most_bytes: int | None = None) -> dict[str, np.ndarray]:
    """The arrays of an ``.npz`` by name, or that of an ``.npy`` under an empty name.

    Args:
        most_bytes: What they may take; None for what `edgekit.arrays.read` lets a file of that size take.

    Raises:
        UsageError: ``EK-INPUT``: there are none, or they take more.
    """
    try:
        return arrays.read(path, most_bytes=most_bytes)
    except (OSError, ArrayError) as error:
        raise _refusal(path, "holds no numpy arrays", ARRAYS, "save it with numpy.save", error) from error


def _refusal(path: Path, what: str, own: tuple[Kind, ...], hint: str, error: Exception) -> UsageError:
    """Of a file that is not of its *own* kinds what it is instead, of others where they are damaged."""
    kind = kind_of_file(path)
    if kind in own:
        reason = " ".join(str(error).split())[:200]
        return UsageError("EK-INPUT", f"{path} {what} ({reason})", hint)
    if kind.name:
        return UsageError("EK-INPUT", f"{path} {what}: it is {kind.name}", kind.hint)
    return UsageError("EK-INPUT", f"{path} {what}", hint)


def _read_sound(path: Path) -> np.ndarray:
    import wave

    try:
        with wave.open(str(path), "rb") as sound:
            channels, width = sound.getnchannels(), sound.getsampwidth()
            data = sound.readframes(sound.getnframes())
    except (wave.Error, EOFError) as error:
        raise _refusal(path, "is not a PCM sound file", (SOUND,), "save it as 16-bit PCM", error) from error
    raw = np.frombuffer(data[: len(data) - len(data) % (channels * width)], np.uint8).reshape(-1, width)
    if width == 1:
        values = raw[:, 0].astype(np.float32) - 128.0
    else:
        # Little-endian samples go into the high bytes of an int32, whose sign is then theirs.
        wide = np.zeros((len(raw), 4), np.uint8)
        wide[:, 4 - width :] = raw
        values = (wide.view("<i4")[:, 0] >> 8 * (4 - width)).astype(np.float32)
    return (values / np.float32(1 << (8 * width - 1))).reshape(-1, channels)


def _resized(values: np.ndarray, resize: Resize) -> np.ndarray:
    if values.ndim not in (2, 3):
        raise UsageError("EK-INPUT", f"a sample of shape {list(values.shape)} is not an image to resize")
    image_module = pillow()
    height, width = values.shape[:2]
    if not height or not width:
        raise UsageError("EK-INPUT", f"a sample of shape {list(values.shape)} is an image without pixels")
    factor = max(resize.height / resize.crop / height, resize.width / resize.crop / width)
    size = (max(resize.width, round(width * factor)), max(resize.height, round(height * factor)))
    if size[0] * size[1] > _MOST_PIXELS:
        message = f"an image of {width} x {height} would become one of {size[0]} x {size[1]} pixels"
        raise UsageError("EK-INPUT", message, "cut out the part that matters")

    def scaled(plane: np.ndarray) -> np.ndarray:
        return np.asarray(image_module.fromarray(plane).resize(size, image_module.Resampling.BICUBIC))

    if size != (width, height):
        if values.dtype == np.uint8 and (values.ndim == 2 or values.shape[2] == 3):
            values = scaled(np.ascontiguousarray(values))
        else:
            planes = np.atleast_3d(values).astype(np.float32)
            scaled_planes = [scaled(np.ascontiguousarray(planes[..., index])) for index in range(planes.shape[2])]
            values = np.stack(scaled_planes, axis=-1).reshape(size[1], size[0], *values.shape[2:])
    top, left = (size[1] - resize.height) // 2, (size[0] - resize.width) // 2
    return values[top : top + resize.height, left : left + resize.width]
