"""Twenty photographs with ImageNet labels, which the package foolbox carries; foolbox itself is not imported.

Twenty photographs tell a wrong preprocessing or a broken export from a sound one. They measure no accuracy: one of them
is five percentage points.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image

import edgekit

SIDE = 512  # pixels; all but one of the photographs are of this size
CROPS = 6  # calibration samples made of each photograph


def photographs() -> Iterator[tuple[Image.Image, int]]:
    """The central square of each photograph, and its class from the file name, ``imagenet_NN_CLASS.jpg``."""
    spec = importlib.util.find_spec("foolbox")
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError("pip install foolbox==3.3.4")
    for file in sorted((Path(spec.origin).parent / "data").glob("imagenet_*.jpg")):
        photograph = Image.fromarray(edgekit.read_image(file, channels=3))
        side = min(photograph.size)
        left, top = ((length - side) // 2 for length in photograph.size)
        box = (left, top, left + side, top + side)
        yield photograph.resize((SIDE, SIDE), Image.Resampling.BICUBIC, box), int(file.stem.split("_")[2])


def evaluation() -> tuple[np.ndarray, np.ndarray]:
    """20 photographs, uint8 (512, 512, 3), and their classes."""
    images, labels = zip(*photographs(), strict=True)
    return np.stack([np.asarray(image) for image in images]), np.array(labels, np.int64)


def calibration() -> np.ndarray:
    """120 samples, uint8 (512, 512, 3): the same photographs, cropped and mirrored at random but always alike.

    Ranges are thus found on what is evaluated. With your own model, calibrate on other data.
    """
    draw = np.random.default_rng(0)
    samples = []
    for photograph, _ in photographs():
        for _ in range(CROPS):
            side = int(draw.integers(SIDE // 2, SIDE + 1))
            left, top = (int(value) for value in draw.integers(0, SIDE - side + 1, 2))
            crop = photograph.resize((SIDE, SIDE), Image.Resampling.BICUBIC, (left, top, left + side, top + side))
            samples.append(np.asarray(crop)[:, ::-1] if draw.random() < 0.5 else np.asarray(crop))
    return np.stack(samples)
