"""The page for phones, as people meet it: in a browser with a phone's screen, on the bundle of the README."""

from __future__ import annotations

import base64
import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from support.hostile_files import tflite_with
from support.phone_page import SETTINGS, SOFTWARE_GPU, Phone, phone_at, set_screen, start_browser, tensors

import edgekit
from edgekit.bundle import Bundle, write_bundle
from edgekit.devices.browser.server import ANYWHERE
from edgekit.digests import sha256
from edgekit.errors import EdgekitError

pytestmark = pytest.mark.slow

VARIANTS = ("fp32.tflite", "int8.tflite")
ONCE = replace(SETTINGS, repeats=1)

_AXE = """
const done = arguments[0];
const brief = each => ({
  id: each.id, impact: each.impact, nodes: each.nodes.slice(0, 3).map(node => node.html.slice(0, 200)),
});
axe.run(document).then(
  found => done({passed: found.passes.map(each => each.id), faults: found.violations.map(brief)}),
  error => done({passed: [], faults: [{id: String(error), impact: "critical"}]}));
"""
#: Three samples of two inferences and one that does not count, on the GPU: how many there were, and how often memory of
#: the GPU's was read by then.
_READS = """
const {infer, signatureOf} = await page("inference.js"), {takeTurn} = await page("phases.js");
const {Files, loadJob} = await page("job.js");
const job = await loadJob(), files = new Files(job), runtime = new URL("runtime/core/", document.baseURI).href;
const litert = await import(runtime + "dist/index.js");
await litert.loadLiteRt(runtime + "wasm/litert_wasm_internal.js");
const file = new Uint8Array(await files.model(job.variants[0]));
const compiled = await litert.loadAndCompile(file, {accelerator: "webgpu"});
const {inputs: [[data]]} = await files.checks(), [{shape}] = job.signature.inputs;
const own = GPUBuffer.prototype.mapAsync;
let calls = 0, reads = 0;
GPUBuffer.prototype.mapAsync = function (...how) { return own.apply(this, how).then(() => { reads += 1; }); };
const call = () => { calls += 1; return infer(signatureOf(compiled), litert.Tensor, [{data, shape}]); };
await takeTurn(call, {samples: 3, perSample: 2, discardMs: 0});
return [calls, reads];
"""
_TARGETS = """
return [...document.querySelectorAll("button, select, input:not([type=checkbox]), .check, .file, summary")]
  .filter(each => each.checkVisibility() && !each.matches(".file input"))
  .map(each => [each.outerHTML.slice(0, 80), each.getBoundingClientRect().height]);
"""


@pytest.fixture(scope="module")
def phone(browser: webdriver.Chrome, digits_bundle: Path) -> Iterator[Phone]:
    with phone_at(browser, digits_bundle, settings=ONCE, variants=VARIANTS) as phone:
        yield phone


@pytest.fixture(scope="module")
def native(digits_bundle: Path) -> dict[str, np.ndarray]:
    """What LiteRT gives on this machine for the check samples, by variant."""
    with Bundle.open(digits_bundle) as bundle:
        inputs = bundle.check_vectors()[0]["input"]
    outputs = {}
    for name in VARIANTS:
        model = edgekit.load(digits_bundle, variant=name, engine="litert")
        outputs[name] = np.concatenate([model(inputs[index : index + 1]) for index in range(len(inputs))])
    return outputs


def outputs(phone: Phone, variant: str, accelerator: str = "wasm") -> np.ndarray:
    return tensors(phone.cells()[variant, accelerator]["check_outputs"])


def test_an_isolated_page_has_threads_and_the_outputs_of_litert(phone: Phone, native: dict[str, np.ndarray]) -> None:
    phone.open()
    result = phone.measure()
    cores = min(4, os.cpu_count() or 1)
    assert result["connection"] == "localhost"
    assert result["browser"]["automated"]
    for cell in result["cells"]:
        assert (cell["status"], cell["build"], cell["threads"]) == ("measured", "threaded", cores)
    assert np.abs(outputs(phone, "fp32.tflite") - native["fp32.tflite"]).max() < 1e-5
    assert np.array_equal(outputs(phone, "int8.tflite"), native["int8.tflite"])
    assert f"{cores} threads" in phone.text("table")
    save_screenshot(phone, "phone-412.png")


