"""``edgekit profile`` and ``edgekit report``."""

from __future__ import annotations

import csv
import json
import resource
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest
from support import profiles
from support.bundles import only, with_file
from support.hostile_files import tflite_with
from support.stops import running

from edgekit.bundle import Bundle
from edgekit.cli.main import run
from edgekit.errors import DeviceError
from edgekit.profiling import outcome
from edgekit.profiling.files import read_profile, write_profile
from edgekit.runtime.profiler.records import FAILED, MEASURED

QUICK = ("--quick", "--engine", "litert", "--threads", "1")


@pytest.fixture(scope="module")
def bundle(small_bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return only(small_bundle, ("fp32.tflite",), tmp_path_factory.mktemp("bundle") / "small.edgekit")


def test_a_table_on_standard_output_and_files_by_their_ending(
    bundle: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    files = [tmp_path / name for name in ("p.json", "p.csv", "p.md", "p.trace.json", "p.nodes.json")]
    outputs = [word for file in files for word in ("-o", str(file))]
    assert run(["profile", str(bundle), *QUICK, "--per-op", "--seed", "3", *outputs]) == 0
    out, err = capfd.readouterr()
    head, line, *sentences = out.splitlines()
    assert head.split()[:2] == ["variant", "engine"] and line.split()[:2] == ["fp32.tflite", "litert"]
    assert "median ms" in head and "peak MB" in head and "device" not in head
    assert any("ship fp32.tflite on litert" in sentence for sentence in sentences)
    assert any("delegated" in sentence for sentence in sentences)
    assert "ms so far" in err and "written: " in err and "\r" not in err

    profile = read_profile(files[0])
    (cell,) = profile.cells
    assert cell.status == MEASURED and profile.settings.seed == 3 and len(cell.processes) == 2
    assert cell.operators is not None and cell.trace is None
    with files[1].open() as stream:
        assert [row["engine"] for row in csv.DictReader(stream)] == ["litert"]
    assert files[2].read_text().count("\n| ") == 3
    assert json.loads(files[3].read_text())["traceEvents"] and json.loads(files[4].read_text())["main"]

    assert run(["report", str(files[0]), str(files[0]), "--json"]) == 0
    out, err = capfd.readouterr()
    document = json.loads(out)
    (row,) = document["rows"]
    assert (row["variant"], row["status"], row["headline"]) == ("fp32.tflite", "measured", True)
    assert row["latency_ms"]["median"] > 0 and row["latency_ms"]["samples"] >= 64
    assert document["summary"][0]["variant"] == "fp32.tflite" and document["settings"]["mode"] == "quick"
    assert run(["report", str(files[0]), "--quiet"]) == 0
    again, err = capfd.readouterr()
    assert again.splitlines()[0] == head and err == ""


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--engine", "litter"), "unknown engine 'litter'"),
        (("--engine", "torch"), "no bundle has a .pt2 file"),
        (("--variant", "int9.tflite"), "no bundle has a variant"),
        (("--baseline", "onnxruntime"), "no bundle has a .onnx file"),
        (("--on", "mars"), "there is no device 'mars'"),
        (("--quick", "--strict"), "exclude each other"),
        (("--cpus", "0-"), "is no list of cores"),
        (("--cpus", "3-1"), "is no list of cores"),
        (("--cpus", "4096"), "no core 4096"),
        (("-o", "report.pdf"), "no kind of file '.pdf'"),
        (("-o", "none/report.html"), "there is no folder none"),
        (("-o", "x.trace.json"), "none are traced"),
    ],
)
def test_wrong_arguments_are_refused_at_once(
    bundle: Path, capfd: pytest.CaptureFixture[str], arguments: tuple[str, ...], words: str
) -> None:
    assert run(["profile", str(bundle), *arguments]) == 2
    error, hint = capfd.readouterr().err.splitlines()
    assert words in error and hint.startswith(" hint: ")


def test_what_evaluates_a_profile_is_looked_for_before_measuring(
    bundle: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    real = metadata.version

    def version(name: str) -> str:
        if name == "scipy":
            raise metadata.PackageNotFoundError(name)
        return real(name)

    monkeypatch.setattr(metadata, "version", version)
    assert run(["profile", str(bundle)]) == 1
    err = capfd.readouterr().err
    assert "scipy" in err and "[EK-MISSING-PACKAGE]" in err and 'pip install "edgekit[profile]"' in err


def test_a_file_that_is_no_model_is_refused_before_measuring(
    bundle: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    broken = with_file(bundle, "fp32.tflite", b"no model at all", tmp_path / "broken.edgekit")
    assert run(["profile", str(broken), *QUICK, "-o", str(tmp_path / "p.json")]) == 6
    out, err = capfd.readouterr()
    assert out == "" and "fp32.tflite" in err and "[EK-BUNDLE]" in err and "Traceback" not in err
    assert not (tmp_path / "p.json").exists()


def test_a_file_that_no_engine_takes_is_a_row_that_says_so(
    bundle: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    def newer(model: Any) -> None:
        model.operatorCodes[0].version = 99

    with Bundle.open(bundle) as opened:
        data = tflite_with(opened.read(opened.manifest.variant("fp32.tflite").file), newer)
    odd = with_file(bundle, "fp32.tflite", data, tmp_path / "odd.edgekit")
    assert run(["profile", str(odd), *QUICK, "-o", str(tmp_path / "p.json")]) == 1
    out, err = capfd.readouterr()
    assert "failed: " in out and "1 of 1 rows failed" in err and "Traceback" not in err
    assert read_profile(tmp_path / "p.json").cells[0].status == FAILED


def test_failures_count_devices_first(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    from dataclasses import replace

    profile = profiles.profile(mode="quick")
    found = outcome.failure(profile)
    assert found is not None and found.exit_code == 1 and "SIGSEGV" in found.message
    lost = replace(profile.devices[0], failure="the cable was pulled")
    found = outcome.failure(replace(profile, devices=(lost, *profile.devices[1:])))
    assert isinstance(found, DeviceError) and "1 of 3 devices failed" in found.message
    write_profile(replace(profile, devices=(lost, *profile.devices[1:])), tmp_path / "p.json")
    assert run(["report", str(tmp_path / "p.json")]) == 0
    assert "the cable was pulled" in capfd.readouterr().out


def test_what_cannot_be_written_is_shown_at_least(bundle: Path, tmp_path: Path) -> None:
    kept = tmp_path / "p.json"
    with running("profile", bundle, *QUICK, "-o", kept, temporary=tmp_path / "tmp") as command:
        command.read_until("repeat 2 of 2")
        resource.prlimit(command.process.pid, resource.RLIMIT_FSIZE, (1000, resource.RLIM_INFINITY))
        left = command.finish()
    assert left.exit_code == 1 and f"cannot write {kept}" in left.errors and "written:" not in left.errors
    assert "ship fp32.tflite on litert" in left.output and not kept.exists()
