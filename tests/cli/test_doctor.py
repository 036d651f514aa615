"""``edgekit doctor``."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from importlib import metadata
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

from edgekit.cli.main import cli, run
from edgekit.errors import CODES, UsageError
from edgekit.runtime import environments, native
from edgekit.runtime.engines.executorch import ExecuTorch
from edgekit.runtime.engines.litert import LiteRT
from edgekit.runtime.machine import Machine
from edgekit.runtime.native import compilers
from edgekit.target import load_target

PI4 = Machine(
    board="Raspberry Pi 4 Model B Rev 1.4",
    architecture="aarch64",
    kernel_architecture="aarch64",
    cpu="cortex-a72",
    cores=4,
    features=("neon",),
    memory_bytes=3884404 * 1024,
    os="Debian GNU/Linux 12 (bookworm)",
    python="3.11.2",
    glibc="2.36",
    page_bytes=4096,
)
DESKTOP = replace(PI4, board=None, architecture="x86_64", kernel_architecture="x86_64", cpu="AMD EPYC")


def invoke(*arguments: str) -> Result:
    return CliRunner().invoke(cli, ["doctor", *arguments], catch_exceptions=False, standalone_mode=False)


@pytest.fixture
def on(monkeypatch: pytest.MonkeyPatch) -> Callable[[Machine], None]:
    """Makes doctor see another machine (simulated: the packages stay this one's)."""

    def simulate(machine: Machine) -> None:
        monkeypatch.setattr("edgekit.runtime.machine.read_machine", lambda: machine)

    return simulate


def test_on_a_pi_the_first_thing_said_is_to_build_on_the_desktop(on: Callable[[Machine], None]) -> None:
    on(PI4)
    lines = invoke().stdout.splitlines()
    assert "build on a desktop" in lines[0] and "run here" in lines[0]
    assert "Raspberry Pi 4 Model B Rev 1.4, target rpi4" in lines[1]
    assert json.loads(invoke("--json").stdout)["can_build"] is False


def test_on_a_32_bit_system_it_says_what_runs_and_what_to_do(on: Callable[[Machine], None]) -> None:
    on(replace(PI4, board="Raspberry Pi 3 Model B Plus Rev 1.3", architecture="armv7l"))
    text = invoke().stdout
    assert "32-bit system under a 64-bit kernel: only tflite-runtime runs here" in text
    assert "target rpi3-32bit" in text


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"glibc": "2.31"}, "glibc 2.31 is too old for LiteRT, which needs 2.34"),
        ({"python": "3.14.1"}, "Python 3.14.1 has no packages of the engines; Python 3.11, 3.12, 3.13 has them"),
        ({"architecture": "armv7l", "python": "3.13.5"}, "Python 3.13.5 has no packages of the engines; Python 3.11"),
        ({"architecture": "armv6l"}, "no engine has a package for armv6l"),
    ],
)
def test_a_system_that_cannot_run_the_engines_is_told(
    on: Callable[[Machine], None], change: dict[str, str], said: str
) -> None:
    on(replace(PI4, **change))  # type: ignore[arg-type]
    assert any(advice.startswith(said) for advice in json.loads(invoke("--json").stdout)["advice"])


def test_on_a_desktop_there_is_nothing_to_warn_of(on: Callable[[Machine], None]) -> None:
    on(DESKTOP)
    assert invoke().stdout.startswith("machine")
    findings = json.loads(invoke("--json").stdout)
    assert findings["advice"] == [] and findings["can_build"] is True


def test_a_missing_package_comes_with_its_cure(on: Callable[[Machine], None], monkeypatch: pytest.MonkeyPatch) -> None:
    on(DESKTOP)
    version = metadata.version

    def without_keras(name: str) -> str:
        if name == "keras":
            raise metadata.PackageNotFoundError(name)
        return "2.14.0" if name == "torch" else version(name)

    monkeypatch.setattr(metadata, "version", without_keras)
    text = invoke().stdout
    assert "missing: pip install 'edgekit[keras]' (for Keras models)" in text
    assert "not proven: pip install 'torch>=2.13,<2.14'" in text


