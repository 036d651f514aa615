"""Models that people hold in TensorFlow, what edgekit makes of them, and what TensorFlow itself computes.

One process of its own makes them, opens them and writes them as ONNX (`facts`): TensorFlow never meets torch.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from support.keras_tasks import refusal

from edgekit.pipeline.sources import SourceSpec
from edgekit.source_kinds import SOURCE_KINDS, kind_of

SAMPLES = 4

#: Of each model: where it is, what chooses in it, and what of its inputs is open.
Case = tuple[str, str | None, dict[str, tuple[int, ...]]]
CASES: dict[str, Case] = {
    "image": ("two", "image", {}),
    "pick": ("two", "pick", {}),
    "slots": ("slots", None, {}),
    "simple": ("simple", None, {}),
    "waveform": ("waveform", None, {"waveform": (400,)}),
    "open": ("open", None, {"x": (1, 5, 8)}),
    "same names": ("names", None, {}),
    "module": ("net.py:make", "encode", {}),
    "frozen": ("frozen.pb", None, {}),
    "frozen, logits": ("frozen.pb", "images -> logits, probs:0", {}),
    "frozen, cut": ("frozen.pb", "Relu -> probs", {"Relu": (1, 4, 4, 8)}),
    "checkpoint": ("session/model.ckpt.meta", "images -> logits", {}),
    "checkpoint, found": ("session/model.ckpt.meta", None, {}),
    "resource checkpoint": ("resources/model.ckpt.meta", "images -> logits", {}),
    "float": ("float.tflite", None, {}),
    "half": ("half.tflite", None, {}),
    "sparse": ("sparse.tflite", None, {}),
    "two of lite": ("two.tflite", "pick", {}),
    "resized": ("open.tflite", None, {"x": (1, 5, 8)}),
    "int8": ("int8.tflite", None, {}),
    "int8 in and out": ("int8-io.tflite", None, {}),
}

NET = """
import tensorflow as tf


class Net(tf.Module):
    def __init__(self):
        super().__init__()
        self.w = tf.Variable(tf.random.stateless_normal([8, 4], [1, 2]))

    @tf.function(input_signature=[tf.TensorSpec([None, 8], tf.float32), tf.TensorSpec([None, 4], tf.float32)])
    def encode(self, x, extra):
        return tf.nn.relu(x @ self.w) + extra, {"b": x[:, :2], "a": extra}

    @tf.function(input_signature=[tf.TensorSpec([None, 4], tf.float32)])
    def decode(self, y):
        return y @ tf.transpose(self.w)


def make():
    return Net()


def nothing():
    return tf.Module()
"""


def facts(directory: str) -> dict[str, Any]:
    """Make the models in *directory*, and find out what the tests ask of them."""
    folder = Path(directory)
    expected = _saved(folder) | _modules(folder) | _graphs(folder)
    expected |= _lite(folder, expected["image"])
    return {
        "cases": {name: _crossed(folder, name, *CASES[name], expected.get(name)) for name in CASES},
        "refused": _refused(folder),
        "stock": _stock(folder),
    }


def spec_of(path: Path, signature: str | None, shapes: Mapping[str, tuple[int, ...]]) -> SourceSpec:
    file, _, factory = str(path).partition(".py:")
    if factory:
        return SourceSpec("tensorflow", f"{file}.py", factory, signature=signature, shapes=shapes)
    kind = kind_of(path)
    assert kind is not None
    return SourceSpec(kind, str(path), signature=signature, shapes=shapes)


def _crossed(
    folder: Path,
    name: str,
    where: str,
    signature: str | None,
    shapes: dict[str, tuple[int, ...]],
    call: Callable[[dict[str, np.ndarray]], Mapping[str, np.ndarray]] | None,
) -> dict[str, Any]:
    """One case, opened, run and written as ONNX; *call* is TensorFlow's own function, taking one sample."""
    from edgekit.pipeline.sources import open_source
    from edgekit.pipeline.sources.samples import made_up
    from edgekit.registry import import_name

    spec = spec_of(folder / where, signature, shapes)
    source = open_source(spec)
    inputs = made_up(source.signature.inputs, SAMPLES)
    source.check(inputs)
    outputs = source.predict(inputs)
    bridge = SOURCE_KINDS[spec.kind].bridge
    assert bridge is not None
    record = import_name(bridge.write)(
        source=json.loads(json.dumps(spec.to_json())), output=str(folder / f"{name}.onnx")
    )
    np.savez(folder / f"{name}.inputs.npz", **inputs)
    np.savez(folder / f"{name}.outputs.npz", **outputs)
    differs = []
    if call is not None:
        for at in range(SAMPLES):
            own = call({key: array[at : at + 1] for key, array in inputs.items()})
            differs += [float(np.abs(np.asarray(own[key]) - outputs[key][at : at + 1]).max()) for key in outputs]
    before = {key: array.copy() for key, array in outputs.items()}
    source.nudge(np.random.default_rng(0))
    moved = source.predict(inputs)
    return {
        "signature": source.signature.to_json(),
        "parameter_count": source.parameter_count,
        "differs": max(differs, default=None),
        "producers": record["producers"],
        "warnings": list(record["warnings"]),
        "moved": max(float(np.abs(moved[key].astype(float) - before[key]).max()) for key in before),
    }


