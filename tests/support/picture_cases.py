"""Pictures that are read, with the pixels that they show, and files that are not, with what is said of them."""

from __future__ import annotations

import io
import struct
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageCms
from support.pictures import (
    GREY,
    GREY_ALPHA,
    PALETTE,
    RGB,
    RGB_ALPHA,
    SIGNATURE,
    TURNED,
    chunk,
    exif,
    grey,
    header,
    jpeg,
    photograph,
    png,
    saved,
    segment,
    with_exif,
)

#: How far pixels of a JPEG of the best quality may be from those that were saved.
LOSS = 12

PHOTOGRAPH = photograph()
PLAIN = grey(PHOTOGRAPH)


@dataclass(frozen=True)
class Shown:
    """A file and what it shows: uint8 (height, width) or (height, width, 3), give or take *loss*."""

    data: bytes
    pixels: np.ndarray
    loss: int = 0


@dataclass(frozen=True)
class NotRead:
    """A file, and a word of the line that refuses it."""

    data: bytes
    word: str


def _turned() -> dict[str, Shown]:
    cases = {}
    for orientation, turn in TURNED.items():
        stored = np.ascontiguousarray(turn(PHOTOGRAPH))
        photo = jpeg(stored)
        for order, name in (("<", "little"), (">", "big")):
            data = exif(orientation, order=order)
            cases[f"jpeg-{orientation}-{name}"] = Shown(with_exif(photo, data), PHOTOGRAPH, LOSS)
            cases[f"png-{orientation}-{name}"] = Shown(png(stored, 8, RGB, chunk(b"eXIf", data)), PHOTOGRAPH)
    flipped = np.ascontiguousarray(np.flipud(PLAIN))
    cases["png-grey-4"] = Shown(png(flipped, before=chunk(b"eXIf", exif(4))), PLAIN)
    cases["png-late-exif"] = Shown(png(flipped, after=chunk(b"eXIf", exif(4))), PLAIN)
    cases["png-exif-with-prefix"] = Shown(png(flipped, before=chunk(b"eXIf", b"Exif\0\0" + exif(4))), PLAIN)
    cases["jpeg-first-exif-counts"] = Shown(with_exif(with_exif(jpeg(PHOTOGRAPH), exif(3)), exif(1)), PHOTOGRAPH, LOSS)
    thumbnail = exif(1) + jpeg(PHOTOGRAPH[::4, ::4])
    cases["jpeg-thumbnail"] = Shown(with_exif(jpeg(PHOTOGRAPH), thumbnail), PHOTOGRAPH, LOSS)
    return cases


def _broken_exif() -> dict[str, Shown]:
    broken = {
        "empty": b"",
        "no-order": b"XX*\0" + exif(6)[4:],
        "truncated": exif(6)[:30],
        "far": b"II*\0\xff\xff\xff\xff" + exif(6)[8:],
        "itself": b"II*\0" + struct.pack("<IH", 4, 0xFFFF),
        "many": exif(6)[:8] + b"\xff\xff",
        "zero": exif(0),
        "nine": exif(9),
        "long": exif(6, kind=4),
        "bytes": exif(6, kind=1),
        "two": exif(6, count=2),
        "none": exif(6, count=0),
    }
    cases = {
        f"jpeg-exif-{name}": Shown(with_exif(jpeg(PHOTOGRAPH), data), PHOTOGRAPH, LOSS) for name, data in broken.items()
    }
    return cases | {
        f"png-exif-{name}": Shown(png(PHOTOGRAPH, 8, RGB, chunk(b"eXIf", data)), PHOTOGRAPH)
        for name, data in broken.items()
    }


