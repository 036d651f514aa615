"""SavedModels, honest ones and such as do more than compute, made by TensorFlow in a process of its own.

``python -m support.saved_models FOLDER`` writes them below FOLDER, and runs each of the others once: FOLDER/marks has a
file for each that did what it is there for.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

HONEST = ("assertions", "keras", "loop", "random")
HOSTILE = {
    "appends": "PrintV2 into a file",
    "numpy": "PyFunc",
    "python": "EagerPyFunc",
    "reads": "ReadFile",
    "saves": "SaveV2",
    "table": "lookup tables or assets",
    "writes": "WriteFile",
}


def _functions(tf: Any, marks: Path) -> dict[str, Any]:
    (marks / "reads").write_text("secret")
    (marks / "words").write_text("a\nb\n")
    hidden = str(marks / "numpy-or-python")

    def touched(x: Any) -> Any:
        Path(hidden).touch()
        return x

    def writes(x: Any) -> Any:
        tf.io.write_file(str(marks / "writes"), "x")
        return x * 2.0

    def appends(x: Any) -> Any:
        tf.print("x", output_stream=f"file://{marks / 'appends'}")
        return x * 2.0

    def saves(x: Any) -> Any:
        prefix = str(marks / "saves")
        saved = tf.raw_ops.SaveV2(prefix=prefix, tensor_names=["x"], shape_and_slices=[""], tensors=[x])
        with tf.control_dependencies([saved]):
            return tf.identity(x * 2.0)

    def reads(x: Any) -> Any:
        return x * tf.cast(tf.strings.length(tf.io.read_file(str(marks / "reads"))), tf.float32)

    def loop(x: Any) -> Any:
        _, x = tf.while_loop(lambda i, _: i < 3, lambda i, x: (i + 1, x * 2.0), [tf.constant(0), x])
        return tf.cond(tf.reduce_sum(x) > 0, lambda: x + 1.0, lambda: x)

    def assertions(x: Any) -> Any:
        tf.debugging.assert_all_finite(x, "not finite")
        tf.debugging.Assert(tf.reduce_max(x) < 1e6, [x])
        tf.print("seen", tf.shape(x))
        return x * 2.0

    return {
        "writes": writes,
        "appends": appends,
        "saves": saves,
        "reads": reads,
        "python": lambda x: tf.ensure_shape(tf.py_function(touched, [x], tf.float32), [1, 4]),
        "numpy": lambda x: tf.ensure_shape(tf.numpy_function(touched, [x], tf.float32), [1, 4]),
        "loop": loop,
        "assertions": assertions,
        "random": lambda x: x + tf.random.stateless_uniform([1, 4], [1, 2]),
    }


def main(folder: Path) -> None:
    import keras
    import numpy as np
    import tensorflow as tf

    marks = folder / "marks"
    marks.mkdir(parents=True)
    spec, one = tf.TensorSpec([1, 4], tf.float32, name="x"), tf.ones([1, 4])
    for name, function in _functions(tf, marks).items():
        served = tf.function(lambda x, function=function: {"y": function(x)}, input_signature=[spec])
        tf.saved_model.save(tf.Module(), str(folder / name), signatures={"serving_default": served})
        served(one)
    for name in ("numpy", "python"):
        if (marks / "numpy-or-python").exists():
            (marks / name).touch()

    class Table(tf.Module):
        def __init__(self) -> None:
            super().__init__()
            self.words = tf.saved_model.Asset(str(marks / "words"))
            start = tf.lookup.TextFileInitializer(
                self.words, tf.string, tf.lookup.TextFileIndex.WHOLE_LINE, tf.int64, tf.lookup.TextFileIndex.LINE_NUMBER
            )
            self.table = tf.lookup.StaticHashTable(start, -1)

        @tf.function(input_signature=[spec])
        def __call__(self, x: Any) -> Any:
            return {"y": x + tf.cast(self.table.lookup(tf.constant("b")), tf.float32)}

    table = Table()
    tf.saved_model.save(table, str(folder / "table"), signatures={"serving_default": table.__call__})
    (marks / "table").touch()
    inputs = keras.Input((8, 8, 3))
    x = keras.layers.Conv2D(4, 3, activation="relu")(inputs)
    x = keras.layers.BatchNormalization()(x)
    x = keras.layers.LSTM(3)(keras.layers.Reshape((-1, 4))(x))
    model = keras.Model(inputs, keras.layers.Dense(3)(keras.layers.Dropout(0.1)(x)))
    model.compile("adam", "mse")
    model.fit(np.zeros((2, 8, 8, 3)), np.zeros((2, 3)), verbose=0)
    tf.saved_model.save(model, str(folder / "keras"))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
