"""``edgekit targets``."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from edgekit.cli.main import cli
from edgekit.errors import UsageError
from edgekit.target import target_names


def invoke(*arguments: str) -> Result:
    return CliRunner().invoke(cli, ["targets", *arguments], catch_exceptions=False, standalone_mode=False)


def test_the_list_has_every_target_on_a_line() -> None:
    result = invoke()
    lines = result.stdout.splitlines()
    assert [line.split()[0] for line in lines[1:]] == list(target_names())
    assert "NAME" in result.stderr
    assert invoke("--quiet").stderr == ""


def test_one_target_shows_facts_concerns_and_sources() -> None:
    text = invoke("rpi4").stdout
    for fact in ("Raspberry Pi 4", "cortex-a72", "1024 MiB", "glibc 2.34", "litert", "executorch"):
        assert fact in text
    assert "int8-dynamic (convolutions): slower:" in text
    assert "https://www.raspberrypi.com/documentation/" in text


def test_the_32_bit_board_says_plainly_what_runs() -> None:
    text = invoke("rpi3-32bit").stdout
    assert ".tflite on tflite-runtime" in text
    assert ".pte" not in text


def test_a_backend_that_no_desktop_has_is_said() -> None:
    assert "exported, not run" in invoke("android-gpu").stdout


def test_json_is_one_document() -> None:
    listed = json.loads(invoke("--json").stdout)
    assert [target["name"] for target in listed["targets"]] == list(target_names())
    one = json.loads(invoke("rpi5", "--json").stdout)
    assert one["cpu"]["features"] == ["neon", "fp16", "dotprod"]
    assert one in listed["targets"]


def test_an_unknown_target_is_a_usage_error() -> None:
    with pytest.raises(UsageError, match="unknown target 'rpi44'"):
        invoke("rpi44")


def test_a_target_file_of_ones_own_is_checked(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text("titel = 'x'\n")
    with pytest.raises(UsageError, match="unknown key 'titel'"):
        invoke(str(path))


def test_help_has_examples() -> None:
    text = CliRunner().invoke(cli, ["targets", "--help"]).stdout
    assert "edgekit targets rpi4" in text