def _depths() -> dict[str, Shown]:
    cases = {}
    for bits in (1, 2, 4):
        few = PLAIN >> 8 - bits
        spread = few * (255 // ((1 << bits) - 1))
        cases[f"png-grey-{bits}"] = Shown(png(few, bits), spread)
        cases[f"png-grey-{bits}-interlaced"] = Shown(png(few, bits, interlaced=True), spread)
        colours = np.random.default_rng(bits).integers(0, 256, (1 << bits, 3), np.uint8)
        palette = chunk(b"PLTE", colours.tobytes())
        cases[f"png-palette-{bits}"] = Shown(png(few, bits, PALETTE, palette), colours[few])
    wide = PHOTOGRAPH.astype(np.uint16) * 256 + np.random.default_rng(1).integers(0, 256, PHOTOGRAPH.shape, np.uint16)
    opaque = np.full((*PLAIN.shape, 1), 65535)
    cases["png-grey-16"] = Shown(png(wide[..., 0], 16), PHOTOGRAPH[..., 0])
    cases["png-grey-16-interlaced"] = Shown(png(wide[..., 0], 16, interlaced=True), PHOTOGRAPH[..., 0])
    cases["png-rgb-16"] = Shown(png(wide, 16, RGB), PHOTOGRAPH)
    cases["png-grey-alpha-16"] = Shown(png(np.dstack([wide[..., :1], opaque]), 16, GREY_ALPHA), PHOTOGRAPH[..., 0])
    cases["png-rgb-alpha-16"] = Shown(png(np.dstack([wide, opaque]), 16, RGB_ALPHA), PHOTOGRAPH)
    return cases


def _opaque() -> dict[str, Shown]:
    """Files that could be transparent and are not."""
    full = np.full((*PLAIN.shape, 1), 255, np.uint8)
    indices = PLAIN >> 4
    colours = np.random.default_rng(2).integers(0, 256, (16, 3), np.uint8)
    unused = chunk(b"PLTE", colours.tobytes() + b"\1\2\3") + chunk(b"tRNS", b"\xff" * 16 + b"\0")
    even = PLAIN & 0xFE
    wide = even.astype(np.uint16) * 257
    return {
        "png-grey-alpha": Shown(png(np.dstack([PLAIN[..., None], full]), 8, GREY_ALPHA), PLAIN),
        "png-rgb-alpha": Shown(png(np.dstack([PHOTOGRAPH, full]), 8, RGB_ALPHA), PHOTOGRAPH),
        "png-palette-unused-alpha": Shown(png(indices, 8, PALETTE, unused), colours[indices]),
        "png-grey-unused-key": Shown(png(even, before=chunk(b"tRNS", b"\0\1")), even),
        "png-grey-16-unused-key": Shown(
            png(wide, 16, before=chunk(b"tRNS", struct.pack(">H", int(wide[0, 0]) + 1))), even
        ),
        "png-rgb-unused-key": Shown(png(PHOTOGRAPH, 8, RGB, chunk(b"tRNS", b"\0\0\0\0\0\0")), PHOTOGRAPH),
        "png-alpha-and-key": Shown(
            png(np.dstack([PHOTOGRAPH, full]), 8, RGB_ALPHA, chunk(b"tRNS", b"\0\0\0\0\0\0")), PHOTOGRAPH
        ),
        "png-palette-too-short": Shown(
            png(PLAIN >> 4, 8, PALETTE, chunk(b"PLTE", colours[:4].tobytes())),
            np.vstack([colours[:4], np.zeros((12, 3), np.uint8)])[PLAIN >> 4],
        ),
    }


def _profiles() -> dict[str, Shown]:
    """What says how colours are meant; the values are those that are stored."""
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    # Its red, green and blue the other way round: whatever applies it shows other colours.
    swapped = profile.replace(b"rXYZ", b"tmp!").replace(b"bXYZ", b"rXYZ").replace(b"tmp!", b"bXYZ")
    chromaticities = struct.pack(">8I", 31270, 32900, 70800, 29200, 17000, 79700, 13100, 4600)
    text = b"Software\0x" * 2
    chunks = {
        "profile": saved("PNG", Image.fromarray(PHOTOGRAPH), icc_profile=swapped),
        "gamma": png(PHOTOGRAPH, 8, RGB, chunk(b"gAMA", struct.pack(">I", 100000))),
        "gamma-chromaticities": png(
            PHOTOGRAPH, 8, RGB, chunk(b"gAMA", struct.pack(">I", 100000)) + chunk(b"cHRM", chromaticities)
        ),
        "hdr": png(PHOTOGRAPH, 8, RGB, chunk(b"cICP", bytes((9, 16, 0, 1)))),
        "texts": png(PHOTOGRAPH, 8, RGB, chunk(b"tEXt", text) + chunk(b"bKGD", bytes(6)), chunk(b"tIME", bytes(7))),
        "pieces": png(PHOTOGRAPH, 8, RGB, pieces=9),
        "interlaced": png(PHOTOGRAPH, 8, RGB, interlaced=True),
        "density": png(PHOTOGRAPH, 8, RGB, chunk(b"pHYs", struct.pack(">IIB", 1, 2, 0))),
    }
    return {f"png-{name}": Shown(data, PHOTOGRAPH) for name, data in chunks.items()} | {
        "jpeg-profile": Shown(jpeg(PHOTOGRAPH, icc_profile=swapped), PHOTOGRAPH, LOSS)
    }


def _animated() -> dict[str, Shown]:
    frames = [Image.fromarray(PHOTOGRAPH), Image.fromarray(255 - PHOTOGRAPH)]
    stream = io.BytesIO()
    frames[0].save(stream, "MPO", save_all=True, append_images=frames[1:], quality=98, subsampling=0)
    photo = jpeg(PHOTOGRAPH)
    return {
        "apng": Shown(saved("PNG", frames[0], save_all=True, append_images=frames[1:]), PHOTOGRAPH),
        "apng-beside": Shown(
            saved("PNG", frames[0], save_all=True, append_images=frames[1:], default_image=True), PHOTOGRAPH
        ),
        "mpo": Shown(stream.getvalue(), PHOTOGRAPH, LOSS),
        "jpeg-with-video": Shown(photo + b"\0\0\0\x18ftypmp42" + bytes(99), PHOTOGRAPH, LOSS),
    }


def _jpegs() -> dict[str, Shown]:
    photo = jpeg(PHOTOGRAPH)
    adobe = b"Adobe\0\x64\0\0\0\0"
    cmyk = jpeg(PHOTOGRAPH, mode="CMYK")
    place = cmyk.index(b"\xff\xee")
    without = cmyk[:place] + cmyk[place + 16 :]
    assert b"Adobe" in cmyk and b"Adobe" not in without
    inks = np.asarray(Image.fromarray(255 - PHOTOGRAPH).convert("YCbCr"))
    black = Image.merge("CMYK", [*Image.fromarray(255 - inks, "RGB").split(), Image.new("L", inks.shape[1::-1], 0)])
    ycck = saved("JPEG", black, quality=98, subsampling=0).replace(cmyk[place + 4 : place + 16], adobe + b"\2")
    assert ycck.count(adobe + b"\2") == 1
    # With black ink, too, of which Pillow uses none when it makes CMYK.
    four = Image.merge("CMYK", [*Image.fromarray(255 - PHOTOGRAPH).split(), Image.fromarray(PLAIN[::-1])])
    printed = 255 - np.asarray(four).astype(int)
    printed = (printed[..., :3] * printed[..., 3:] // 255).astype(np.uint8)
    files = {
        "progressive": jpeg(PHOTOGRAPH, progressive=True),
        "optimized": jpeg(PHOTOGRAPH, optimize=True),
        "restarts": jpeg(PHOTOGRAPH, restart_marker_blocks=1),
        "rgb": jpeg(PHOTOGRAPH, keep_rgb=True),
        "comment": jpeg(PHOTOGRAPH, comment=b"\xff\xd9" * 9),
        "filled": photo[:2] + b"\xff\xff\xff" + photo[2:],
        "cmyk": cmyk,
        "cmyk-without-adobe": without,
        "ycck": ycck,
    }
    shown = {f"jpeg-{name}": Shown(data, PHOTOGRAPH, LOSS) for name, data in files.items()}
    return {
        **shown,
        "jpeg-cmyk-with-black": Shown(saved("JPEG", four, quality=98), printed, LOSS),
        "jpeg-grey": Shown(jpeg(PLAIN), PLAIN, LOSS),
    }


READ: dict[str, Shown] = {
    **_turned(),
    **_broken_exif(),
    **_depths(),
    **_opaque(),
    **_profiles(),
    **_animated(),
    **_jpegs(),
    "png-grey": Shown(png(PLAIN), PLAIN),
    "png-rgb": Shown(png(PHOTOGRAPH, 8, RGB), PHOTOGRAPH),
    "png-one-pixel": Shown(png(np.array([[7]], np.uint8)), np.array([[7]], np.uint8)),
    "png-wide": Shown(png(np.arange(9000, dtype=np.uint8)[None] * 3), np.arange(9000, dtype=np.uint8)[None] * 3),
}


def _transparent() -> dict[str, NotRead]:
    stroke = np.full((*PLAIN.shape, 1), 255, np.uint8)
    half = (
        np.where(np.arange(PLAIN.shape[1]) < 5, 254, 255).astype(np.uint8)
        * np.ones((*PLAIN.shape, 1), np.uint8)[..., 0]
    )
    few = PLAIN >> 4
    palette = chunk(b"PLTE", bytes(range(48)))
    wide = PLAIN.astype(np.uint16) * 257
    key = struct.pack(">H", int(wide[3, 4]))
    files = {
        "white-strokes": png(np.dstack([stroke, stroke, stroke, PLAIN]), 8, RGB_ALPHA),
        "black-strokes": png(np.dstack([0 * stroke, PLAIN]), 8, GREY_ALPHA),
        "nearly-opaque": png(np.dstack([PHOTOGRAPH, half]), 8, RGB_ALPHA),
        "nothing-shown": png(np.dstack([PHOTOGRAPH, 0 * half]), 8, RGB_ALPHA, chunk(b"eXIf", exif(6))),
        "rgb-16": png(np.dstack([PHOTOGRAPH, half]).astype(np.uint16) * 257, 16, RGB_ALPHA),
        "grey-16": png(np.dstack([PLAIN, half]).astype(np.uint16) * 257, 16, GREY_ALPHA),
        "palette": png(few, 8, PALETTE, palette + chunk(b"tRNS", bytes([255] * 5 + [128]))),
        "palette-4": png(few, 4, PALETTE, palette + chunk(b"tRNS", bytes(int(few[3, 4]) + 1))),
        "grey-key": png(PLAIN, before=chunk(b"tRNS", struct.pack(">H", int(PLAIN[3, 4])))),
        "grey-key-2": png(PLAIN >> 6, 2, before=chunk(b"tRNS", b"\0\2")),
        "grey-key-16": png(wide, 16, before=chunk(b"tRNS", key)),
        "rgb-key": png(PHOTOGRAPH, 8, RGB, chunk(b"tRNS", struct.pack(">3H", *PHOTOGRAPH[3, 4].tolist()))),
        "interlaced": png(np.dstack([PLAIN[..., None], half]), 8, GREY_ALPHA, interlaced=True),
    }
    return {f"transparent-{name}": NotRead(data, "transparent") for name, data in files.items()}


def _other_kinds() -> dict[str, NotRead]:
    image = Image.fromarray(PHOTOGRAPH)

    def box(brand: bytes, *others: bytes) -> bytes:
        body = brand + bytes(4) + b"".join(others)
        return struct.pack(">I", len(body) + 8) + b"ftyp" + body + bytes(64)

    kinds = {
        "webp": (saved("WEBP", image), "a WebP"),
        "gif": (saved("GIF", image), "a GIF"),
        "bmp": (saved("BMP", image), "a BMP"),
        "tiff": (saved("TIFF", image), "a TIFF"),
        "tiff-big-endian": (b"MM\0*\0\0\0\x08\0\0", "a TIFF"),
        "avif": (box(b"avif", b"mif1", b"miaf"), "an AVIF"),
        "avif-as-heif": (box(b"mif1", b"mif1", b"miaf", b"avif"), "an AVIF"),
        "heic": (box(b"heic", b"mif1", b"heic"), "a HEIC"),
        "heic-sequence": (box(b"hevc", b"msf1"), "a HEIC"),
        "heif": (box(b"mif1", b"heic"), "a HEIC"),
        "mp4": (box(b"isom", b"mp42"), "a video"),
        "webm": (b"\x1aE\xdf\xa3" + bytes(40), "a video"),
        "wav": (b"RIFF\x24\0\0\0WAVEfmt " + bytes(30), "a sound"),
        "jpeg-2000": (saved("JPEG2000", image), "a JPEG 2000"),
        "jpeg-xl": (b"\xff\x0a" + bytes(40), "a JPEG XL"),
        "ico": (saved("ICO", image), "an icon"),
        "ppm": (saved("PPM", image), "a Netpbm"),
        "psd": (b"8BPS\0\1" + bytes(40), "a Photoshop"),
        "fli": (struct.pack("<IHHHHHH", 128, 0xAF11, 1, 8, 8, 8, 3) + bytes(112), "a FLIC"),
        "eps": (saved("EPS", image), "a PostScript"),
        "ps": (b"%!PS-Adobe-3.0\nshowpage\n", "a PostScript"),
        "eps-binary": (b"\xc5\xd0\xd3\xc6" + bytes(40), "a PostScript"),
        "pdf": (b"%PDF-1.7\n", "a PDF"),
        "svg": (b'<svg xmlns="http://www.w3.org/2000/svg"/>', "an SVG"),
        "svg-with-head": (b'\xef\xbb\xbf<?xml version="1.0"?>\n<!-- a -->\n<svg/>', "an SVG"),
        "html": (b"\n<!DOCTYPE html><html><body>404</body></html>", "a web page"),
        "lfs": (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "Git LFS"),
        "npy": (b"\x93NUMPY\1\0", "a numpy array"),
        "zip": (b"PK\3\4" + bytes(40), "a zip archive"),
        "text-transfer": (png(PLAIN).replace(b"\r\n", b"\n"), "transfer as text"),
        "empty": (b"", "empty"),
        "short": (b"\xff\xd8", "something else"),
        "noise": (np.random.default_rng(3).bytes(400), "something else"),
    }
    return {f"kind-{name}": NotRead(data, word) for name, (data, word) in kinds.items()}


def _too_large() -> dict[str, NotRead]:
    def frame(height: int, width: int, marker: int = 0xC0) -> bytes:
        body = struct.pack(">BHHB", 8, height, width, 1) + b"\1\x11\0"
        return b"\xff\xd8" + segment(marker, body) + segment(0xDA, b"\1\1\0\0\x3f\0") + b"\0\xff\xd9"

    def bomb(width: int, height: int) -> bytes:
        return SIGNATURE + header(width, height) + chunk(b"IDAT", b"x\x9c") + chunk(b"IEND")

    large = {
        "png-200-megapixels": bomb(16320, 12240),
        "png-long": bomb(1, 0x7FFFFFFF),
        "png-largest": bomb(0xFFFFFFFF, 0xFFFFFFFF),
        "jpeg-200-megapixels": frame(12240, 16320),
        "jpeg-largest": frame(65535, 65535),
        "jpeg-largest-progressive": frame(65535, 65535, 0xC2),
    }
    empty = {"png-no-width": bomb(0, 9), "png-no-height": bomb(9, 0), "jpeg-no-width": frame(9, 0)}
    # Whose height comes behind the first scan, which hardly anything reads.
    empty["jpeg-no-height"] = frame(0, 9)
    return {name: NotRead(data, "more than 67,108,864") for name, data in large.items()} | {
        name: NotRead(data, "without pixels") for name, data in empty.items()
    }


def _damaged() -> dict[str, NotRead]:
    file, photo = png(PHOTOGRAPH, 8, RGB, pieces=3), jpeg(PHOTOGRAPH)
    body = header(37, 23, 8, RGB)
    pixels = file[len(SIGNATURE + body) : -12]
    start, end = photo.index(b"\xff\xc0"), photo.index(b"\xff\xda")
    cases = {f"png-cut-{length}": NotRead(file[:length], "ends before") for length in range(8, len(file), 97)}
    cases |= {f"jpeg-cut-{length}": NotRead(photo[:length], "ends before") for length in range(3, len(photo), 97)}

    def with_frame(marker: int, bits: int = 8, components: int | None = None) -> bytes:
        changed = bytearray(photo)
        changed[start + 1], changed[start + 4] = marker, bits
        if components is None:
            return bytes(changed)
        frame = segment(marker, photo[start + 4 : start + 9] + bytes([components]) + b"\1\x11\0" * components)
        return photo[:start] + frame + photo[end:]

    def with_header(*fields: int) -> bytes:
        return SIGNATURE + header(37, 23, *fields) + pixels + chunk(b"IEND")

    others = {
        "png-check-sum": (file[:-20] + bytes([file[-20] ^ 1]) + file[-19:], "damaged"),
        "png-header-check-sum": (file.replace(body, body[:-1] + bytes([body[-1] ^ 1])), "damaged"),
        "png-no-pixels": (SIGNATURE + body + chunk(b"IEND"), "damaged"),
        "png-few-pixels": (png(PHOTOGRAPH[:9], 8, RGB).replace(header(37, 9, 8, RGB), body), "damaged"),
        "png-no-header": (SIGNATURE + pixels + chunk(b"IEND"), "damaged"),
        "png-of-apple": (SIGNATURE + chunk(b"CgBI", b"\x50\0\x20\x02") + file[8:], "damaged"),
        "png-filter": (SIGNATURE + header(4, 4) + chunk(b"IDAT", b"x\x9c\x03\0\0\0\0\x01") + chunk(b"IEND"), "damaged"),
        "png-3-bits": (with_header(3, GREY), "no standard"),
        "png-palette-16": (with_header(16, PALETTE), "no standard"),
        "png-rgb-4": (with_header(4, RGB), "no standard"),
        "png-colour-5": (with_header(8, 5), "no standard"),
        "png-compression": (with_header(8, RGB, 1, 0, 0), "no standard"),
        "png-interlacing": (with_header(8, RGB, 0, 0, 2), "no standard"),
        "png-no-palette": (png(PLAIN, 8, PALETTE), "palette"),
        "png-half-a-colour": (png(PLAIN, 8, PALETTE, chunk(b"PLTE", b"\1\2\3\4")), "palette"),
        "png-palette-too-long": (png(PLAIN >> 7, 1, PALETTE, chunk(b"PLTE", bytes(9))), "palette"),
        "jpeg-nothing": (b"\xff\xd8\xff\xd9", "frames"),
        "jpeg-no-scan": (photo[:end] + b"\xff\xd9", "frames"),
        "jpeg-two-frames": (photo[:start] + photo[start:end] * 2 + photo[end:], "frames"),
        "jpeg-many-scans": (photo[:-2] + photo[end:-2] * 200 + b"\xff\xd9", "scans"),
        "jpeg-again": (photo[:2] + photo, "damaged"),
        "jpeg-no-tables": (photo[:2] + photo[start:], "damaged"),
        "jpeg-12-bits": (with_frame(0xC1, 12), "12 bits"),
        "jpeg-lossless": (with_frame(0xC3), "lossless"),
        "jpeg-hierarchical": (with_frame(0xC5), "hierarchical"),
        "jpeg-arithmetic": (with_frame(0xC9), "arithmetic"),
        "jpeg-two-colours": (with_frame(0xC0, components=2), "2 colours"),
        "jpeg-short-frame": (photo[:start] + segment(0xC0, b"\x08\0") + photo[end:], "damaged"),
        "jpeg-length": (photo[:start] + b"\xff\xc0\0\1" + photo[start:], "damaged"),
    }
    return cases | {name: NotRead(data, word) for name, (data, word) in others.items()}


NOT_READ: dict[str, NotRead] = {**_transparent(), **_other_kinds(), **_too_large(), **_damaged()}