def _saved(folder: Path) -> dict[str, Any]:
    import tensorflow as tf

    random = np.random.default_rng(0)

    class Model(tf.Module):
        def __init__(self) -> None:
            super().__init__()
            self.w = tf.Variable(0.3 * random.normal(size=(3, 3, 3, 8)).astype(np.float32))
            self.d = tf.Variable(0.3 * random.normal(size=(3, 3, 8, 1)).astype(np.float32))
            self.v = tf.Variable(random.normal(size=(8, 5)).astype(np.float32))

        @tf.function(input_signature=[tf.TensorSpec([None, 8, 8, 3], tf.float32, name="image")])
        def image(self, image: Any) -> Any:
            x = tf.nn.relu6(tf.nn.conv2d(image, self.w, 2, "SAME"))
            x = tf.nn.relu6(tf.nn.depthwise_conv2d(x, self.d, [1, 1, 1, 1], "SAME"))
            return {"scores": tf.nn.softmax(tf.reduce_mean(x, [1, 2]) @ self.v), "map": x}

        @tf.function(
            input_signature=[
                tf.TensorSpec([None, 8], tf.float32, name="z"),
                tf.TensorSpec([None], tf.int32, name="k"),
                tf.TensorSpec([None, 8], tf.bool, name="a"),
                tf.TensorSpec([None, 2], tf.float32, name="unread"),
            ]
        )
        def pick(self, z: Any, k: Any, a: Any, unread: Any) -> Any:
            return {"y": tf.where(a, z, -z) @ self.v + tf.cast(k, tf.float32)[:, None], "k again": k}

    class Others(tf.Module):
        def __init__(self) -> None:
            super().__init__()
            self.v = tf.Variable(random.normal(size=(8, 5)).astype(np.float32))

        @tf.function(input_signature=[tf.TensorSpec([None], tf.float32, name="waveform")])
        def waveform(self, waveform: Any) -> Any:
            frames = tf.signal.frame(waveform, 8, 4)
            return {"frames": frames @ self.v, "loudness": tf.reduce_max(waveform)}

        @tf.function(input_signature=[tf.TensorSpec([None, None, 8], tf.float32, name="x")])
        def open(self, x: Any) -> Any:
            return {"steps": x @ self.v, "mean": tf.reduce_mean(x @ self.v, 1)}

        @tf.function(input_signature=[tf.TensorSpec([None, 8], tf.float32, name="x")])
        def names(self, x: Any) -> Any:
            return {"x": x @ self.v, "a b/c": x, "twice": x @ self.v}

        @tf.function(input_signature=[tf.TensorSpec([None, 8], tf.float32, name="x")])
        def nothing(self, x: Any) -> Any:
            return {"y": tf.math.erfinv(tf.tanh(x)), "z": tf.math.bessel_i0(x)}

        @tf.function(input_signature=[tf.TensorSpec([None, 64], tf.float32, name="x")])
        def spectrum(self, x: Any) -> Any:
            return {"y": tf.abs(tf.signal.rfft(x))}

        @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="words")])
        def text(self, words: Any) -> Any:
            return {"length": tf.strings.length(words)}

    model, others = Model(), Others()
    tf.saved_model.save(model, str(folder / "two"), signatures={"image": model.image, "pick": model.pick})
    for name in ("waveform", "open", "names", "nothing", "spectrum", "text"):
        served = {"serving_default": getattr(others, name)}
        tf.saved_model.save(others, str(folder / name), signatures=served)
    slots = Model()
    slots.optimizer = tf.compat.v1.train.AdamOptimizer(0.1)
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(slots.image(tf.ones([1, 8, 8, 3]))["map"])
    slots.optimizer.apply_gradients([(tape.gradient(loss, slots.w), slots.w)])
    tf.saved_model.save(slots, str(folder / "slots"), signatures={"serving_default": slots.image})
    return {
        "image": lambda x: model.image(x["image"]),
        "pick": lambda x: model.pick(x["z"], x["k"], x["a"], x["unread"]),
        "slots": lambda x: slots.image(x["image"]),
        "waveform": lambda x: {key: value[None] for key, value in others.waveform(x["waveform"][0]).items()},
        "open": lambda x: others.open(x["x"]),
        "same names": lambda x: others.names(x["x"]),
    }


