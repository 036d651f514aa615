"""PNG: https://www.w3.org/TR/png-3/

Of a file's chunks the header, the palette, the transparent colours, the orientation and the pixels count. The rest
(texts, profiles, gamma, later frames) is left out before Pillow sees any of it.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from edgekit.runtime.pictures import decoded
from edgekit.runtime.pictures.decoded import MOST_PARTS, Picture, PictureError, check_size, decode

SIGNATURE = b"\x89PNG\r\n\x1a\n"
_GREY, _RGB, _PALETTE, _GREY_ALPHA, _RGB_ALPHA = 0, 2, 3, 4, 6
#: Bits of a sample that each colour type may have.
_BITS = {_GREY: (1, 2, 4, 8, 16), _RGB: (8, 16), _PALETTE: (1, 2, 4, 8), _GREY_ALPHA: (8, 16), _RGB_ALPHA: (8, 16)}
#: How many samples a pixel has.
_SAMPLES = {_GREY: 1, _RGB: 3, _PALETTE: 1, _GREY_ALPHA: 2, _RGB_ALPHA: 4}
#: Of the interlaced passes: first column and row, and the steps from there.
_PASSES = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))
_ONE_PASS = ((0, 0, 1, 1),)
#: Of compressed bytes, which become up to 4 MiB.
_STEP = 1 << 12
_DAMAGED = "is a damaged PNG picture"
_FLATTEN = "save it on the background that the model knows, such as: magick IN.png -background black -flatten OUT.png"
_KNOWN = (b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND")


@dataclass(frozen=True)
class _Header:
    width: int
    height: int
    bits: int
    colour: int
    interlaced: bool

    @property
    def raw_bytes(self) -> int:
        """Of all rows, a byte for each one's filter included."""
        row_bits = self.bits * _SAMPLES[self.colour]
        sizes = [
            (-(-(self.width - left) // across), -(-(self.height - top) // down))
            for left, top, across, down in (_PASSES if self.interlaced else _ONE_PASS)
        ]
        return sum(rows * (1 + (columns * row_bits + 7) // 8) for columns, rows in sizes if columns > 0)


def read(data: bytes) -> Picture:
    """The picture in a PNG file. Raises `PictureError`: it is damaged, too large, or transparent in places."""
    from PIL import PngImagePlugin

    chunks = _chunks(data)
    header, raw_header = _header(*next(chunks))
    palette, key, orientation, pixels = b"", b"", decoded.UPRIGHT, []
    for name, body in chunks:
        if name == b"IDAT":
            pixels.append(body)
        elif name == b"PLTE":
            palette = bytes(body)
        elif name == b"tRNS":
            key = bytes(body)
        elif name == b"eXIf":
            orientation = decoded.orientation(bytes(body).removeprefix(b"Exif\0\0"))
    alone = [SIGNATURE, _chunk(b"IHDR", raw_header)]
    if header.colour == _PALETTE:
        alone.append(_chunk(b"PLTE", _whole_palette(palette, 1 << header.bits)))
    compressed = b"".join(pixels)
    _check_whole(compressed, header)
    alone += [_chunk(b"IDAT", compressed), _chunk(b"IEND", b"")]
    image = decode(PngImagePlugin.PngImageFile, b"".join(alone))
    _check_opaque(image, header, key)
    return Picture(_plain(image, header), orientation)


def _chunks(data: bytes) -> Iterator[tuple[bytes, memoryview]]:
    """Name and body of each chunk to the last."""
    view, offset = memoryview(data), len(SIGNATURE)
    for _ in range(MOST_PARTS):
        head = view[offset : offset + 8]
        name, end = bytes(head[4:]), offset + 8 + int.from_bytes(head[:4], "big")
        if end + 4 > len(data):
            raise PictureError("ends before its picture does")
        if name in _KNOWN and zlib.crc32(view[offset + 4 : end]) != int.from_bytes(view[end : end + 4], "big"):
            raise PictureError(_DAMAGED)
        yield name, view[offset + 8 : end]
        if name == b"IEND":
            return
        offset = end + 4
    raise PictureError("is a PNG picture in too many parts")


def _header(name: bytes, body: memoryview) -> tuple[_Header, bytes]:
    if name != b"IHDR" or len(body) != 13:
        raise PictureError(_DAMAGED)
    width, height, bits, colour, compression, filters, interlacing = struct.unpack(">IIBBBBB", body)
    if bits not in _BITS.get(colour, ()) or compression or filters or interlacing > 1:
        raise PictureError("is a PNG picture of a kind that no standard has")
    check_size(width, height)
    return _Header(width, height, bits, colour, bool(interlacing)), bytes(body)


def _check_whole(compressed: bytes, header: _Header) -> None:
    """Refuse what ends early: Pillow (to 13.0) shows black for rows that are missing at the end of a whole stream."""
    stream, left = zlib.decompressobj(), header.raw_bytes
    try:
        for start in range(0, len(compressed), _STEP):
            left -= len(stream.decompress(compressed[start : start + _STEP]))
            if left <= 0 or stream.eof:
                break
    except zlib.error as error:
        raise PictureError(_DAMAGED) from error
    if left > 0:
        raise PictureError(_DAMAGED)


def _chunk(name: bytes, body: bytes) -> bytes:
    return len(body).to_bytes(4, "big") + name + body + zlib.crc32(name + body).to_bytes(4, "big")


def _whole_palette(palette: bytes, colours: int) -> bytes:
    """With black for the colours that it does not define: decoders differ in what they show for them."""
    if not palette or len(palette) % 3 or len(palette) > 3 * colours:
        raise PictureError("is a PNG picture with a damaged palette")
    return palette.ljust(3 * colours, b"\0")


def _check_opaque(image: Any, header: _Header, key: bytes) -> None:
    """Refuse a picture that shows what lies behind it, which nobody here knows. *key* is the body of ``tRNS``."""
    clear = int(np.count_nonzero(_CLEAR[header.colour](image, header, key)))
    if clear:
        pixels = header.width * header.height
        raise PictureError(f"is transparent in {clear} of {pixels} pixels, which show what lies behind them", _FLATTEN)


def _clear_alpha(image: Any, header: _Header, key: bytes) -> Any:
    return np.asarray(image.getchannel("A")) != 255


def _clear_palette(image: Any, header: _Header, key: bytes) -> Any:
    if len(key) > 1 << header.bits:
        raise PictureError(_DAMAGED)
    opaque = np.full(256, 255, np.uint8)
    opaque[: len(key)] = np.frombuffer(key, np.uint8)
    return opaque[np.asarray(image)] != 255


def _clear_colour(image: Any, header: _Header, key: bytes) -> Any:
    """Of 16 bits Pillow gives the higher 8: a colour that is the same in those counts as the transparent one."""
    if not key:
        return False
    if len(key) != 6:
        raise PictureError(_DAMAGED)
    colour = np.frombuffer(key, ">u2") >> header.bits - 8
    return (np.asarray(image) == colour).all(axis=-1)


def _clear_grey(image: Any, header: _Header, key: bytes) -> Any:
    if not key:
        return False
    if len(key) != 2:
        raise PictureError(_DAMAGED)
    grey = int.from_bytes(key, "big")
    if header.bits < 8:  # which Pillow spreads over 0 to 255
        grey *= 255 // ((1 << header.bits) - 1)
    return np.asarray(image if header.bits == 16 else image.convert("L")) == grey


#: For each colour type: which pixels are not opaque.
_CLEAR = {
    _GREY: _clear_grey,
    _RGB: _clear_colour,
    _PALETTE: _clear_palette,
    _GREY_ALPHA: _clear_alpha,
    _RGB_ALPHA: _clear_alpha,
}


def _plain(image: Any, header: _Header) -> Any:
    """In mode L or RGB."""
    from PIL import Image

    if header.colour == _GREY and header.bits == 16:
        # The higher 8 bits, as Pillow and browsers take them of colours; convert("L") would clip.
        return Image.fromarray((np.asarray(image).astype(np.uint16) >> 8).astype(np.uint8))
    return image.convert("L" if header.colour in (_GREY, _GREY_ALPHA) else "RGB")
