"""Words of bundles, profiles and files: on standard output, standard error and in every report, no terminal, browser or
spreadsheet obeys them."""

from __future__ import annotations

import csv
import io
import json
import os
import pty
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support import profiles

from edgekit.bundle import Bundle, write_bundle
from edgekit.cli.main import run
from edgekit.errors import EdgekitError
from edgekit.profiling.files import read_profile, write_profile
from edgekit.runtime.profiler.records import FAILED, Process

EVIL = "\x1b[2J\x1b]0;owned\x07\x9b31m\u202e\u2028\ufeff\x7f\r\n=cmd|' /C calc'!A0 `x` <script>alert(1)</script> [a](b)"


def harmless(text: str) -> bool:
    return all(line.isprintable() for line in text.split("\n"))


@pytest.fixture
def evil(small_bundle: Path, tmp_path: Path) -> Path:
    """A bundle with right hashes whose every text that may be anything is made to harm whoever reads it."""
    with Bundle.open(small_bundle) as opened:
        manifest = opened.manifest
        files = {name: opened.read(name) for name in manifest.files}
    variants = tuple(
        replace(
            entry,
            warnings=(EVIL,),
            producers={EVIL: EVIL},
            undelegated_ops={EVIL: 1},
            minimum_runtime={EVIL[:50]: EVIL[:50]},
        )
        for entry in manifest.variants
    )
    path = tmp_path / "evil.edgekit"
    write_bundle(
        replace(
            manifest,
            variants=variants,
            source={"framework": EVIL, "training": {EVIL: [EVIL, {EVIL: EVIL}]}},
            calibration={"from": EVIL},
        ),
        files,
        path,
    )
    return path


@pytest.mark.parametrize(
    "arguments",
    [
        ["inspect", "BUNDLE"],
        ["inspect", "BUNDLE", "--json"],
        ["inspect", "--diff", "BUNDLE", "SMALL"],
        ["inspect", "--diff", "BUNDLE", "SMALL", "--json"],
        ["doctor", "BUNDLE"],
        ["doctor", "BUNDLE", "--json"],
        ["run", "BUNDLE", "--input", "SAMPLE"],
        ["run", "BUNDLE", "--input", "SAMPLE", "--json"],
        ["verify", "BUNDLE"],
        ["verify", "BUNDLE", "--json"],
    ],
)
def test_what_a_bundle_says_is_shown_harmlessly(
    evil: Path, small_bundle: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str], arguments: list[str]
) -> None:
    np.save(tmp_path / "sample.npy", np.zeros((12, 12), np.uint8))
    named = {"BUNDLE": str(evil), "SMALL": str(small_bundle), "SAMPLE": str(tmp_path / "sample.npy")}
    assert run([named.get(word, word) for word in arguments]) == 0
    said = capfd.readouterr()
    assert harmless(said.out) and harmless(said.err)
    if "--json" in arguments:
        document = json.loads(said.out)
        if arguments[0] == "inspect" and "--diff" not in arguments:
            assert document["calibration"] == {"from": EVIL}, "a program gets what is there"
    elif arguments[0] == "inspect":
        assert "\\x1b[2J\\x1b]0;owned\\x07\\x9b31m\\u202e" in said.out


@pytest.mark.parametrize(
    "arguments",
    [
        ["inspect", EVIL],
        ["run", EVIL, "--input", EVIL],
        ["run", "BUNDLE", "--input", EVIL],
        ["run", "BUNDLE", "--input", "SAMPLE", "--variant", EVIL],
        ["run", "BUNDLE", "--input", "SAMPLE", "--engine", EVIL],
        ["run", "BUNDLE", "--input", "SAMPLE", "--on", EVIL],
        ["run", "BUNDLE", "--input", "SAMPLE", "--on", f"ssh://{EVIL}"],
        ["run", "BUNDLE", "--input", "SAMPLE", "--on", f"adb:{EVIL}"],
        ["verify", "BUNDLE", "--on", f"emulator:{EVIL}"],
        ["targets", EVIL],
        ["doctor", EVIL],
        ["report", EVIL],
        ["build", EVIL, "--target", "rpi4"],
        ["build", "--target", EVIL],
        ["integrate", "BUNDLE", "--for", EVIL],
        [EVIL],
        ["run", f"--{EVIL}"],
    ],
)
def test_what_was_typed_is_shown_harmlessly(
    small_bundle: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str], arguments: list[str]
) -> None:
    """Names of files that were downloaded are typed by the shell's completion."""
    np.save(tmp_path / "sample.npy", np.zeros((12, 12), np.uint8))
    named = {"BUNDLE": str(small_bundle), "SAMPLE": str(tmp_path / "sample.npy")}
    assert run([named.get(word, word) for word in arguments]) not in (0, 1)
    said = capfd.readouterr()
    assert said.out == "" and harmless(said.err) and "EK-UNEXPECTED" not in said.err


