"""JPEG: https://www.w3.org/Graphics/JPEG/itu-t81.pdf

Of a file's segments the tables, the frame, its scans, the orientation and the two that tell how colours are stored
count. The rest (thumbnails, profiles, texts, further pictures behind the first, as phones write them) is left out
before Pillow sees any of it.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from typing import Any

import numpy as np

from edgekit.runtime.pictures import decoded
from edgekit.runtime.pictures.decoded import MOST_PARTS, Picture, PictureError, check_size, decode

SIGNATURE = b"\xff\xd8\xff"
_START, _END, _SCAN = 0xD8, 0xD9, 0xDA
_EXIF, _EXIF_START = 0xE1, b"Exif\0\0"
#: Huffman and quantization tables, the restart interval.
_TABLES = (0xC4, 0xDB, 0xDD)
#: What tells how colours are stored, and how these segments start.
_COLOURS = {0xE0: b"JFIF\0", 0xEE: b"Adobe"}
#: Markers that stand alone.
_BARE = (0x01, *range(0xD0, 0xD8))
_FRAMES = (0xC0, 0xC1, 0xC2)
#: Frames that browsers do not decode either.
_OTHER_FRAMES = {
    **dict.fromkeys((0xC3, 0xC7, 0xCB, 0xCF), "lossless"),
    **dict.fromkeys((0xC5, 0xC6, 0xCD, 0xCE), "hierarchical"),
    **dict.fromkeys((0xC9, 0xCA), "arithmetic-coded"),
}
#: Each goes over the whole picture; programs write about ten.
_MOST_SCANS = 100
_MARKER = re.compile(rb"\xff+([^\x00\xff])", re.DOTALL)
#: In a scan, 0xff followed by 0 is a value, and restart markers are part of it.
_SCAN_END = re.compile(rb"\xff+[^\x00\xff\xd0-\xd7]", re.DOTALL)
_ENDS_EARLY = "ends before its picture does"
_DAMAGED = "is a damaged JPEG picture"
_SAVE_PLAIN = "save it as an ordinary JPEG or PNG"


def read(data: bytes) -> Picture:
    """The first picture in a JPEG file.

    Raises:
        PictureError: It is damaged, too large, or of a kind that hardly anything decodes.
    """
    from PIL import JpegImagePlugin

    alone, orientation = _alone(data)
    image = decode(JpegImagePlugin.JpegImageFile, alone)
    return Picture(_of_inks(image) if image.mode == "CMYK" else image, orientation)


def _of_inks(image: Any) -> Any:
    """RGB of CMYK, rounded down as Chromium does; Pillow (to 13.0) rounds to the nearest."""
    from PIL import Image

    inks = np.asarray(image)
    light = (255 - inks[..., 3]).astype(np.uint16)
    colours = np.empty((*inks.shape[:2], 3), np.uint8)
    for colour in range(3):
        colours[..., colour] = (255 - inks[..., colour]) * light // 255
    return Image.fromarray(colours)


def _alone(data: bytes) -> tuple[bytes, int]:
    """The first picture as a file that holds nothing else, and its orientation."""
    kept, orientation, frames, scans = [data[:2]], None, 0, 0
    for marker, body, scan in _segments(data):
        if marker in _FRAMES or marker in _OTHER_FRAMES:
            _check_frame(marker, body)
            frames += 1
        elif marker == _SCAN:
            scans += 1
        elif marker == _EXIF and body.startswith(_EXIF_START) and orientation is None:
            orientation = decoded.orientation(body[len(_EXIF_START) :])
            continue
        elif marker not in _TABLES and not (marker in _COLOURS and body.startswith(_COLOURS[marker])):
            continue
        kept += [bytes((0xFF, marker)), (len(body) + 2).to_bytes(2, "big"), body, scan]
    if frames != 1 or not 1 <= scans <= _MOST_SCANS:
        raise PictureError(f"is a JPEG file of {frames} frames and {scans} scans", _SAVE_PLAIN)
    return b"".join((*kept, b"\xff\xd9")), orientation or decoded.UPRIGHT


def _segments(data: bytes) -> Iterator[tuple[int, bytes, bytes]]:
    """Of each segment up to the first picture's end: its marker, its body, and the scan behind it, if it starts one."""
    position = 2
    for _ in range(MOST_PARTS):
        found = _MARKER.search(data, position)
        if found is None:
            raise PictureError(_ENDS_EARLY)
        marker, position = found[1][0], found.end()
        if marker == _END:
            return
        if marker in _BARE:
            continue
        end = position + int.from_bytes(data[position : position + 2], "big")
        if marker == _START or end < position + 2:
            raise PictureError(_DAMAGED)
        body, scan = data[position + 2 : end], b""
        if marker == _SCAN:
            stop = _SCAN_END.search(data, end)
            if stop is None:
                raise PictureError(_ENDS_EARLY)
            scan = data[end : stop.start()]
        yield marker, body, scan
        position = end + len(scan)
    raise PictureError("is a JPEG picture in too many parts")


def _check_frame(marker: int, body: bytes) -> None:
    if marker in _OTHER_FRAMES:
        raise PictureError(f"is a {_OTHER_FRAMES[marker]} JPEG picture", _SAVE_PLAIN)
    if len(body) < 6 or len(body) != 6 + 3 * body[5]:
        raise PictureError(_DAMAGED)
    bits, height, width, components = struct.unpack(">BHHB", body[:6])
    if bits != 8:
        raise PictureError(f"is a JPEG picture of {bits} bits a value", _SAVE_PLAIN)
    if components not in (1, 3, 4):
        raise PictureError(f"is a JPEG picture of {components} colours", _SAVE_PLAIN)
    check_size(width, height)
