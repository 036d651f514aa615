"""Preprocessing: from a raw sample or file to the input tensor."""

from __future__ import annotations

import sys
import wave
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from edgekit.errors import UsageError
from edgekit.runtime.preprocess import Preprocessing, Resize, read_arrays, read_sample


def test_json_round_trip() -> None:
    value = Preprocessing(1 / 255, (0.4, 0.5, 0.6), (0.2, 0.2, 0.3), "channels-first", Resize(224, 192, 0.875))
    assert Preprocessing.from_json(value.to_json()) == value
    assert Preprocessing.from_json(Preprocessing().to_json()) == Preprocessing()


@pytest.mark.parametrize(
    "wrong",
    [
        {"layout": "sideways"},
        {"skale": 2},
        {"scale": "half"},
        {"mean": 3},
        {"std": [1, 0]},
        {"resize": {"height": 1}},
        {"resize": {"height": 1, "width": 0}},
    ],
)
def test_wrong_json_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError):
        Preprocessing.from_json(wrong)


def test_scale_then_normalize_each_channel_then_layout() -> None:
    image = np.random.default_rng(0).integers(0, 256, (5, 4, 3), dtype=np.uint8)
    mean, std = (0.4, 0.5, 0.6), (0.2, 0.25, 0.3)
    tensor = Preprocessing(1 / 255, mean, std, "channels-first").apply(image)
    expected = np.moveaxis((image / 255 - np.array(mean)) / np.array(std), -1, 0)
    assert tensor.shape == (3, 5, 4) and tensor.dtype == np.float32 and tensor.flags.c_contiguous
    np.testing.assert_allclose(tensor, expected, rtol=1e-5, atol=1e-6)


def test_the_sample_itself_is_not_changed() -> None:
    sample = np.ones((6, 2), np.float32)
    Preprocessing(scale=3, mean=(1,)).apply(sample)
    assert (sample == 1).all()


@pytest.mark.parametrize(
    ("shape", "dtype", "layout", "rank", "expected"),
    [
        ((28, 28), "uint8", "channels-first", None, (1, 28, 28)),
        ((28, 28), "uint8", "channels-last", None, (28, 28, 1)),
        ((28, 28), "uint8", None, None, (28, 28)),
        ((28, 28), "float32", "channels-first", 3, (1, 28, 28)),
        ((100, 6), "float32", "channels-first", None, (6, 100)),
        ((100, 6), "float32", "channels-first", 2, (6, 100)),
        ((100, 6), "uint8", "channels-last", 2, (100, 6)),
        ((100,), "float64", "channels-first", 2, (1, 100)),
        ((100, 1), "float32", None, 1, (100,)),
        ((16,), "int16", None, None, (16,)),
    ],
)
def test_shapes(shape: tuple[int, ...], dtype: str, layout: str, rank: int | None, expected: tuple[int, ...]) -> None:
    assert Preprocessing(layout=layout).apply(np.ones(shape, dtype), rank).shape == expected


def test_a_batch_is_its_samples_one_by_one() -> None:
    samples = np.random.default_rng(1).integers(0, 256, (3, 9, 7, 3), dtype=np.uint8)
    process = Preprocessing(1 / 127, (1,), (), "channels-first", Resize(4, 4))
    batch = process.apply_batch(samples)
    for row, sample in zip(batch, samples, strict=True):
        np.testing.assert_array_equal(row, process.apply(sample))
    with pytest.raises(UsageError):
        process.apply_batch(samples[:0])


@pytest.mark.parametrize("size", [(300, 200), (200, 300), (256, 256), (100, 90), (1000, 30)])
@pytest.mark.parametrize("crop", [1.0, 0.875])
def test_resize_cuts_the_centre_of_an_image_that_covers_it(size: tuple[int, int], crop: float) -> None:
    # A ramp along each axis: the centre of the cut has to be the centre of the image.
    rows, columns = np.linspace(0, 250, size[0]), np.linspace(0, 250, size[1])
    image = np.stack([*np.meshgrid(rows, columns, indexing="ij"), np.zeros(size)], axis=-1).astype(np.uint8)
    tensor = Preprocessing(resize=Resize(64, 48, crop)).apply(image)
    assert tensor.shape == (64, 48, 3)
    assert abs(tensor[31:33, :, 0].mean() - 125) < 3
    assert abs(tensor[:, 23:25, 1].mean() - 125) < 3