def test_one_thread_may_be_asked_for(browser: webdriver.Chrome, digits_bundle: Path) -> None:
    with phone_at(browser, digits_bundle, settings=replace(ONCE, threads=1), variants=("int8.tflite",)) as phone:
        phone.open()
        (cell,) = phone.measure()["cells"]
        assert (cell["build"], cell["threads"]) == ("default", 1)


def test_plain_http_has_one_thread_and_says_why(
    browser: webdriver.Chrome, digits_bundle: Path, native: dict[str, np.ndarray]
) -> None:
    with phone_at(
        browser, digits_bundle, host=ANYWHERE, settings=ONCE, variants=("int8.tflite",), webgpu=True
    ) as phone:
        if not phone.server.addresses:
            pytest.skip("this machine is in no network")
        phone.open(phone.server.addresses[0])
        assert "1 thread: the address is plain http" in phone.text("place")
        assert "The live camera needs https or localhost" in phone.text("try")
        result = phone.measure()
        assert result["connection"] == "http"
        assert not result["browser"]["secure_context"]
        cpu, gpu = result["cells"]
        assert (cpu["build"], cpu["threads"], cpu["status"]) == ("default", 1, "measured")
        assert np.array_equal(outputs(phone, "int8.tflite"), native["int8.tflite"])
        assert (gpu["status"], gpu["reason"]) == ("not run", "browsers have WebGPU only over https or localhost")
        # The clock is coarse here, so that several inferences are timed together.
        for process in cpu["processes"]:
            spans_us = np.array(process["elapsed_us"]) * process["calls_per_sample"]
            assert np.median(spans_us) >= 50 * result["browser"]["timer_resolution_us"]


def test_https_has_threads_and_the_camera_in_the_network(browser: webdriver.Chrome, digits_bundle: Path) -> None:
    with phone_at(browser, digits_bundle, host=ANYWHERE, https=True, settings=ONCE, variants=("int8.tflite",)) as phone:
        if not phone.server.addresses:
            pytest.skip("this machine is in no network")
        phone.open(phone.server.addresses[0])
        assert "Camera" in phone.text("try")
        result = phone.measure()
        assert result["connection"] == "https"
        assert result["browser"]["cross_origin_isolated"]
        (cell,) = result["cells"]
        assert (cell["status"], cell["build"]) == ("measured", "threaded")


def test_the_build_for_browsers_without_relaxed_simd(
    browser: webdriver.Chrome, digits_bundle: Path, native: dict[str, np.ndarray]
) -> None:
    with phone_at(browser, digits_bundle, settings=ONCE, variants=VARIANTS) as phone:
        phone.open(f"{phone.server.url}?build=compat")
        for cell in phone.measure()["cells"]:
            assert (cell["status"], cell["build"], cell["threads"]) == ("measured", "compat", 1)
        assert np.abs(outputs(phone, "fp32.tflite") - native["fp32.tflite"]).max() < 1e-4
        assert np.array_equal(outputs(phone, "int8.tflite").argmax(1), native["int8.tflite"].argmax(1))


@pytest.mark.system
def test_a_gpu_gives_what_it_gives(assets_folder: Path, digits_bundle: Path, native: dict[str, np.ndarray]) -> None:
    browser = start_browser(*SOFTWARE_GPU)
    try:
        with phone_at(browser, digits_bundle, settings=ONCE, webgpu=True, variants=VARIANTS) as phone:
            phone.open()
            result = phone.measure()
            assert result["browser"]["webgpu"]
            assert np.abs(outputs(phone, "fp32.tflite", "webgpu") - native["fp32.tflite"]).max() < 1e-3
            cell = phone.cells()["int8.tflite", "webgpu"]
            assert cell["threads"] == 1
            if cell["status"] == "measured":  # whatever comes out of it is posted as it is
                assert np.isfinite(outputs(phone, "int8.tflite", "webgpu")).all()
            else:
                assert cell["reason"]
            calls, reads = phone.run(_READS)
            assert calls == 7
            assert reads >= calls  # no sample ends before its outputs are here
    finally:
        browser.quit()


