"""The runner against the engines in Python, on this machine: it is a host of its own here."""

from __future__ import annotations

import json
import os
import pickle
import platform
import signal
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
from small_models import IMAGE, SmallModels
from support.shared import Shared
from support.typed_models import TypedModels, build_typed_models

from edgekit.bundle import Bundle
from edgekit.devices.base import VerifyRequest
from edgekit.devices.payload import runner_pack
from edgekit.devices.runner.inference import WithRunner
from edgekit.devices.transport.completed import Answer
from edgekit.errors import DeviceError
from edgekit.manifest import Variant
from edgekit.profiling.operators import decode
from edgekit.runtime.engines import open_session
from edgekit.runtime.machine import read_machine
from edgekit.runtime.profiler.records import BoardState


class Here:
    """This machine, as `edgekit.devices.runner.inference.RunnerHost`: with no shell and no connection in between."""

    device = "here"

    def __init__(self, program: Path, folder: Path, bundle: Bundle | None = None):
        self.machine = read_machine()
        self._program, self._folder, self._bundle = program, folder, bundle

    def model(self, entry: Variant) -> str:
        assert self._bundle is not None
        file = self._folder / f"{entry.sha256}.{entry.format}"
        file.write_bytes(self._bundle.read(entry.file))
        return str(file)

    def workspace(self) -> str:
        return str(self._folder)

    def put(self, file: str, data: bytes) -> None:
        Path(file).write_bytes(data)

    def fetch(self, file: str, most_bytes: int) -> bytes:
        return Path(file).read_bytes()

    def execute(self, arguments: Sequence[str], timeout_s: float, most_bytes: int = 1 << 20) -> Answer:
        command = [str(self._program), *arguments]
        environment = {"PATH": os.defpath}
        done = subprocess.run(command, env=environment, capture_output=True, timeout=timeout_s, check=False)
        status = done.returncode if done.returncode >= 0 else 128 - done.returncode
        return Answer(status, done.stdout.decode(errors="replace"), tuple(done.stderr.decode().splitlines()))

    def look(self) -> BoardState | None:
        return None


@pytest.fixture(scope="module")
def program(system: None, fetched: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runner")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EDGEKIT_HOME", str(fetched))
        pack = runner_pack.runner_part(platform.machine(), ("tflite", "pte"), lambda line: None)
    pack.unpack(folder)
    return folder / "run.sh"


@pytest.fixture
def host(program: Path, tmp_path: Path) -> Here:
    return Here(program, tmp_path)


@pytest.fixture
def small(program: Path, small_bundle: Path, tmp_path: Path) -> Iterator[WithRunner]:
    with Bundle.open(small_bundle) as bundle:
        yield WithRunner(Here(program, tmp_path, bundle), bundle)


def run(host: Here, *arguments: str) -> tuple[int, dict[str, object]]:
    answer = host.execute(arguments, 60)
    return answer.status, json.loads(answer.output)


@pytest.mark.parametrize("name", ["fp32.tflite", "int8-dynamic.tflite", "fp32.pte"])
def test_it_gives_what_the_engine_gives_in_python(small: WithRunner, small_models: SmallModels, name: str) -> None:
    entry = small.bundle.manifest.variant(name)
    image = small_models.images[5:6]
    found = small.measure(entry, [image], threads=2, repeat=3, spans=4)
    session = open_session(entry.engines[0], small.bundle.read(entry.file), entry.format, IMAGE, 2)
    np.testing.assert_allclose(found.outputs["output"], session.run([image])[0], rtol=0, atol=1e-6)
    session.close()
    told = found.document
    assert told.threads == 2 and len(told.elapsed_ns) == 3 and min(told.elapsed_ns) > 0
    assert told.import_ns > 0 and told.load_ns > 0
    assert [len(part) for part in told.parts] == [4, 4, 4]
    memory = told.memory()
    assert memory is not None and memory.anonymous_bytes and memory.file_bytes
    assert memory.before_bytes < memory.peak_rss_bytes < 64 << 20


def test_every_variant_is_verified(small: WithRunner) -> None:
    rows = small.verify(VerifyRequest(threads=1), lambda line: None)
    assert [(row.engine, row.status, row.threads) for row in rows] == [
        ("litert", "passed", 1),
        ("litert", "passed", 1),
        ("executorch", "passed", 1),
    ]
    assert all(row.agreement is not None and row.agreement >= 90 for row in rows)


