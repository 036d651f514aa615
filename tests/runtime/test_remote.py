"""Engines in processes of their own: what such a process answers, costs and leaves, whatever becomes of it."""

from __future__ import annotations

import io
import json
import os
import resource
import signal
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from small_models import IMAGE, SmallModels
from support import bad_engines
from support.waiting import is_alive, text_of, wait_until

import edgekit
from edgekit.errors import EdgekitError
from edgekit.runtime import frames
from edgekit.runtime.remote import Server
from edgekit.tensors import TensorSpec

_LENGTHS = struct.Struct("<IQ")
_FEW_MEGABYTES = 64


def message(header: object, body: bytes = b"") -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return _LENGTHS.pack(len(text), len(body)) + text + body


def error(**changed: object) -> dict[str, object]:
    told = {"kind": "EdgekitError", "code": "EK-RUN", "message": "no", "hint": None, "log": None, **changed}
    return {"error": told}


#: What a process whose native code was led astray may say, by name.
NONSENSE = {
    "a header of 4 GB": _LENGTHS.pack((1 << 32) - 1, 0) + b"{" * 1000,
    "a header of 2 MB": _LENGTHS.pack(2 << 20, 0) + b" " * (2 << 20),
    "a body of 2^63 bytes": _LENGTHS.pack(2, 1 << 63) + b"{}" + b"x" * 1000,
    "a body of 8 GB": _LENGTHS.pack(2, 8 << 30) + b"{}" + b"x" * 1000,
    "a body that is too short": message({"threads": 1}, b"1234"),
    "a body with an error": message(error(), b"1234"),
    "half a header": _LENGTHS.pack(1000, 0) + b"{",
    "half of the lengths": b"\0\0\0",
    "no JSON": message(b"threads"),
    "a list": message(["threads"]),
    "no UTF-8": message(b'{"threads": "\xff"}'),
    "half a pair of surrogates": message(b'{"threads": "\\ud800"}'),
    "lists in lists": message(b"[" * 500_000),
    "objects in objects": message(b'{"a":' * 100_000),
    "not a number": message(b'{"threads": NaN}'),
    "a number of 5,000 digits": message(b'{"threads": ' + b"9" * 5000 + b"}"),
    "an error that is a list": message({"error": ["EK-RUN"]}),
    "an error that is a text": message({"error": "EK-RUN"}),
    "an error without a message": message({"error": {"kind": "EdgekitError", "code": "EK-RUN"}}),
    "an error of no kind": message(error(kind="SystemExit")),
    "an error of no code": message(error(code="EK-OWNED")),
    "an error whose kind is a list": message(error(kind=["UsageError"])),
    "an error whose hint is a number": message(error(hint=1)),
    "nothing": b"",
}
#: And what only makes no sense where threads are due.
NO_THREADS = {
    "no threads": message({}),
    "threads as a text": message({"threads": "1"}),
    "threads below one": message({"threads": 0}),
    "a thousand million threads": message({"threads": 10**9}),
    "true threads": message({"threads": True}),
}


def lying(tmp_path: Path, *answers: bytes) -> Server:
    """A process that answers each request with the next of *answers*, whatever it is, and then goes on for ever."""
    files = []
    for index, answer in enumerate(answers):
        files.append(tmp_path / f"answer-{index}")
        files[-1].write_bytes(answer)
    code = """
import os, struct, sys, time
for file in sys.argv[1:]:
    header, body = struct.unpack("<IQ", sys.stdin.buffer.read(12))
    sys.stdin.buffer.read(header + body)
    sys.stdout.buffer.write(open(file, "rb").read())
    sys.stdout.buffer.flush()
os.close(1)
sys.stdin.buffer.read()
time.sleep(100)
"""
    return Server.start("litert", [sys.executable, "-c", code, *map(str, files)])


def peak_megabytes() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10


def raised(server: Server, work: object) -> EdgekitError:
    """The error of *work*, which costs next to no memory and no time, and after which nothing is left."""
    before, began = peak_megabytes(), time.monotonic()
    with server, pytest.raises(EdgekitError) as caught:
        work()  # type: ignore[operator]
    assert time.monotonic() - began < 20 and peak_megabytes() - before < _FEW_MEGABYTES
    assert server._child.process.poll() is not None and not server.alive
    assert caught.value.message.isprintable() and len(caught.value.message) < 2100
    if caught.value.log is not None:
        Path(caught.value.log).unlink(missing_ok=True)
    return caught.value