@pytest.fixture
def profile(tmp_path: Path) -> Iterator[Path]:
    """A profile as an attacker writes it; two rows, of which one failed."""
    whole = profiles.profile()
    good, other = whole.cells[:2]
    failed = Process(0, 0, failure=EVIL, signal=EVIL, log=EVIL, marks=(f"degraded: {EVIL}",))
    bundles = tuple(
        replace(
            each,
            name=f"name {EVIL}",
            recommended={**each.recommended, "reason": EVIL},
            variants=tuple(replace(entry, warnings=(EVIL,), producers={EVIL: EVIL}) for entry in each.variants),
        )
        for each in whole.bundles
    )
    write_profile(
        replace(
            whole,
            cells=(
                replace(good, remarks=(EVIL,), operators_reason=EVIL),
                replace(other, status=FAILED, reason=EVIL, processes=(failed,), conditions=None),
            ),
            bundles=bundles,
            devices=tuple(replace(each, failure=EVIL, engines={EVIL: EVIL}) for each in whole.devices),
            command=("edgekit", EVIL),
            producer=EVIL,
            created=EVIL,
            notes=(EVIL,),
        ),
        tmp_path / "evil.json",
    )
    yield tmp_path / "evil.json"


def test_what_a_profile_says_is_shown_harmlessly(
    profile: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    files = [tmp_path / f"report.{ending}" for ending in ("html", "csv", "md", "json")]
    assert run(["report", str(profile), *(word for file in files for word in ("-o", str(file)))]) == 0
    said = capfd.readouterr()
    assert harmless(said.out) and harmless(said.err)
    html, table, markdown, _ = (file.read_text(encoding="utf-8") for file in files)
    assert harmless(html.replace("\N{NO-BREAK SPACE}", " ")) and harmless(table) and harmless(markdown)
    assert "<script>alert" not in html and "<script>alert" not in re.sub(r"(?<!\\)`[^`]*`", "", markdown)
    for row in csv.reader(io.StringIO(table)):
        assert not [cell for cell in row if cell.startswith(("=", "@", "\t", "\r"))]
        assert not [cell for cell in row if cell[:1] in "+-" and cell and not _is_number(cell)]
    assert read_profile(files[3]) == read_profile(profile), "what is shown once is shown the same again"


def test_a_comparison_says_it_harmlessly(profile: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    files = tmp_path / "compare.md", tmp_path / "compare.xml"
    run(["compare", str(profile), str(profile), "--markdown", str(files[0]), "--junit", str(files[1])])
    run(["compare", str(profile), str(profile), "--markdown", "-"])
    said = capfd.readouterr()
    assert harmless(said.out) and harmless(said.err) and "EK-UNEXPECTED" not in said.err
    assert all(harmless(file.read_text(encoding="utf-8")) for file in files)
    assert "<script>alert" not in files[0].read_text()


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def test_no_traceback_commands_a_terminal(tmp_path: Path) -> None:
    """--debug shows the traceback, and Python shows the messages in it as they are."""
    command = [sys.executable, "-P", "-m", "edgekit.cli.main", "--debug", "inspect", f"{tmp_path}/{EVIL}"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 6 and "Traceback" in done.stderr and harmless(done.stderr)


def test_lines_that_move_are_harmless_too(tmp_path: Path) -> None:
    """On a real terminal, the only escapes are edgekit's own: they erase a line, and colour a word."""
    (tmp_path / f"{EVIL[:30]}.py").write_text("def make():\n    raise ValueError('\\x1b[2J\\x1b]0;owned\\x07')\n")
    ours, theirs = pty.openpty()
    model = f"{tmp_path}/{EVIL[:30]}.py:make"
    command = [sys.executable, "-P", "-m", "edgekit.cli.main", "build", model, "--target", "rpi4"]
    environment = {**os.environ, "EDGEKIT_CACHE": str(tmp_path / "cache")}
    process = subprocess.Popen(command, stdout=theirs, stderr=theirs, stdin=subprocess.DEVNULL, env=environment)
    os.close(theirs)
    said = b""
    while piece := _read(ours):
        said += piece
    assert process.wait() != 0
    for own in (b"\r\x1b[K", b"\x1b[31m", b"\x1b[0m", b"\r\n"):
        said = said.replace(own, b"")
    assert b"owned" in said or b"\\x1b" in said
    assert harmless(said.decode()), said


def _read(descriptor: int) -> bytes:
    try:
        return os.read(descriptor, 4096)
    except OSError:  # nobody has the other end any more
        return b""


@pytest.mark.parametrize(("name", "value"), [("message", EVIL), ("hint", EVIL)])
def test_an_error_is_one_line_for_python_programs_too(name: str, value: str) -> None:
    told: dict[str, Any] = {"message": "no", "hint": None, name: value}
    error = EdgekitError("EK-RUN", told["message"], told["hint"])
    assert harmless(str(error)) and "\n" not in f"{error.message}{error.hint}"