@pytest.mark.parametrize("name", ["fp32.tflite", "int8-dynamic.tflite", "fp32.pte"])
def test_operators_are_recorded(small: WithRunner, small_models: SmallModels, name: str) -> None:
    entry = small.bundle.manifest.variant(name)
    run = small.measure(entry, [small_models.images[:1]], threads=1, repeat=6, trace=True)
    assert run.trace is not None and len(run.document.elapsed_ns) == 6
    found = decode(run.trace)
    assert found.runs == 6 and [row.delegated for row in found.operators].count(True) >= 3


def test_an_engine_loads_no_library_of_the_other(program: Path, small_models: SmallModels, tmp_path: Path) -> None:
    """Each is taken away while the other runs."""
    small_models.images[:1].tofile(tmp_path / "in.raw")
    for format, other in (("tflite", "libedgekit_executorch.so"), ("pte", "libLiteRt.so")):
        (tmp_path / f"image.{format}").write_bytes(small_models.files[f"image.{format}"])
        host, options = Here(program, tmp_path), ("--input", f"{tmp_path}/in.raw", "--output-dir", str(tmp_path))
        library = program.parent / other
        library.rename(tmp_path / other)
        try:
            status, _ = run(host, "--model", f"{tmp_path}/image.{format}", *options)
            assert status == 0
            status, document = run(host, "--model", f"{tmp_path}/image.{format}", "--engine", _other(format), *options)
            assert status == 1 and f"{other}: cannot open" in str(document["error"])
        finally:
            (tmp_path / other).rename(library)


def _other(format: str) -> str:
    return "executorch" if format == "tflite" else "litert"


def test_it_runs_on_the_cores_that_were_named(program: Path, small_models: SmallModels, tmp_path: Path) -> None:
    core = max(os.sched_getaffinity(0))
    model = tmp_path / "image.tflite"
    model.write_bytes(small_models.files["image.tflite"])
    small_models.images[:1].tofile(tmp_path / "in.raw")
    options = ["--cpus", str(core), "--threads", "3", "--repeat", "1000000"]
    options += ["--model", str(model), "--input", f"{tmp_path}/in.raw", "--output-dir", str(tmp_path)]
    process = subprocess.Popen([str(program), *options], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    try:
        threads: list[int] = []
        while len(threads) < 3:  # of three, two are the engine's own
            assert process.poll() is None
            threads = [int(name) for name in os.listdir(f"/proc/{process.pid}/task")]
        assert {core for thread in threads for core in os.sched_getaffinity(thread)} == {core}
    finally:
        process.send_signal(signal.SIGKILL)
        process.communicate()
    status, document = run(Here(program, tmp_path), *options[:2], *options[6:])
    assert (status, document["cpus"], document["engine"]) == (0, [core], "litert")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--cpus", "0,4000"), "--cpus takes cores like 0-3,6, not '0,4000'"),
        (("--cpus", "3-1"), "--cpus takes cores like 0-3,6, not '3-1'"),
        (("--cpus", "1000"), "this process may not run on core 1000"),
        (("--engine", "torch"), "--engine is litert or executorch"),
        (("--model", "nothing.tflite"), "cannot be read, or is no .tflite file"),
        (("--method", "decode"), "the file has no method 'decode', it has "),
        (("--input-names", "left", "right"), "the model has 1 inputs, 2 are named"),
        ((), "the model takes 1 inputs, --input names 0"),
        (("--input", "/dev/null"), "/dev/null has 0 bytes, input 0 takes 576"),
    ],
)
def test_what_is_wrong_is_one_line(
    host: Here, small_models: SmallModels, tmp_path: Path, options: tuple[str, ...], words: str
) -> None:
    model = tmp_path / "image.tflite"
    model.write_bytes(small_models.files["image.tflite"])
    status, document = run(host, "--model", str(model), "--output-dir", str(tmp_path), *options)
    assert status == 1 and document.keys() == {"error"}
    assert words in str(document["error"]) and "\n" not in str(document["error"])


