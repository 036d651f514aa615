"""``--format ncnn``, from a model to a bundle that runs: nothing by default, everything on request."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.bundles import with_file
from support.two_inputs import samples, write_net

from edgekit.bundle import Bundle
from edgekit.cli.main import run
from edgekit.devices.payload import assembly, wheels
from edgekit.engines import ENGINES
from edgekit.pipeline.variants.plan import plan_variants
from edgekit.runtime.contents.ncnn import BIN, PARAM
from edgekit.runtime.contents.zips import pack, unpack
from edgekit.source_kinds import SOURCE_KINDS
from edgekit.target import load_target, target_names

pytestmark = pytest.mark.builds

_MORE = """
def sorted_row():
    return nn.Sequential(nn.Linear(4, 4), Sorted())

class Sorted(nn.Module):
    def forward(self, row):
        return torch.where(row > 0, row, -row).sort(1)[0]
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("ncnn")
    write_net(folder, _MORE)
    arrays = samples()
    np.savez(folder / "row.npz", row=arrays["row"])
    np.savez(folder / "sample.npz", **{name: array[:1] for name, array in arrays.items()})
    return folder


@pytest.fixture(scope="module")
def built(folder: Path) -> Path:
    source = [f"{folder / 'net.py'}:make", "--calibration", str(folder / "samples.npz"), "-o", str(folder / "build")]
    words = ["--target", "rpi4", "--format", "ncnn", "--recipe", "fp32", "--recipe", "fp16", "--strict", "--quiet"]
    assert run(["build", *source, *words]) == 0
    (path,) = (folder / "build").glob("*.edgekit")
    return path


def document(capfd: pytest.CaptureFixture[str], *words: object) -> Any:
    capfd.readouterr()
    assert run([*map(str, words), "--json"]) == 0
    return json.loads(capfd.readouterr().out)


def test_both_recipes_are_checked_against_the_float_model(built: Path) -> None:
    with Bundle.open(built) as bundle:
        found = {variant.name: variant for variant in bundle.manifest.variants}
    assert found.keys() == {"fp32.ncnn", "fp16.ncnn"}
    for variant in found.values():
        assert variant.engines == ("ncnn",) and variant.backend == "cpu" and variant.checked
        assert variant.warnings == ()  # no word against it on the board that was asked for
    assert found["fp32.ncnn"].snr_db > 100 > found["fp16.ncnn"].snr_db > 40  # type: ignore[operator]
    assert found["fp16.ncnn"].size_bytes < found["fp32.ncnn"].size_bytes


def test_it_is_verified_run_and_inspected(built: Path, folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    rows = document(capfd, "verify", built, "--threads", "1")["rows"]
    assert {(row["variant"], row["engine"], row["status"], row["threads"]) for row in rows} == {
        ("fp32.ncnn", "ncnn", "passed", 1),
        ("fp16.ncnn", "ncnn", "passed", 1),
    }
    said = document(capfd, "run", built, "--input", folder / "sample.npz", "--variant", "fp32.ncnn")
    assert (said["engine"], said["variant"]) == ("ncnn", "fp32.ncnn")
    assert run(["inspect", str(built)]) == 0
    assert "fp16.ncnn" in capfd.readouterr().out


@pytest.mark.slow
def test_it_is_measured(built: Path, folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    document(capfd, "profile", built, "--quick", "--threads", "1", "-o", folder / "profile.json")
    cells = json.loads((folder / "profile.json").read_text())["cells"]
    assert {(cell["variant"], cell["engine"], cell["conditions"]["threads"]) for cell in cells} == {
        ("fp32.ncnn", "ncnn", 1),
        ("fp16.ncnn", "ncnn", 1),
    }


def test_what_it_lacks_fails_in_one_line(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    source = [f"{folder / 'net.py'}:sorted_row", "--calibration", str(folder / "row.npz"), "-o", str(folder / "other")]
    assert run(["build", *source, "--target", "rpi4", "--format", "ncnn"]) == 5
    said = capfd.readouterr()
    assert "ncnn has no layer for " in said.out + said.err and "EK-UNSUPPORTED" in said.out + said.err
    assert "Traceback" not in said.out + said.err


def test_a_hostile_file_in_a_bundle_is_refused(built: Path, folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with Bundle.open(built) as bundle:
        files = unpack(bundle.read("variants/fp32.ncnn"))
    text = files[PARAM].replace(b"2=24", b"2=2147483632").replace(b"0=3 ", b"0=268435454 ")
    assert text != files[PARAM]
    hostile = with_file(built, "fp32.ncnn", pack({PARAM: text, BIN: files[BIN]}), folder / "hostile.edgekit")
    for words in (["verify"], ["run", "--input", str(folder / "sample.npz")]):
        assert run([words[0], str(hostile), *words[1:]]) == 6
        assert "EK-BUNDLE" in capfd.readouterr().err


@pytest.mark.parametrize("name", target_names())
def test_it_is_built_where_it_runs_and_never_by_default(name: str) -> None:
    target = load_target(name)
    by_default, _ = plan_variants(target, SOURCE_KINDS["torch"])
    assert "ncnn" not in {plan.format.name for plan in by_default}
    runs = target.kind in ("board", "desktop") and target.cpu.architecture in ("aarch64", "x86_64")
    assert (target.support("ncnn") is not None) == runs
    (plan,), _ = plan_variants(target, SOURCE_KINDS["torch"], formats=["ncnn"])
    assert plan.name == "fp32.ncnn" and plan.backend == "cpu"
    concern = target.why_not("ncnn", "fp32")
    assert (concern is None) == runs


@pytest.mark.parametrize("architecture", ["aarch64", "x86_64"])
@pytest.mark.parametrize("python", ["3.11", "3.12", "3.13"])
def test_every_64_bit_board_can_be_sent_it(python: str, architecture: str) -> None:
    assert "ncnn" in assembly.sent_formats()
    wheel = wheels.find(wheels.requirement("ncnn"), python, architecture, "2.34")
    assert (wheel.architecture, wheel.python) == (architecture, python)
    assert wheel.version == ENGINES["ncnn"].packages[0].least


def test_it_is_where_users_look(capfd: pytest.CaptureFixture[str]) -> None:
    for words, shown in (
        (["targets", "rpi5"], ".ncnn on ncnn (cpu)"),
        (["doctor"], "ncnn"),
        (["doctor", "desktop-x86_64"], ".ncnn (only when asked for)"),
        (["build", "--help"], "ncnn"),
    ):
        assert run(words) == 0
        assert shown in capfd.readouterr().out
