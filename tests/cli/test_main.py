"""The command line as a whole: fast help, no heavy imports, errors in one line, exit codes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from support.profiles import cell, measured, processes, profile

from edgekit.cli import main as cli
from edgekit.cli.main import VERBS
from edgekit.errors import CODES
from edgekit.profiling.files import write_profile

HEAVY = ("torch", "tensorflow", "keras", "executorch", "litert_torch", "ai_edge_litert", "pydantic", "PIL", "numpy")

#: What ``import edgekit`` and ``--help`` may bring in, apart from the standard library.
LIGHT = {"edgekit", "click"}


def modules_after(program: str) -> set[str]:
    code = f"import sys; before = set(sys.modules)\n{program}\nprint(*(set(sys.modules) - before))"
    process = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return {name.split(".")[0] for name in process.stdout.splitlines()[-1].split()}


@pytest.mark.parametrize("verb", [None, *VERBS])
def test_help_imports_nothing_heavy_and_has_examples(verb: str | None) -> None:
    arguments = [*([verb] if verb else []), "--help"]
    program = f"from edgekit.cli.main import run\nassert run({arguments!r}) == 0"
    brought = modules_after(program)
    assert not brought & set(HEAVY)
    third_party = {name for name in brought if not name.startswith("_")} - set(sys.stdlib_module_names) - LIGHT
    assert not third_party, third_party


@pytest.mark.parametrize("verb", VERBS)
def test_every_help_has_examples_and_every_verb_has_json(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run([verb, "--help"]) == 0
    text = capsys.readouterr().out
    assert "Examples:" in text and f"edgekit {verb}" in text
    assert "--json" in text


def test_importing_edgekit_imports_only_the_standard_library() -> None:
    brought = {name for name in modules_after("import edgekit") if not name.startswith("_")}
    assert brought <= set(sys.stdlib_module_names) | {"edgekit"}


@pytest.mark.parametrize("words", [["build", "examples/digits", "-t", "rpi4"], ["doctor", "examples/digits"]])
def test_a_verb_names_the_extra_that_it_lacks(words: list[str]) -> None:
    """After `pip install edgekit` alone, without an extra."""
    code = f"import sys; sys.modules['pydantic'] = None; from edgekit.cli.main import run; sys.exit(run({words}))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 2 and done.stderr.splitlines() == [
        "error: this needs pydantic, which is not installed [EK-MISSING-PACKAGE]",
        " hint: pip install 'edgekit[build]'",
    ]


def test_what_building_for_a_target_takes_is_said_without_an_extra() -> None:
    code = "import sys; sys.modules['pydantic'] = None; from edgekit.cli.main import run; "
    code += "sys.exit(run(['doctor', 'rpi4']))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0 and "building for Raspberry Pi 4" in done.stdout


def test_a_function_names_the_extra_that_it_lacks() -> None:
    code = "import sys; sys.modules['pydantic'] = None; import edgekit\ntry: edgekit.build\n"
    code += "except edgekit.EdgekitError as error: print(error.code, error.hint)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "EK-MISSING-PACKAGE pip install 'edgekit[build]'\n"


def test_an_unknown_verb_or_option_is_one_line_and_a_hint(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["biuld"]) == 2
    assert capsys.readouterr().err.splitlines() == [
        "error: unknown verb 'biuld' [EK-ARGUMENT]",
        " hint: did you mean 'build'?",
    ]
    assert cli.run(["build", "--tarbet", "rpi4"]) == 2
    error, hint = capsys.readouterr().err.splitlines()
    assert "--tarbet" in error and "hint:" in hint


def test_what_nobody_foresaw_leaves_its_traceback_in_a_file(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail() -> None:
        raise RuntimeError("odd")

    monkeypatch.setattr("edgekit.target.target_names", fail)
    assert cli.run(["targets"]) == 1
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "error: RuntimeError: odd [EK-UNEXPECTED]"
    log = Path(lines[-1].split("log: ")[1])
    assert "Traceback" in log.read_text()
    log.unlink()


def test_debug_shows_the_traceback_wherever_it_is_typed(capsys: pytest.CaptureFixture[str]) -> None:
    for arguments in (["--debug", "targets", "nonsense"], ["targets", "nonsense", "--debug"]):
        assert cli.run(arguments) == 2
        said = capsys.readouterr().err
        assert "Traceback (most recent call last)" in said and "error: unknown target 'nonsense'" in said


def test_json_is_the_only_thing_on_standard_output() -> None:
    command = [sys.executable, "-m", "edgekit.cli.main", "targets", "--json"]
    process = subprocess.run(command, capture_output=True, text=True, check=True, env=dict(os.environ))
    assert json.loads(process.stdout)


def failed(capsys: pytest.CaptureFixture[str], exit_code: int, *arguments: str) -> dict[str, Any]:
    """The one document of a command that fails, and that a person is told the same."""
    assert cli.run([*arguments, "--json"]) == exit_code
    out, err = capsys.readouterr()
    document = json.loads(out)
    assert f"error: {' '.join(document['error']['message'].split())} [{document['error']['code']}]" in err.splitlines()
    return dict(document)


@pytest.mark.parametrize("verb", VERBS)
def test_a_wrong_option_is_a_document_of_every_verb(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    error = failed(capsys, 2, verb, "--no-such-option")["error"]
    assert error["code"] == "EK-ARGUMENT" and "--no-such-option" in error["message"]
    assert error["hint"] == f"edgekit {verb} --help has examples"


def test_what_fails_is_one_document_with_the_error(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert failed(capsys, 2, "biuld")["error"]["hint"] == "did you mean 'build'?"
    assert failed(capsys, 2, "build")["error"]["code"] == "EK-ARGUMENT"  # no --target
    assert failed(capsys, 2, "targets", "rpi44")["error"]["kind"] == "UsageError"
    (tmp_path / "x.edgekit").write_bytes(b"no bundle")
    error = failed(capsys, 6, "inspect", str(tmp_path / "x.edgekit"))["error"]
    assert set(error) == {"kind", "code", "message", "hint", "log"} and error["code"] == "EK-BUNDLE"

    def fail() -> None:
        raise RuntimeError("odd\x1b[2J")

    monkeypatch.setattr("edgekit.target.target_names", fail)
    error = failed(capsys, 1, "targets")["error"]
    assert (error["code"], error["message"]) == ("EK-UNEXPECTED", "RuntimeError: odd\\x1b[2J")
    Path(error["log"]).unlink()


def test_an_error_stands_beside_the_results(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    base, slow = tmp_path / "base.json", tmp_path / "slow.json"
    write_profile(replace(profile(), cells=(cell(),)), base)
    write_profile(replace(profile(), cells=(cell(processes=processes(measured([2.4], seed=1)[0])),)), slow)
    document = failed(capsys, 3, "compare", str(base), str(slow))
    assert document["error"]["code"] == "EK-LIMIT" and len(document["failures"]) == len(document["rows"]) == 1
    assert cli.run(["compare", str(base), str(base), "--json"]) == 0
    assert "error" not in json.loads(capsys.readouterr().out)


def test_the_traceback_takes_nothing_from_the_document(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["targets", "nonsense", "--json", "--debug"]) == 2
    out, err = capsys.readouterr()
    assert json.loads(out)["error"]["code"] == "EK-TARGET" and "Traceback" in err


def test_without_json_standard_output_has_no_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["targets", "nonsense"]) == 2
    assert capsys.readouterr().out == ""


def test_every_code_is_raised_somewhere_and_every_raised_code_is_known() -> None:
    package = Path(cli.__file__).parent.parent
    text = "\n".join(path.read_text(encoding="utf-8") for path in package.rglob("*.py") if path.name != "errors.py")
    unused = {code for code in CODES if f'"{code}"' not in text}
    assert not unused
