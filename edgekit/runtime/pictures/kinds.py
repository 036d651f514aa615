"""What a file is by how it starts, whatever it is called, and how to make something of it that is read."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

#: What may be passed where a sample is asked for.
PICTURES = "an .npy, .npz, .png, .jpg or .wav file"

_SAVE = "save it as PNG or JPEG"
_RENDER = "render it as PNG"
_FRAME = "save one frame of it as PNG or JPEG"
_PHONE = "export it as JPEG (iPhone: Settings > Camera > Formats > Most Compatible)"


@dataclass(frozen=True)
class Kind:
    """*name* goes on after "is"; empty when nobody here knows."""

    name: str
    hint: str


#: An ``.npz`` is a zip archive.
ARRAYS = (Kind("a numpy array", "name it .npy"), Kind("a zip archive, or an .npz", "unpack it, or name it .npz"))
SOUND = Kind("a sound", "name it .wav")
_UNKNOWN = Kind("", f"name {PICTURES}")
_HEAD = 1024
#: How files of each kind start, by their formats' own documents; the first that fits.
_STARTS = (
    (rb"\Z", Kind("empty", "copy it again")),
    (rb"\x89PNG\r\n\x1a\n", Kind("a PNG picture", "name it .png")),
    (rb"\xff\xd8\xff", Kind("a JPEG picture", "name it .jpg")),
    (rb"\x89PNG", Kind("a PNG damaged by a transfer as text", "copy it again as binary data")),
    (rb"....ftyp(avi[fs]|m[is]f1.{4}(....)*?avi[fs])", Kind("an AVIF picture", _SAVE)),
    (rb"....ftyp(hei[cxms]|hev[cxms]|mif1|msf1)", Kind("a HEIC picture", _PHONE)),
    (rb"....ftyp|\x1aE\xdf\xa3|RIFF....AVI ", Kind("a video", _FRAME)),
    (rb"RIFF....WEBP", Kind("a WebP picture", _SAVE)),
    (rb"RIFF....WAVE", SOUND),
    (rb"GIF8[79]a", Kind("a GIF picture", _FRAME)),
    (rb"BM.{12}[\x0c-\x7c]\0\0\0", Kind("a BMP picture", _SAVE)),
    (rb"II[*+]\0|MM\0[*+]", Kind("a TIFF or raw picture", _SAVE)),
    (rb"\0\0\0\x0cJXL |\xff\x0a", Kind("a JPEG XL picture", _SAVE)),
    (rb"\0\0\0\x0cjP  |\xff\x4f\xff\x51", Kind("a JPEG 2000 picture", _SAVE)),
    (rb"8BPS", Kind("a Photoshop document", _SAVE)),
    (rb"\0\0[\x01\x02]\0", Kind("an icon", _SAVE)),
    (rb"....[\x11\x12]\xaf", Kind("a FLIC animation", _FRAME)),
    (rb"P[1-7fF]\s", Kind("a Netpbm picture", _SAVE)),
    (rb"%PDF", Kind("a PDF document", _RENDER)),
    (rb"\x04?%!|\xc5\xd0\xd3\xc6", Kind("a PostScript program", _RENDER)),
    (rb"(\xef\xbb\xbf)?\s*<(?i:!doctype\s+html|html)", Kind("a web page", "download the picture itself")),
    (rb"(\xef\xbb\xbf)?\s*<(.*<)?svg\b", Kind("an SVG drawing", _RENDER)),
    (rb"version https://git-lfs", Kind("a placeholder of Git LFS", "git lfs pull")),
    (rb"\x93NUMPY", ARRAYS[0]),
    (rb"PK\x03\x04", ARRAYS[1]),
)


def kind_of(head: bytes) -> Kind:
    """The kind of a file that starts with *head* (some hundred bytes)."""
    found = (kind for start, kind in _STARTS if re.match(start, head, re.DOTALL))
    return next(found, _UNKNOWN)


def kind_of_file(path: Path) -> Kind:
    """The kind of a file; unknown when it cannot be read."""
    try:
        with path.open("rb") as file:
            return kind_of(file.read(_HEAD))
    except OSError:
        return _UNKNOWN
