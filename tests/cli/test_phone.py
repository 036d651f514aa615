"""``edgekit phone``, as somebody types it, with phones that are programs."""

from __future__ import annotations

import contextlib
import http.client
import http.server
import json
import os
import random
import re
import resource
import signal
import subprocess
import sys
import sysconfig
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from support.phones import Phone, fetch_litert_js
from support.posted import IPHONE, cell
from support.stops import Running, running

from edgekit.cli.main import run
from edgekit.profiling.files import read_profile

ADDRESS = r"http://localhost:\d+/\S+"
_EDGEKIT = Path(sysconfig.get_path("scripts"), "edgekit")


@dataclass
class Served:
    """A running ``edgekit phone``: its addresses, and what it said until then."""

    process: subprocess.Popen[str]
    said: list[str] = field(default_factory=list)

    def read_until(self, pattern: str) -> str:
        """What *pattern* finds in the next lines on standard error."""
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.said.append(line)
            if found := re.search(pattern, line):
                return found[0]
        raise AssertionError("".join(self.said))

    def end(self, *, stop: bool = True) -> tuple[int, str]:
        """Exit code and standard output, after Ctrl-C."""
        if stop:
            self.process.send_signal(signal.SIGINT)
        output, errors = self.process.communicate(timeout=60)
        self.said.append(errors)
        return self.process.returncode, output