def test_a_result_is_there_after_a_reload_and_can_be_sent_again(phone: Phone) -> None:
    phone.open()
    run = phone.measure()["run"]
    arrived = len(phone.results)
    phone.open()
    assert "measured before the page was loaded again" in phone.text("delivery")
    assert "correct" in phone.text("table")
    phone.press("send")
    phone.wait("document.getElementById('delivery').textContent.includes('arrived')")
    assert len(phone.results) == arrived  # the desk counts it once
    assert phone.measure()["run"] != run


def test_a_measurement_that_was_cut_off_starts_anew(phone: Phone) -> None:
    phone.open()
    phone.press("measure")
    phone.wait("document.getElementById('doing').textContent.includes('(repeat')")
    phone.open()
    assert "The last measurement was cut off" in phone.text("status")
    assert phone.measure()["cells"][0]["status"] == "measured"


def test_a_measurement_can_be_stopped(phone: Phone) -> None:
    phone.open()
    arrived = len(phone.results)
    phone.press("measure")
    phone.wait("document.getElementById('measure').textContent === 'Stop'")
    phone.press("measure")
    phone.wait("document.getElementById('measure').textContent === 'Measure'")
    assert phone.text("status") == "Not measured: stopped."
    assert len(phone.results) == arrived
    assert phone.measure()["cells"][0]["status"] == "measured"


def test_a_variant_that_does_not_load_says_why_and_the_others_are_measured(
    browser: webdriver.Chrome, digits_bundle: Path, tmp_path: Path
) -> None:
    path = tmp_path / "damaged.edgekit"
    with Bundle.open(digits_bundle) as bundle:
        manifest = bundle.manifest
        files = {file: bundle.read(file) for file in manifest.files}
        fp32 = manifest.variant("fp32.tflite")
        newer = tflite_with(files[fp32.file], lambda model: setattr(model.operatorCodes[0], "version", 99))
        broken = replace(fp32, size_bytes=len(newer), sha256=sha256(newer))
        variants = tuple(broken if variant.name == "fp32.tflite" else variant for variant in manifest.variants)
        write_bundle(replace(manifest, variants=variants), {**files, fp32.file: newer}, path)
    with phone_at(browser, path, settings=ONCE, variants=VARIANTS) as phone:
        phone.open()
        phone.measure()
        broken, whole = phone.results[-1][0]["cells"]
        assert (broken["status"], whole["status"]) == ("failed", "measured")
        assert len(broken["processes"]) == 1  # not tried again
        assert broken["reason"] and broken["reason"] in phone.text("table")


def test_models_that_do_not_fit_into_memory_together_take_turns_beside_the_first(
    browser: webdriver.Chrome, digits_bundle: Path
) -> None:
    with phone_at(browser, digits_bundle, settings=ONCE) as phone:
        phone.open()
        sizes = phone.run(
            """
            const {Files, loadJob} = await page("job.js"), {lookAround} = await page("environment.js");
            const {measure, newRun} = await page("measuring.js"), {Watch} = await page("watch.js");
            const job = await loadJob(), environment = await lookAround(job);
            environment.browser.memory_gib = 0.6;  // of which the page takes a quarter: two workers
            const {result} = await measure({
              job, environment, files: new Files(job), watch: new Watch(), run: newRun(),
              signal: new AbortController().signal, log: () => {}, progress: () => {},
            });
            return result.cells.map((cell) => cell.processes[0].round_sizes);
            """
        )
        first, *others = [np.array(each) > 0 for each in sizes]
        assert len(others) == 2
        for other in others:
            assert first[: len(other)][other].all()  # never without the one that it is compared with
        length = min(map(len, others))
        assert not (others[0][:length] & others[1][:length]).any()  # never together


