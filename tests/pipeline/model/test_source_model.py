"""The float model of a build is the one that its factory makes now: a stale one is never served."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from edgekit.pipeline.data import load_arrays
from edgekit.pipeline.model.reference import Reference, make_reference
from edgekit.pipeline.model.source_model import SourceModel, prepare_model
from edgekit.pipeline.project.origin import ModelOptions, find_origin
from edgekit.pipeline.sources import open_source
from edgekit.pipeline.work.cache import Cache
from edgekit.pipeline.work.events import Done, StageEvent, Warned
from edgekit.pipeline.work.pool import Pool
from edgekit.pipeline.work.stages import Stages

#: What is made of every new model.
ANSWERS = {"prepare", "reference"}

NET = """\
import os
from pathlib import Path

import torch
from parts.block import Block


def make():
    net = Block()
    net.load_state_dict(torch.load(Path(__file__).parent / "weights.pth"))
    if "SHIFT" in os.environ:
        with torch.no_grad():
            net.linear.bias += float(os.environ["SHIFT"])
    return net
"""

BLOCK = """\
import torch


class Block(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = torch.nn.Linear(4, 3)

    def forward(self, x):
        from .scale import SCALE

        return self.linear(x) * SCALE
"""


class Bench:
    """Float models of builds in one cache."""

    def __init__(self, root: Path):
        self.root, self.events = root, list[StageEvent]()

    def model(self, path: str, calibration: Path | None = None) -> tuple[SourceModel, Reference]:
        self.events.clear()
        origin = find_origin(path, ModelOptions(None if calibration is None else str(calibration)))
        with Pool(1) as pool:
            stages = Stages(Cache(self.root / "cache"), pool, self.events.append, origin.name, origin.directory)
            model = prepare_model(stages, origin)
            return model, make_reference(stages, origin, model)

    def made(self) -> set[str]:
        return {event.stage for event in self.events if isinstance(event.what, Done) and not event.what.cached}


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def first_output(made: tuple[SourceModel, Reference]) -> np.ndarray:
    return next(iter(made[1].outputs.values()))


def write_net(folder: Path) -> Path:
    (folder / "parts").mkdir(parents=True)
    (folder / "net.py").write_text(NET)
    (folder / "parts" / "__init__.py").write_text("")
    (folder / "parts" / "block.py").write_text(BLOCK)
    (folder / "parts" / "scale.py").write_text("SCALE = 1\n")
    np.save(folder / "samples.npy", np.random.default_rng(0).normal(size=(16, 4)).astype(np.float32))
    train(folder, 0)
    return folder


def train(folder: Path, seed: int) -> None:
    """Other weights, in a file of the same size and the same times."""
    import torch

    random = torch.Generator().manual_seed(seed)
    weights = {"linear.weight": torch.randn(3, 4, generator=random), "linear.bias": torch.zeros(3)}
    torch.save(weights, folder / "weights.pth")
    os.utime(folder / "weights.pth", (1, 1))


def test_other_weights_in_a_file_that_a_factory_reads_are_another_model(bench: Bench) -> None:
    folder = write_net(bench.root / "net")
    before = bench.model(f"{folder / 'net.py'}:make", folder / "samples.npy")
    train(folder, 1)
    after = bench.model(f"{folder / 'net.py'}:make", folder / "samples.npy")
    assert bench.made() == ANSWERS and after[0].digest != before[0].digest
    assert not np.allclose(first_output(after), first_output(before))


@pytest.mark.slow
def test_a_bare_factory_is_what_it_imports_and_makes_too(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = write_net(bench.root / "net")

    def look() -> tuple[tuple[SourceModel, Reference], set[str]]:
        found = bench.model(f"{folder / 'net.py'}:make", folder / "samples.npy")
        return found, bench.made()

    before, made = look()
    assert made == ANSWERS
    again, made = look()
    assert made == set() and again[0].digest == before[0].digest
    (folder / "parts" / "scale.py").write_text("SCALE = 2\n")  # imported when the model is called, and not before
    scaled, made = look()
    assert made == ANSWERS and np.allclose(first_output(scaled), 2 * first_output(before))
    monkeypatch.setenv("SHIFT", "1.5")
    shifted, made = look()
    assert made == ANSWERS and np.allclose(first_output(shifted), first_output(scaled) + 3)


@pytest.mark.slow
def test_a_copy_of_a_factory_has_weights_of_its_own(bench: Bench) -> None:
    one, other = write_net(bench.root / "one"), write_net(bench.root / "other")
    train(other, 1)
    outputs = [first_output(bench.model(f"{folder / 'net.py'}:make", one / "samples.npy")) for folder in (one, other)]
    assert not np.allclose(*outputs)
    (one / "samples.npy").rename(bench.root / "samples.npy")
    moved = one.rename(bench.root / "moved")
    bench.model(f"{moved / 'net.py'}:make", bench.root / "samples.npy")
    assert bench.made() == set()


def test_all_files_have_the_weights_of_one_call_of_a_factory_that_draws_them(bench: Bench) -> None:
    folder = bench.root / "net"
    folder.mkdir()
    (folder / "net.py").write_text("import torch\n\n\ndef make():\n    return torch.nn.Linear(4, 3)\n")
    np.save(folder / "samples.npy", np.random.default_rng(0).normal(size=(16, 4)).astype(np.float32))
    model, reference = bench.model(f"{folder / 'net.py'}:make", folder / "samples.npy")
    (said,) = (event.what.text for event in bench.events if isinstance(event.what, Warned))
    assert said.startswith("net.py:make makes other weights at every call") and "seed" in said
    samples, _ = load_arrays(model.samples)
    (output,) = open_source(model.spec).predict({"input": samples["input"]}).values()
    assert np.array_equal(output, first_output((model, reference)))


TRAINED = """\
[project]
name = "trained"

[model]
framework = "{}"
factory = "model.py:build"

[data]
train = "data.py:train"
evaluation = "data.py:evaluation"

[training]
epochs = 1
"""

DATA = """\
import numpy as np


def load(count):
    random = np.random.default_rng(count)
    return random.normal(size=(count, 8)).astype(np.float32), random.integers(0, 3, count)


def train():
    return load(64)


def evaluation():
    return load(16)
"""

#: Models of either framework, which start from the weights that an expression gives.
START = {
    "torch": """\
import numpy as np
import torch


def build():
    net = torch.nn.Sequential(torch.nn.Linear(8, 3))
    with torch.no_grad():
        net[0].weight.copy_(torch.from_numpy(np.array({}, np.float32)))
    return net
""",
    "keras": """\
import keras
import numpy as np


def build():
    net = keras.Sequential([keras.Input((8,)), keras.layers.Dense(3)])
    net.layers[-1].set_weights([np.array({}, np.float32).T, net.layers[-1].get_weights()[1]])
    return net
""",
}


def write_trained(folder: Path, framework: str, start: str) -> Path:
    folder.mkdir()
    (folder / "edgekit.toml").write_text(TRAINED.format(framework))
    (folder / "model.py").write_text(START[framework].format(start))
    (folder / "data.py").write_text(DATA)
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("framework", ["torch", "keras"])
def test_training_starts_anew_from_other_weights(bench: Bench, framework: str) -> None:
    """They are read by a library that Python does not see reading, from outside of the project."""
    import h5py

    file = bench.root / "start.h5"
    project = write_trained(bench.root / "small", framework, f"__import__('h5py').File({str(file)!r})['start'][()]")
    outputs = []
    for seed, made in ((0, {"data", "train", *ANSWERS}), (0, set()), (1, {"train", *ANSWERS})):
        with h5py.File(file, "w") as stored:
            stored["start"] = np.random.default_rng(seed).normal(size=(3, 8)).astype(np.float32)
        outputs.append(first_output(bench.model(str(project))))
        assert bench.made() == made
    assert np.array_equal(outputs[0], outputs[1]) and not np.allclose(outputs[0], outputs[2])


@pytest.mark.slow
def test_training_that_cannot_be_repeated_is_said_and_done_again(bench: Bench) -> None:
    project = write_trained(bench.root / "small", "torch", "np.random.default_rng().normal(size=(3, 8))")
    for _ in range(2):
        bench.model(str(project))
        assert "train" in bench.made()
        (said,) = (event.what.text for event in bench.events if isinstance(event.what, Warned))
        assert said.startswith("model.py:build starts from other weights at every call")
