"""What programs on a device answer, when nobody knows what they are: taken for what was asked, or not at all."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
from support import profiles

from edgekit.bundle import Bundle
from edgekit.devices.base import RunRequest, VerifyRequest
from edgekit.devices.runner.inference import WithRunner
from edgekit.devices.ssh import session as python_session
from edgekit.devices.ssh.board import RemoteBoard
from edgekit.devices.ssh.execution import WithPython
from edgekit.devices.ssh.shell import Shell
from edgekit.devices.transport.completed import Answer
from edgekit.errors import BundleError, DeviceError, EdgekitError, UsageError
from edgekit.manifest import Variant
from edgekit.runtime.machine import read_machine
from edgekit.runtime.profiler.events import to_json
from edgekit.runtime.profiler.profile import BundleRecord, DeviceRecord
from edgekit.runtime.profiler.records import BoardState, Cell
from edgekit.runtime.profiler.settings import Request, Settings

NINES, ESCAPES = "9" * 5000, "\x1b[2J\x1b]0;owned\x07\u202e"
IMAGE = np.zeros((1, 1, 12, 12), np.float32)


@pytest.fixture
def bundle(small_bundle: Path) -> Iterator[Bundle]:
    with Bundle.open(small_bundle) as opened:
        yield opened


class Told:
    """A shell on a device that has been told what to answer, and what to say on standard error before."""

    def __init__(self, answer: Answer, lines: Sequence[str] = (), file: bytes = b""):
        self._answer, self._lines, self._file = answer, lines, file

    def do(self, verb: str, *arguments: str, **_: object) -> str:
        return ""

    def workspace(self) -> str:
        return "/tmp/edgekit-1"

    def fetch(self, file: str, most_bytes: int) -> bytes:
        return self._file

    def ask(self, verb: str, *arguments: str, log: Callable[[str], None] | None = None, **_: object) -> Answer:
        for line in self._lines:
            assert log is not None
            log(line)
        return self._answer


def shell(output: str = "", status: int = 0, lines: Sequence[str] = (), file: bytes = b"") -> Shell:
    return cast(Shell, Told(Answer(status, output, tuple(lines)), lines, file))


def refused(work: Callable[[], object]) -> EdgekitError:
    with pytest.raises(EdgekitError) as caught:
        work()
    assert caught.value.code != "EK-UNEXPECTED" and caught.value.message.isprintable()
    return caught.value


# Answers of edgekit itself, in a release with Python


def with_python(bundle: Bundle, told: Shell) -> WithPython:
    plan = SimpleNamespace(path="/home/pi/edgekit/x", release=SimpleNamespace(bundle="small.edgekit"))
    return WithPython("bench", told, cast(Any, plan), bundle)


def outputs(**arrays: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)  # type: ignore[arg-type]
    return buffer.getvalue()


RAN = {"variant": "fp32.tflite", "engine": "litert", "threads": 4, "outputs": {"output": {}}}
SCORES = outputs(output=np.zeros((1, 4), np.float32))


def test_what_was_asked_for_is_taken(bundle: Bundle) -> None:
    result = with_python(bundle, shell(json.dumps(RAN), file=SCORES)).run(RunRequest({"image": IMAGE}))
    assert (result.variant, result.engine, result.threads, list(result.outputs)) == (
        "fp32.tflite",
        "litert",
        4,
        ["output"],
    )


@pytest.mark.parametrize(
    ("document", "file"),
    [
        ("", SCORES),
        ("hello", SCORES),
        ("[]", SCORES),
        ("[" * 100_000, SCORES),
        ("null", SCORES),
        ('{"variant": ' + NINES + "}", SCORES),
        (json.dumps({**RAN, "variant": "other.tflite"}), SCORES),
        (json.dumps({**RAN, "variant": ["fp32.tflite"]}), SCORES),
        (json.dumps({**RAN, "variant": None}), SCORES),
        (json.dumps({**RAN, "engine": 1}), SCORES),
        (json.dumps({**RAN, "threads": "4"}), SCORES),
        (json.dumps({**RAN, "threads": 1e300}), SCORES),
        (json.dumps({key: value for key, value in RAN.items() if key != "threads"}), SCORES),
        (json.dumps(RAN), b""),
        (json.dumps(RAN), b"PK\3\4"),
        (json.dumps(RAN), SCORES[:-30]),
        (json.dumps(RAN), outputs()),
        (json.dumps(RAN), outputs(other=np.zeros((1, 4), np.float32))),
        (json.dumps(RAN), outputs(output=np.zeros((1, 5), np.float32))),
        (json.dumps(RAN), outputs(output=np.zeros((1, 4), np.float64))),
        (json.dumps(RAN), outputs(output=np.zeros((1000, 4), np.float32))),
        (json.dumps(RAN), outputs(output=np.zeros((1, 4), np.float32), more=np.zeros(1000))),
    ],
)
def test_any_other_answer_to_a_run_is_an_error_of_the_device(bundle: Bundle, document: str, file: bytes) -> None:
    release = with_python(bundle, shell(document, file=file))
    error = refused(lambda: release.run(RunRequest({"image": IMAGE})))
    assert isinstance(error, DeviceError) and "makes no sense" in error.message


ROW = {
    "variant": "fp32.tflite", "engine": "litert", "status": "passed", "reason": "", "required_snr_db": 80.0,
    "snr_db": 90.0, "max_abs_diff": 0.0, "agreement": 100.0, "threads": 4,
}  # fmt: skip


def test_rows_that_were_asked_for_are_taken(bundle: Bundle) -> None:
    odd = {**ROW, "reason": f"it says {ESCAPES}", "unknown": 1}
    release = with_python(bundle, shell(json.dumps({"rows": [ROW, odd]})))
    first, second = release.verify(VerifyRequest(), lambda line: None)
    assert first.status == "passed" and second.reason.isprintable()


@pytest.mark.parametrize(
    "rows",
    [
        None,
        {},
        "rows",
        [1],
        [[]],
        [{}],
        [{**ROW, "variant": "other"}],
        [{**ROW, "status": "excellent"}],
        [{**ROW, "status": 1}],
        [{**ROW, "snr_db": "90"}],
        [{**ROW, "snr_db": [90.0]}],
        [{**ROW, "threads": 1.5}],
        [{**ROW, "reason": None}],
    ],
)
def test_any_other_rows_are_an_error_of_the_device(bundle: Bundle, rows: object) -> None:
    release = with_python(bundle, shell(json.dumps({"rows": rows})))
    error = refused(lambda: release.verify(VerifyRequest(), lambda line: None))
    assert isinstance(error, DeviceError)


def reported(**changes: object) -> dict[str, object]:
    told = {"kind": "BundleError", "code": "EK-BUNDLE", "message": "damaged", "hint": "copy it", "log": "/tmp/x.log"}
    return {"error": {**told, **changes}}


@pytest.mark.parametrize(
    ("changes", "kind", "exit_code"),
    [
        ({}, BundleError, 6),
        ({"kind": "UsageError", "code": "EK-ENGINE"}, UsageError, 2),
        ({"kind": "EdgekitError", "code": "EK-RUN"}, EdgekitError, 1),
        ({"kind": "Interrupted", "code": "EK-INTERRUPTED"}, DeviceError, 4),  # not by whoever sits here
    ],
)
def test_an_error_that_edgekit_gives_there_is_the_same_here(
    bundle: Bundle, changes: dict[str, object], kind: type[EdgekitError], exit_code: int
) -> None:
    release = with_python(bundle, shell(json.dumps(reported(**changes)), status=143, lines=["error: other [EK-RUN]"]))
    works: tuple[Callable[[], object], ...] = (
        lambda: release.run(RunRequest({"image": IMAGE})),
        lambda: release.verify(VerifyRequest(), lambda line: None),
    )
    for work in works:
        told = cast(Any, release._shell)
        told._lines = ()
        error = refused(work)
        assert type(error) is kind and error.exit_code == exit_code
        assert (error.message, error.hint, error.log) == ("bench: damaged", "copy it", None)


def test_what_rows_say_is_no_error_of_the_verification(bundle: Bundle) -> None:
    row = {**ROW, "status": "failed", "reason": "outputs not finite"}
    limit = reported(kind="LimitError", code="EK-VERIFY")
    release = with_python(bundle, shell(json.dumps({"rows": [row], **limit}), status=3))
    (found,) = release.verify(VerifyRequest(), lambda line: None)
    assert found.status == "failed" and found.reason == "outputs not finite"


@pytest.mark.parametrize(
    "document",
    [
        reported(code="EK-OWNED"),
        reported(kind="SystemExit"),
        reported(message=None),
        reported(hint=["x"]),
        {"error": "EK-RUN"},
        {"error": None},
        {"error": None, "rows": []},
        ["error"],
        "[" * 100_000,
        NINES,
    ],
)
def test_an_error_that_is_none_is_one_of_the_device(bundle: Bundle, document: object) -> None:
    text = document if isinstance(document, str) else json.dumps(document)
    release = with_python(bundle, shell(text, status=1))
    assert isinstance(refused(lambda: release.verify(VerifyRequest(), print)), DeviceError)
    error = refused(lambda: release.run(RunRequest({"image": IMAGE})))
    assert isinstance(error, DeviceError) and len(error.message) <= 2000


@pytest.mark.parametrize(("status", "says"), [(1, "it has no --json"), (139, "SIGSEGV"), (137, "out of memory")])
def test_without_a_document_the_last_words_count(bundle: Bundle, status: int, says: str) -> None:
    """Of a Python that does not start, say, or of a process that was killed."""
    release = with_python(bundle, shell("", status=status, lines=["it has no --json"]))
    cast(Any, release._shell)._lines = ()
    error = refused(lambda: release.run(RunRequest({"image": IMAGE})))
    assert isinstance(error, DeviceError) and says in f"{error.message} {error.hint}"


def test_an_error_of_a_code_that_edgekit_lacks_is_words(bundle: Bundle) -> None:
    lines = [f"error: it says {ESCAPES} [EK-OWNED]", f" hint: {ESCAPES}"]
    release = with_python(bundle, shell("", status=6, lines=lines))
    told = cast(Any, release._shell)
    told._lines = ()
    error = refused(lambda: release.run(RunRequest({"image": IMAGE})))
    assert error.code == "EK-DEVICE"


def test_a_flood_of_progress_ends(bundle: Bundle) -> None:
    heard: list[str] = []
    release = with_python(bundle, shell(json.dumps({"rows": [ROW]}), lines=["fp32.tflite on litert"] * 10_000))
    release.verify(VerifyRequest(), heard.append)
    assert len(heard) < 1000


# A session of measurements there


def cell(bundle: Bundle, **changes: object) -> Cell:
    made = profiles.cell(2.0)
    return replace(
        made,
        device="local",
        bundle=BundleRecord.of(bundle).sha256,
        variant="fp32.tflite",
        engine="litert",
        **changes,  # type: ignore[arg-type]
    )


def session(bundle: Bundle, *events: object, status: int = 0) -> tuple[DeviceRecord, tuple[Cell, ...]]:
    lines = [event if isinstance(event, str) else json.dumps(event) for event in events]
    plan = SimpleNamespace(path="/home/pi/edgekit/x", release=SimpleNamespace(bundle="small.edgekit"))
    request = Request(Settings("quick", 1, 2, 1.0, 64))
    told = shell(status=status, lines=lines)
    return python_session.run_session("bench", told, [cast(Any, plan)], [bundle], request, listener=lambda event: None)


def result(bundle: Bundle, **changes: object) -> dict[str, Any]:
    record = DeviceRecord("local", False, read_machine(), None, {"litert": "2.3.0"})
    return {"event": "result", "device": to_json(record), "cells": [to_json(cell(bundle))], **changes}


def test_a_session_that_was_asked_for_is_taken(bundle: Bundle) -> None:
    note = {"event": "note", "text": f"it says {ESCAPES}"}
    record, (found,) = session(bundle, "chatter", note, {"event": "dance"}, result(bundle))
    assert (record.name, found.device, found.variant) == ("bench", "bench", "fp32.tflite")


def _broken(bundle: Bundle, path: str, value: object) -> dict[str, Any]:
    """A result in which *value* stands at *path*."""
    whole = result(bundle)
    place: Any = whole
    *steps, last = path.split(".")
    for step in steps:
        place = place[int(step)] if step.isdecimal() else place[step]
    place[last] = value
    return whole


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("device", None),
        ("device", []),
        ("device.machine", "Pi"),
        ("device.machine.cores", "4"),
        ("device.machine.memory_bytes", 1e30),
        ("device.engines", ["litert"]),
        ("cells", {}),
        ("cells", [1]),
        ("cells.0.bundle", "0" * 64),
        ("cells.0.variant", "other"),
        ("cells.0.variant", 1),
        ("cells.0.status", "excellent"),
        ("cells.0.processes", None),
        ("cells.0.processes.0.round_sizes", [1]),
        ("cells.0.processes.0.round_sizes", [-5]),
        ("cells.0.processes.0.calls_per_sample", 0),
        ("cells.0.processes.0.import_ms", -1.0),
        ("cells.0.processes.0.elapsed_ns", {"count": 10**12, "data": "eJw="}),
        ("cells.0.processes.0.elapsed_ns", {"count": -1, "data": ""}),
        ("cells.0.processes.0.elapsed_ns", {"count": 1, "data": "not base64"}),
        ("cells.0.processes.0.elapsed_ns", {"count": 1, "data": "eJw="}),
        ("cells.0.memory", {"peak_rss_bytes": -1, "anonymous_bytes": None, "file_bytes": None, "before_bytes": 0}),
        ("cells.0.unknown", 1),
    ],
)
def test_any_other_result_is_an_error_of_the_device(bundle: Bundle, path: str, value: object) -> None:
    error = refused(lambda: session(bundle, _broken(bundle, path, value)))
    assert isinstance(error, DeviceError) and "makes no sense" in error.message


@pytest.mark.parametrize(
    "event",
    [
        {"event": "error"},
        {"event": "error", "error": "EK-RUN"},
        {"event": "error", "error": {"kind": "SystemExit", "code": "EK-RUN", "message": "no"}},
        {"event": "error", "error": {"kind": "EdgekitError", "code": "EK-OWNED", "message": "no"}},
        {"event": "note"},
        {"event": "note", "text": 1},
        {"event": "progress", "done": "1", "total": 2},
        {"event": "progress", "done": 1.0},
        {"event": "cell"},
        {"event": "cell", "cell": 1},
        {"event": "cell", "cell": {}},
        {"event": ["cell"]},
        {"event": None},
        "[" * 100_000,
        '{"event": NaN}',
        '{"event": ' + NINES + "}",
        "x" * 1_000_000,
        ESCAPES,
    ],
)
def test_an_event_that_is_none_ends_nothing_but_the_session(bundle: Bundle, event: object) -> None:
    error = refused(lambda: session(bundle, event, status=1))
    assert isinstance(error, DeviceError) and len(error.message) <= 2000


# The runner, where there is no Python


class Host:
    """A place with a runner that has been told what to print."""

    device = "bench"
    machine = replace(read_machine(), architecture="x86_64")

    def __init__(self, output: str, file: bytes = bytes(16), status: int = 0):
        self._answer, self._file = Answer(status, output, ()), file

    def model(self, entry: Variant) -> str:
        return "/model"

    def workspace(self) -> str:
        return "/work"

    def put(self, file: str, data: bytes) -> None:
        pass

    def fetch(self, file: str, most_bytes: int) -> bytes:
        return self._file

    def execute(self, arguments: Sequence[str], timeout_s: float, most_bytes: int) -> Answer:
        return self._answer

    def look(self) -> BoardState | None:
        return None


DOCUMENT: dict[str, Any] = {
    "engine": "litert", "threads": 4, "cpus": None, "import_ns": 1, "load_ns": 1, "before_bytes": 1,
    "peak_rss_bytes": 2, "anonymous_bytes": 1, "file_bytes": 1, "elapsed_ns": [5, 6], "spans": None,
    "inputs": [{"dtype": "float32", "shape": [1, 1, 12, 12]}], "outputs": [{"dtype": "float32", "shape": [1, 4]}],
}  # fmt: skip


def measured(bundle: Bundle, output: str, file: bytes = bytes(16), status: int = 0) -> Any:
    runner = WithRunner(Host(output, file, status), bundle)
    return runner.measure(bundle.manifest.variant("fp32.tflite"), [IMAGE], None, repeat=2)


def test_a_document_of_what_was_asked_for_is_taken(bundle: Bundle) -> None:
    run = measured(bundle, json.dumps(DOCUMENT))
    told = run.document
    assert (told.threads, told.elapsed_ns, asdict(told.memory())["peak_rss_bytes"]) == (4, (5, 6), 2)


@pytest.mark.parametrize(
    "changes",
    [
        {"threads": 0},
        {"threads": "4"},
        {"threads": 10**9},
        {"import_ns": -1},
        {"load_ns": 1.5},
        {"elapsed_ns": []},
        {"elapsed_ns": [1]},
        {"elapsed_ns": [1, 2, 3]},
        {"elapsed_ns": [1, -2]},
        {"elapsed_ns": [1, "2"]},
        {"elapsed_ns": "12"},
        {"elapsed_ns": {"0": 1}},
        {"spans": []},
        {"spans": {"write_ns": [1], "invoke_ns": [1], "read_ns": [1]}},
        {"spans": {"write_ns": [1]}},
        {"inputs": []},
        {"inputs": None},
        {"inputs": [{"dtype": "float32"}]},
        {"inputs": [{"dtype": "float32", "shape": [1, 1, 12, 13]}]},
        {"outputs": [{"dtype": "object", "shape": [1, 4]}]},
        {"outputs": [{"dtype": "float32", "shape": [-1, 4]}]},
        {"outputs": [{"dtype": "float32", "shape": [1, 4]}] * 2},
        {"outputs": [{"dtype": ESCAPES, "shape": [1, 4]}]},
        {"peak_rss_bytes": "2"},
        {"unknown": 1},
        {"error": f"it says {ESCAPES}"},
        {"error": {"deep": [1]}},
    ],
)
def test_any_other_document_is_an_error_of_the_device(bundle: Bundle, changes: dict[str, object]) -> None:
    error = refused(lambda: measured(bundle, json.dumps({**DOCUMENT, **changes})))
    assert isinstance(error, DeviceError) and error.code == "EK-DEVICE"


@pytest.mark.parametrize(
    ("output", "file", "status"),
    [
        ("", bytes(16), 0),
        ("", bytes(16), 139),
        ("hello", bytes(16), 0),
        ("hello" + ESCAPES, bytes(16), 1),
        ("[" * 100_000, bytes(16), 0),
        ("[]", bytes(16), 0),
        ('{"threads": ' + NINES + "}", bytes(16), 0),
        (json.dumps(DOCUMENT), bytes(15), 0),
        (json.dumps(DOCUMENT), b"", 0),
        (json.dumps(DOCUMENT), bytes(1 << 20), 0),
    ],
)
def test_no_document_and_no_outputs_are_errors_of_the_device(
    bundle: Bundle, output: str, file: bytes, status: int
) -> None:
    assert isinstance(refused(lambda: measured(bundle, output, file, status)), DeviceError)


# The board


@pytest.mark.parametrize(
    "text",
    [
        "/../../../../../../{victim}:owned",
        "/{victim}:owned",
        "/proc/../{victim}:owned",
        "/sys/class/power_supply/../../../../{victim}:owned",
        "/sys/class/power_supply/../type:owned",
        "/sys/class/thermal/thermal_zone0/../temp:owned",
        "/sys/devices/platform/soc/../../x/get_throttled:owned",
        "//proc/stat:owned",
        "/proc/stat/x:owned",
        "/sys/class/hwmon/hwmon\x00/name:owned",
        "/sys/class/hwmon/hwmon" + "x" * 500 + "/name:owned",
        "/" * 900_000,
        ("/" * 1000 + "\n") * 900,
        "/sys/class/power_supply/" * 40_000,
        "/proc/stat:" + NINES,
        "/proc/stat:cpu " + " ".join([NINES] * 8),
        "/proc/uptime:1e999",
        "/proc/uptime:nan nan",
        "/proc/uptime:-5 1",
        "/proc/meminfo:MemAvailable: " + NINES + " kB",
        "/sys/devices/system/cpu/cpu0/cpufreq/scaling_cur_freq:" + NINES,
        "/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor:" + ESCAPES,
        "/sys/class/thermal/thermal_zone0/type:" + "cpu" * 100_000,
        "throttled=0x" + "f" * 5000,
        "throttled=" + ESCAPES,
        "\n" * 500_000,
        "".join(f"/sys/class/power_supply/BAT{number}/type:Battery\n" for number in range(20_000)),
    ],
)
def test_a_board_writes_nothing_here_but_what_is_looked_at(tmp_path: Path, text: str) -> None:
    victim = tmp_path / "victim"
    board = RemoteBoard(lambda: text.replace("{victim}", str(victim).lstrip("/")))
    for _ in range(2):
        state = board.look()
        assert json.loads(json.dumps(asdict(state), allow_nan=False)) and state.at_s >= 0
        assert all(governor.isprintable() for governor in state.governors)
        assert all(0 <= frequency < 10**12 for frequency in state.frequencies_hz)
    assert not victim.exists() and not list(tmp_path.iterdir())
    kept = {path.relative_to(board._root).as_posix() for path in board._root.rglob("*") if path.is_file()}
    assert all(name.startswith(("proc/", "sys/")) and ".." not in name for name in kept)