@contextmanager
def serving(*arguments: object) -> Iterator[Served]:
    fetch_litert_js()
    process = subprocess.Popen(
        [_EDGEKIT, "phone", *map(str, arguments)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        yield Served(process)
    finally:
        process.kill()
        process.wait()


@contextmanager
def phoning(*arguments: object, **options: Any) -> Iterator[Running]:
    fetch_litert_js()
    with running("phone", *arguments, **options) as command:
        yield command


def limit(command: Running, size_bytes: int) -> None:
    """No file of the command's may be larger from now on: as on a disk that is full."""
    resource.prlimit(command.process.pid, resource.RLIMIT_FSIZE, (size_bytes, resource.RLIM_INFINITY))


def refused(arguments: Sequence[object], capsys: pytest.CaptureFixture[str]) -> tuple[int, str]:
    code = run(["phone", *map(str, arguments)])
    return code, capsys.readouterr().err


@pytest.mark.slow
def test_phones_that_come_land_in_one_profile_and_in_a_report_with_others(
    small_bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    kept, report = tmp_path / "phone.json", tmp_path / "all.md"
    with serving(small_bundle, "--quick", "--seed", 7, "-o", kept) as served:
        phone = Phone(served.read_until(r"http://localhost:\d+/\S+"))
        progress = {"run": "00000000000000aa", "device": "Pixel 8", "done": 0.5, "text": "fp32.tflite"}
        assert phone.ask("progress", progress).status == 204
        served.read_until("Pixel 8 measures")
        assert phone.post_result(small_bundle, run="00000000000000aa").status == 204
        assert phone.post_result(small_bundle, run="00000000000000aa").status == 204
        assert phone.post_result(small_bundle).status == 204
        iphone = cell(small_bundle, build="compat", threads=1)
        assert phone.post_result(small_bundle, browser=IPHONE, cells=[iphone]).status == 204
        assert phone.post_result(small_bundle, bundle_sha256="0" * 64).status == 400
        served.read_until("a phone's result was not taken: .*another bundle")
        code, output = served.end()
    assert code == 0, served.said
    assert re.findall(r"^(\S.*?) \((?:localhost|http): ", output, re.M) == [
        "Chrome 128 on Pixel 8",
        "Chrome 128 on Pixel 8 (2)",
        "Safari 18 on iPhone",
    ]
    profile = read_profile(kept)
    assert [record.name for record in profile.devices] == list(dict.fromkeys(row.device for row in profile.cells))
    assert len(profile.devices) == 3 and {row.engine for row in profile.cells} == {"litert-web"}
    assert profile.command[:2] == ("edgekit", "phone") and profile.command[-3:] == ("--quick", "--seed", "7")

    other = tmp_path / "here.json"
    assert run(["profile", str(small_bundle), "--quick", "--variant", "fp32.pte", "-o", str(other), "--quiet"]) == 0
    assert run(["report", str(other), str(kept), "-o", str(report)]) == 0
    text = report.read_text(encoding="utf-8")
    assert "Safari 18 on iPhone" in text and "executorch" in text and "litert-web" in text


def devices(path: Path) -> int:
    return len(read_profile(path).devices)


@pytest.mark.parametrize("presses", [1, 2])
def test_no_result_that_was_acknowledged_is_lost_to_ctrl_c(small_bundle: Path, tmp_path: Path, presses: int) -> None:
    # A report takes seconds: long enough for another Ctrl-C.
    kept, report = tmp_path / "p.json", tmp_path / ("p.csv" if presses == 1 else "p.html")
    with phoning(small_bundle, "--quick", "-o", report, "-o", kept, temporary=tmp_path / "tmp") as command:
        phone = Phone(command.read_until(ADDRESS))
        for number in range(1, 26):
            assert phone.post_result(small_bundle).status == 204
            assert devices(kept) == number
        command.stop(signal.SIGINT)
        if presses == 2:
            command.read_until("writing .*Ctrl-C leaves out")
            time.sleep(0.3)  # sooner, it would count as the first
            command.stop(signal.SIGINT)
        left = command.finish()
    assert devices(kept) == 25 and left.files == [] and left.processes == []
    assert left.exit_code == (0 if presses == 1 else 130)
    if presses == 1:
        assert "Pixel 8 (25)" in report.read_text(encoding="utf-8")
    else:
        assert f"stopped; the results of 25 phones are in {kept}" in left.errors
        assert f"hint: edgekit report {kept} -o {report}" in left.errors and not report.exists()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_other_signals_render_too_and_say_what_is_kept(small_bundle: Path, tmp_path: Path, number: int) -> None:
    table = tmp_path / "p.csv"
    with phoning(small_bundle, "--quick", "-o", table, temporary=tmp_path / "tmp") as command:
        phone = Phone(command.read_until(ADDRESS))
        assert phone.post_result(small_bundle).status == 204
        assert devices(tmp_path / "p.csv.json") == 1
        command.stop(number)
        left = command.finish()
    assert left.exit_code == 128 + number and left.files == [] and left.processes == []
    assert f"stopped by {signal.Signals(number).name}; the result of 1 phone is in {table}" in left.errors
    assert table.is_file() and not (tmp_path / "p.csv.json").exists()


def test_a_disk_that_is_full_for_a_while_costs_no_result(small_bundle: Path, tmp_path: Path) -> None:
    kept = tmp_path / "p.json"
    with phoning(small_bundle, "--quick", "--once", "-o", kept, temporary=tmp_path / "tmp") as command:
        phone = Phone(command.read_until(ADDRESS))
        limit(command, 2000)
        for run in ("00000000000000aa", "00000000000000bb", "00000000000000aa"):
            answer = phone.post_result(small_bundle, run=run)
            assert answer.status == 503 and int(answer.headers["retry-after"]) > 0
            assert "send it again" in json.loads(answer.body)["message"]
        limit(command, resource.RLIM_INFINITY)
        assert phone.post_result(small_bundle, run="00000000000000aa").status == 204
        left = command.finish()
    assert left.exit_code == 0 and devices(kept) == 2
    assert left.errors.count("waits in memory") == 1 and left.errors.count("all results are written again") == 1


def test_a_disk_that_stays_full_is_said_at_the_end(small_bundle: Path, tmp_path: Path) -> None:
    kept = tmp_path / "p.json"
    with phoning(small_bundle, "--quick", "-o", kept, temporary=tmp_path / "tmp") as command:
        phone = Phone(command.read_until(ADDRESS))
        assert phone.post_result(small_bundle).status == 204
        limit(command, 2000)
        assert phone.post_result(small_bundle).status == 503
        command.stop(signal.SIGINT)
        left = command.finish()
    assert left.exit_code == 1 and devices(kept) == 1
    assert "1 of 2 results are not in it [EK-WRITE]" in left.errors
    assert left.output.count("Chrome 128 on Pixel 8") >= 2, "what is not on disk is shown at least"


def test_a_result_that_does_not_fit_on_the_disk_while_it_is_read_is_sent_again(
    small_bundle: Path, tmp_path: Path
) -> None:
    with phoning(small_bundle, "--quick", "--once", temporary=tmp_path / "tmp") as command:
        phone = Phone(command.read_until(ADDRESS))
        limit(command, 2000)
        large = {"cells": [cell(small_bundle, reason=" " * (2 << 20))]}
        answer = phone.post_result(small_bundle, **large)
        assert answer.status == 503 and "send it again" in json.loads(answer.body)["message"]
        limit(command, resource.RLIM_INFINITY)
        assert phone.post_result(small_bundle, **large).status == 400  # it is too long
        assert phone.post_result(small_bundle).status == 204
        assert command.finish().exit_code == 0


def test_a_killed_desk_has_what_it_acknowledged(small_bundle: Path, tmp_path: Path) -> None:
    kept, chance = tmp_path / "p.json", random.Random(3)
    for _ in range(3):
        with phoning(small_bundle, "--quick", "-o", kept, temporary=tmp_path / "tmp") as command:
            phone = Phone(command.read_until(ADDRESS))
            assert phone.post_result(small_bundle).status == 204
            killer = threading.Timer(chance.uniform(0.0, 0.6), command.process.kill)
            killer.start()
            acknowledged = 1
            with contextlib.suppress(OSError, http.client.HTTPException):
                while phone.post_result(small_bundle).status == 204:
                    acknowledged += 1
            killer.join()
        assert acknowledged <= devices(kept) <= acknowledged + 1
        kept.unlink()


def test_what_comes_while_it_ends_is_kept_or_not_acknowledged(small_bundle: Path, tmp_path: Path) -> None:
    kept = tmp_path / "p.json"
    with phoning(small_bundle, "--quick", "-o", kept, "-o", tmp_path / "p.md", temporary=tmp_path / "t") as command:
        phone = Phone(command.read_until(ADDRESS))
        runs = [f"{number:016x}" for number in range(30)]

        def send(run: str) -> bool:
            try:
                return phone.post_result(small_bundle, run=run).status == 204
            except (OSError, http.client.HTTPException):
                return False

        with ThreadPoolExecutor(6) as pool:
            answers = [pool.submit(send, run) for run in runs]
            while sum(answer.done() for answer in answers) < 5:
                time.sleep(0.01)
            command.stop(signal.SIGINT)
            acknowledged = sum(answer.result() for answer in answers)
        left = command.finish()
    assert left.exit_code == 0 and 5 <= acknowledged <= devices(kept), left.errors


def test_a_reader_of_the_results_that_has_gone_ends_it_with_all_of_them_kept(
    small_bundle: Path, tmp_path: Path
) -> None:
    kept, table = tmp_path / "p.json", tmp_path / "p.csv"
    reading, writing = os.pipe()
    os.close(reading)
    options = {"temporary": tmp_path / "tmp", "stdout": writing}
    with phoning(small_bundle, "--quick", "-o", kept, "-o", table, **options) as command:
        os.close(writing)
        phone = Phone(command.read_until(ADDRESS))
        assert phone.post_result(small_bundle).status == 204
        left = command.finish()
    assert left.exit_code == 141 and devices(kept) == 1 and table.is_file()
    assert "rror" not in left.errors


def test_phones_are_served_when_nobody_reads_what_is_said_of_them(small_bundle: Path, tmp_path: Path) -> None:
    kept = tmp_path / "p.json"
    reading, writing = os.pipe()
    options = {"temporary": tmp_path / "tmp", "stderr": writing}
    with phoning(small_bundle, "--quick", "--once", "-o", kept, **options) as command, open(reading) as said:
        os.close(writing)
        lines = iter(said.readline, "")
        address = next(line for line in lines if "http://localhost" in line)
        phone = Phone(re.search(ADDRESS, address)[0])  # type: ignore[index]
        next(line for line in lines if "Ctrl-C ends it" in line)
        said.close()
        progress = {"run": "00000000000000aa", "device": "Pixel 8", "done": 0.5, "text": "fp32.tflite"}
        assert phone.ask("progress", progress).status == 204
        assert phone.post_result(small_bundle, bundle_sha256="0" * 64).status == 400
        assert phone.post_result(small_bundle).status == 204
        left = command.finish()
    assert left.exit_code in (0, 141) and devices(kept) == 1 and left.files == []


def test_a_file_that_is_there_is_named_before_a_result_replaces_it(small_bundle: Path, tmp_path: Path) -> None:
    kept = tmp_path / "p.json"
    kept.write_text("old")
    with phoning(small_bundle, "--quiet", "-o", kept, temporary=tmp_path / "tmp") as command:
        command.read_until(f"{kept} is there already: the first result replaces it")
        command.stop(signal.SIGINT)
        left = command.finish()
    assert left.exit_code == 130 and "no phone has sent a result" in left.errors and kept.read_text() == "old"


@pytest.mark.slow
def test_once_ends_by_itself_with_one_document(small_bundle: Path) -> None:
    with serving(small_bundle, "--quick", "--once", "--json") as served:
        phone = Phone(served.read_until(r"http://localhost:\d+/\S+"))
        assert phone.post_result(small_bundle).status == 204
        code, output = served.end(stop=False)
    document = json.loads(output)
    assert code == 0 and [row["engine"] for row in document["rows"]] == ["litert-web"]


@pytest.mark.slow
def test_it_says_what_each_address_allows(small_bundle: Path) -> None:
    with serving(small_bundle, "--lan", "--https") as served:
        served.read_until("Ctrl-C ends it")
        text = "".join(served.said)
        code, _ = served.end()
    assert re.search(r"SHA-256 is\n\s+([0-9A-F]{2}:){31}[0-9A-F]{2}", text)
    assert re.search(r"adb reverse tcp:(\d+) tcp:\1\b", text) and "https://localhost:" in text
    assert code == 130 and "no phone has sent a result" in served.said[-1]


def test_quiet_still_tells_the_address(small_bundle: Path) -> None:
    with serving(small_bundle, "--quiet") as served:
        url = served.read_until(r"http://localhost:\d+/\S+")
        assert served.said == [f"{url}\n"]
        assert Phone(url).ask("job.json").status == 200


@pytest.mark.slow
def test_a_result_in_which_nothing_was_measured_is_an_error(small_bundle: Path) -> None:
    failed = cell(small_bundle, status="failed", reason="out of memory", check_outputs=None, processes=[])
    with serving(small_bundle, "--once") as served:
        phone = Phone(served.read_until(r"http://localhost:\d+/\S+"))
        assert phone.post_result(small_bundle, cells=[failed]).status == 204
        code, _ = served.end(stop=False)
    assert code != 0 and "out of memory" in served.said[-1]


def test_what_cannot_work_is_refused_before_anything_is_served(
    small_bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    fetch_litert_js()
    assert refused([tmp_path / "none.edgekit"], capsys)[0] == 6
    code, said = refused([small_bundle, "--variant", "fp32.pte"], capsys)
    assert code == 2 and "no browser runs fp32.pte" in said
    assert "exclude each other" in refused([small_bundle, "--quick", "--strict"], capsys)[1]
    assert "add --lan" in refused([small_bundle, "--https"], capsys)[1]
    assert "no kind of file '.pdf'" in refused([small_bundle, "-o", tmp_path / "a.pdf"], capsys)[1]
    os.mkfifo(tmp_path / "pipe.json")
    code, said = refused([small_bundle, "-o", tmp_path / "pipe.json"], capsys)
    assert code == 2 and "no regular file" in said and "hint: name a file" in said
    with http.server.HTTPServer(("127.0.0.1", 0), http.server.BaseHTTPRequestHandler) as taken:
        code, said = refused([small_bundle, "--port", taken.server_port], capsys)
    assert code == 2 and f"port {taken.server_port} is in use" in said
    monkeypatch.setitem(sys.modules, "aiohttp", None)
    code, said = refused([small_bundle], capsys)
    assert 'pip install "edgekit[phone]"' in said and len(said.splitlines()) == 2
    monkeypatch.delitem(sys.modules, "aiohttp")
    monkeypatch.setenv("EDGEKIT_HOME", str(tmp_path))
    code, said = refused([small_bundle], capsys)
    assert "hint: edgekit doctor --setup phone" in said and len(said.splitlines()) == 2


def test_a_cable_without_a_phone_is_one_line(
    small_bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    fetch_litert_js()
    adb = tmp_path / "adb"  # stands in for an adb that knows no phone
    adb.write_text("#!/bin/sh\necho 'List of devices attached'\n")
    adb.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.delenv("EDGEKIT_ADB", raising=False)
    code, said = refused([small_bundle, "--usb"], capsys)
    assert code == 4 and len(said.splitlines()) == 2, said
