"""The one place that opens pictures: PNG and JPEG, told by what is in them, turned the way they are shown.

A file is read here as data first. Pillow is given its pixels alone, and only Pillow's readers of these two formats, so
that no name of a file starts another of its readers, or a program (its reader of PostScript runs Ghostscript).

Everything that takes a picture follows the same rules: training data read by `read_image`, `edgekit run`, the page for
phones and the starter for the web (``devices/browser/page/picture.js``). PNG gives the same bits everywhere. JPEG gives
those of libjpeg-turbo, which Pillow and Chromium have; other decoders differ by a few units.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np

from edgekit.errors import UsageError
from edgekit.runtime.installed import required
from edgekit.runtime.pictures import jpeg, png
from edgekit.runtime.pictures.decoded import PictureError
from edgekit.runtime.pictures.kinds import PICTURES, kind_of

__all__ = ["pillow", "read_image"]

_READERS = {png.SIGNATURE: png.read, jpeg.SIGNATURE: jpeg.read}
#: Of a file: more than a picture of `MOST_PIXELS` takes in honest use.
_MOST_BYTES = 1 << 28
_HEAD = 1024
#: For each EXIF orientation: whether rows become columns, and then the steps along rows and columns.
_TURNS = {
    1: (False, 1, 1),
    2: (False, 1, -1),
    3: (False, -1, -1),
    4: (False, -1, 1),
    5: (True, 1, 1),
    6: (True, 1, -1),
    7: (True, -1, -1),
    8: (True, -1, 1),
}


def read_image(path: str | Path, channels: int | None = None) -> np.ndarray:
    """The pixels of a PNG or JPEG file, as viewers show it.

    The picture is turned upright (EXIF orientation). Samples of 16 bits become 8, palettes and CMYK become RGB. Values
    are those that are stored: colour profiles and gamma are not applied. Of several pictures in a file it is the first.

    Args:
        path: The file; what it is called does not matter.
        channels: 1 for grey, 3 for colour; None for what the file has.

    Returns:
        uint8 (height, width), or (height, width, 3) for RGB.

    Raises:
        UsageError: ``EK-MISSING-FILE``; ``EK-INPUT``: it is no PNG or JPEG file, damaged, larger than 67 megapixels, or
            transparent in places, which show whatever lies behind; ``EK-MISSING-PACKAGE``: there is no Pillow.
    """
    path = Path(path)
    if channels not in (None, 1, 3):
        message = (
            f"{path} is no file of arrays, and the model takes {channels} channels, where pictures are read as 1 or 3"
        )
        raise UsageError("EK-INPUT", message, "give a .npy, or a .npz with an array for each input")
    try:
        data = _contents(path)
        pillow()
        picture = next(read for signature, read in _READERS.items() if data.startswith(signature))(data)
        image = picture.image
        if channels is not None:
            image = image.convert("L" if channels == 1 else "RGB")
        return _upright(np.asarray(image), picture.orientation)
    except PictureError as error:
        raise UsageError("EK-INPUT", f"{path} {error}", error.hint) from error
    except MemoryError as error:
        raise UsageError("EK-INPUT", f"{path} does not fit into memory", "scale it down first") from error


def pillow() -> Any:
    """The module ``PIL.Image``. Raises `UsageError` ``EK-MISSING-PACKAGE``."""
    required("PIL", "pictures need Pillow", "pip install pillow")
    from PIL import Image

    return Image


def _contents(path: Path) -> bytes:
    """The bytes of the file, which starts as one that is read."""
    if not path.is_file():
        raise UsageError("EK-MISSING-FILE", f"there is no file {path}", f"name {PICTURES}")
    try:
        with path.open("rb") as file:
            head = file.read(_HEAD)
            if not head.startswith(tuple(_READERS)):
                kind = kind_of(head)
                raise PictureError(f"is {kind.name or 'something else'}, not a PNG or JPEG picture", kind.hint)
            size = os.fstat(file.fileno()).st_size
            if size > _MOST_BYTES:
                raise PictureError(f"is larger than {_MOST_BYTES >> 20} MiB", "scale it down first")
            return head + file.read(size)
    except OSError as error:
        raise UsageError("EK-MISSING-FILE", f"cannot read {path}: {error.strerror}") from error


def _upright(pixels: np.ndarray, orientation: int) -> np.ndarray:
    swapped, down, across = _TURNS[orientation]
    turned = pixels.swapaxes(0, 1) if swapped else pixels
    return np.ascontiguousarray(turned[::down, ::across])