@pytest.mark.parametrize("name", [*NONSENSE, *NO_THREADS])
def test_nonsense_for_an_opened_model_is_a_crash(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setattr("edgekit.runtime.children._END_S", 0.2)
    server = lying(tmp_path, {**NONSENSE, **NO_THREADS}[name])
    found = raised(server, lambda: server.open(b"model", "tflite", IMAGE, 1))
    assert found.code == "EK-CRASHED"
    with pytest.raises(EdgekitError, match="litert"):
        server.open(b"model", "tflite", IMAGE, 1)


@pytest.mark.parametrize("name", NONSENSE)
def test_nonsense_for_outputs_is_a_crash(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setattr("edgekit.runtime.children._END_S", 0.2)
    server = lying(tmp_path, message({"threads": 1}), NONSENSE[name])
    session = server.open(b"model", "tflite", IMAGE, 1)
    assert raised(server, lambda: session.run([np.zeros((1, 1, 12, 12), np.float32)])).code == "EK-CRASHED"


def test_what_an_error_says_cannot_command_a_terminal(tmp_path: Path) -> None:
    text = "\x1b[2J\x1b]0;owned\x07\u202e\r\n" + "x" * 500_000
    server = lying(tmp_path, message(error(message=text, hint=text, kind="UsageError", code="EK-INPUT")))
    with server, pytest.raises(EdgekitError) as caught:
        server.open(b"model", "tflite", IMAGE, 1)
    server._child.kill()
    assert caught.value.message.startswith("\\x1b[2J\\x1b]0;owned\\x07\\u202e  xxx")
    assert len(caught.value.message) == len(str(caught.value.hint)) == 2000


def test_arrays_arrive_as_they_were_sent(tmp_path: Path) -> None:
    scores = np.arange(4, dtype=np.float32)[None]
    with lying(tmp_path, message({"threads": 3}), message({}, scores.tobytes())) as server:
        session = server.open(b"model", "tflite", IMAGE, 1)
        (found,) = session.run([np.zeros((1, 1, 12, 12), np.float32)])
        server._child.kill()
    assert session.threads == 3 and found.flags.writeable
    np.testing.assert_array_equal(found, scores)


def test_more_arrays_than_were_sent_cost_nothing(tmp_path: Path) -> None:
    """A signature of 200 MB, and a process that says it sends as much."""
    before = peak_megabytes()
    specs = (edgekit.runtime.remote.TensorSpec("big", (1, 50_000_000), "float32"),)
    (tmp_path / "answer").write_bytes(_LENGTHS.pack(2, 200_000_000) + b"{}" + bytes(1000))
    with (tmp_path / "answer").open("rb") as stream, pytest.raises(EOFError):
        frames.receive_arrays(stream, specs)
    assert peak_megabytes() - before < _FEW_MEGABYTES


@pytest.fixture
def engines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Engines that crash and hang are known, here and to every process that is started."""
    bad_engines.install(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, [str(tmp_path), os.environ.get("PYTHONPATH", "")])))
    monkeypatch.setenv(bad_engines.HANGING, str(tmp_path / "hanging"))
    yield tmp_path
    for name in [name for name in sys.modules if name.startswith("edgekit_bad_engines")]:
        del sys.modules[name]


@pytest.mark.parametrize("variant", ["fp32.tflite", "int8-dynamic.tflite", "fp32.pte"])
def test_an_isolated_model_is_like_any_other(small_bundle: Path, small_models: SmallModels, variant: str) -> None:
    image = small_models.images[:1]
    with edgekit.load(small_bundle, variant=variant, threads=2) as here:
        expected = here(image)
    with edgekit.load(small_bundle, variant=variant, threads=2, isolated=True) as model:
        for _ in range(3):
            np.testing.assert_array_equal(model(image), expected)
        np.testing.assert_array_equal(model({"image": image}), expected)
        assert (model.variant, model.engine, model.threads) == (here.variant, here.engine, here.threads)
        assert (model.signature, model.labels, model.preprocessing) == (here.signature, here.labels, here.preprocessing)
        np.testing.assert_array_equal(model(model.prepare(small_models.samples[0])), expected)
        with pytest.raises(EdgekitError, match="takes float32"):
            model(image.astype(np.float64))
    with pytest.raises(EdgekitError, match="closed"):
        model(image)


def test_a_crash_is_an_error_and_the_model_can_be_loaded_again(
    small_bundle: Path, small_models: SmallModels, engines: Path
) -> None:
    image = small_models.images[:1]
    for _ in range(2):
        with edgekit.load(small_bundle, variant="fp32.tflite", engine="segfaults", isolated=True) as model:
            for _ in range(2):  # it stays dead, and says so again
                with pytest.raises(EdgekitError, match="SIGSEGV") as caught:
                    model(image)
                assert caught.value.code == "EK-CRASHED"
            assert "about to read" in Path(str(caught.value.log)).read_text()
        Path(str(caught.value.log)).unlink()
    with edgekit.load(small_bundle, variant="fp32.tflite", engine="twin", isolated=True) as model:
        np.testing.assert_allclose(model(image), small_models.scores[:1], atol=1e-5)


def test_an_engine_that_refuses_or_eats_is_one_line(small_bundle: Path, engines: Path) -> None:
    with pytest.raises(EdgekitError, match="refuses failed to take the model file: this file is not") as caught:
        edgekit.load(small_bundle, variant="fp32.tflite", engine="refuses", isolated=True)
    assert caught.value.code == "EK-RUN"


def test_all_memory_is_more_than_a_model_gets(
    small_bundle: Path, engines: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (engines / "sitecustomize.py").write_text(
        "from edgekit.runtime import confinement\nconfinement._LEAST_BYTES, confinement._SHARE = 400 << 20, 0\n"
    )
    with pytest.raises(EdgekitError, match=r"failed to take the model file: Unable to allocate 16\.0 MiB") as caught:
        edgekit.load(small_bundle, variant="fp32.tflite", engine="eats", isolated=True)
    assert caught.value.code == "EK-RUN"


def test_the_process_is_confined(small_models: SmallModels) -> None:
    with Server.start("litert") as server:
        server.open(small_models.files["image.tflite"], "tflite", IMAGE, 1)
        process = server._child.process.pid
        text = Path(f"/proc/{process}/limits").read_text()
        limits = {line[:25].strip(): line[25:].split()[:2] for line in text.splitlines()[1:]}
        assert limits["Max core file size"] == ["0", "0"]
        for name in ("Max data size", "Max address space", "Max file size"):
            assert limits[name][0] == limits[name][1] != "unlimited", name
        assert os.getpgid(process) == process != os.getpgrp(), "the terminal's Ctrl-C goes to the caller's group"
        assert Path(f"/proc/{process}/oom_score_adj").read_text() == "1000\n"
        ignored = next(line for line in Path(f"/proc/{process}/status").read_text().splitlines() if "SigIgn" in line)
        assert int(ignored.split()[1], 16) >> (signal.SIGINT - 1) & 1


def test_it_ends_with_its_parent_whatever_its_native_code_is_at(
    small_bundle: Path, small_models: SmallModels, engines: Path
) -> None:
    """It hangs in native code that holds Python's lock, and its parent is killed, which closes nothing properly."""
    np.save(engines / "image.npy", small_models.images[:1])
    program = (
        "import sys, numpy, edgekit\n"
        "model = edgekit.load(sys.argv[1], variant='fp32.tflite', engine='hangs', isolated=True)\n"
        "model(numpy.load(sys.argv[2]))\n"
    )
    caller = subprocess.Popen([sys.executable, "-c", program, small_bundle, engines / "image.npy"])
    child = int(text_of(engines / "hanging"))
    assert is_alive(child)
    caller.kill()
    caller.wait()
    wait_until(lambda: not is_alive(child))


def test_it_outlives_the_thread_that_started_it(small_bundle: Path, small_models: SmallModels) -> None:
    loaded: list[edgekit.runtime.model.Model] = []
    thread = threading.Thread(target=lambda: loaded.append(edgekit.load(small_bundle, isolated=True)))
    thread.start()
    thread.join()
    with loaded[0] as model:
        np.testing.assert_allclose(model(small_models.images[:1]), small_models.scores[:1], atol=1e-5)


def test_ctrl_c_is_answered_at_once_and_leaves_no_half_answer(
    small_bundle: Path, small_models: SmallModels, engines: Path
) -> None:
    model = edgekit.load(small_bundle, variant="fp32.tflite", engine="hangs", isolated=True)

    def interrupt() -> None:
        text_of(engines / "hanging")
        os.kill(os.getpid(), signal.SIGINT)

    thread = threading.Thread(target=interrupt)
    thread.start()
    with pytest.raises(KeyboardInterrupt):
        model(small_models.images[:1])
    thread.join()
    began = time.monotonic()
    with pytest.raises(EdgekitError, match="was interrupted"):
        model(small_models.images[:1])
    model.close()
    assert time.monotonic() - began < 20  # and not for ever


MOST = [TensorSpec("y", (4, 6), "float32")]


def test_answers_may_be_smaller_where_that_was_asked_for() -> None:
    arrays = [np.arange(6, dtype=np.float32).reshape(2, 3)]
    sent = message({"shapes": [[2, 3]]}, frames.pack(arrays))
    _, (found,) = frames.receive_arrays(io.BytesIO(sent), MOST, resized=True)
    np.testing.assert_array_equal(found, arrays[0])
    with pytest.raises(ValueError, match="96 were due"):
        frames.receive_arrays(io.BytesIO(sent), MOST)


@pytest.mark.parametrize(
    "shapes", [[[5, 6]], [[4, 7]], [[24]], [[-4, -6]], [[1.5, 2]], [[True, 6]], [], [[4, 6], [4, 6]], "46", None, [46]]
)
def test_shapes_that_are_none_or_larger_are_refused(shapes: object) -> None:
    with pytest.raises(ValueError):
        frames.receive_arrays(io.BytesIO(message({"shapes": shapes}, bytes(96))), MOST, resized=True)