def test_a_target_says_what_can_be_checked_here(on: Callable[[Machine], None]) -> None:
    on(DESKTOP)
    text = invoke("android-gpu").stdout
    assert "building for Android phone (GPU) (android-gpu):" in text
    assert ".pte (fp32, fp16): exported, not run: no engine on a desktop has the vulkan backend" in text
    formats = json.loads(invoke("rpi4", "--json").stdout)["target"]["formats"]
    named = [entry.format for entry in load_target("rpi4").formats]
    assert [(entry["format"], entry["built"]) for entry in formats if entry["format"] in named] == [
        ("tflite", ["fp32", "fp16", "int8"]),
        ("pte", ["fp32", "fp16", "int8"]),
        ("ptl", []),
    ]


def test_an_unknown_target_is_a_usage_error() -> None:
    with pytest.raises(UsageError, match="unknown target 'rpi44'"):
        invoke("rpi44")


def test_every_error_code_is_explained() -> None:
    assert json.loads(invoke("--codes", "--json").stdout)["codes"] == CODES
    text = invoke("--codes").stdout
    assert all(code in text for code in CODES)


def test_setup_makes_the_environment_and_says_so_on_standard_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def create(name: str, report: Callable[[str], None]) -> Path:
        report(f"installing {name}")
        return Path("/somewhere/bin/python")

    monkeypatch.setattr(environments, "create", create)
    result = invoke("--setup", "tflite-runtime")
    assert result.stdout == "tflite-runtime is ready: /somewhere/bin/python\n"
    assert result.stderr == "installing tflite-runtime\n"
    result = invoke("--setup", "tflite-runtime", "--json", "--quiet")
    assert json.loads(result.stdout) == {"environment": "tflite-runtime", "python": "/somewhere/bin/python"}
    assert result.stderr == ""


def test_setup_of_something_else_is_refused() -> None:
    with pytest.raises(UsageError, match="litert"):
        invoke("--setup", "litert")