def test_the_desk_may_be_gone_when_the_result_is_there(browser: webdriver.Chrome, digits_bundle: Path) -> None:
    with phone_at(browser, digits_bundle, settings=ONCE, variants=("int8.tflite",)) as phone:
        phone.open()
        phone.run(
            "const own = fetch;"
            "window.fetch = (path, ...rest) => path === 'result' ? Promise.reject() : own(path, ...rest);"
        )
        phone.press("measure")
        phone.wait("document.getElementById('delivery').textContent.includes('did not arrive')")
        assert phone.text("delivery") == "The result did not arrive: the desk does not answer."
        phone.open()
        phone.press("send")
        phone.wait("document.getElementById('delivery').textContent.includes('arrived')")
        assert len(phone.results) == 1


def test_hiding_the_page_is_counted_and_shown(phone: Phone) -> None:
    phone.open()
    phone.press("measure")
    phone.wait("document.getElementById('doing').textContent.includes('(repeat')")
    window = phone.browser.current_window_handle
    phone.browser.switch_to.new_window("tab")
    phone.browser.close()
    phone.browser.switch_to.window(window)
    phone.wait("document.getElementById('measure').textContent === 'Measure'")
    processes = [process for cell in phone.results[-1][0]["cells"] for process in cell["processes"]]
    assert max(process["hidden_changes"] for process in processes) >= 1
    assert "The page was hidden" in phone.text("notes")


def test_a_picture_of_a_digit_is_recognized(phone: Phone, digits_bundle: Path, tmp_path: Path) -> None:
    with Bundle.open(digits_bundle) as bundle:
        inputs = bundle.check_vectors()[0]["input"]
    images = np.rint((inputs[:, 0] * 0.3081 + 0.1307) * 255).astype(np.uint8)
    model = edgekit.load(digits_bundle, variant="int8.tflite", engine="litert")
    phone.open()
    phone.browser.execute_script("document.getElementById('variant').value = 'int8.tflite'")
    picture = phone.browser.find_element(By.CSS_SELECTOR, "input[type=file]")
    for index in range(4):
        path = tmp_path / f"digit-{index}.png"
        Image.fromarray(images[index]).save(path)
        phone.browser.execute_script("document.getElementById('answer').replaceChildren()")
        picture.send_keys(str(path))
        phone.wait("document.querySelector('#answer li')")
        shown = phone.browser.find_element(By.CSS_SELECTOR, "#answer li").text.split()
        scores = model(model.prepare(images[index]))[0]
        assert shown[0] == model.labels[int(scores.argmax())]
        share = 100 * float(np.exp(scores - scores.max())[scores.argmax()] / np.exp(scores - scores.max()).sum())
        assert float(shown[1]) == pytest.approx(share, abs=0.06)


def test_a_drawing_an_example_and_the_camera_are_classified(phone: Phone) -> None:
    phone.open()
    pad = phone.browser.find_element(By.CSS_SELECTOR, ".pad")
    webdriver.ActionChains(phone.browser).move_to_element(pad).move_by_offset(0, -90).click_and_hold().move_by_offset(
        0, 90
    ).move_by_offset(0, 90).release().perform()
    phone.wait("document.querySelector('#answer li')")
    assert phone.browser.find_element(By.CSS_SELECTOR, "#answer li").text.split()[0] == "1"
    for button in ("Example from the bundle", "Camera"):
        phone.browser.execute_script("document.getElementById('answer').replaceChildren()")
        phone.browser.find_element(By.XPATH, f"//button[text()='{button}']").click()
        phone.wait("document.querySelectorAll('#answer li').length === 5")
    assert phone.measure()["cells"][0]["status"] == "measured"  # which ends the camera
    assert not phone.browser.execute_script("return document.querySelector('video').srcObject")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 412, 820])
