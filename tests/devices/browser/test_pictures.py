"""The page and the web starter read pictures as the host does: the same bits, or both refuse."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, JpegImagePlugin, PngImagePlugin
from selenium import webdriver
from small_models import SmallModels
from support.phone_page import Phone, phone_at
from support.picture_cases import NOT_READ, PHOTOGRAPH, READ
from support.pictures import TURNED, exif, jpeg, saved, with_exif
from support.sources import node

import edgekit
from edgekit.bundle import Bundle
from edgekit.errors import UsageError
from edgekit.integration import integrate

PAGE = Path(__file__).parents[3] / "edgekit" / "devices" / "browser" / "page"
FILES = {name: case.data for name, case in {**READ, **NOT_READ}.items()}

#: What the page gives to the browser's decoder, or why it does not.
_ALONE = """
import { readFileSync } from 'node:fs';
import { pictureAlone } from './picture_file.js';
const files = JSON.parse(readFileSync('files.json', 'utf8'));
const answers = Object.entries(files).map(([name, text]) => {
  try {
    const { parts, ...facts } = pictureAlone(new Uint8Array(Buffer.from(text, 'base64')));
    return [name, { ...facts, data: Buffer.concat(parts).toString('base64') }];
  } catch (error) { return [name, { error: error.message }]; }
});
console.log(JSON.stringify(Object.fromEntries(answers)));
"""


def read_here(data: bytes, path: Path) -> np.ndarray | None:
    """What the host makes of *data* in colour; None when it refuses."""
    path.write_bytes(data)
    try:
        return edgekit.read_image(path, 3)
    except UsageError:
        return None


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, dict[str, Any]]:
    folder = tmp_path_factory.mktemp("page")
    (folder / "picture_file.js").write_bytes((PAGE / "picture_file.js").read_bytes())
    (folder / "package.json").write_text('{"type": "module"}')
    encoded = {name: base64.b64encode(data).decode() for name, data in FILES.items()}
    (folder / "files.json").write_text(json.dumps(encoded))
    answers: dict[str, dict[str, Any]] = node(folder, _ALONE)
    return answers


@pytest.mark.parametrize("name", READ)
def test_what_the_page_has_decoded_is_what_the_host_reads(
    alone: Mapping[str, dict[str, Any]], name: str, tmp_path: Path
) -> None:
    answer = alone[name]
    assert "error" not in answer, answer
    reader = {"image/png": PngImagePlugin.PngImageFile, "image/jpeg": JpegImagePlugin.JpegImageFile}[answer["type"]]
    data = base64.b64decode(answer["data"])
    image = reader(io.BytesIO(data))
    assert image.size == (answer["width"], answer["height"])
    # All that may turn or colour it is left out, so that no browser's own rules count.
    assert not {"icc_profile", "exif", "gamma", "chromaticity", "mp"} & set(image.info)
    # And the host reads of it what it reads of the whole file, but for the turning.
    whole, stored = read_here(FILES[name], tmp_path / "whole"), read_here(data, tmp_path / "alone")
    assert whole is not None and stored is not None
    assert np.array_equal(TURNED[answer["orientation"]](whole), stored)


@pytest.mark.parametrize("name", NOT_READ)
def test_what_the_host_refuses_the_page_refuses_or_leaves_to_the_decoder(
    alone: Mapping[str, dict[str, Any]], name: str
) -> None:
    answer = alone[name]
    if "error" in answer:
        assert ": " in answer["error"]  # a cure
        return
    # What decoders find: in the browser, see below, and here.
    image = io.BytesIO(base64.b64decode(answer["data"]))
    assert name.startswith(("transparent", "png-", "jpeg-"))
    if not name.startswith("transparent") and name != "png-few-pixels":  # which Pillow shows black
        with pytest.raises((OSError, SyntaxError, ValueError)):
            Image.open(image, formats=["PNG", "JPEG"]).load()


def test_the_web_starter_reads_pictures_by_the_same_files(picture_starter: Path) -> None:
    for name in ("picture.js", "picture_file.js"):
        assert (picture_starter / name).read_bytes() == (PAGE / name).read_bytes()
    assert 'accept="image/png,image/jpeg"' in (picture_starter / "index.html").read_text()


@pytest.fixture
def picture_starter(small_bundle: Path, tmp_path: Path) -> Path:
    with Bundle.open(small_bundle) as bundle:
        return integrate(bundle, "web", tmp_path / "starter").folder


_PIXELS = """
const {readPicture} = await page("picture.js");
const answers = {};
for (const [name, text] of Object.entries(arguments[0])) {
  const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  try {
    const {data, width, height} = await readPicture(new Blob([bytes]));
    let shown = "";
    for (let place = 0; place < data.length; place += 8192) {
      shown += String.fromCharCode(...data.subarray(place, place + 8192));
    }
    answers[name] = {width, height, data: btoa(shown)};
  } catch (error) { answers[name] = {error: error.message}; }
}
return answers;
"""


@pytest.fixture(scope="module")
def phone(browser: webdriver.Chrome, small_bundle: Path) -> Iterator[Phone]:
    with phone_at(browser, small_bundle) as phone:
        phone.open()
        yield phone


def test_a_browser_shows_the_bits_that_the_host_reads(phone: Phone, tmp_path: Path) -> None:
    files = dict(FILES)
    # Larger than the canvas that pixels are read through, turned each way.
    large = np.asarray(Image.fromarray(PHOTOGRAPH).resize((2300, 2100)))
    for orientation in range(1, 9):
        files[f"large-{orientation}"] = with_exif(jpeg(large, quality=70), exif(orientation))
    for subsampling in (1, 2):  # colours of half the size, as nearly all cameras store them
        files[f"large-subsampled-{subsampling}"] = jpeg(large, quality=85, subsampling=subsampling)
        files[f"small-subsampled-{subsampling}"] = jpeg(PHOTOGRAPH, subsampling=subsampling, progressive=True)
    files["large-png"] = saved("PNG", Image.fromarray(large), compress_level=1)
    names = sorted(files)
    for start in range(0, len(names), 40):
        part = {name: base64.b64encode(files[name]).decode() for name in names[start : start + 40]}
        for name, answer in phone.run(_PIXELS, part).items():
            here = read_here(files[name], tmp_path / "picture")
            if here is None:
                assert ": " in answer.get("error", ""), (name, answer)
                continue
            assert "error" not in answer, (name, answer)
            pixels = np.frombuffer(base64.b64decode(answer["data"]), np.uint8)
            pixels = pixels.reshape(answer["height"], answer["width"], 4)
            assert np.array_equal(pixels[..., :3], here), name
            assert (pixels[..., 3] == 255).all()


def test_the_page_says_why_a_picture_cannot_be_used(phone: Phone, tmp_path: Path) -> None:
    file = phone.browser.find_element("css selector", "input[type=file]")
    for case, said in (
        ("transparent-white-strokes", "it is transparent in places"),
        ("kind-eps", "it is a PostScript program: save it as PNG or JPEG"),
        ("png-largest", "pixels: scale it down first"),
    ):
        (tmp_path / f"{case}.png").write_bytes(FILES[case])
        file.send_keys(str(tmp_path / f"{case}.png"))
        phone.wait(f"document.body.innerText.includes({said!r})", 20)


def test_the_page_sees_what_the_host_prepares(phone: Phone, small_models: SmallModels, tmp_path: Path) -> None:
    stored = TURNED[6](small_models.samples[5])
    (tmp_path / "photo.jpg").write_bytes(with_exif(jpeg(np.ascontiguousarray(stored)), exif(6)))
    phone.browser.find_element("css selector", "input[type=file]").send_keys(str(tmp_path / "photo.jpg"))
    phone.wait("!document.querySelector('canvas.seen').hidden")
    seen = phone.browser.execute_script(
        "const c = document.querySelector('canvas.seen');"
        "return [...c.getContext('2d').getImageData(0, 0, c.width, c.height).data]"
    )
    here = edgekit.read_image(tmp_path / "photo.jpg", 1)
    assert np.array_equal(np.reshape(seen, (*here.shape, 4))[..., 0], here)
