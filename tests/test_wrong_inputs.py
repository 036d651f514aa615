"""Wrong inputs: each one line, a hint, a code, the documented exit code, and the previous bundle untouched."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.projects import DATA, MODEL, TOML, TRAINING, write_project

from edgekit.cli.main import run
from edgekit.target import target_directory

LABELS = 'labels = ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"]'
PREVIOUS = b"the bundle of an earlier build"


@dataclass
class Place:
    """A good project to spoil, in a folder of its own."""

    root: Path
    patch: pytest.MonkeyPatch
    project: Path = field(init=False)

    def __post_init__(self) -> None:
        self.project = write_project(self.root / "small")

    def spoil(self, old: str, new: str) -> None:
        assert old in TOML
        (self.project / "edgekit.toml").write_text(TOML.replace(old, new, 1))

    def model(self, code: str) -> None:
        (self.project / "model.py").write_text(code)

    def data(self, code: str) -> None:
        (self.project / "data.py").write_text(DATA + code)

    def file(self, name: str, content: bytes | np.ndarray = b"?") -> str:
        path = self.root / name
        if isinstance(content, bytes):
            path.write_bytes(content)
        else:
            np.save(path, content)
        return str(path)


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    monkeypatch.setenv("EDGEKIT_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    yield Place(tmp_path, monkeypatch)
    shutil.rmtree(tmp_path / "cache", ignore_errors=True)


def refuse(
    place: Place, capsys: pytest.CaptureFixture[str], arguments: list[str], status: int, code: str, says: str
) -> None:
    previous = place.project / "build" / "small-rpi4.edgekit"
    previous.parent.mkdir(exist_ok=True)
    previous.write_bytes(PREVIOUS)
    given = run([*arguments, "--json"])
    out, err = capsys.readouterr()
    said = err.splitlines()
    errors = [line for line in said if line.startswith("error:")]
    assert given == status, said
    assert len(errors) == 1 and errors[0].endswith(f"[{code}]"), said
    assert says in errors[0], said
    error = json.loads(out)["error"]
    assert error["code"] == code and errors[0] == f"error: {' '.join(error['message'].split())} [{code}]"
    assert sum(line.startswith(" hint: ") and len(line) > 7 for line in said) == 1, said
    assert previous.read_bytes() == PREVIOUS
    assert [path.name for path in previous.parent.iterdir()] == [previous.name]


Prepare = Callable[[Place], Any]
BUILD = ["build", "small", "--target", "rpi4"]


def spoil(old: str, new: str) -> Prepare:
    return lambda place: place.spoil(old, new)


# name: (what is done, the command, exit code, error code, what the line says)
AT_ONCE: dict[str, tuple[Prepare, list[str], int, str, str]] = {
    "no such folder": (lambda p: None, ["build", "smal", "-t", "rpi4"], 2, "EK-MISSING-FILE", "there is no smal"),
    "folder without a project": (
        lambda p: (p.root / "empty").mkdir(),
        ["build", "empty", "-t", "rpi4"],
        2,
        "EK-ARGUMENT",
        "neither a project nor a model file",
    ),
    "not TOML": (spoil('name = "small"', 'name = "small'), BUILD, 2, "EK-PROJECT", "edgekit.toml:2: not valid TOML"),
    "TOML that is too deep": (
        spoil("[limits]", "[limits]\na = " + "[" * 9999 + "]" * 9999),
        BUILD,
        2,
        "EK-PROJECT",
        "edgekit.toml: not valid TOML: its values are too deep",
    ),
    "a whole number of 5,000 digits": (
        spoil("max_drop = 100.0", "max_drop = " + "9" * 5000),
        BUILD,
        2,
        "EK-PROJECT",
        "edgekit.toml: not valid TOML",
    ),
    "misspelled section": (spoil("[limits]", "[limit]"), BUILD, 2, "EK-PROJECT", "unknown key 'limit'"),
    "misspelled in project": (spoil("requires", "require"), BUILD, 2, "EK-PROJECT", "edgekit.toml:3:"),
    "misspelled in model": (spoil("framework", "framwork"), BUILD, 2, "EK-PROJECT", "'framwork' in [model]"),
    "misspelled in data": (spoil("evaluation =", "evalution ="), BUILD, 2, "EK-PROJECT", "'evalution' in [data]"),
    "misspelled in calibration": (spoil("samples =", "sample ="), BUILD, 2, "EK-PROJECT", "unknown key 'sample'"),
    "misspelled in preprocessing": (spoil("std =", "sdt ="), BUILD, 2, "EK-PROJECT", "'sdt' in [preprocessing]"),
    "misspelled in resize": (
        spoil("scale =", "resize = { height = 28, widht = 28 }\nscale ="),
        BUILD,
        2,
        "EK-PROJECT",
        "'widht' in [preprocessing.resize]",
    ),
    "misspelled in training": (
        spoil("[metric]", TRAINING.replace("epochs", "epoch") + "[metric]"),
        BUILD,
        2,
        "EK-PROJECT",
        "'epoch' in [training]",
    ),
    "misspelled in augment": (
        spoil("[metric]", "[training]\naugment = { shfit = 2 }\n[metric]"),
        BUILD,
        2,
        "EK-PROJECT",
        "'shfit' in [training.augment]",
    ),
    "misspelled in metric": (
        spoil('name = "accuracy"', 'nam = "accuracy"'),
        BUILD,
        2,
        "EK-PROJECT",
        "'nam' in [metric]",
    ),
    "misspelled in build": (spoil("recipes", "recipe"), BUILD, 2, "EK-PROJECT", "'recipe' in [build]"),
    "misspelled in limits": (spoil("max_drop", "maxdrop"), BUILD, 2, "EK-PROJECT", "'maxdrop' in [limits]"),
    "a word for a number": (spoil("max_drop = 100.0", 'max_drop = "low"'), BUILD, 2, "EK-PROJECT", "limits.max_drop"),
    "a key twice": (spoil('name = "small"', 'name = "small"\nname = "s"'), BUILD, 2, "EK-PROJECT", "not valid TOML"),
    "no factory file": (lambda p: (p.project / "model.py").unlink(), BUILD, 2, "EK-MISSING-FILE", "model.py"),
    "no such function": (spoil("data.py:train", "data.py:trian"), BUILD, 2, "EK-PROJECT", "defines no 'trian'"),
    "no data file": (spoil('"data.py:evaluation"', '"eval.npz"'), BUILD, 2, "EK-MISSING-FILE", "eval.npz"),
    "no weight file": (
        spoil('framework = "torch"', 'framework = "torch"\nweights = "best.pt"'),
        BUILD,
        2,
        "EK-MISSING-FILE",
        "best.pt",
    ),
    "unknown framework": (spoil('"torch"', '"pytorch"'), BUILD, 2, "EK-PROJECT", "unknown framework 'pytorch'"),
    "package not installed": (
        spoil("requires = []", 'requires = ["no-such-package"]'),
        BUILD,
        2,
        "EK-MISSING-PACKAGE",
        "no-such-package is not installed",
    ),
    "a class without a name": (
        lambda p: (p.spoil(LABELS, 'labels = "labels.txt"'), (p.project / "labels.txt").write_text("a\n\nb\n")),
        BUILD,
        2,
        "EK-DATA",
        "labels.txt:2 is empty",
    ),
    "a class with a control character": (
        lambda p: (p.spoil(LABELS, 'labels = "labels.txt"'), (p.project / "labels.txt").write_text("a\nb\x1b[2J\n")),
        BUILD,
        2,
        "EK-DATA",
        "labels.txt:2 is no name of a class",
    ),
    "class names in another encoding": (
        lambda p: (p.spoil(LABELS, 'labels = "labels.txt"'), (p.project / "labels.txt").write_bytes(b"gr\xfc\xdfe\n")),
        BUILD,
        2,
        "EK-DATA",
        "labels.txt cannot be read as UTF-8 text",
    ),
    "a class name too long": (spoil(LABELS, f'labels = ["{"n" * 201}"]'), BUILD, 2, "EK-DATA", "data.labels, name 1"),
    "unknown target": (lambda p: None, ["build", "small", "-t", "rpi44"], 2, "EK-TARGET", "unknown target 'rpi44'"),
    "broken target file": (
        lambda p: p.file("mine.toml", b'titel = "Mine"'),
        ["build", "small", "-t", "mine.toml"],
        2,
        "EK-TARGET",
        "titel",
    ),
    "a target file with an unknown recipe": (
        lambda p: p.file("mine.toml", (target_directory() / "rpi4.toml").read_bytes().replace(b'"int8"', b'"int9"')),
        ["build", "small", "-t", "mine.toml"],
        2,
        "EK-TARGET",
        "'recipe_preference' is 'int9'",
    ),
    "a target file that is too deep": (
        lambda p: p.file("mine.toml", b"a = " + b"[" * 9999),
        ["build", "small", "-t", "mine.toml"],
        2,
        "EK-TARGET",
        "too deep in each other",
    ),
    "unknown recipe": (lambda p: None, [*BUILD, "-r", "int9"], 2, "EK-ARGUMENT", "unknown recipe 'int9'"),
    "unknown format": (lambda p: None, [*BUILD, "-f", "onxx"], 2, "EK-ARGUMENT", "unknown format 'onxx'"),
    "negative drop": (lambda p: None, [*BUILD, "--max-drop", "-1"], 2, "EK-ARGUMENT", "--max-drop"),
    "no jobs": (lambda p: None, [*BUILD, "--jobs", "0"], 2, "EK-ARGUMENT", "--jobs"),
    "no target": (lambda p: None, ["build", "small"], 2, "EK-ARGUMENT", "--target"),
    "not a model file": (
        lambda p: p.file("notes.txt"),
        ["build", "notes.txt", "-t", "rpi4"],
        2,
        "EK-ARGUMENT",
        "neither a project nor a model file",
    ),
    "calibration for a project": (
        lambda p: p.file("c.npy", np.ones((4, 2))),
        [*BUILD, "--calibration", "c.npy"],
        2,
        "EK-ARGUMENT",
        "for bare model files",
    ),
    "no calibration file": (
        lambda p: None,
        ["build", "small/model.py:build", "-t", "rpi4", "--calibration", "c.npy"],
        2,
        "EK-MISSING-FILE",
        "c.npy",
    ),
    "calibration that is no array": (
        lambda p: p.file("c.npy"),
        ["build", "small/model.py:build", "-t", "rpi4", "--calibration", "c.npy"],
        2,
        "EK-DATA",
        "holds no numpy arrays",
    ),
    "calibration that is empty": (
        lambda p: p.file("c.npy", np.ones((0, 1, 28, 28))),
        ["build", "small/model.py:build", "-t", "rpi4", "--calibration", "c.npy"],
        2,
        "EK-DATA",
        "the calibration data is empty",
    ),
    "calibration with NaN": (
        lambda p: p.file("c.npy", np.full((4, 1, 28, 28), np.nan)),
        ["build", "small/model.py:build", "-t", "rpi4", "--calibration", "c.npy"],
        2,
        "EK-DATA",
        "NaN or infinity",
    ),
    "int8 without calibration": (
        lambda p: None,
        ["build", "small/model.py:build", "-t", "rpi4", "-r", "int8"],
        2,
        "EK-ARGUMENT",
        "needs calibration samples",
    ),
    "a format the source cannot give": (
        lambda p: ((p.root / "saved").mkdir(), p.file("saved/saved_model.pb")),
        ["build", "saved", "-t", "rpi4", "-f", "keras"],
        2,
        "EK-UNSUPPORTED",
        "a SavedModel gives no .keras, only .tflite, .pte",
    ),
    "a recipe that a backend lacks": (
        lambda p: None,
        ["build", "small", "-t", "android-gpu", "-f", "pte", "-r", "int8"],
        2,
        "EK-UNSUPPORTED",
        "a .pte for Vulkan has the recipes fp32 and fp16, not int8",
    ),
    "no disk space": (
        lambda p: p.patch.setattr("shutil.disk_usage", lambda path: type("Usage", (), {"free": 1 << 20})),
        BUILD,
        2,
        "EK-SPACE",
        "only 1 MB are free",
    ),
    "on a Raspberry Pi": (
        lambda p: p.patch.setattr("platform.machine", lambda: "aarch64"),
        BUILD,
        2,
        "EK-UNSUPPORTED",
        "runs on a desktop",
    ),
    "inspect what is no bundle": (lambda p: p.file("x.edgekit"), ["inspect", "x.edgekit"], 6, "EK-BUNDLE", "x.edgekit"),
    "verify nothing": (lambda p: None, ["verify", "x.edgekit"], 6, "EK-MISSING-FILE", "x.edgekit"),
}


@pytest.mark.parametrize("name", AT_ONCE)
def test_refused_before_anything_slow_starts(
    name: str, place: Place, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    prepare, arguments, status, code, says = AT_ONCE[name]
    prepare(place)
    started: list[object] = []
    monkeypatch.setattr("edgekit.pipeline.work.pool._Worker.__init__", lambda worker, family: started.append(family))
    refuse(place, capsys, arguments, status, code, says)
    assert not started


def constant(place: Place) -> None:
    place.model(
        MODEL.replace("    return nn.Sequential(", "    net = nn.Sequential(")
        + "    nn.init.zeros_(net[-1].weight)\n    return net\n"
    )


def weights(content: bytes | str) -> Prepare:
    def prepare(place: Place) -> None:
        place.spoil('framework = "torch"', 'framework = "torch"\nweights = "best.pt"')
        if isinstance(content, bytes):
            (place.project / "best.pt").write_bytes(content)
        else:
            import torch

            torch.save({content: torch.ones(3)}, place.project / "best.pt")

    return prepare


TFLITE = [*BUILD, "-f", "tflite", "-r", "fp32"]
PTE = [*BUILD, "-f", "pte", "-r", "fp32"]

IN_A_WORKER: dict[str, tuple[Prepare, list[str], int, str, str]] = {
    "data that fails": (lambda p: p.data("def evaluation():\n    return 1 / 0\n"), BUILD, 2, "EK-CODE", "division"),
    "NaN in the data": (
        lambda p: p.data("def evaluation():\n    return np.full((4, 28, 28), np.nan), np.arange(4)\n"),
        BUILD,
        2,
        "EK-DATA",
        "NaN",
    ),
    "no samples": (
        lambda p: p.data("def evaluation():\n    return np.ones((0, 28, 28)), np.ones(0, int)\n"),
        BUILD,
        2,
        "EK-DATA",
        "is empty",
    ),
    "empty calibration": (
        lambda p: (
            p.spoil('{ from = "train", samples = 32 }', '"data.py:calibration"'),
            p.data("def calibration():\n    return np.ones((0, 28, 28))\n"),
        ),
        BUILD,
        2,
        "EK-DATA",
        "calibration data is empty",
    ),
    "labels out of range": (
        lambda p: p.data("def evaluation():\n    return load(slice(0, 9))[0], np.arange(9) + 5\n"),
        BUILD,
        2,
        "EK-DATA",
        "names 10 classes",
    ),
    "samples of a wrong shape": (
        lambda p: p.data(
            "def evaluation():\n    return np.ones((4, 28, 28, 3), np.uint8), np.arange(4)\n\n\ntrain = evaluation\n"
        ),
        BUILD,
        2,
        "EK-SOURCE",
        "does not take input: float32[1, 3, 28, 28]",
    ),
    "an untrained model": (constant, BUILD, 2, "EK-UNTRAINED", "hardly depend on its input"),
    "an unreadable checkpoint": (weights(b"garbage"), BUILD, 2, "EK-CHECKPOINT", "best.pt"),
    "another model's checkpoint": (weights("other.weight"), BUILD, 2, "EK-CHECKPOINT", "best.pt"),
    "a factory that gives no model": (lambda p: p.model("def build():\n    return 3\n"), BUILD, 2, "EK-CODE", "build"),
    "a syntax error in the model": (
        lambda p: p.model("def build(:\n    def build"),
        BUILD,
        2,
        "EK-CODE",
        "model.py:1: SyntaxError",
    ),
    "an operator that does not convert": (
        lambda p: p.model(MODEL.replace("nn.Flatten(),", "nn.Flatten(), Odd(),") + ODD),
        PTE,
        5,
        "EK-UNSUPPORTED",
        "1 of 1 variants failed: ExecuTorch has no operator for aten.special_bessel_j0",
    ),
    "a worker that is killed": (
        lambda p: p.model(MODEL.replace("torch.manual_seed(0)", "import os; os.kill(os.getpid(), 9)")),
        BUILD,
        5,
        "EK-CRASHED",
        "SIGKILL",
    ),
    "training that diverges": (
        lambda p: p.spoil("[metric]", TRAINING.replace("0.01", "1e30") + "[metric]"),
        BUILD,
        1,
        "EK-DIVERGED",
        "loss",
    ),
    "a limit that is not met": (
        lambda p: p.spoil("max_drop = 100.0", "min_accuracy = 99.9"),
        TFLITE,
        3,
        "EK-LIMIT",
        "min_accuracy is 99.90 %",
    ),
}

ODD = """

class Odd(nn.Module):
    def forward(self, x):
        return torch.special.bessel_j0(x)
"""


@pytest.mark.builds
@pytest.mark.parametrize("name", IN_A_WORKER)
def test_refused_by_a_worker(name: str, place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    prepare, arguments, status, code, says = IN_A_WORKER[name]
    prepare(place)
    refuse(place, capsys, arguments, status, code, says)


def test_there_are_enough() -> None:
    assert len(AT_ONCE) + len(IN_A_WORKER) >= 40
