"""The latency that a profile has for LiteRT and ExecuTorch, against plain loops over them in programs of their own.

Several pairs of fresh processes, of which each takes turns of about 50 ms, edgekit's as in any session. A loop over
LiteRT comes in two: one calls the functions of its native module, as edgekit does, the other its Python interface,
which does a little more. LiteRT also runs against its own ``litert-benchmark``, one process after the other; that one
times the inference alone, so it stands next to the ``invoke`` span.

Run with ``pytest -s -n 0 tests/benchmarks/test_profiler_overhead.py``; prints the figures.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from support.mobilenet import MOBILENET, export_mobilenet
from support.shared import Shared

from edgekit.bundle import Bundle
from edgekit.runtime.profiler.block import Run
from edgekit.runtime.profiler.board import Board
from edgekit.runtime.profiler.records import Process
from edgekit.runtime.profiler.session import MODES, settings_for
from edgekit.runtime.profiler.settings import Request
from edgekit.runtime.profiler.site import Site, Task
from edgekit.runtime.profiler.worker import MemoryLimit
from edgekit.tensors import Signature

#: Pairs of processes, and rounds of about 50 ms in each.
_PAIRS = int(os.environ.get("EDGEKIT_BENCHMARK_PAIRS", "8"))
_ROUNDS = int(os.environ.get("EDGEKIT_BENCHMARK_ROUNDS", "20"))

_LITERT = """
from ai_edge_litert.interpreter import Interpreter
interpreter = Interpreter(model_path=sys.argv[1], num_threads=1)
interpreter.allocate_tensors()
inward, outward = interpreter.get_input_details()[0]["index"], interpreter.get_output_details()[0]["index"]
native = interpreter._interpreter

def infer():
    native.SetTensor(inward, array, 0)
    native.Invoke(0)
    return native.GetTensor(outward, 0)
"""
_LITERT_PYTHON = (
    _LITERT
    + """
del native  # the interpreter counts who else holds it

def infer():
    interpreter.set_tensor(inward, array)
    interpreter.invoke()
    return interpreter.get_tensor(outward)
"""
)
_EXECUTORCH = """
from edgekit.runtime import native
from edgekit.runtime.native.binding import CoreMethod
method = CoreMethod(native.library(), open(sys.argv[1], "rb").read(), "forward", 1)
(inward,), (outward,) = method.inputs, method.outputs

def infer():
    inward[...] = array
    method.run()
    return outward.copy()
"""
#: Takes the model file, the inputs' bytes and their shape; then, for each line with a number of calls, their durations.
_LOOP = """
import json, sys, time
import numpy as np
array = np.fromfile(sys.argv[2], np.float32).reshape(json.loads(sys.argv[3]))
{engine}
import gc
gc.disable()
for line in sys.stdin:
    until = time.perf_counter() + 0.005
    while time.perf_counter() < until:
        infer()
    durations = []
    for _ in range(int(line)):
        before = time.perf_counter_ns()
        infer()
        durations.append(time.perf_counter_ns() - before)
    print(json.dumps(durations), flush=True)