def test_it_fits_every_screen_and_everyone(phone: Phone, width: int, scheme: str) -> None:
    from axe_core_python import selenium

    phone.open()
    if not phone.results:
        phone.measure()
    set_screen(phone.browser, width, scheme)
    try:
        phone.open()
        phone.browser.execute_script("document.querySelector('details').open = true")
        assert phone.browser.execute_script("return document.documentElement.scrollWidth") == width
        table = phone.browser.execute_script(
            "const t = document.getElementById('table'); return t.scrollWidth - t.clientWidth"
        )
        assert table <= 0
        targets = phone.browser.execute_script(_TARGETS)
        assert len(targets) > 5
        assert [target for target in targets if target[1] < 44] == []
        phone.browser.execute_script(Path(selenium.__file__).with_name("axe.min.js").read_text(encoding="utf-8"))
        found = phone.browser.execute_async_script(_AXE)
        assert "color-contrast" in found["passed"]
        assert [fault for fault in found["faults"] if fault["impact"] in ("serious", "critical")] == []
        if width == 820:
            save_screenshot(phone, f"phone-820{'' if scheme == 'light' else '-dark'}.png")
    finally:
        set_screen(phone.browser)


def test_the_keyboard_reaches_every_button(phone: Phone) -> None:
    phone.open()
    wanted = phone.browser.execute_script(
        "window.reached = new Set(); addEventListener('focusin', event => reached.add(event.target));"
        "return [...document.querySelectorAll('button, select, input, summary')]"
        "  .filter(each => each.checkVisibility()).length"
    )
    phone.browser.find_element(By.TAG_NAME, "body").send_keys(Keys.TAB * (wanted + 3))
    assert (
        phone.browser.execute_script(
            "return [...reached].filter(each => each.matches('button, select, input, summary')).length"
        )
        == wanted
    )
    phone.browser.execute_script("document.getElementById('measure').focus()")
    phone.browser.switch_to.active_element.send_keys(Keys.ENTER)
    phone.wait("document.getElementById('measure').textContent === 'Stop'")
    phone.press("measure")
    phone.wait("document.getElementById('measure').textContent === 'Measure'")


def save_screenshot(phone: Phone, name: str) -> None:
    folder = os.environ.get("EDGEKIT_SCREENSHOTS")
    if folder:
        shot = phone.browser.execute_cdp_cmd("Page.captureScreenshot", {"captureBeyondViewport": True})
        Path(folder, name).write_bytes(base64.b64decode(shot["data"]))


def test_a_result_that_the_desk_cannot_keep_is_sent_again_by_itself(
    browser: webdriver.Chrome, digits_bundle: Path
) -> None:
    with phone_at(browser, digits_bundle, settings=ONCE, variants=VARIANTS[:1]) as phone:
        phone.open()
        phone.trouble = EdgekitError("EK-SPACE", "no space is left to write phone.json")
        phone.press("measure")
        phone.wait("document.getElementById('delivery').textContent.includes('did not arrive')")
        assert "send it again: no space is left" in phone.text("delivery") and not phone.results
        phone.trouble = None
        phone.wait("document.getElementById('delivery').textContent.includes('has arrived')")
        assert len(phone.results) == 1


def test_names_and_labels_are_texts_on_the_page(browser: webdriver.Chrome, digits_bundle: Path, tmp_path: Path) -> None:
    markup = "<img src=x onerror=\"document.title='owned'\">"
    with Bundle.open(digits_bundle) as opened:
        manifest, files = opened.manifest, {name: opened.read(name) for name in opened.manifest.files}
    entry = manifest.variant(VARIANTS[0])
    odd = replace(entry, file="variants/a b?c#d%41&é.tflite")
    files[odd.file] = files[entry.file]
    variants = tuple(odd if each is entry else each for each in manifest.variants)
    changed = replace(
        manifest, name=markup, labels=tuple(f"{markup} {number}" for number in range(10)), variants=variants
    )
    files = {name: data for name, data in files.items() if name != entry.file}
    write_bundle(changed, files, tmp_path / "it.edgekit")
    with phone_at(browser, tmp_path / "it.edgekit", settings=ONCE, variants=VARIANTS[:1]) as phone:
        phone.open()
        assert phone.text("name") == markup and browser.title.startswith(markup)
        assert phone.measure()["cells"][0]["status"] == "measured"
        browser.execute_script("[...document.querySelectorAll('#inputs button')].at(-1).click()")
        phone.wait("!document.getElementById('answer').hidden")
        assert f"{markup} " in phone.text("answer")
        assert browser.execute_script("return document.querySelectorAll('img[src=x]').length") == 0
