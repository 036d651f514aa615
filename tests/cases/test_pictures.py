"""The same upright seven, saved as phones and tools save it: ``edgekit run`` says 7, or why it does not read it."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from support.pictures import (
    GREY_ALPHA,
    PALETTE,
    RGB,
    TURNED,
    chunk,
    exif,
    jpeg,
    png,
    saved,
    with_exif,
)

import edgekit
from edgekit.cli.main import run

SEVEN = Path(__file__).parents[2] / "examples" / "digits" / "seven.png"
UPRIGHT = np.asarray(Image.open(SEVEN, formats=["PNG"]).convert("L"))
COLOURS = np.stack([UPRIGHT] * 3, axis=-1)
FULL = np.full_like(UPRIGHT, 255)
WIDE = UPRIGHT.astype(np.uint16) * 257


def image(pixels: np.ndarray = UPRIGHT, mode: str = "L") -> Image.Image:
    return Image.fromarray(pixels).convert(mode)


def turned(orientation: int, pixels: np.ndarray = UPRIGHT) -> np.ndarray:
    return np.ascontiguousarray(TURNED[orientation](pixels))


def of_a_phone() -> bytes:
    """A photograph in portrait with a second picture behind it, as phones write them."""
    first, second = (Image.fromarray(turned(6, pixels)) for pixels in (COLOURS, 255 - COLOURS))
    stream = io.BytesIO()
    first.save(stream, "MPO", save_all=True, append_images=[second], quality=98)
    return with_exif(stream.getvalue(), exif(6, order=">"))


#: How the file is called, and what is in it. Without loss unless it is a JPEG.
SHOWN: dict[str, tuple[str, bytes]] = {
    "upright": ("upright.png", saved("PNG", image())),
    **{f"exif-{each}": (f"exif{each}.jpg", with_exif(jpeg(turned(each)), exif(each))) for each in TURNED},
    **{f"png-exif-{each}": (f"{each}.png", png(turned(each), before=chunk(b"eXIf", exif(each)))) for each in TURNED},
    "of-a-phone": ("IMG_0007.JPG", of_a_phone()),
    "exif-and-grey-16": ("scan.png", png(turned(8, WIDE), 16, before=chunk(b"eXIf", exif(8)))),
    "grey-16": ("grey16.png", saved("PNG", Image.fromarray(WIDE))),
    "rgb-16": ("rgb16.png", png(np.stack([WIDE] * 3, axis=-1), 16, RGB)),
    "grey-16-opaque": ("la16.png", png(np.dstack([WIDE, np.full_like(WIDE, 65535)]), 16, GREY_ALPHA)),
    "rgba-opaque": ("rgba.png", saved("PNG", image(COLOURS, "RGBA"))),
    "la-opaque": ("la.png", saved("PNG", Image.merge("LA", (image(), image(FULL))))),
    "palette": ("palette.png", saved("PNG", image(mode="P"))),
    "palette-of-colours": ("colours.png", saved("PNG", image(COLOURS).quantize(256))),
    "interlaced": ("interlaced.png", png(UPRIGHT, interlaced=True)),
    "cmyk": ("cmyk.jpg", jpeg(COLOURS, mode="CMYK")),
    "progressive": ("progressive.jpg", jpeg(COLOURS, progressive=True)),
    "jpeg-named-png": ("download.png", jpeg(UPRIGHT)),
    "png-named-jpg": ("download.jpg", png(UPRIGHT)),
    "without-a-suffix": ("download", png(UPRIGHT)),
}


def strokes(colour: int) -> bytes:
    """Strokes of one colour, and nothing else."""
    return png(np.dstack([np.full_like(UPRIGHT, colour), UPRIGHT]), 8, GREY_ALPHA)


#: And a word of the refusal, and one of its cure.
REFUSED: dict[str, tuple[str, bytes, str, str]] = {
    "white-strokes": ("transparent.png", strokes(255), "is transparent in", "background"),
    "black-strokes": ("ink.png", strokes(0), "is transparent in", "background"),
    "transparent-palette": (
        "palette.png",
        png(UPRIGHT >> 4, 8, PALETTE, chunk(b"PLTE", bytes(range(48))) + chunk(b"tRNS", b"\0")),
        "is transparent in",
        "background",
    ),
    "postscript": ("seven.png", saved("EPS", image()), "is a PostScript program", "render it as PNG"),
    "heic": ("IMG_0007.jpg", b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(40), "is a HEIC picture", "Most Compatible"),
    "webp": ("download.jpg", saved("WEBP", image(COLOURS)), "is a WebP picture", "save it as PNG or JPEG"),
    "tiff": ("scan.tif", saved("TIFF", image()), "is a TIFF or raw picture", "save it as PNG or JPEG"),
    "cut-off": ("cut.jpg", jpeg(UPRIGHT)[:400], "ends before its picture does", "copy it"),
}


@pytest.fixture
def says(digits_bundle: Path, capsys: pytest.CaptureFixture[str]) -> Callable[[Path], str]:
    """The best label that ``edgekit run`` gives for a file; what it ends with where it gives none."""

    def call(path: Path) -> str:
        status = run(["run", str(digits_bundle), "--input", str(path), "--json", "--quiet"])
        out, err = capsys.readouterr()
        if status:
            assert status == 2 and json.loads(out)["error"]["code"] == "EK-INPUT" and "[EK-INPUT]" in err
            return err
        return str(json.loads(out)["outputs"]["output"]["top"][0]["label"])

    return call


@pytest.mark.parametrize("name", SHOWN)
def test_every_file_shows_a_seven(name: str, says: Callable[[Path], str], tmp_path: Path) -> None:
    called, data = SHOWN[name]
    (tmp_path / called).write_bytes(data)
    pixels = edgekit.read_image(tmp_path / called, 1)
    loss = 12 if data.startswith(b"\xff\xd8") else 0
    assert np.abs(pixels.astype(int) - UPRIGHT).max() <= loss
    assert says(tmp_path / called) == "7"


def test_dots_show_a_seven_too(says: Callable[[Path], str], tmp_path: Path) -> None:
    (tmp_path / "bilevel.png").write_bytes(saved("PNG", image(mode="1")))
    assert says(tmp_path / "bilevel.png") == "7"


@pytest.mark.parametrize("name", REFUSED)
def test_a_file_that_is_not_read_says_why_and_what_to_do(
    name: str, says: Callable[[Path], str], tmp_path: Path
) -> None:
    called, data, why, cure = REFUSED[name]
    (tmp_path / called).write_bytes(data)
    error, hint, *others = says(tmp_path / called).splitlines()
    assert error.startswith("error: ") and called in error and why in error
    assert hint.strip().startswith("hint: ") and cure in hint and not others


def test_on_a_background_strokes_show_a_seven(says: Callable[[Path], str], tmp_path: Path) -> None:
    with Image.open(io.BytesIO(strokes(255)), formats=["PNG"]) as drawn:
        flat = Image.alpha_composite(Image.new("RGBA", drawn.size, "black"), drawn.convert("RGBA"))
    (tmp_path / "flat.png").write_bytes(saved("PNG", flat.convert("RGB")))
    assert np.array_equal(edgekit.read_image(tmp_path / "flat.png", 1), UPRIGHT)
    assert says(tmp_path / "flat.png") == "7"