"""


def model_file(model: str, format: str, request: pytest.FixtureRequest) -> tuple[Path, Signature]:
    """A file in float, and its signature."""
    if model == "mobilenet":
        return Shared.once("mobilenet", export_mobilenet) / f"mobilenet-fp32.{format}", MOBILENET
    with Bundle.open(request.getfixturevalue("digits_bundle")) as bundle:
        file = Shared.directory / f"digits.{format}"
        file.write_bytes(bundle.read(bundle.manifest.variant(f"fp32.{format}").file))
        return file, bundle.manifest.signature


@pytest.mark.parametrize("plain", ["litert", "litert's Python interface", "executorch"])
@pytest.mark.parametrize("model", ["digits", "mobilenet"])
def test_against_a_plain_loop(model: str, plain: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    engine = "executorch" if plain == "executorch" else "litert"
    file, signature = model_file(model, "pte" if engine == "executorch" else "tflite", request)
    array = np.random.default_rng(0).random(signature.inputs[0].shape, np.float32)
    program = {"litert": _LITERT, "executorch": _EXECUTORCH}.get(plain, _LITERT_PYTHON)
    ours, theirs = [], []
    for _ in range(_PAIRS):
        raw: list[list[int]] = []
        with started(engine, file, signature, array, tmp_path) as run, loop(program, file, array, tmp_path) as infer:
            for number in range(_ROUNDS):
                if number % 2:
                    run.take_turn(number)
                raw.append(infer(run.last_calls))
                if not number % 2:
                    run.take_turn(number)
            process = finished(run)
        assert process.elapsed_ns is not None
        ours.append(float(np.median(process.elapsed_ns.array())) / 1e3)
        theirs.append(float(np.median(np.concatenate(raw))) / 1e3)
    ratios = [own / other for own, other in zip(ours, theirs, strict=True)]
    print(
        f"\n{model}, 1 thread, {_PAIRS} pairs of processes: edgekit {statistics.median(ours):.2f} us, loop over "
        f"{plain} {statistics.median(theirs):.2f} us: median ratio {statistics.median(ratios):.3f} "
        f"({min(ratios):.3f} to {max(ratios):.3f})"
    )


def test_against_litert_benchmark(request: pytest.FixtureRequest, tmp_path: Path) -> None:
    """On the large model alone: the tool says hundredths of a millisecond."""
    model = "mobilenet"
    file, signature = model_file(model, "tflite", request)
    array = np.random.default_rng(0).random(signature.inputs[0].shape, np.float32)
    invoke_us, whole_us, theirs_us = [], [], []
    for _ in range(_PAIRS):
        with started("litert", file, signature, array, tmp_path) as run:
            for number in range(_ROUNDS):
                run.take_turn(number)
            calls = _ROUNDS * run.last_calls
            process = finished(run)
        assert process.spans is not None and process.elapsed_ns is not None
        invoke_us.append(float(np.median(process.spans.invoke_ns.array())) / 1e3)
        whole_us.append(float(np.median(process.elapsed_ns.array())) / 1e3)
        theirs_us.append(litert_benchmark(file, calls, tmp_path))
    ours, whole, theirs = map(statistics.median, (invoke_us, whole_us, theirs_us))
    print(
        f"\n{model}, 1 thread, {_PAIRS} pairs of processes: edgekit {whole:.2f} us, of which invoke {ours:.2f} us; "
        f"litert-benchmark {theirs:.2f} us: ratio of invoke {ours / theirs:.3f}"
    )


def litert_benchmark(file: Path, calls: int, folder: Path) -> float:
    """The median that LiteRT's own tool reports, in microseconds."""
    result = folder / "result.json"
    command = [sys.executable, "-m", "ai_edge_litert.tools.benchmark_litert_model", "--model", str(file)]
    options = ["--num_threads", "1", "--num_runs", str(calls), "--warmup_runs", str(calls // 2)]
    subprocess.run([*command, *options, "--result_json", str(result)], capture_output=True, check=True)
    facts = json.loads(result.read_text(encoding="utf-8"))
    return float(facts["latency"]["median_ms"]) * 1e3


@contextmanager
def started(engine: str, file: Path, signature: Signature, array: np.ndarray, folder: Path) -> Iterator[Run]:
    """A process of a session, settled."""
    inputs = folder / "inputs"
    inputs.write_bytes(array.tobytes())
    task = Task(0, file.name, engine, file, inputs, signature.to_json(), None, 0, False)
    mode = MODES["default"]
    site = Site(
        request=Request(settings_for("default", seed=0, threads=1), wait_s=0),
        threads=1,
        least_warm_up_s=mode.least_warm_up_s,
        most_warm_up_s=mode.most_warm_up_s,
        board=Board(),
        limit=MemoryLimit(None),
        wait_s=0,
        log=print,
        on_work=lambda seconds: None,
        on_first=lambda task, process: None,
    )
    run = Run(site, task, 0, 0)
    try:
        run.start()
        yield run
    finally:
        run.close()


def finished(run: Run) -> Process:
    run.finish()
    return run.record(Board().look())


@contextmanager
def loop(engine: str, file: Path, array: np.ndarray, folder: Path) -> Iterator:  # type: ignore[type-arg]
    """A function that makes a plain program run so many inferences, and gives their durations in nanoseconds."""
    inputs = folder / "plain-inputs"
    inputs.write_bytes(array.tobytes())
    command = [sys.executable, "-c", _LOOP.format(engine=engine), str(file), str(inputs), json.dumps(array.shape)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdin is not None and process.stdout is not None
    requests, answers = process.stdin, process.stdout

    def infer(calls: int) -> list[int]:
        requests.write(f"{calls}\n")
        requests.flush()
        durations: list[int] = json.loads(answers.readline())
        return durations

    try:
        infer(1)
        yield infer
    finally:
        process.kill()
        process.communicate()