def _modules(folder: Path) -> dict[str, Any]:
    import tensorflow as tf

    (folder / "net.py").write_text(NET)
    weights = tf.random.stateless_normal([8, 4], [1, 2])

    def encode(x: dict[str, np.ndarray]) -> dict[str, Any]:
        first = tf.nn.relu(x["x"] @ weights) + x["extra"]
        return {"output_0": first, "output_1.a": x["extra"], "output_1.b": x["x"][:, :2]}

    return {"module": encode}


def _graphs(folder: Path) -> dict[str, Any]:
    import tensorflow as tf

    expected = {}
    for where, resources in (("session", False), ("resources", True)):
        (folder / where).mkdir()
        with tf.Graph().as_default() as graph:
            images = tf.compat.v1.placeholder(tf.float32, [None, 8, 8, 3], name="images")
            variable = _variables(resources)
            w, b, d = variable("w", [3, 3, 3, 8]), variable("b", [8]), variable("d", [8, 5])
            x = tf.nn.relu(tf.nn.bias_add(tf.nn.conv2d(images, w, 2, "SAME"), b), name="Relu")
            logits = tf.matmul(tf.reduce_mean(x, [1, 2]), d, name="logits")
            probs = tf.nn.softmax(logits, name="probs")
            session = tf.compat.v1.Session(graph=graph)
            frozen = None
            if not resources:
                session.run(tf.compat.v1.global_variables_initializer())
                v1 = tf.compat.v1.graph_util
                frozen = v1.convert_variables_to_constants(session, graph.as_graph_def(), ["probs"])
                (folder / "frozen.pb").write_bytes(frozen.SerializeToString())
            labels = tf.compat.v1.placeholder(tf.int64, [None], name="labels")
            loss = tf.nn.sparse_softmax_cross_entropy_with_logits(labels=labels, logits=logits)
            train = tf.compat.v1.train.AdamOptimizer(0.01).minimize(tf.reduce_mean(loss))
            session.run(tf.compat.v1.global_variables_initializer())
            if frozen is not None:
                expected |= _of_frozen(tf, frozen)
            session.run(train, {images: np.ones((2, 8, 8, 3)), labels: [0, 1]})
            tf.compat.v1.train.Saver().save(session, str(folder / where / "model.ckpt"))
            if not resources:
                served = {"feats": images}, {"out": probs, "again": logits}
                tf.compat.v1.saved_model.simple_save(session, str(folder / "simple"), *served)
                expected["simple"] = lambda x, session=session, images=images, fetch=(logits, probs): dict(
                    zip(("again", "out"), session.run(fetch, {images: x["feats"]}), strict=True)
                )
        name = "resource checkpoint" if resources else "checkpoint"
        expected[name] = lambda x, session=session, logits=logits, images=images: {
            "logits": session.run(logits, {images: x["images"]})
        }
    return expected


def _variables(resources: bool) -> Any:
    import tensorflow as tf

    random = np.random.default_rng(1)

    def variable(name: str, shape: list[int]) -> Any:
        start = tf.compat.v1.constant_initializer(random.normal(size=shape))
        return tf.compat.v1.get_variable(name, shape, initializer=start, use_resource=resources)

    return variable


def _of_frozen(tf: Any, frozen: Any) -> dict[str, Any]:
    def run(fetch: list[str], feed: str, name: str) -> Any:
        def call(x: dict[str, np.ndarray]) -> dict[str, Any]:
            with tf.Graph().as_default() as graph, tf.compat.v1.Session(graph=graph) as session:
                tf.import_graph_def(frozen, name="")
                found = session.run([f"{each}:0" for each in fetch], {feed: x[name]})
                return dict(zip(fetch, found, strict=True))

        return call

    return {
        "frozen": run(["probs"], "images:0", "images"),
        "frozen, logits": run(["logits", "probs"], "images:0", "images"),
        "frozen, cut": run(["probs"], "Relu:0", "Relu"),
    }


def _lite(folder: Path, image: Callable[..., Any]) -> dict[str, Any]:
    import tensorflow as tf
    from support.sparse_lite import sparse

    def samples() -> Any:
        random = np.random.default_rng(1)
        for _ in range(20):
            yield {"image": random.normal(size=(1, 8, 8, 3)).astype(np.float32)}

    def convert(name: str, path: str = "two", keys: tuple[str, ...] = ("image",), **options: Any) -> None:
        converter = tf.lite.TFLiteConverter.from_saved_model(str(folder / path), signature_keys=list(keys))
        for key, value in options.items():
            setattr(converter, key, value)
        (folder / f"{name}.tflite").write_bytes(converter.convert())

    smaller = {"optimizations": [tf.lite.Optimize.DEFAULT]}
    convert("float")
    convert("two", keys=("image", "pick"))
    convert("open", "open", ("serving_default",))
    convert("spectrum", "spectrum", ("serving_default",))
    half = tf.lite.TFLiteConverter.from_saved_model(str(folder / "two"), signature_keys=["image"])
    half.optimizations, half.target_spec.supported_types = [tf.lite.Optimize.DEFAULT], [tf.float16]
    (folder / "half.tflite").write_bytes(half.convert())
    convert("int8", **smaller, representative_dataset=samples)
    whole = {"inference_input_type": tf.int8, "inference_output_type": tf.int8}
    convert("int8-io", **smaller, **whole, representative_dataset=samples)
    (folder / "sparse.tflite").write_bytes(sparse((folder / "float.tflite").read_bytes()))
    _remembering(folder)
    return {"float": lambda x: image(x)}


