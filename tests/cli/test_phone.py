"""``edgekit phone``, as somebody types it, with phones that are programs."""

from __future__ import annotations

import http.server
import json
import os
import re
import signal
import subprocess
import sys
import sysconfig
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from support.phones import Phone, fetch_litert_js
from support.posted import IPHONE, cell

from edgekit.cli.main import run
from edgekit.profiling.files import read_profile

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
