"""Pictures as phones, cameras and programs save them, made here byte by byte where Pillow does not write such files."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable

import numpy as np
from PIL import Image

SIGNATURE = b"\x89PNG\r\n\x1a\n"
GREY, RGB, PALETTE, GREY_ALPHA, RGB_ALPHA = 0, 2, 3, 4, 6
_ADAM7 = ((0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2), (1, 0, 2, 1))
#: For each EXIF orientation: what turns an upright picture into the stored one.
TURNED: dict[int, Callable[[np.ndarray], np.ndarray]] = {
    1: lambda pixels: pixels,
    2: np.fliplr,
    3: lambda pixels: np.rot90(pixels, 2),
    4: np.flipud,
    5: lambda pixels: pixels.swapaxes(0, 1),
    6: lambda pixels: np.rot90(pixels, 1),
    7: lambda pixels: np.rot90(pixels, 2).swapaxes(0, 1),
    8: lambda pixels: np.rot90(pixels, -1),
}


def photograph(height: int = 23, width: int = 37) -> np.ndarray:
    """A smooth picture that no turning brings back to itself: uint8 (height, width, 3)."""
    spots = np.random.default_rng(0).integers(0, 256, (4, 5, 3), np.uint8)
    return np.asarray(Image.fromarray(spots).resize((width, height), Image.Resampling.BICUBIC))


def grey(pixels: np.ndarray) -> np.ndarray:
    """ITU-R 601-2 luma, as Pillow and the page for phones round it."""
    red, green, blue = np.moveaxis(pixels.astype(np.int64), -1, 0)
    return ((red * 19595 + green * 38470 + blue * 7471 + 0x8000) >> 16).astype(np.uint8)


def chunk(name: bytes, body: bytes = b"") -> bytes:
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))


def header(width: int, height: int, bits: int = 8, colour: int = GREY, *rest: int) -> bytes:
    compression, filters, interlaced = rest or (0, 0, 0)
    return chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, bits, colour, compression, filters, interlaced))


def png(
    samples: np.ndarray,
    bits: int = 8,
    colour: int = GREY,
    before: bytes = b"",
    after: bytes = b"",
    interlaced: bool = False,
    pieces: int = 1,
) -> bytes:
    """A PNG file of *samples* (height, width[, channels]), with chunks before and after its pixels."""
    height, width = samples.shape[:2]
    passes = _ADAM7 if interlaced else ((0, 0, 1, 1),)
    parts = (samples[top::down, left::across] for top, left, down, across in passes)
    data = zlib.compress(b"".join(_rows(part, bits) for part in parts if part.size))
    step = -(-len(data) // pieces)
    pixels = b"".join(chunk(b"IDAT", data[place : place + step]) for place in range(0, len(data), step))
    start = SIGNATURE + header(width, height, bits, colour, 0, 0, int(interlaced))
    return start + before + pixels + after + chunk(b"IEND")


def _rows(samples: np.ndarray, bits: int) -> bytes:
    rows = samples.reshape(len(samples), -1)
    if bits == 16:
        packed = rows.astype(">u2").view(np.uint8)
    else:
        all_bits = np.unpackbits(rows.astype(np.uint8)[..., None], axis=-1)[..., 8 - bits :]
        packed = np.packbits(all_bits.reshape(len(rows), -1), axis=-1)
    return np.hstack([np.zeros((len(rows), 1), np.uint8), packed]).tobytes()


def exif(orientation: int, *, kind: int = 3, count: int = 1, order: str = "<", others: int = 2) -> bytes:
    """A TIFF directory with an orientation behind *others* tags."""
    value = struct.pack(f"{order}HH", orientation, 0) if kind == 3 else struct.pack(f"{order}I", orientation)
    entries = [struct.pack(f"{order}HHII", 0x0100 + index, 4, 1, index) for index in range(others)]
    entries.append(struct.pack(f"{order}HHI", 0x0112, kind, count) + value)
    start = {"<": b"II*\0", ">": b"MM\0*"}[order] + struct.pack(f"{order}I", 8)
    return start + struct.pack(f"{order}H", len(entries)) + b"".join(entries) + bytes(4)


def jpeg(pixels: np.ndarray, *, mode: str | None = None, **options: object) -> bytes:
    image = Image.fromarray(pixels)
    stream = io.BytesIO()
    (image if mode is None else image.convert(mode)).save(
        stream, "JPEG", **{"quality": 98, "subsampling": 0, **options}
    )
    return stream.getvalue()


def segment(marker: int, body: bytes) -> bytes:
    return bytes((0xFF, marker)) + struct.pack(">H", len(body) + 2) + body


def with_segment(file: bytes, marker: int, body: bytes) -> bytes:
    """A JPEG file with a segment more, first of all."""
    return file[:2] + segment(marker, body) + file[2:]


def with_exif(file: bytes, data: bytes) -> bytes:
    return with_segment(file, 0xE1, b"Exif\0\0" + data)


def saved(format: str, image: Image.Image, **options: object) -> bytes:
    stream = io.BytesIO()
    image.save(stream, format, **options)
    return stream.getvalue()
