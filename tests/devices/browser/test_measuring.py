"""How the page measures: in a browser, on the page's own modules, with the product's server and LiteRT.js."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from selenium import webdriver
from support.phone_page import Phone, phone_at, tensors

import edgekit
from edgekit.bundle import Bundle
from edgekit.fidelity import compare, scale
from edgekit.runtime.preprocess import Preprocessing, Resize
from edgekit.tensors import grouped


@pytest.fixture(scope="module")
def phone(browser: webdriver.Chrome, small_bundle: Path) -> Iterator[Phone]:
    with phone_at(browser, small_bundle) as phone:
        phone.open()
        yield phone


def test_a_phone_measures_and_its_outputs_are_those_of_litert(phone: Phone, small_bundle: Path) -> None:
    result = phone.measure()
    assert result["browser"]["cross_origin_isolated"]
    with Bundle.open(small_bundle) as bundle:
        inputs = bundle.check_vectors()[0]["image"]
    model = edgekit.load(small_bundle, variant="fp32.tflite", engine="litert")
    native = np.concatenate([model(inputs[index : index + 1]) for index in range(len(inputs))])
    cell = phone.cells()["fp32.tflite", "wasm"]
    assert np.abs(tensors(cell["check_outputs"]) - native).max() < 1e-5
    for cell in phone.results[-1][1]:
        assert (cell.status, cell.reason) == ("measured", "")
        assert [process.repeat for process in cell.processes] == [0, 1]
    assert phone.text("delivery") == "The result has arrived at the desk."
    assert phone.text("table").count("correct") == 2


def test_each_sample_includes_reading_the_outputs(phone: Phone) -> None:
    # A simulated runtime that, like a GPU's, is done with `run` at once and with reading 20 ms later.
    elapsed_ms = phone.run(
        """
        const {infer} = await page("inference.js"), {takeTurn} = await page("phases.js");
        class Tensor { delete() {} }
        const output = {
          data: () => new Promise((resolve) => setTimeout(() => resolve(new Float32Array(1)), 20)), delete() {},
        };
        const runner = {run: async () => [output]};
        const inputs = [{data: new Float32Array(1), shape: [1]}];
        return takeTurn(() => infer(runner, Tensor, inputs), {samples: 3, perSample: 2, discardMs: 0});
        """
    )
    assert len(elapsed_ms) == 3
    assert min(elapsed_ms) >= 19  # setTimeout may be early by less than a step of the clock


def test_a_coarse_clock_times_several_inferences_at_once(phone: Phone) -> None:
    # A simulated clock in steps of 1 ms, and inferences of 0.3 ms: first 3 ms, as long as code is not optimized.
    found = phone.run(
        """
        const {warmUp, callsPerSample, takeTurn, timerStepMs} = await page("phases.js");
        let time = 0, calls = 0;
        const clock = () => Math.floor(time);
        const call = async () => { time += calls++ < 20 ? 3 : 0.3; };
        const warm = await warmUp(call, {leastMs: 600, mostMs: 5000, stepMs: 1, clock});
        const perSample = callsPerSample(warm.fastestMs, 1);
        const elapsed = await takeTurn(call, {samples: 20, perSample, discardMs: 5, clock});
        const step = timerStepMs(() => Math.floor(time += 0.01));
        return {...warm, perSample, elapsed, step};
        """
    )
    assert found["settled"]
    assert found["perSample"] * 0.3 >= 100
    assert found["typicalMs"] == pytest.approx(0.3, rel=0.01)
    assert found["elapsed"] == pytest.approx([0.3] * 20, rel=0.01)
    assert found["step"] == 1


def test_durations_settle_as_they_do_on_a_device(phone: Phone) -> None:
    from edgekit.runtime.profiler.phases import has_settled

    random = np.random.default_rng(0)
    series = [
        [float(value) for value in 1 + slope * np.arange(6) + random.normal(0, 0.002, 6)]
        for slope in np.linspace(-0.01, 0.01, 41)
    ]
    settled = phone.run(
        "const {hasSettled} = await page('phases.js'); return all[0].map((each) => hasSettled(each));", series
    )
    assert settled == [has_settled(each) for each in series]
    assert len(set(settled)) == 2


def test_the_seed_decides_the_order_and_every_order_occurs(phone: Phone) -> None:
    orders = phone.run(
        """
        const {shuffled} = await page("random.js");
        return Array.from({length: 600}, (_, round) => shuffled(["a", "b", "c"], `7/0/${round}`).join(""));
        """
    )
    again = phone.run("const {shuffled} = await page('random.js'); return shuffled(['a', 'b', 'c'], '7/0/0').join('')")
    assert orders[0] == again
    counts = {order: orders.count(order) for order in orders}
    assert len(counts) == 6
    assert min(counts.values()) > 60


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize(("height", "width", "crop"), [(12, 12, 1.0), (32, 24, 0.875), (90, 61, 0.9)])
def test_a_picture_becomes_the_same_numbers_as_on_the_host(
    phone: Phone, height: int, width: int, crop: float, channels: int
) -> None:
    random = np.random.default_rng(height)
    image = random.integers(0, 256, (50, 67, channels), np.uint8)
    steps = Preprocessing(
        scale=1 / 255,
        mean=(0.485, 0.456, 0.406)[:channels],
        std=(0.229, 0.224, 0.225)[:channels],
        layout="channels-first",
        resize=Resize(height, width, crop),
    )
    values = phone.run(
        """
        const {preprocess, resized} = await page("preprocess.js");
        const [data, shape, steps, tensor] = all;
        const fitting = resized({data: Uint8Array.from(data), shape}, steps.resize);
        return Array.from(preprocess(fitting, steps, tensor));
        """,
        image.ravel().tolist(),
        list(image.shape),
        steps.to_json(),
        [1, channels, height, width],
    )
    expected = steps.apply(image[..., 0] if channels == 1 else image, 3)
    assert np.array_equal(np.array(values, np.float32).reshape(expected.shape), expected)


@pytest.mark.parametrize("dtype", ["<f4", "<f8", "<i4", "<i8", "|u1", "|i1", "|b1"])
def test_arrays_of_numpy_are_read(phone: Phone, dtype: str) -> None:
    array = np.arange(6).reshape(1, 2, 3).astype(dtype)
    buffer = io.BytesIO()
    np.save(buffer, array)
    found = phone.run(
        """
        const {parseNpy} = await page("npy.js");
        const {data, shape} = parseNpy(Uint8Array.from(all[0]).buffer);
        return {data: Array.from(data), shape};
        """,
        list(buffer.getvalue()),
    )
    assert found["shape"] == [1, 2, 3]
    assert found["data"] == array.astype(float).ravel().tolist()


def test_a_worker_that_hangs_or_fails_is_ended_and_says_why(phone: Phone) -> None:
    failures = phone.run(
        """
        const {Process} = await page("process.js"), {Files, loadJob} = await page("job.js");
        const job = await loadJob(), files = new Files(job), [variant] = job.variants;
        const library = {
          folder: new URL("runtime/", document.baseURI).href, build: "default", wasm: await files.wasm("default"),
          threads: 1, gpu: false,
        };
        const model = {file: await files.model(variant), signature: job.signature, accelerator: "wasm", threads: 1};
        const damaged = {...model, file: model.file.slice(0, 1000)};
        const endless = {samples: 1e9, per_sample: 1, discard_ms: 0};
        const why = (asked) => asked.then(() => "", (error) => `${error.constructor.name}: ${error.message}`);
        const [one, two] = [new Process(), new Process()];
        for (const each of [one, two]) await each.ask("import", library, 30000, "loading LiteRT.js");
        await two.ask("load", model, 30000, "loading the model");
        await two.ask("first", {inputs: (await files.checks()).inputs[0]}, 30000, "running");
        return [
          await why(one.ask("load", damaged, 30000, "loading the model")),
          await why(two.ask("turn", endless, 1000, "running")),
        ];
        """
    )
    assert re.match("ProcessFailure: .*(LiteRt|model)", failures[0])
    assert failures[1] == "ProcessFailure: it hangs while running: no answer in 1 s"


def test_batches_are_filled_up_as_on_the_host_and_taken_apart_again(phone: Phone) -> None:
    samples = np.arange(30, dtype=np.float32).reshape(5, 1, 6)
    found = phone.run(
        """
        const {grouped, ungrouped} = await page("job.js");
        const groups = grouped(all[0].map((values) => [Float32Array.from(values)]), 2);
        const plain = groups.map(([batch]) => Array.from(batch));
        return [plain, groups.flatMap((batch) => ungrouped(batch, 2)).map(([values]) => Array.from(values))];
        """,
        samples[:, 0].tolist(),
    )
    expected = [batch[0].ravel().tolist() for batch in grouped([[sample] for sample in samples], 2)]
    assert found[0] == expected
    assert found[1][:5] == samples[:, 0].tolist()


@pytest.mark.parametrize("shape", [(16, 10), (4, 7, 6), (4, 6, 7), (9, 1)])
def test_noise_is_judged_as_on_the_host(phone: Phone, shape: tuple[int, ...]) -> None:
    random = np.random.default_rng(1)
    reference = random.normal(300, 20, size=shape)
    measured = reference + random.normal(0, 1e-3, shape)
    held_against = scale(reference)
    samples = [array.reshape(len(array), -1).tolist() for array in (reference, measured)]
    found = phone.run(
        """
        const {noiseRatios, snrDb} = await page("statistics.js");
        const ratios = noiseRatios(all[0], all[1], all[2]);
        return [ratios.map(snrDb), snrDb(ratios.reduce((sum, ratio) => sum + ratio, 0) / ratios.length)];
        """,
        *samples,
        vars(held_against),
    )
    expected = compare({"output": reference}, {"output": measured})
    assert [min(found[0]), found[1]] == pytest.approx([expected.worst.snr_db, expected.snr_db])
