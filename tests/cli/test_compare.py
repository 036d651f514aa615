"""``edgekit compare``."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import pytest
from click.testing import CliRunner, Result
from support.profiles import cell, measured, processes, profile

from edgekit.cli.main import cli, run
from edgekit.errors import LimitError, UsageError
from edgekit.profiling.files import write_profile
from edgekit.runtime.profiler.records import Cell

EXAMPLE = Path(__file__).parent.parent.parent / "examples" / "policy.toml"


def write(path: Path, *cells: Cell) -> Path:
    write_profile(replace(profile(), cells=cells), path)
    return path


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("profiles")
    torch = cell(engine="executorch", variant="fp32.pte")
    slow = cell(processes=processes(measured([2.4], seed=1)[0]))
    return {
        "base": write(folder / "base.json", cell(), torch),
        "same": write(folder / "same.json", cell(seed=5), replace(torch, processes=cell(seed=6).processes)),
        "slow": write(folder / "slow.json", slow, torch),
        "missing": write(folder / "missing.json", cell()),
    }


def invoke(*arguments: str | Path) -> Result:
    return CliRunner().invoke(cli, ["compare", *map(str, arguments)], catch_exceptions=False, standalone_mode=False)


def test_limits_that_are_met_are_a_line_for_each_row(files: dict[str, Path]) -> None:
    for more in ((), ("--policy", EXAMPLE)):
        result = invoke(files["base"], files["same"], *more)
        header, *lines = result.stdout.splitlines()
        assert header.split()[0] == "variant" and [line.split()[-1] for line in lines] == ["met", "met"]
        assert result.stderr == "every limit is met in the 2 rows that were measured in both\n"


def test_a_limit_that_is_not_met_is_exit_code_3_with_the_first_and_their_number(
    files: dict[str, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["compare", str(files["base"]), str(files["slow"])]) == 3
    out, err = capsys.readouterr()
    assert "not met: latency 1.2" in out
    assert err.startswith("error: 1 limit is not met, first fp32.tflite on litert (local): latency 1.2")
    assert "[EK-LIMIT]" in err
    with pytest.raises(LimitError, match=r"first fp32.pte on executorch \(local\): missing: not in the new profile"):
        invoke(files["base"], files["missing"])


def test_sessions_of_a_busy_machine_are_undecided_and_meet_every_limit_but_a_strict_one(
    files: dict[str, Path], tmp_path: Path
) -> None:
    mark = "degraded: other programs took 0.57 of each core (the limit is 0.25)"
    slow = processes(measured([3.0], seed=1)[0])
    busy = write(tmp_path / "busy.json", cell(processes=[replace(each, marks=(mark,)) for each in slow]))
    result = invoke(busy, busy)
    assert result.stderr.startswith("no limit is shown to be missed in the 1 rows that were measured in both; undec")
    policy = tmp_path / "policy.toml"
    policy.write_text('missing = "allow"\n')
    result = invoke(files["base"], busy, "--policy", policy, "--json")
    document = json.loads(result.stdout)
    assert document["failures"] == [] and len(document["undecided"]) == 1
    assert "latency undecided: 1.5" in document["undecided"][0]
    policy.write_text('missing = "allow"\nundecided = "fail"\n')
    with pytest.raises(LimitError, match=r"1 limit is not shown to be met, first fp32.tflite on litert"):
        invoke(files["base"], busy, "--policy", policy)


def test_a_policy_may_allow_what_the_default_does_not(files: dict[str, Path], tmp_path: Path) -> None:
    policy = tmp_path / "policy.toml"
    policy.write_text('missing = "allow"\n[[rows]]\nengine = "litert"\nlatency_ratio = 1.5\n')
    assert invoke(files["base"], files["slow"], "--policy", policy).exit_code == 0
    assert "missing, which is allowed" in invoke(files["base"], files["missing"], "--policy", policy).stdout


def test_markdown_and_junit_are_written_even_when_a_limit_is_not_met(files: dict[str, Path], tmp_path: Path) -> None:
    with pytest.raises(LimitError):
        invoke(
            files["base"], files["slow"], "--markdown", tmp_path / "out" / "c.md", "--junit", tmp_path / "out" / "c.xml"
        )
    assert (tmp_path / "out" / "c.md").read_text().startswith("**1 limit not met**: slow.json against base.json")
    assert ElementTree.parse(tmp_path / "out" / "c.xml").getroot().get("failures") == "1"
    printed = invoke(files["base"], files["same"], "--markdown", "-").stdout
    assert printed.startswith("**every limit is met**") and printed.count("\n") == 6


@pytest.mark.parametrize("option", ["--markdown", "--junit"])
def test_what_is_no_file_is_not_replaced_by_one(files: dict[str, Path], tmp_path: Path, option: str) -> None:
    pipe, link = tmp_path / "pipe", tmp_path / "link"
    os.mkfifo(pipe)
    link.symlink_to(pipe)
    for place in (pipe, link):
        with pytest.raises(UsageError, match="no regular file, and what is written replaces it"):
            invoke("none.json", "none.json", option, place)  # before anything is read
    assert pipe.is_fifo() and link.is_symlink()


@pytest.mark.parametrize("name", ["--policy", "profile"])
def test_what_never_ends_is_refused(files: dict[str, Path], name: str) -> None:
    with pytest.raises(UsageError, match="it has more than"):
        if name == "profile":
            invoke("/dev/zero", files["base"])
        else:
            invoke(files["base"], files["base"], "--policy", "/dev/zero")


def test_json_is_one_document(files: dict[str, Path], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["compare", str(files["base"]), str(files["slow"]), "--json"]) == 3
    value = json.loads(capsys.readouterr().out)
    assert value["policy"]["limits"]["latency_ratio"] == 1.05 and value["policy"]["limits"]["load_ratio"] is None
    first, second = value["rows"]
    assert first["failed"] and first["comparison"]["verdict"] == "slower" and not second["failed"]
    assert len(value["failures"]) == 1
    with pytest.raises(UsageError, match="both print"):
        invoke(files["base"], files["same"], "--json", "--markdown", "-")


def test_what_is_no_profile_and_what_is_no_policy_are_refused(files: dict[str, Path], tmp_path: Path) -> None:
    (tmp_path / "other.json").write_text('{"kind": "bundle"}')
    (tmp_path / "wrong.toml").write_text("[limits]\nlatency = 1.1\n")
    base = str(files["base"])
    assert run(["compare", base, str(tmp_path / "other.json")]) == 2
    assert run(["compare", base, str(tmp_path / "none.json")]) == 2
    assert run(["compare", base]) == 2
    with pytest.raises(UsageError, match=r"wrong.toml:2: unknown key 'latency'"):
        invoke(base, base, "--policy", tmp_path / "wrong.toml")