def test_no_framework_is_imported() -> None:
    code = (
        "import sys; from click.testing import CliRunner; from edgekit.cli.doctor import command;"
        "assert CliRunner().invoke(command, ['rpi4', '--json']).exit_code == 0;"
        "print([n for n in ('torch', 'tensorflow', 'keras', 'executorch', 'ai_edge_litert') if n in sys.modules])"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"


def test_the_verbs_import_nothing_but_click_before_they_run() -> None:
    code = "import sys, edgekit.cli.doctor, edgekit.cli.targets; print('numpy' in sys.modules)"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "False"


def test_what_executorch_lacks_without_torch_is_one_line(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("EDGEKIT_HOME", str(tmp_path))
    monkeypatch.setattr(native, "prebuilt", lambda architecture: None)
    assert "executorch without torch: yes: its core is built at first use" in invoke().output
    monkeypatch.setenv("PATH", "")
    monkeypatch.delenv("CXX", raising=False)
    monkeypatch.setattr(compilers, "package_folders", lambda name: [])
    assert "executorch without torch: no: this edgekit brings no built core" in invoke().output


def test_a_bundle_is_judged_variant_by_variant(
    small_bundle: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run(["doctor", str(small_bundle)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["variant", "engine", "runs", "here", "reason"]
    assert lines[1].split()[:3] == ["fp32.tflite", "litert", "yes"]
    assert "recommended for the bundle's target" in lines[1]
    monkeypatch.setattr(LiteRT, "version", lambda self: None)
    assert run(["doctor", str(small_bundle), "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["choices"][0] == {
        "variant": "fp32.tflite",
        "engine": "litert",
        "usable": False,
        "reason": "not installed",
    }
    assert document["choices"][2]["usable"]


def test_a_bundle_with_nothing_that_runs_here_fails(
    small_bundle: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(LiteRT, "version", lambda self: None)
    monkeypatch.setattr(ExecuTorch, "version", lambda self: None)
    assert run(["doctor", str(small_bundle)]) == 1
    shown = capsys.readouterr()
    assert shown.out.count("not installed") == 3
    assert "EK-NO-VARIANT" in shown.err
    assert run(["doctor", str(small_bundle.parent / "none.edgekit")]) == 6


_NET = """\
import torch
from torch import nn


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 3)

    def forward(self, x):
        return torch.cumsum(self.conv(x).relu(), 1).mean((2, 3))


class Net(nn.Module):
    def __init__(self, refused):
        super().__init__()
        self.body, self.refused = Block(), refused

    def forward(self, x):
        y = self.body(x)
        return torch.lgamma(y.abs() + 1) if self.refused else y


def good():
    torch.manual_seed(0)
    return Net(False)


def bad():
    torch.manual_seed(0)
    return Net(True)
"""


@pytest.fixture(scope="module")
def net(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("net")
    (folder / "net.py").write_text(_NET)
    np.save(folder / "x.npy", np.random.default_rng(0).standard_normal((20, 3, 8, 8)).astype(np.float32))
    return folder


@pytest.mark.slow
def test_a_model_is_looked_at_before_it_is_built(net: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["doctor", f"{net / 'net.py'}:good", "--calibration", str(net / "x.npy"), "--json", "--quiet"]
    assert run(arguments) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["parameter_count"] == 224 and not list(net.glob("build"))
    found = {each["format"]: each["forecast"] for each in document["formats"]}
    assert found.keys() == {"tflite", "pte"}
    (sums,) = [each for each in found["pte"]["outside"] if each["operator"] == "aten.cumsum"]
    assert (
        sums["count"] == 1 and sums["layers"] == ["body"] and sums["line"].startswith("net.py:11: return torch.cumsum")
    )
    assert any(each["operator"] == "CUMSUM" and each["layers"] == ["body"] for each in found["tflite"]["outside"])
    assert found["pte"]["inside"] >= 2 and found["pte"]["steps"] == 0


@pytest.mark.slow
def test_what_a_build_of_a_model_would_refuse_is_said(net: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["doctor", f"{net / 'net.py'}:bad", "--calibration", str(net / "x.npy")]) == 5
    shown = capsys.readouterr()
    assert ".tflite: will be refused: LiteRT has no operator for aten.lgamma (net.py:" in shown.out
    assert ".pte: will be refused: ExecuTorch has no operator for aten.lgamma (net.py:" in shown.out
    assert "EK-UNSUPPORTED" in shown.err


def test_a_model_that_is_not_there_is_said_to_be_missing(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["doctor", "nowhere.py:build"]) == 2
    assert "there is no nowhere.py" in capsys.readouterr().err


def test_a_model_is_looked_at_with_what_a_build_takes_beside_it(net: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The hint of a model that does not say what goes in names --shape: it can be followed."""
    model = f"{net / 'net.py'}:good"
    for words, says in (
        (["--shape", "3,8,8"], "--shape 3,8,8 begins with 3"),
        (["--shape", "1,3,8,8", "--weights", "none.pt"], "there is no file none.pt"),
        (["--framework", "jaxx"], "unknown framework 'jaxx'"),
        (["--constant", "x=1"], "--constant is for .onnx files"),
        (["--signature", "serve"], "a PyTorch model has one signature"),
    ):
        assert run(["doctor", model, *words]) == 2
        assert says in capsys.readouterr().err


@pytest.mark.slow
def test_a_shape_stands_in_for_samples(net: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["doctor", f"{net / 'net.py'}:good", "--shape", "1,3,8,8", "--json", "--quiet"]) == 0
    assert json.loads(capsys.readouterr().out)["parameter_count"] == 224


@pytest.mark.parametrize("target", [[], ["rpi4"], ["none.edgekit"], ["local"]])
@pytest.mark.parametrize("words", [["--shape", "1,2"], ["--calibration", "x.npy"], ["--framework", "jax"], ["--trust"]])
def test_what_is_said_of_a_model_takes_a_model(
    target: list[str], words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["doctor", *target, *words]) == 2
    error, hint = capsys.readouterr().err.strip().splitlines()
    assert error.startswith(f"error: {words[0]} is for a model") and error.endswith("[EK-ARGUMENT]")
    assert "edgekit doctor MODEL" in hint
