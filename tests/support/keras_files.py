"""``.keras`` files and what the engine ``tensorflow`` makes of them, found out in a process without torch."""

from __future__ import annotations

import functools
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from edgekit.errors import EdgekitError
from edgekit.tensors import Signature, TensorSpec

SIGNATURE = Signature(
    (TensorSpec("tokens", (1, 5), "int32"), TensorSpec("image", (1, 6, 6, 2), "float32")),
    (TensorSpec("score", (1, 3), "float32"), TensorSpec("place", (1,), "int32")),
)
#: Signatures that the model does not fit, and a word of the complaint.
MISFITS = {
    "tokens": Signature((TensorSpec("tokens", (1, 4), "int32"), SIGNATURE.inputs[1]), SIGNATURE.outputs),
    "image": Signature((SIGNATURE.inputs[0], TensorSpec("image", (1, 6, 6, 2), "float16")), SIGNATURE.outputs),
    "inputs": Signature(SIGNATURE.inputs[:1], SIGNATURE.outputs),
    "outputs": Signature(SIGNATURE.inputs, SIGNATURE.outputs[:1]),
    "place": Signature(SIGNATURE.inputs, (SIGNATURE.outputs[0], TensorSpec("place", (1,), "int64"))),
}
SOURCE = '''
import keras
from keras import layers


class Own(layers.Layer):
    def call(self, x):
        return x * 2.0


def both():
    """Two inputs in another order than by name, a model within the model, operators, and two outputs."""
    tokens, image = keras.Input((5,), dtype="int32", name="tokens"), keras.Input((6, 6, 2), name="image")
    words = layers.LSTM(4)(layers.Embedding(10, 4)(tokens))
    x = layers.BatchNormalization()(layers.Conv2D(4, 3, activation="relu", kernel_regularizer="l2")(image))
    inner = keras.Sequential([keras.Input((4,)), layers.Dense(4, activation="gelu"), layers.Rescaling(0.5)])
    inner.compile("adam", "mse")
    mixed = inner(keras.ops.mean(x, axis=(1, 2)) + words[:, :4])
    score = layers.Dense(3, name="score")(layers.Dropout(0.5)(mixed))
    return keras.Model([tokens, image], [score, keras.ops.argmax(score, axis=-1)])


def own():
    image = keras.Input((4,), name="image")
    return keras.Model(image, Own()(image))
'''


@functools.cache
def facts() -> dict[str, Any]:
    """What `main` found out; ``both`` is the file of the model."""
    with tempfile.TemporaryDirectory() as folder:
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
        command = [sys.executable, "-m", "support.keras_files", folder]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300, check=False)
        assert done.returncode == 0, done.stderr
        found: dict[str, Any] = json.loads(Path(folder, "facts.json").read_text())
        found["both"] = Path(folder, "both.keras").read_bytes()
        found["again"] = Path(folder, "again.keras").read_bytes()
        found["stderr"] = done.stderr
        return found


def samples(count: int = 4) -> list[list[np.ndarray]]:
    draw = np.random.default_rng(0)
    return [
        [draw.integers(0, 10, (1, 5), np.int32), draw.standard_normal((1, 6, 6, 2)).astype(np.float32)]
        for _ in range(count)
    ]


def main(folder: Path) -> None:
    before = set(sys.modules)
    from edgekit.runtime import engines

    engine = engines.engine("tensorflow")
    found: dict[str, Any] = {"version": engine.version()}
    found["imported by version()"] = sorted({"tensorflow", "keras", "h5py"} & (set(sys.modules) - before))
    engine.import_library()
    found["reference"], found["refused"] = export(folder)
    data = (folder / "both.keras").read_bytes()
    session = engines.open_session("tensorflow", data, "keras", SIGNATURE, 2, "forward")
    found["threads"] = [session.threads]
    found["outputs"] = [[output.tolist() for output in session.run(inputs)] for inputs in samples()]
    found["dtypes"] = [output.dtype.name for output in session.run(samples(1)[0])]
    found["fresh"] = is_fresh(session)
    assert session.steps is not None
    write, invoke, read = session.steps
    write(samples()[1])
    invoke()
    found["in steps"] = [output.tolist() for output in read()]
    second = engines.open_session("tensorflow", data, "keras", SIGNATURE, 1)
    found["threads"].append(second.threads)
    found["device"] = session._results[0].device
    session.close()
    session.close()
    found["closed"] = refusal(lambda: session.run(samples(1)[0]))
    found["misfits"] = {
        word: refusal(lambda signature=signature: engines.open_session("tensorflow", data, "keras", signature, 1))
        for word, signature in MISFITS.items()
    }
    found["method"] = refusal(lambda: engines.open_session("tensorflow", data, "keras", SIGNATURE, 1, "encode"))
    found["rubbish"] = refusal(lambda: engines.open_session("tensorflow", b"rubbish", "keras", SIGNATURE, 1))
    (folder / "facts.json").write_text(json.dumps(found))


def export(folder: Path) -> tuple[list[list[Any]], dict[str, Any]]:
    """Write ``both.keras`` and once more ``again.keras``; the model's own outputs, and what is said of ``own``."""
    import keras

    from edgekit.pipeline.exporters import keras as exporter
    from edgekit.pipeline.sources import SourceSpec, open_source

    (folder / "model.py").write_text(SOURCE)
    for name in ("both", "again"):
        spec = SourceSpec("keras", str(folder / "model.py"), "both")
        if name == "again":
            keras.Sequential([keras.Input((4,)), keras.layers.Dense(4)])  # takes the next numbers for names
        keras.utils.set_random_seed(0)
        exporter.export(source=spec.to_json(), output=str(folder / f"{name}.keras"))
    keras.utils.set_random_seed(0)
    source = open_source(spec)
    reference = []
    for inputs in samples():
        outputs = source.predict(dict(zip([each.name for each in source.signature.inputs], inputs, strict=True)))
        reference.append([output.tolist() for output in outputs.values()])
    spec = SourceSpec("keras", str(folder / "model.py"), "own")
    refused = refusal(lambda: exporter.export(source=spec.to_json(), output=str(folder / "own.keras")))
    return reference, refused


def is_fresh(session: Any) -> bool:
    """Whether inputs may be strided and read-only, and outputs are no later run's."""
    (tokens, image), other = samples(2)
    first = session.run([tokens, image])
    kept = [output.copy() for output in first]
    wide = np.zeros((1, 10), np.int32)
    wide[:, ::2] = tokens
    image.flags.writeable = False
    again = session.run([wide[:, ::2], np.asfortranarray(image)])
    session.run(other)
    first[0][:] = 7
    return all(np.array_equal(*pair) for pair in zip(again, kept, strict=True)) and not np.array_equal(
        first[0], kept[0]
    )


def refusal(action: Any) -> dict[str, Any]:
    try:
        action()
    except EdgekitError as error:
        return error.to_json()
    return {}


if __name__ == "__main__":
    main(Path(sys.argv[1]))
