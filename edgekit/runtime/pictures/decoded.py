"""A picture out of a file: its pixels, and which way they are turned."""

from __future__ import annotations

import io
import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

#: Pillow takes 4 bytes for each. A camera's 50 megapixels are read.
MOST_PIXELS = 1 << 26
#: Chunks of a PNG, segments of a JPEG: honest files have a few thousand.
MOST_PARTS = 1 << 18

UPRIGHT = 1
_BYTE_ORDERS = {b"II*\0": "<", b"MM\0*": ">"}
_ORIENTATION = 0x0112
_SHORT = 3

_SAVE_AGAIN = "copy it or save it again"


class PictureError(Exception):
    """Why a file is not read; *what* goes on after its name."""

    def __init__(self, what: str, hint: str = _SAVE_AGAIN):
        super().__init__(what)
        self.hint = hint


@dataclass(frozen=True)
class Picture:
    """One picture as it is stored.

    Attributes:
        image: A ``PIL.Image.Image`` of mode L or RGB, opaque.
        orientation: By EXIF: 1 for upright, to 8.
    """

    image: Any
    orientation: int


def check_size(width: int, height: int) -> None:
    """Refuse, before anything is decoded, what is larger than `MOST_PIXELS`, or empty. Raises `PictureError`: it is."""
    if not width or not height:
        raise PictureError("is a picture without pixels")
    if width * height > MOST_PIXELS:
        raise PictureError(f"has {width} x {height} pixels, more than {MOST_PIXELS:,}", "scale it down first")


def decode(reader: Callable[[io.BytesIO], Any], data: bytes) -> Any:
    """What Pillow's *reader* of one format makes of *data*. Raises `PictureError`: they are damaged."""
    try:
        image = reader(io.BytesIO(data))
        image.load()
    except (OSError, SyntaxError, ValueError) as error:
        raise PictureError("is a damaged picture") from error
    return image


def orientation(data: bytes) -> int:
    """Which way a picture is turned, of all that EXIF *data* say, from a TIFF header on; 1 when they do not say it as
    the standard has it: Exif 2.32 (CIPA DC-008), 4.6.2 and 4.6.4, a TIFF directory in which tag 0x0112 is one SHORT."""
    try:
        order = _BYTE_ORDERS[data[:4]]
        (offset,) = struct.unpack_from(f"{order}I", data, 4)
        (entries,) = struct.unpack_from(f"{order}H", data, offset)
        for index in range(entries):
            tag, kind, count, value = struct.unpack_from(f"{order}HHIH", data, offset + 2 + 12 * index)
            if tag == _ORIENTATION:
                return value if (kind, count) == (_SHORT, 1) and UPRIGHT <= value <= 8 else UPRIGHT
    except (KeyError, struct.error):
        pass  # broken; viewers show the picture as it is stored
    return UPRIGHT
