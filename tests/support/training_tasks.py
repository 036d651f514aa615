"""Training for the tests: small networks on a few hundred digits, stopped where a test wants it."""

from __future__ import annotations

import hashlib
import importlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from edgekit.errors import EdgekitError
from edgekit.pipeline.data import save_arrays
from edgekit.pipeline.work import events
from edgekit.pipeline.work.events import Epoch, Step, TaskEvent

DIGITS = Path(__file__).parent.parent.parent / "examples" / "digits" / "digits.npz"

SETTINGS: Mapping[str, Any] = {
    "epochs": 3,
    "batch_size": 16,
    "learning_rate": 0.02,
    "weight_decay": 1e-4,
    "optimizer": "adamw",
    "schedule": "one-cycle",
    "loss": "cross-entropy",
    "seed": 0,
    "augment": {"shift": 1},
}

TORCH = """\
from torch import nn

def build():
    return nn.Sequential(nn.Conv2d(1, 8, 3, 2), nn.BatchNorm2d(8, momentum=0.2), nn.ReLU6(),
                         nn.Conv2d(8, 16, 3, 2), nn.ReLU6(),
                         nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Dropout(0.1), nn.Linear(64, 10))

def one():
    return nn.Sequential(nn.Flatten(), nn.Linear(784, 1))
"""

KERAS = """\
import keras
from keras import layers

def network(*last):
    return keras.Sequential([keras.Input((28, 28, 1)), layers.Conv2D(8, 3, 2), layers.BatchNormalization(momentum=0.8),
        layers.ReLU(max_value=6.0), layers.Conv2D(16, 3, 2, activation="relu"), layers.AveragePooling2D(3),
        layers.Flatten(), layers.Dropout(0.1), *last])

def build():
    return network(layers.Dense(10))

def softmax():
    return network(layers.Dense(10, activation="softmax"))

def compiled():
    model = network(layers.Dense(10))
    model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    return model

def one():
    return network(layers.Dense(1))
"""


def prepare(folder: Path, framework: str, label: Callable[[np.ndarray], np.ndarray] = lambda digits: digits) -> None:
    """Write the model's Python, 480 training and 160 evaluation digits."""
    (folder / "model.py").write_text(TORCH if framework == "torch" else KERAS)
    with np.load(DIGITS) as digits:
        order = np.random.default_rng(0).permutation(len(digits["y"]))[:640]
        images, labels = digits["x"][order].astype(np.float32) / 255, digits["y"][order]
    images = images[:, None] if framework == "torch" else images[..., None]
    for name, part in (("train", slice(0, 480)), ("evaluation", slice(480, None))):
        save_arrays(folder / f"{name}.npz", {"input": images[part]}, label(labels[part]))


def run(
    folder: Path, framework: str, name: str = "result", *, factory: str = "build", **changed: Any
) -> dict[str, Any]:
    """Train into *folder*/*name*."""
    module = importlib.import_module(
        f"edgekit.pipeline.training.{'torch_loop' if framework == 'torch' else 'keras_fit'}"
    )
    shape = (1, 1, 28, 28) if framework == "torch" else (1, 28, 28, 1)
    inputs = [{"name": "input", "shape": list(shape), "dtype": "float32"}]
    source = {
        "kind": framework,
        "path": str(folder / "model.py"),
        "factory": factory,
        "weights": None,
        "inputs": inputs,
    }
    (folder / name).mkdir(exist_ok=True)
    return module.train(
        source=source,
        training={**SETTINGS, **changed},
        train=str(folder / "train.npz"),
        evaluation=str(folder / "evaluation.npz"),
        directory=str(folder / name),
        device="cpu",
    )


def failure(folder: Path, framework: str, **arguments: Any) -> str:
    """The code of the error that training ends with."""
    try:
        run(folder, framework, **arguments)
    except EdgekitError as error:
        assert "\n" not in error.message and error.hint
        return error.code
    return "none"


class Interrupt:
    """A Ctrl-C in the middle of the epoch after *epoch*; training has to report every step for that."""

    def __init__(self, epoch: int):
        self._epoch = epoch
        self._near = self._done = False
        events.listen(self)

    def __call__(self, event: TaskEvent) -> None:
        if isinstance(event, Epoch):
            self._near = event.epoch == self._epoch
        elif isinstance(event, Step) and self._near and not self._done and event.done == 5:
            self._done = True
            raise KeyboardInterrupt


def keras_facts(folder: str) -> dict[str, Any]:
    """Everything the Keras tests look at, from one process: TensorFlow takes seconds to start."""
    import keras

    from edgekit.pipeline.training import keras_fit

    keras_fit._SECONDS_BETWEEN_EVENTS = 0.0
    path = Path(folder)
    prepare(path, "keras")

    def arrays(result: Mapping[str, Any]) -> str:
        model = keras.saving.load_model(result["weights"], compile=False)
        return hashlib.sha256(b"".join(value.tobytes() for value in model.get_weights())).hexdigest()

    first = run(path, "keras", "first")
    again = run(path, "keras", "again")
    Interrupt(2)
    stopped = run(path, "keras", "stopped")
    stopped_weights = arrays(stopped)
    resumed = run(path, "keras", "stopped")
    (path / "torn").mkdir()
    (path / "torn" / "checkpoint.npz").write_bytes((path / "first" / "checkpoint.npz").read_bytes()[:2000])
    facts = {
        "first": first,
        "stopped": stopped,
        "resumed": resumed,
        "digests": {
            "first": arrays(first),
            "again": arrays(again),
            "stopped": stopped_weights,
            "resumed": arrays(resumed),
        },
        "softmax": run(path, "keras", "softmax", factory="softmax"),
        "compiled": run(path, "keras", "compiled", factory="compiled", epochs=1),
        "torn": failure(path, "keras", name="torn"),
        "other": failure(path, "keras", name="first", epochs=4),
        "diverged": failure(path, "keras", name="diverged", learning_rate=1e30, optimizer="sgd"),
        "classes": failure(path, "keras", name="classes", factory="one"),
        "left": sorted(file.name for file in (path / "first").iterdir()),
    }
    prepare(path, "keras", lambda digits: digits.astype(np.float32) / 10)
    facts["regression"] = run(path, "keras", "regression", factory="one", loss="mse")
    return facts
