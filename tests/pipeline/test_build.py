"""Builds of a small project and of bare model files, with real converters and engines."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.projects import DATA, MODEL, TOML, TRAINING, write_project

import edgekit
from edgekit import backends
from edgekit.bundle import Bundle, differences
from edgekit.cli.main import run
from edgekit.errors import LimitError, UsageError
from edgekit.pipeline import exporters
from edgekit.pipeline.build import run_build
from edgekit.pipeline.work.events import Done, Epoch, StageEvent
from edgekit.runtime import engines
from edgekit.runtime.machine import read_machine
from edgekit.runtime.verification import NOT_RUN, PASSED, verify


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a project, and a cache for what the tests of this file have in common."""
    return tmp_path_factory.mktemp("build")


@pytest.fixture(autouse=True)
def cache(shared: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDGEKIT_CACHE", str(shared / "cache"))


@pytest.fixture
def project(shared: Path) -> Path:
    return write_project(shared / "small")


class Heard(list[StageEvent]):
    """The events of a build."""

    def stages(self, cached: bool) -> set[str]:
        return {event.stage for event in self if isinstance(event.what, Done) and event.what.cached == cached}


def test_a_project_becomes_a_bundle_that_runs(project: Path) -> None:
    with edgekit.build(project, target="rpi4") as bundle:
        bundle.verify()
        manifest = bundle.manifest
    assert [variant.name for variant in manifest.variants] == ["fp32.tflite", "int8.tflite", "fp32.pte", "int8.pte"]
    assert manifest.labels == tuple("0123456789") and manifest.target == "rpi4"
    assert manifest.calibration == {"samples": 32, "from": "train"}
    for variant in manifest.variants:
        assert variant.snr_db > (100 if variant.recipe == "fp32" else 17)
        assert variant.delegated_share == 100.0 and not variant.undelegated_ops and not variant.warnings
    digits = np.load(project / "digits.npz")
    for name in ("int8.tflite", "int8.pte"):
        with edgekit.load(project / "build" / "small-rpi4.edgekit", variant=name) as model:
            assert model(model.prepare(digits["x"][0])).shape == (1, 10)


def test_nothing_is_made_twice_and_a_recipe_more_changes_only_itself(project: Path) -> None:
    edgekit.build(project, target="rpi4", formats=["tflite"]).close()
    again = Heard()
    assert run_build(str(project), target="rpi4", formats=["tflite"], listener=again.append).unchanged
    assert again.stages(cached=False) == set()
    more = Heard()
    run_build(str(project), target="rpi4", formats=["tflite"], recipes=["fp32", "fp16", "int8"], listener=more.append)
    made = [(event.stage, event.label) for event in more if isinstance(event.what, Done) and not event.what.cached]
    assert sorted(made) == [("check", "fp16.tflite"), ("export", "fp16.tflite")]


@pytest.mark.slow
def test_training_is_kept_when_recipes_change_and_repeated_when_the_data_does(shared: Path) -> None:
    project = write_project(shared / "trained", TOML.replace("[metric]", TRAINING + "[metric]"))
    first, second, third = Heard(), Heard(), Heard()
    build: Callable[..., Any] = run_build
    build(str(project), target="rpi4", formats=["tflite"], recipes=["fp32"], listener=first.append)
    assert "train" in first.stages(cached=False)
    assert [event.what.epoch for event in first if isinstance(event.what, Epoch)] == [1, 2, 3]
    build(str(project), target="rpi4", formats=["tflite"], recipes=["fp16"], listener=second.append)
    assert "train" in second.stages(cached=True)
    write_project(project, TOML.replace("[metric]", TRAINING + "[metric]"), data=DATA.replace("256)", "250)"))
    build(str(project), target="rpi4", formats=["tflite"], recipes=["fp32"], listener=third.append)
    assert "train" in third.stages(cached=False)


@pytest.mark.slow
def test_other_weights_are_another_model(shared: Path) -> None:
    import torch

    toml = TOML.replace('framework = "torch"', 'framework = "torch"\nweights = "first.pt"')
    project = write_project(shared / "weights", toml)
    namespace: dict[str, Any] = {}
    exec(MODEL, namespace)
    net = namespace["build"]()
    bundles = []
    for name in ("first", "second"):
        torch.save(net.state_dict(), project / f"{name}.pt")
        torch.nn.init.normal_(net[-1].weight)
    for name in ("first", "second"):
        (project / "edgekit.toml").write_text(toml.replace("first.pt", f"{name}.pt"))
        with edgekit.build(project, target="rpi4", formats=["tflite"], recipes=["fp32"]) as bundle:
            bundles.append(bundle.manifest.variant("fp32.tflite").sha256)
    assert bundles[0] != bundles[1]


@pytest.mark.slow
def test_two_builds_from_nothing_give_the_same_bytes(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    edgekit.build(project, target="rpi4", out=tmp_path / "one").close()
    monkeypatch.setenv("EDGEKIT_CACHE", str(tmp_path / "cache"))
    edgekit.build(project, target="rpi4", out=tmp_path / "two").close()
    one, two = (tmp_path / name / "small-rpi4.edgekit" for name in ("one", "two"))
    with Bundle.open(one) as first, Bundle.open(two) as second:
        assert differences(first, second) == []
    assert one.read_bytes() == two.read_bytes()


@pytest.mark.slow
def test_dynamic_int8_of_convolutions_is_made_on_request_and_warns(project: Path) -> None:
    result = run_build(str(project), target="rpi4", recipes=["int8-dynamic"])
    warnings = {row.plan.name: row.made.variant.warnings for row in result.rows if row.made is not None}
    assert warnings["int8-dynamic.tflite"][0].startswith("slower than fp32 on Raspberry Pi 4: ")
    assert warnings["int8-dynamic.pte"][0].startswith("not advised for Raspberry Pi 4: ")


_ROUNDED = """

class Rounded(nn.Module):
    def forward(self, x):
        return (x.bfloat16() * 2).float()
"""


def test_what_one_format_cannot_hold_is_one_failed_row(shared: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """litert-torch 0.10.0 computes nothing in bfloat16."""
    model = MODEL.replace("nn.Conv2d(8, 16", "Rounded(), nn.Conv2d(8, 16") + _ROUNDED
    project = write_project(shared / "rounded", model=model)
    arguments = ["build", str(project), "-t", "rpi4", "-r", "fp32", "--json", "-q"]
    assert run(arguments) == 0
    rows = {row["name"]: row for row in json.loads(capsys.readouterr().out)["variants"]}
    assert rows["fp32.pte"]["status"] == "ok"
    error = rows["fp32.tflite"]["error"]
    assert rows["fp32.tflite"]["status"] == "failed" and error["code"] == "EK-UNSUPPORTED" and error["hint"]
    assert error["message"].startswith("LiteRT cannot do this mul (layer ") and "model.py:" in error["message"]
    with Bundle.open(project / "build" / "small-rpi4.edgekit") as bundle:
        assert [variant.name for variant in bundle.manifest.variants] == ["fp32.pte"]
    assert run([*arguments, "--strict"]) == 5


def test_a_drop_beyond_the_limit_is_exit_code_3_and_says_by_how_much(
    shared: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Calibrated on blank images, int8 cuts off everything that a digit adds to them."""
    toml = TOML.replace('{ from = "train", samples = 32 }', '"data.py:blank"').replace(
        "[metric]", TRAINING + "[metric]"
    )
    toml = toml.replace("[limits]", "[limits]\nmin_snr_db = -100")
    data = DATA.replace("0, 256", "320, 2368") + "\n\ndef blank():\n    return np.zeros((4, 28, 28), np.uint8)\n"
    project = write_project(shared / "blank", toml, data=data)
    assert run(["build", str(project), "-t", "rpi4", "-f", "tflite", "--max-drop", "0.5", "-q"]) == 3
    error, hint = capsys.readouterr().err.splitlines()[-2:]
    assert (
        error.startswith("error: int8.tflite has accuracy ")
        and " below the float model" in error
        and "more than the 0.5 allowed [EK-LIMIT]" in error
    )
    assert hint.startswith(" hint:")
    assert not list((project / "build").glob("*")) if (project / "build").exists() else True
    with pytest.raises(LimitError):
        edgekit.build(project, target="rpi4", formats=["tflite"], max_drop=0.5)


def test_the_legacy_format_is_made_on_request_with_a_warning(project: Path) -> None:
    result = run_build(str(project), target="rpi4", formats=["ptl"])
    made = {row.plan.name: row.made for row in result.rows}
    for name in ("fp32.ptl", "int8.ptl"):
        item = made[name]
        assert item is not None
        assert any("PyTorch Mobile is at its end" in warning for warning in item.variant.warnings)


@pytest.fixture(scope="module")
def calibration(shared: Path) -> Path:
    project = write_project(shared / "small")
    images = np.load(project / "digits.npz")["x"][::200, None].astype(np.float32) / 255
    np.save(shared / "samples.npy", images)
    return shared / "samples.npy"


@pytest.mark.slow
def test_a_python_factory_is_built_without_a_project(project: Path, calibration: Path) -> None:
    with edgekit.build(f"{project}/model.py:build", target="rpi4", calibration=calibration) as bundle:
        manifest = bundle.manifest
    assert manifest.name == "model" and not manifest.checks["random"]
    assert manifest.calibration == {"samples": 50, "from": "samples.npy"}
    assert {variant.recipe for variant in manifest.variants} >= {"fp32", "int8"}
    assert all(variant.accuracy is None for variant in manifest.variants)


@pytest.mark.slow
def test_an_exported_program_is_built_on_random_inputs_and_says_so(
    project: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    import torch

    namespace: dict[str, Any] = {}
    exec(MODEL, namespace)
    program = torch.export.export(namespace["build"]().eval(), (torch.zeros(1, 1, 28, 28),))
    torch.export.save(program, tmp_path / "net.pt2")
    assert run(["build", str(tmp_path / "net.pt2"), "-t", "rpi4", "-f", "tflite", "-q"]) == 0
    said = capsys.readouterr().out
    assert "check inputs are random numbers" in said
    assert "int8.tflite not built: needs calibration samples" in said
    with Bundle.open(tmp_path / "build" / "net-rpi4.edgekit") as bundle:
        assert bundle.manifest.checks["random"] and bundle.manifest.calibration is None


@pytest.mark.slow
def test_baselines_for_the_desktop_are_built_on_request(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CXX", "/nowhere/g++")  # torch.compile has tests of its own, and takes its time
    formats = ["pt2", "onnx"]
    with edgekit.build(project, target="desktop-x86_64", formats=formats, recipes=["fp32"], out=tmp_path) as bundle:
        variants = bundle.manifest.variants
        assert {variant.name: variant.engines for variant in variants} == {
            "fp32.pt2": ("torch", "torch-compile", "torch-cuda", "torch-compile-cuda"),
            "fp32.onnx": ("onnxruntime", "onnxruntime-cuda"),
            "fp32-batch32.pt2": ("torch", "torch-compile", "torch-cuda", "torch-compile-cuda"),
            "fp32-batch32.onnx": ("onnxruntime", "onnxruntime-cuda"),
        }
        assert {variant.name: variant.batch for variant in variants}["fp32-batch32.onnx"] == 32
        assert bundle.manifest.recommended["variant"] in ("fp32.pt2", "fp32.onnx")
        assert all(variant.snr_db > 100 and variant.delegated_share is None for variant in variants)
        digit = np.load(project / "digits.npz")["x"][0]
        scores = []
        for engine in ("torch", "onnxruntime"):
            with edgekit.load(bundle, engine=engine) as model:
                assert "batch" not in model.variant
                scores.append(model(model.prepare(digit)))
        with pytest.raises(UsageError, match="takes 32 samples at a time"):
            edgekit.load(bundle, variant="fp32-batch32.pt2")
        rows = verify(bundle, machine=read_machine(), threads=1)
        ran = {(row.variant, row.engine) for row in rows if row.status == PASSED}
        assert {("fp32-batch32.pt2", "torch"), ("fp32-batch32.onnx", "onnxruntime")} <= ran
        reasons = {row.engine: row.reason for row in rows if row.status == NOT_RUN}
        assert reasons["torch-compile"] == "there is no C++ compiler (/nowhere/g++)"
        if "torch-cuda" in reasons:
            assert reasons["torch-cuda"] == engines.why_missing("torch-cuda")
    np.testing.assert_allclose(*scores, atol=1e-4)


def test_a_package_that_a_baseline_needs_is_looked_for_first(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exporters, "find_spec", lambda name: None if name == "onnxscript" else True)
    with pytest.raises(UsageError) as caught:
        edgekit.build(project, formats=["onnx"])
    assert caught.value.code == "EK-MISSING-PACKAGE" and "onnxscript" in caught.value.message
    assert caught.value.hint == "pip install 'edgekit[baselines]'"


@pytest.mark.slow
def test_files_for_apps_are_exported_and_not_run(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing here runs a file for Vulkan or Core ML: it has no figures, meets no limit and is recommended last."""
    for target, backend, formats in (("android-gpu", "vulkan", ["-f", "tflite"]), ("ios", "coreml", [])):
        wanted = ["-t", target, "-r", "fp16", "-f", "pte", *formats, "--max-drop", "1", "-q"]
        assert run(["build", str(project), *wanted, "--json"]) == 0
        document = json.loads(capsys.readouterr().out)
        exported = [row for row in document["variants"] if row["status"] == "exported, not run"]
        assert [(row["name"], row["backend"]) for row in exported] == [("fp16.pte", backend)]
        assert document["unproven"] == [row["name"] for row in exported] and document["unmet_limits"] == []
        for row in exported:
            assert row["delegated_share"] == 100.0 and row["undelegated_ops"] == {}
            assert {row[key] for key in ("snr_db", "agreement", "max_abs_diff", "accuracy", "host")} == {None}
        best = document["recommended"]
        assert best["variant"] == ("fp16.tflite" if formats else "fp16.pte")
        assert best["reason"].startswith("exported, not run here") != bool(formats)
        warnings = [line for row in document["variants"] if row["status"] == "ok" for line in row["warnings"]]
        assert [line.startswith("run and checked on the CPU here") for line in warnings] == [True] * bool(formats)
        assert run(["build", str(project), *wanted]) == 0
        shown = capsys.readouterr().out
        assert f"exported, not run ({'Vulkan' if formats else 'Core ML'})" in shown
        assert "limits not checked: fp16.pte: exported, not run" in shown


@pytest.mark.slow
def test_two_exports_for_core_ml_give_the_same_bytes(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("one", "two"):
        monkeypatch.setenv("EDGEKIT_CACHE", str(tmp_path / f"cache-{name}"))
        edgekit.build(project, target="ios", recipes=["fp16"], formats=["pte"], out=tmp_path / name).close()
    one, two = (tmp_path / name / "small-ios.edgekit" for name in ("one", "two"))
    assert one.read_bytes() == two.read_bytes()


def test_a_missing_package_of_a_backend_is_one_line(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backends, "find_spec", lambda name: None if name == "coremltools" else object())
    with pytest.raises(UsageError, match="files for Core ML need coremltools, which is not installed") as raised:
        run_build(str(project), target="ios", recipes=["fp16"])
    assert raised.value.code == "EK-MISSING-PACKAGE" and raised.value.hint


def test_what_lies_beside_a_model_neither_stops_nor_holds_a_build_and_its_weights_are_those_of_now(
    shared: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    import torch

    folder = shared / "bare"
    folder.mkdir()
    (folder / "net.py").write_text(
        "import pathlib, torch\n\n\ndef make():\n    net = torch.nn.Linear(4, 3)\n"
        "    net.load_state_dict(torch.load(pathlib.Path(__file__).parent / 'weights.pth'))\n    return net\n"
    )
    np.save(folder / "samples.npy", np.random.default_rng(0).normal(size=(16, 4)).astype(np.float32))
    (folder / ".#net.py").symlink_to("somebody@host.1234:1")
    (folder / "dangling.py").symlink_to("nowhere")
    (folder / os.fsdecode(b"odd\xff.py")).write_text("x = 1\n")
    os.mkfifo(folder / "pipe.py")
    out = os.fsdecode(b"out\xff")
    arguments = [str(folder / "net.py:make"), "--calibration", str(folder / "samples.npy"), "-o", str(folder / out)]
    samples = np.load(folder / "samples.npy")
    for seed in range(2):
        torch.manual_seed(seed)
        net = torch.nn.Linear(4, 3)
        torch.save(net.state_dict(), folder / "weights.pth")
        assert run(["build", *arguments, "-t", "rpi4", "-f", "tflite", "-r", "fp32", "--json"]) == 0
        assert "EK-" not in capsys.readouterr().err
        with edgekit.load(folder / out / "net-rpi4.edgekit") as model, torch.no_grad():
            np.testing.assert_allclose(model(samples[:1]), net(torch.from_numpy(samples[:1])), rtol=1e-5)


@pytest.mark.slow
def test_a_damaged_entry_is_said_in_one_line_and_healed(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["build", str(project), "-t", "rpi4", "-f", "tflite", "-r", "fp32"]
    assert run(arguments) == 0
    for file in (Path(os.environ["EDGEKIT_CACHE"]) / "data").glob("*/evaluation.npz"):
        data = bytearray(file.read_bytes())
        data[len(data) // 2] ^= 1
        file.write_bytes(data)
    capsys.readouterr()
    assert run(arguments) == 0
    said = [line for line in capsys.readouterr().err.splitlines() if "damaged" in line]
    assert [" ".join(line.split()) for line in said] == ["data small damaged in the cache, is made anew"]
    assert run(arguments) == 0 and "damaged" not in capsys.readouterr().err