def test_a_file_that_is_not_the_signatures_is_said(
    small: WithRunner, small_models: SmallModels, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = tmp_path / "other.tflite"
    other.write_bytes(small_models.files["pair.tflite"])
    monkeypatch.setattr(small.host, "model", lambda entry: str(other))
    entry = small.bundle.manifest.variant("fp32.tflite")
    with pytest.raises(DeviceError, match=r"here: litert: the model has 2 inputs, 1 are named"):
        small.measure(entry, [small_models.images[:1]], threads=1)


@pytest.fixture(scope="module")
def typed_models() -> TypedModels:
    folder = Shared.once("typed", lambda folder: (folder / "models").write_bytes(pickle.dumps(build_typed_models())))
    models: TypedModels = pickle.loads((folder / "models").read_bytes())
    return models


@pytest.mark.slow
@pytest.mark.parametrize("named", ["as in the signature", "as in the file"])
def test_values_of_every_type_find_their_place(
    host: Here, typed_models: TypedModels, tmp_path: Path, named: str
) -> None:
    """Of int64 numbers, the file takes and gives int32. It calls its inputs ``args_0`` and so on."""
    model, facts = tmp_path / "typed.tflite", typed_models.typed_facts
    model.write_bytes(typed_models.typed["tflite"])
    order = [*range(len(facts.inputs))]
    names = [spec.name for spec in facts.signature.inputs]
    if named == "as in the file":
        order = [*order[3:], *order[:3]]
        names = [f"args_{index}" for index in order]
    files = [tmp_path / f"{index}.raw" for index in order]
    for index, file in zip(order, files, strict=True):
        file.write_bytes(facts.inputs[index].tobytes())
    options = ["--model", str(model), "--output-dir", str(tmp_path), "--input", *map(str, files), "--repeat", "2"]
    options += ["--input-names", *names, "--output-names", *(spec.name for spec in facts.signature.outputs)]
    status, document = run(host, *options)
    assert status == 0, document
    described = document["outputs"]
    assert isinstance(described, list)
    for index, (expected, found) in enumerate(zip(facts.outputs, described, strict=True)):
        assert found["dtype"] == {"int64": "int32"}.get(expected.dtype.name, expected.dtype.name)
        output = np.fromfile(tmp_path / f"output_{index}.raw", found["dtype"]).reshape(found["shape"])
        np.testing.assert_array_equal(output, expected)
    wide = next(file for index, file in zip(order, files, strict=True) if facts.inputs[index].dtype == np.int64)
    wide.write_bytes((np.fromfile(wide, np.int64) + 2**31).tobytes())
    status, document = run(host, *options)
    assert status == 1 and "holds values beyond int32" in str(document["error"])


@pytest.mark.slow
@pytest.mark.parametrize("method", ["encode", "decode"])
def test_a_method_is_chosen(host: Here, typed_models: TypedModels, tmp_path: Path, method: str) -> None:
    facts = typed_models.coder_facts[method]
    (tmp_path / "coder.tflite").write_bytes(typed_models.coder["tflite"])
    files = []
    for spec, array in zip(facts.signature.inputs, facts.inputs, strict=True):
        files.append(str(tmp_path / f"{spec.name}.raw"))
        array.tofile(files[-1])
    options = ["--method", method, "--output-dir", str(tmp_path), "--input", *files]
    status, document = run(host, "--model", f"{tmp_path}/coder.tflite", *options)
    assert status == 0, document
    found = np.fromfile(tmp_path / "output_0.raw", facts.outputs[0].dtype)
    np.testing.assert_allclose(found, facts.outputs[0].ravel(), atol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["fp32.tflite", "int8.tflite", "fp32.pte", "int8.pte"])
def test_int8_has_the_same_bits_as_in_python(program: Path, digits_bundle: Path, tmp_path: Path, name: str) -> None:
    with Bundle.open(digits_bundle) as bundle:
        runner = WithRunner(Here(program, tmp_path, bundle), bundle)
        entry, signature = bundle.manifest.variant(name), bundle.manifest.signature
        inputs, _ = bundle.check_vectors()
        session = open_session(entry.engines[0], bundle.read(entry.file), entry.format, signature, 1)
        sample = [inputs[spec.name][:1] for spec in signature.inputs]
        (expected,) = session.run(sample)
        session.close()
        (found,) = runner.measure(entry, sample, threads=2, repeat=2).outputs.values()
    assert np.ptp(expected) > 0
    np.testing.assert_allclose(found, expected, rtol=0, atol=0 if "int8" in name else 1e-6)
