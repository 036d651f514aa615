"""Pictures are read as they are shown, or refused in one line that says what they are and what to do."""

from __future__ import annotations

import os
import subprocess
import sys
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from support.picture_cases import NOT_READ, PHOTOGRAPH, PLAIN, READ, NotRead, Shown
from support.pictures import RGB, SIGNATURE, chunk, grey, header, jpeg, png, saved

import edgekit
from edgekit.errors import UsageError
from edgekit.runtime.pictures.decoded import MOST_PIXELS
from edgekit.runtime.preprocess import read_sample


def refusal(path: Path, channels: int | None = None) -> UsageError:
    with pytest.raises(UsageError) as caught:
        edgekit.read_image(path, channels)
    return caught.value


@pytest.mark.parametrize("case", READ.values(), ids=READ)
def test_it_is_read_as_it_is_shown(case: Shown, tmp_path: Path) -> None:
    (tmp_path / "picture").write_bytes(case.data)
    pixels = edgekit.read_image(tmp_path / "picture")
    assert (pixels.shape, pixels.dtype, pixels.flags.c_contiguous) == (case.pixels.shape, np.uint8, True)
    assert np.abs(pixels.astype(int) - case.pixels).max() <= case.loss
    # As grey and as colour it is the same picture.
    colours = pixels if pixels.ndim == 3 else np.stack([pixels] * 3, axis=-1)
    assert np.array_equal(edgekit.read_image(tmp_path / "picture", 3), colours)
    assert np.array_equal(edgekit.read_image(tmp_path / "picture", 1), pixels if pixels.ndim == 2 else grey(pixels))


@pytest.mark.parametrize("case", NOT_READ.values(), ids=NOT_READ)
def test_it_is_refused_in_one_line_with_a_cure(case: NotRead, tmp_path: Path) -> None:
    (tmp_path / "picture.png").write_bytes(case.data)
    tracemalloc.start()
    error = refusal(tmp_path / "picture.png")
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert error.code == "EK-INPUT"
    assert error.message.startswith(f"{tmp_path / 'picture.png'} ") and case.word in error.message
    assert error.hint and "\n" not in error.message + error.hint
    assert most < 5_000_000  # nothing is decoded of what says that it is large


def test_there_are_neighbours_of_every_kind() -> None:
    assert len(READ) >= 100 and len(NOT_READ) >= 100 and not set(READ) & set(NOT_READ)
    for orientation in range(1, 9):
        assert {f"jpeg-{orientation}-big", f"png-{orientation}-little"} <= set(READ)


