"""One small model trained in each framework, one input: both formats give what the framework itself gives, to 1e-4.

What `edgekit build` has in common with a user's own run is the project's code alone: each framework's own answer is
computed by a process that does not import edgekit.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from edgekit.pipeline.build import build
from edgekit.runtime.model import load

SAMPLES = 40
#: Of each source: Python that trains the model, writes ``model.*`` and the samples, and answers the first one.
DATA = """\
import numpy as np

random = np.random.default_rng(0)
x = random.normal(size=(40, 8)).astype("f4")
y = np.tanh(x @ random.normal(size=(8, 3)).astype("f4"))
np.save("samples.npy", x)
"""
TORCH = """\
import torch


def make():
    return torch.nn.Sequential(torch.nn.Linear(8, 16), torch.nn.Tanh(), torch.nn.Linear(16, 3))


def train(x, y):
    torch.manual_seed(0)
    net = make()
    optimizer = torch.optim.Adam(net.parameters(), 0.01)
    for _ in range(100):
        optimizer.zero_grad()
        torch.nn.functional.mse_loss(net(torch.from_numpy(x)), torch.from_numpy(y)).backward()
        optimizer.step()
    return net.eval()
"""
JAX = """\
import jax
import jax.numpy as jnp
import numpy as np


def apply(params, rows):
    return jnp.tanh(rows @ params["w"] + params["b"]) @ params["v"]


def make():
    return apply, dict(np.load("params.npz"))


def train(x, y):
    keys = jax.random.split(jax.random.key(0), 2)
    w, v = jax.random.normal(keys[0], (8, 16)) / 3, jax.random.normal(keys[1], (16, 3)) / 4
    params = {"w": w, "b": jnp.zeros(16), "v": v}
    step = jax.jit(jax.grad(lambda params: ((apply(params, x) - y) ** 2).mean()))
    for _ in range(200):
        params = jax.tree.map(lambda value, slope: value - 0.1 * slope, params, step(params))
    np.savez("params.npz", **params)
    return params
"""
PYTENSOR = """\
import os

os.environ.setdefault("PYTENSOR_FLAGS", "floatX=float32,cxx=")
import numpy as np
import pytensor
import pytensor.tensor as pt


def graph(values):
    shared = [pytensor.shared(value.astype("float32")) for value in values]
    rows = pt.matrix("rows", dtype="float32")
    return rows, pt.tanh(rows @ shared[0] + shared[1]) @ shared[2], shared


def make():
    stored = np.load("values.npz")
    return graph([stored[name] for name in stored.files])[:2]


def train(x, y):
    random = np.random.default_rng(1)
    rows, output, shared = graph([random.normal(size=s) / 3 for s in ((8, 16), (16,), (16, 3))])
    loss = ((output - y) ** 2).mean()
    updates = [(each, (each - 0.1 * slope).astype("float32")) for each, slope in zip(shared, pt.grad(loss, shared))]
    step = pytensor.function([rows], loss, updates=updates, mode=pytensor.compile.mode.Mode(linker="py"))
    for _ in range(50):
        step(x)
    np.savez("values.npz", *(each.get_value() for each in shared))
    return pytensor.function([rows], output, mode=pytensor.compile.mode.Mode(linker="py"))
"""
KERAS = """\
import keras


def train(x, y):
    keras.utils.set_random_seed(0)
    net = keras.Sequential([keras.Input((8,)), keras.layers.Dense(16, activation="tanh"), keras.layers.Dense(3)])
    net.compile("adam", "mse")
    net.fit(x, y, epochs=5, verbose=0)
    return net
"""
T7 = """\
from support.t7_files import layer, layers, write


def save(net, path):
    one, other = net[0], net[2]
    weights = [{"weight": each.weight.detach().numpy(), "bias": each.bias.detach().numpy()} for each in (one, other)]
    write(layers("Sequential", layer("Linear", **weights[0]), layer("Tanh"), layer("Linear", **weights[1])), path)
"""
TRAINED = "from pathlib import Path\nfrom model import *\nnet = train(x, y)\n"
ANSWER = "np.save('answer.npy', net(torch.from_numpy(x[:1])).detach().numpy())\n"
SOURCES = {
    "torch weights": (
        TORCH,
        "import safetensors.torch\nsafetensors.torch.save_file(net.state_dict(), 'w.safetensors')\n" + ANSWER,
    ),
    "torchscript": (TORCH, "torch.jit.save(torch.jit.script(net), 'model.pt')\n" + ANSWER),
    "torch7": (TORCH + T7, "save(net, Path('model.t7'))\n" + ANSWER),
    "keras h5": (KERAS, "net.save('model.h5')\nnp.save('answer.npy', net.predict(x[:1], verbose=0))\n"),
    "jax": (JAX, "np.save('answer.npy', apply(net, x[:1]))\n"),
    "pytensor": (PYTENSOR, "np.save('answer.npy', net(x[:1]))\n"),
}
BUILT = {
    "torch weights": ("model.py:make", {"weights": "w.safetensors"}),
    "torchscript": ("model.pt", {}),
    "torch7": ("model.t7", {}),
    "keras h5": ("model.h5", {}),
    "jax": ("model.py:make", {"framework": "jax"}),
    "pytensor": ("model.py:make", {"framework": "pytensor"}),
}


@pytest.mark.parametrize("source", SOURCES)
def test_both_formats_give_what_the_framework_gives(
    source: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    model, rest = SOURCES[source]
    Path("model.py").write_text(model)
    Path("train.py").write_text(DATA + TRAINED + rest)
    path = os.pathsep.join([str(tmp_path), str(Path(__file__).parents[1])])
    environment = {**os.environ, "PYTHONPATH": path, "KERAS_BACKEND": "tensorflow", "JAX_PLATFORMS": "cpu"}
    subprocess.run([sys.executable, "train.py"], env=environment, check=True)
    x, answer = np.load("samples.npy")[:1], np.load("answer.npy")
    named, options = BUILT[source]
    bundle = build(
        named, target="rpi4", recipes=["fp32"], formats=["tflite", "pte"], calibration="samples.npy", **options
    )
    assert {variant.format for variant in bundle.manifest.variants} == {"tflite", "pte"}
    for variant in bundle.manifest.variants:
        np.testing.assert_allclose(np.asarray(load(bundle.path, variant=variant.name)(x)), answer, atol=1e-4)