def test_resize_takes_grey_and_float_images() -> None:
    process = Preprocessing(resize=Resize(8, 8))
    assert process.apply(np.ones((20, 16), np.uint8)).shape == (8, 8, 1)
    assert process.apply(np.ones((20, 16), np.float32)).shape == (8, 8, 1)
    assert process.apply(np.ones((20, 16, 5), np.float32)).shape == (8, 8, 5)
    with pytest.raises(UsageError, match="not an image"):
        process.apply(np.ones(20, np.float32))


@pytest.mark.parametrize("sample", [np.array(["a"]), np.array([object()]), np.ones((4, 4, 3), np.complex64)])
def test_what_is_not_numbers_is_refused(sample: np.ndarray) -> None:
    with pytest.raises(UsageError) as caught:
        Preprocessing().apply(sample)
    assert caught.value.code == "EK-INPUT"


def test_channels_that_do_not_fit_are_named() -> None:
    with pytest.raises(UsageError, match="3 channels last"):
        Preprocessing(mean=(0, 0, 0)).apply(np.ones((5, 5, 4), np.uint8))


def test_pictures(tmp_path: Path) -> None:
    grey = np.arange(48, dtype=np.uint8).reshape(6, 8)
    Image.fromarray(grey).save(tmp_path / "grey.png")
    Image.fromarray(grey).convert("RGBA").save(tmp_path / "alpha.png")  # which is 255 everywhere
    Image.fromarray(grey.astype(np.uint16) * 256 + 255).save(tmp_path / "deep.png")
    np.testing.assert_array_equal(read_sample(tmp_path / "grey.png"), grey)
    assert read_sample(tmp_path / "grey.png", channels=3).shape == (6, 8, 3)
    assert read_sample(tmp_path / "alpha.png").shape == (6, 8, 3)
    np.testing.assert_array_equal(read_sample(tmp_path / "alpha.png", channels=1), grey)
    np.testing.assert_array_equal(read_sample(tmp_path / "deep.png"), grey)


@pytest.mark.parametrize("width", [1, 2, 3, 4])
def test_sound(tmp_path: Path, width: int) -> None:
    full = 1 << (8 * width - 1)
    values = np.array([[0, -full], [full - 1, full // 2]])
    with wave.open(str(tmp_path / "a.wav"), "wb") as sound:
        sound.setparams((2, width, 8000, 0, "NONE", "none"))
        shifted = values + 128 if width == 1 else values
        sound.writeframes(b"".join(int(v).to_bytes(width, "little", signed=width > 1) for v in shifted.ravel()))
    read = read_sample(tmp_path / "a.wav")
    assert read.shape == (2, 2) and read.dtype == np.float32
    np.testing.assert_allclose(read, values / full, atol=1e-6)


def test_arrays(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.arange(4))
    np.savez(tmp_path / "a.npz", x=np.arange(4))
    np.savez(tmp_path / "two.npz", x=np.arange(4), y=np.arange(3))
    assert read_sample(tmp_path / "a.npy").tolist() == read_sample(tmp_path / "a.npz").tolist() == [0, 1, 2, 3]
    assert set(read_arrays(tmp_path / "two.npz")) == {"x", "y"}
    with pytest.raises(UsageError, match="2 arrays"):
        read_sample(tmp_path / "two.npz")


@pytest.mark.parametrize("name", ["a.npy", "a.npz", "a.png", "a.jpg", "a.wav", "a.txt"])
@pytest.mark.parametrize("contents", [b"", b"rubbish", b"\x93NUMPY\x01", b"RIFF\x00\x00\x00\x00WAVE", b"PK\x03\x04"])
def test_a_file_that_is_something_else_is_one_line(tmp_path: Path, name: str, contents: bytes) -> None:
    (tmp_path / name).write_bytes(contents)
    with pytest.raises(UsageError) as caught:
        read_sample(tmp_path / name)
    assert caught.value.code == "EK-INPUT"
    assert "\n" not in caught.value.message


def test_pickles_are_never_loaded(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.array([{"a": 1}]), allow_pickle=True)
    with pytest.raises(UsageError):
        read_sample(tmp_path / "a.npy")


def test_a_missing_file_and_a_missing_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UsageError) as caught:
        read_sample(tmp_path / "none.png")
    assert caught.value.code == "EK-MISSING-FILE"
    Image.fromarray(np.zeros((2, 2), np.uint8)).save(tmp_path / "a.png")
    monkeypatch.setitem(sys.modules, "PIL", None)
    with pytest.raises(UsageError) as caught:
        read_sample(tmp_path / "a.png")
    assert (caught.value.code, caught.value.hint) == ("EK-MISSING-PACKAGE", "pip install pillow")