@pytest.mark.parametrize("name", ["a.jpg", "a.JPEG", "a.png", "a.PNG", "a.heic", "a.gif", "a.txt", "a", ".png"])
@pytest.mark.parametrize("data", [png(PHOTOGRAPH, 8, RGB), jpeg(PHOTOGRAPH)], ids=["png", "jpeg"])
def test_contents_count_not_names(data: bytes, name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(data)
    assert np.abs(read_sample(tmp_path / name).astype(int) - PHOTOGRAPH).max() <= 12


@pytest.mark.parametrize(
    ("name", "data", "said", "hint"),
    [
        ("a.npy", png(PLAIN), "holds no numpy arrays: it is a PNG picture", "name it .png"),
        ("a.npz", jpeg(PLAIN), "holds no numpy arrays: it is a JPEG picture", "name it .jpg"),
        ("a.wav", png(PLAIN), "is not a PCM sound file: it is a PNG picture", "name it .png"),
        ("a.npy", b"%!PS", "it is a PostScript program", "render it as PNG"),
        ("a.npy", b"\x80\x04]", "a.npy holds no numpy arrays", "save it with numpy.save"),
        ("a.png", b"\x93NUMPY\1\0", "is a numpy array, not a PNG or JPEG picture", "name it .npy"),
        ("a.jpg", b"RIFF\0\0\0\0WAVEfmt ", "is a sound, not a PNG or JPEG picture", "name it .wav"),
    ],
)
def test_names_of_other_kinds_of_samples_are_no_riddles(
    name: str, data: bytes, said: str, hint: str, tmp_path: Path
) -> None:
    (tmp_path / name).write_bytes(data)
    with pytest.raises(UsageError) as caught:
        read_sample(tmp_path / name)
    assert caught.value.message.endswith(said) and caught.value.hint == hint
    assert caught.value.code == "EK-INPUT"


#: Reads every file in the folder that it is given, and prints which of Pillow's readers it has.
_READ_ALL = """
import sys
from pathlib import Path
import edgekit
from edgekit.errors import EdgekitError
for path in sorted(Path(sys.argv[1]).iterdir()):
    try:
        edgekit.read_image(path)
    except EdgekitError:
        pass
print(*sorted(name for name in sys.modules if name.startswith("PIL.") and name.endswith("Plugin")))
"""
_OPEN_WITH_PILLOW = "import sys; from PIL import Image; Image.open(sys.argv[1]).load()"


def test_no_file_starts_a_program_or_another_reader(tmp_path: Path) -> None:
    programs, files, mark = tmp_path / "programs", tmp_path / "files", tmp_path / "started"
    programs.mkdir()
    files.mkdir()
    (programs / "gs").write_text(f"#!/bin/sh\n: > {mark}\nexit 1\n")
    (programs / "gs").chmod(0o755)
    for number, case in enumerate((*READ.values(), *NOT_READ.values())):
        (files / f"{number}.png").write_bytes(case.data)
    drawing = tmp_path / "drawing.png"
    drawing.write_bytes(saved("EPS", Image.fromarray(PHOTOGRAPH)))
    (files / "drawing.png").write_bytes(drawing.read_bytes())
    environment = {**os.environ, "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}"}

    def python(program: str, argument: Path, check: bool) -> str:
        command = [sys.executable, "-c", program, str(argument)]
        return subprocess.run(command, env=environment, check=check, capture_output=True, text=True, timeout=60).stdout

    assert set(python(_READ_ALL, files, True).split()) <= {"PIL.PngImagePlugin", "PIL.JpegImagePlugin"}
    assert not mark.exists()
    python(_OPEN_WITH_PILLOW, drawing, False)
    assert mark.exists()  # which is what Pillow does when it may choose among all its readers


def test_what_is_not_shown_is_not_unpacked(tmp_path: Path) -> None:
    """Texts and profiles of a PNG file are compressed, too: 64 MiB of each in 64 kB."""
    import zlib

    stream = zlib.compressobj()
    bomb = b"".join((*(stream.compress(bytes(1 << 20)) for _ in range(64)), stream.flush()))
    others = chunk(b"zTXt", b"a\0\0" + bomb) + chunk(b"iTXt", b"a\0\1\0\0\0" + bomb) + chunk(b"iCCP", b"a\0\0" + bomb)
    (tmp_path / "a.png").write_bytes(png(PHOTOGRAPH, 8, RGB, others, others))
    # More pixels than the header says are left alone, as decoders do.
    pixels = SIGNATURE + header(3, 3) + chunk(b"IDAT", bomb) + chunk(b"IEND")
    (tmp_path / "b.png").write_bytes(pixels)
    tracemalloc.start()
    assert np.array_equal(edgekit.read_image(tmp_path / "a.png"), PHOTOGRAPH)
    assert not edgekit.read_image(tmp_path / "b.png").any()
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 20_000_000


def test_the_largest_picture_is_read_and_no_larger_one(tmp_path: Path) -> None:
    side = 1 << 13
    assert side * side == MOST_PIXELS
    for name, height in (("largest", side), ("larger", side + 1)):
        Image.new("L", (side, height), 7).save(tmp_path / f"{name}.png", compress_level=1)
    assert edgekit.read_image(tmp_path / "largest.png").shape == (side, side)
    error = refusal(tmp_path / "larger.png")
    assert error.message.endswith("has 8192 x 8193 pixels, more than 67,108,864")
    assert error.hint == "scale it down first"


def test_a_file_that_is_too_large_is_refused(tmp_path: Path) -> None:
    with (tmp_path / "a.png").open("wb") as file:
        file.write(SIGNATURE)
        file.truncate(1 << 40)  # bytes, of which hardly any are on the disk
    assert refusal(tmp_path / "a.png").message.endswith("is larger than 256 MiB")


def test_what_is_no_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.png")  # nobody writes into it
    (tmp_path / "folder.png").mkdir()
    (tmp_path / "link.png").symlink_to("nowhere.png")
    for name in ("pipe.png", "folder.png", "link.png", "none.png"):
        assert refusal(tmp_path / name).code == "EK-MISSING-FILE"


@pytest.mark.parametrize("channels", [0, 2, 4, 10])
def test_a_model_of_other_channels_takes_no_picture(channels: int, tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(png(PLAIN))
    error = refusal(tmp_path / "a.png", channels)
    assert f"takes {channels} channels" in error.message and "give a .npy" in error.hint


def test_without_pillow_pictures_are_refused_and_all_else_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a.png").write_bytes(png(PLAIN))
    (tmp_path / "b.png").write_bytes(b"%!PS-Adobe-3.0\n")
    monkeypatch.setitem(sys.modules, "PIL", None)
    error = refusal(tmp_path / "a.png")
    assert (error.code, error.hint) == ("EK-MISSING-PACKAGE", "pip install pillow")
    assert "a PostScript program" in refusal(tmp_path / "b.png").message


def test_pillow_still_shows_black_for_rows_that_are_missing(tmp_path: Path) -> None:
    """Why `edgekit.runtime.pictures.png` counts them; when this fails, Pillow does."""
    short = png(PHOTOGRAPH[:9], 8, RGB).replace(header(37, 9, 8, RGB), header(37, 23, 8, RGB))
    (tmp_path / "a.png").write_bytes(short)
    with Image.open(tmp_path / "a.png", formats=["PNG"]) as image:
        assert not np.asarray(image)[9:].any()
    assert "damaged" in refusal(tmp_path / "a.png").message