def _remembering(folder: Path) -> None:
    """``.tflite`` files that keep a state: one that is read and written in all the ways there are, and one that does
    not begin with one number."""
    import tensorflow as tf

    class Memory(tf.Module):
        def __init__(self, start: Any) -> None:
            super().__init__()
            self.queue = tf.Variable(tf.zeros([1, 3, 4]), name="queue")
            self.level = tf.Variable(start, name="level")
            self.count = tf.Variable([5], name="count")
            self.fixed = tf.Variable([[2.0, 2.0, 2.0, 2.0]], name="fixed")

        @tf.function(input_signature=[tf.TensorSpec([1, 4], tf.float32)])
        def step(self, x: Any) -> Any:
            heard = tf.concat([self.queue, x[:, None]], 1)
            self.queue.assign(heard[:, 1:])
            self.level.assign(tf.tanh(self.level + x))
            self.count.assign(self.count + 1)
            self.count.assign(self.count * 2)
            return {"level": self.level.read_value(), "count": self.count + 0, "sum": heard[:, 0] + self.fixed * x}

    for name, start in (("memory", [[0.5] * 4]), ("memory-uneven", [[0.5, 0.0, 0.0, 1.0]])):
        module = Memory(start)
        converter = tf.lite.TFLiteConverter.from_concrete_functions([module.step.get_concrete_function()], module)
        (folder / f"{name}.tflite").write_bytes(converter.convert())


def _refused(folder: Path) -> dict[str, Any]:
    import tensorflow as tf

    from edgekit.pipeline.sources import open_source
    from edgekit.registry import import_name

    def opening(where: str, signature: str | None = None, **shapes: tuple[int, ...]) -> dict[str, Any]:
        return refusal(lambda: open_source(spec_of(folder / where, signature, shapes)))

    def crossing(where: str) -> dict[str, Any]:
        spec = spec_of(folder / where, None, {})
        bridge = SOURCE_KINDS[spec.kind].bridge
        assert bridge is not None
        output = str(folder / "refused.onnx")
        return refusal(lambda: import_name(bridge.write)(source=json.loads(json.dumps(spec.to_json())), output=output))

    with tf.Graph().as_default() as graph:
        x = tf.compat.v1.placeholder(tf.float32, [None, 4], name="x")
        size = tf.cast(tf.strings.length(tf.io.read_file(str(folder / "net.py"))), tf.float32)
        tf.multiply(x, size, name="y")
        tf.add(x, 1.0, name="z")
        (folder / "reads.pb").write_bytes(graph.as_graph_def().SerializeToString())
    return {
        "several signatures": opening("two"),
        "no such signature": opening("two", "images"),
        "several of lite": opening("two.tflite"),
        "open axis": opening("open"),
        "another size": opening("open", None, x=(1, 5, 9)),
        "another input": opening("open", None, y=(1, 5, 8)),
        "text": opening("text"),
        "no functions": opening("net.py:nothing"),
        "several functions": opening("net.py:make"),
        "graph with a name": opening("frozen.pb", "serving_default"),
        "no such tensor": opening("frozen.pb", "images -> logit"),
        "unfed": opening("frozen.pb", "probs -> logits"),
        "training": opening("session/model.ckpt.meta", "images, labels -> Mean_1"),
        "reads a file": opening("reads.pb"),
        "reads a file, chosen": opening("reads.pb", "x -> y"),
        "saved_model.pb": opening("two/saved_model.pb"),
        "operators": crossing("nothing"),
        "operators of lite": crossing("spectrum.tflite"),
        "reads elsewhere": {"taken": bool(open_source(spec_of(folder / "reads.pb", "x -> z", {})).signature.outputs)},
    }


def _stock(folder: Path) -> dict[str, Any]:
    """What converters do by themselves with files that are put right for them: how they end, or what they leave."""
    import tensorflow as tf
    from tf2onnx import tfonnx

    try:
        with tf.Graph().as_default() as graph:
            tfonnx.process_tf_graph(graph, tflite_path=str(folder / "sparse.tflite"), opset=18)
    except ValueError as error:
        return {"sparse": str(error)}
    return {"sparse": None}
