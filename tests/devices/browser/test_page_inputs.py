"""Trying a model on the page: values, series and sounds; pictures are in ``test_page``."""

from __future__ import annotations

import io
import re
import wave
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from selenium import webdriver
from selenium.webdriver.common.by import By
from small_models import PAIR, SmallModels
from support.bundles import of_vectors
from support.phone_page import Phone, phone_at

import edgekit
from edgekit.runtime.preprocess import Preprocessing
from edgekit.tensors import Signature, TensorSpec

pytestmark = pytest.mark.slow

SOUND = Signature((TensorSpec("sound", (1, 16000), "float32"),), (TensorSpec("loudness", (1, 4), "float32"),))


def shown(phone: Phone, name: str) -> list[float]:
    """The values that the page shows for the output *name*."""
    match = re.search(rf"{name}: ([^\n(…]*)", phone.text("answer"))
    assert match, phone.text("answer")
    return [float(value) for value in match[1].split(",")]


@pytest.fixture(scope="module")
def pair(
    browser: webdriver.Chrome, small_models: SmallModels, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Phone]:
    random = np.random.default_rng(3)
    inputs = [random.normal(size=(4, *spec.shape[1:])).astype(np.float32) for spec in PAIR.inputs]
    path = tmp_path_factory.mktemp("pair") / "pair.edgekit"
    columns = [np.zeros((4, *spec.shape[1:]), np.float32) for spec in PAIR.outputs]
    of_vectors(small_models.files["pair.tflite"], "litert", "tflite", PAIR, inputs, columns, path)
    model = edgekit.load(path, engine="litert")
    for index in range(4):
        given = model({spec.name: array[index : index + 1] for spec, array in zip(PAIR.inputs, inputs, strict=True)})
        for column, spec in zip(columns, PAIR.outputs, strict=True):
            column[index] = given[spec.name][0]
    of_vectors(small_models.files["pair.tflite"], "litert", "tflite", PAIR, inputs, columns, path)
    with phone_at(browser, path) as phone:
        yield phone


def test_several_inputs_and_outputs_are_measured(pair: Phone) -> None:
    pair.open()
    assert pair.measure()["cells"][0]["status"] == "measured"
    assert "correct" in pair.text("table")
    assert [cell.status for cell in pair.results[-1][1]] == ["measured"]


def test_values_are_typed_one_by_one(pair: Phone) -> None:
    pair.open()
    boxes = pair.browser.find_elements(By.CSS_SELECTOR, "#inputs input[type=number]")
    assert len(boxes) == 10
    values = [0.5, -1.0, 2.0, 0.25, 1.0, 0.0, -0.5, 3.0, 0.125, -2.0]
    for box, value in zip(boxes, values, strict=True):
        box.clear()
        box.send_keys(str(value))
    pair.browser.find_element(By.XPATH, "//button[text()='Run']").click()
    pair.wait("document.getElementById('answer').innerText")
    inputs = {"left": np.array([values[:4]], np.float32), "right": np.array([values[4:]], np.float32)}
    expected = edgekit.load(pair.path, engine="litert")(inputs)
    for name, array in expected.items():
        assert shown(pair, name) == pytest.approx(array[0].tolist(), rel=1e-4, abs=1e-5)


def test_a_series_is_pasted_or_read_from_a_file(pair: Phone, tmp_path: Path) -> None:
    steps = Preprocessing(scale=0.5, mean=(0.1, 0.2, 0.3), std=(1.0, 2.0, 4.0), layout="channels-first")
    raw = np.random.default_rng(5).normal(size=(8, 3)).astype(np.float32)
    expected = steps.apply(raw, 2)
    np.save(tmp_path / "raw.npy", raw)
    np.save(tmp_path / "tensor.npy", expected[None])
    job = {
        "signature": {"inputs": [{"name": "window", "shape": [1, 3, 8], "dtype": "float32"}]},
        "preprocessing": steps.to_json(),
    }
    pair.open()
    pair.run(
        """
        const {ValueInput} = await page("value_input.js");
        window.given = [], window.said = [];
        const run = async ([data]) => { given.push(Array.from(data)); };
        const input = new ValueInput(all[0], run, (text) => said.push(text));
        document.getElementById("inputs").replaceChildren(...input.elements());
        """,
        job,
    )
    text = pair.browser.find_element(By.TAG_NAME, "textarea")
    file = pair.browser.find_element(By.CSS_SELECTOR, "#inputs input[type=file]")
    run = pair.browser.find_element(By.XPATH, "//button[text()='Run']")
    for number, name in enumerate((None, "raw.npy", "tensor.npy"), 1):
        if name is None:
            value = "\n".join(",".join(map(str, row)) for row in raw.tolist())
            pair.browser.execute_script("arguments[0].value = arguments[1]", text, value)
        else:
            pair.browser.execute_script("arguments[0].value = ''", text)
            file.send_keys(str(tmp_path / name))
            pair.wait("document.querySelector('textarea').value")
        run.click()
        pair.wait(f"given.length === {number}")
        given = np.array(pair.browser.execute_script("return given.at(-1)"), np.float32)
        assert np.array_equal(given.reshape(3, 8), expected), name
    pair.browser.execute_script("arguments[0].value = '1 2 3'; arguments[0].oninput()", text)
    run.click()
    pair.wait("said.length")
    assert pair.browser.execute_script("return said[0]") == "window takes 24 numbers, here are 3"


@pytest.fixture(scope="module")
def sound_bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """How loud a second of sound is, in four parts of it."""
    import contextlib

    import litert_torch
    import torch

    class Loudness(torch.nn.Module):
        def forward(self, sound: torch.Tensor) -> torch.Tensor:
            return (sound.reshape(1, 4, 4000) ** 2).mean(2) * 10

    with contextlib.redirect_stdout(io.StringIO()):
        model = bytes(litert_torch.convert(Loudness().eval(), (torch.randn(1, 16000),)).model_content())
    inputs = np.random.default_rng(0).normal(0, 0.3, (4, 16000)).astype(np.float32)
    outputs = (inputs.reshape(4, 4, 4000) ** 2).mean(2) * 10
    path = tmp_path_factory.mktemp("sound") / "sound.edgekit"
    return of_vectors(model, "litert", "tflite", SOUND, [inputs], [outputs.astype(np.float32)], path)


def test_sounds_come_from_files_and_the_microphone(
    browser: webdriver.Chrome, sound_bundle: Path, tmp_path: Path
) -> None:
    parts = np.concatenate([np.full(4000, level, np.int16) for level in (3000, 6000, 12000)])
    with wave.open(str(tmp_path / "steps.wav"), "wb") as sound:
        sound.setparams((1, 2, 16000, 0, "NONE", ""))
        sound.writeframes(parts.tobytes())
    with phone_at(browser, sound_bundle) as phone:
        phone.open()
        phone.browser.find_element(By.CSS_SELECTOR, "#inputs input[type=file]").send_keys(str(tmp_path / "steps.wav"))
        phone.wait("document.getElementById('answer').innerText")
        expected = [10 * (level / 32768) ** 2 for level in (3000, 6000, 12000)] + [0.0]  # silence after its end
        assert shown(phone, "loudness") == pytest.approx(expected, rel=1e-3)
        phone.browser.execute_script("document.getElementById('answer').replaceChildren()")
        phone.browser.find_element(By.XPATH, "//button[text()='Microphone']").click()
        phone.wait("document.getElementById('answer').innerText")  # after a second, by itself
        assert len(shown(phone, "loudness")) == 4
        assert phone.measure()["cells"][0]["status"] == "measured"
