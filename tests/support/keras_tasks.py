"""What the tests of Keras and SavedModel sources want to know, found out in one process for each framework."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from support import odd_keras

from edgekit.errors import EdgekitError
from edgekit.fidelity import snr_db
from edgekit.pipeline.sources import SourceSpec, open_source

SAMPLES = 70  # more than one batch of predict(), and not a multiple


def refusal(action: Callable[[], Any]) -> dict[str, Any]:
    """The error that *action* ends with, as JSON."""
    try:
        action()
    except EdgekitError as error:
        return error.to_json()
    raise AssertionError("nothing was refused")


def opened(kind: str, path: Path | str, **more: Any) -> Any:
    return open_source(SourceSpec(kind, str(path), **more))


def tensorflow_facts(directory: str) -> dict[str, Any]:
    """Everything the tests want from TensorFlow; the models and files are left in *directory*."""
    folder = Path(directory)
    models = save_models(directory)
    return {
        "models": models,
        "refusals": refuse_sources(folder),
        "python_file": open_python_file(folder),
        "saved_model": open_saved_model(folder),
        "exports": {**export_models(folder), "refusal": refuse_export(folder)},
        "odd": odd_keras.facts(folder),
    }


def save_models(directory: str) -> dict[str, Any]:
    """Write every model of the zoo with samples and the outputs that TensorFlow computes, and describe them."""
    import keras
    from support import keras_zoo

    facts = {}
    for make in keras_zoo.MODELS:
        keras.utils.set_random_seed(0)
        model = make()
        keras_zoo.settle(model, keras_zoo.samples(model, 256))
        path = Path(directory) / f"{make.__name__}.keras"
        model.save(path)
        source = opened("keras", path)
        drawn = keras_zoo.samples(model, SAMPLES, 2)
        inputs = {spec.name: array for spec, array in zip(source.signature.inputs, drawn, strict=True)}
        outputs = source.predict(inputs)
        np.savez(path.with_suffix(".inputs.npz"), **inputs)
        np.savez(path.with_suffix(".outputs.npz"), **outputs)
        alone = source.predict({name: array[5:6] for name, array in inputs.items()})
        facts[make.__name__] = {
            "signature": source.signature.to_json(),
            "parameter_count": source.parameter_count,
            "counted": {
                "trainable": int(sum(np.prod(v.shape) for v in model.trainable_variables)),
                "variables": int(sum(np.prod(v.shape) for v in model.variables)),
            },
            "batch_of_one_db": min(snr_db(outputs[name][5:6], alone[name]) for name in outputs),
            "varies": all(float(array.std(0).max()) > 1e-3 * float(np.abs(array).max()) for array in outputs.values()),
            "output_dtypes": [array.dtype.name for array in outputs.values()],
        }
    return facts


def refuse_sources(folder: Path) -> dict[str, Any]:
    import keras
    import tensorflow as tf

    good = folder / "mobile.keras"
    (folder / "cut.keras").write_bytes(good.read_bytes()[:2000])
    (folder / "text.keras").write_text("not a model")
    open_shape = keras.Sequential([keras.Input((None, None, 3), name="photo"), keras.layers.GlobalAveragePooling2D()])
    open_shape.save(folder / "open.keras")
    batched = keras.Input((4,), batch_size=8, name="rows")
    keras.Model(batched, keras.layers.Dense(2)(batched)).save(folder / "batched.keras")
    model = keras.saving.load_model(good)
    model.layers[1].kernel.assign(model.layers[1].kernel * np.nan)
    model.save(folder / "nan.keras")
    (folder / "project.py").write_text("def none():\n    return 3\n\ndef bad():\n    return 1 / 0\n")
    (folder / "empty").mkdir()
    (folder / "damaged").mkdir()
    (folder / "damaged" / "saved_model.pb").write_bytes(b"\x01\x02")
    tf.saved_model.save(tf.Module(), str(folder / "unsigned"))
    cases = {
        "missing file": ("keras", "absent.keras", {}),
        "cut short": ("keras", "cut.keras", {}),
        "no archive": ("keras", "text.keras", {}),
        "open dimensions": ("keras", "open.keras", {}),
        "fixed batch": ("keras", "batched.keras", {}),
        "not finite": ("keras", "nan.keras", {}),
        "weights cut short": ("keras", "mobile.keras", {"weights": str(folder / "cut.keras")}),
        "no model returned": ("keras", "project.py", {"factory": "none"}),
        "factory fails": ("keras", "project.py", {"factory": "bad"}),
        "no such factory": ("keras", "project.py", {"factory": "nome"}),
        "no SavedModel": ("saved-model", "empty", {}),
        "damaged SavedModel": ("saved-model", "damaged", {}),
        "no signature": ("saved-model", "unsigned", {}),
    }
    return {
        name: refusal(lambda kind=kind, path=path, more=more: opened(kind, folder / path, **more))
        for name, (kind, path, more) in cases.items()
    }


def open_python_file(folder: Path) -> dict[str, Any]:
    """A Python file with a factory, an own layer, and a model that says its inputs only by the project's word."""
    import keras

    from edgekit.tensors import TensorSpec

    (folder / "own.py").write_text(
        "import keras\n"
        "@keras.saving.register_keras_serializable('own')\n"
        "class Double(keras.layers.Layer):\n"
        "    def call(self, x):\n"
        "        return 2 * x\n"
        "@keras.saving.register_keras_serializable('own')\n"
        "class Native(keras.layers.Layer):\n"
        "    def call(self, x):\n"
        "        if keras.backend.backend() != 'tensorflow':\n"
        "            raise NotImplementedError('it is written for TensorFlow')\n"
        "        return 2 * x\n"
        "    def compute_output_shape(self, shape):\n"
        "        return shape\n"
        "@keras.saving.register_keras_serializable('own')\n"
        "class Unshaped(Native):\n"
        "    compute_output_shape = keras.layers.Layer.compute_output_shape\n"
        "def build():\n"
        "    keras.utils.set_random_seed(3)\n"
        "    return keras.Sequential([keras.layers.Dense(4, activation='relu'), Double(), keras.layers.Dense(2)])\n"
    )
    inputs = (TensorSpec("row", (1, 6), "float32"),)
    rows = np.random.default_rng(0).standard_normal((5, 6)).astype("float32")
    first = opened("keras", folder / "own.py", factory="build", inputs=inputs)
    expected = first.predict({"row": rows})
    first.model.save(folder / "own.keras")
    first.model.get_layer(index=1).save_weights(folder / "own.weights.h5")
    for variable in first.model.weights:
        variable.assign(0 * variable)
    answers = {}
    for weights in ("own.keras", "own.weights.h5"):
        source = opened("keras", folder / "own.py", factory="build", weights=str(folder / weights), inputs=inputs)
        (name,) = expected
        answers[weights] = snr_db(expected[name], next(iter(source.predict({"row": rows}).values())))
    rows = keras.Input((6,), name="row")
    for name in ("Native", "Unshaped"):
        keras.Model(rows, keras.saving.get_registered_object(f"own>{name}")()(rows)).save(folder / f"{name}.keras")
    return {
        "signature": first.signature.to_json(),
        "snr_db": answers,
        "without inputs": refusal(lambda: opened("keras", folder / "own.py", factory="build")),
    }


def open_saved_model(folder: Path) -> dict[str, Any]:
    import keras

    model = keras.saving.load_model(folder / "mobile.keras")
    model.export(folder / "exported", verbose=False)
    source = opened("saved-model", folder / "exported")
    (name,) = (spec.name for spec in source.signature.inputs)
    inputs = dict(np.load(folder / "mobile.inputs.npz"))["image"]
    expected = dict(np.load(folder / "mobile.outputs.npz"))["scores"]
    outputs = source.predict({name: inputs})
    np.savez(folder / "exported.inputs.npz", **{name: inputs})
    np.savez(folder / "exported.outputs.npz", **outputs)
    return {
        "framework": source.framework,
        "signature": source.signature.to_json(),
        "parameter_count": source.parameter_count,
        "snr_db": snr_db(expected, next(iter(outputs.values()))),
    }


EXPORTS = (
    ("mobile", "fp32"),
    ("mobile", "fp16"),
    ("mobile", "int8"),
    ("squeeze", "fp32"),
    ("sequence", "int8"),
    ("detector", "int8"),
    ("exported", "fp32"),
    ("exported", "int8"),
)


def export_models(folder: Path) -> dict[str, Any]:
    from edgekit.pipeline.exporters.litert import quantize
    from edgekit.pipeline.exporters.tensorflow import convert

    records = {}
    for name, recipe in EXPORTS:
        path = folder / (name if name == "exported" else f"{name}.keras")
        source = SourceSpec("saved-model" if name == "exported" else "keras", str(path))
        base, output = (str(folder / f"{name}.{each}.tflite") for each in ("fp32", recipe))
        records[f"{name} fp32"] = convert(source=source.to_json(), output=base)
        if recipe != "fp32":
            calibration = str(folder / f"{name}.inputs.npz") if recipe == "int8" else None
            records[f"{name} {recipe}"] = quantize(base=base, recipe=recipe, calibration=calibration, output=output)
    return records


def refuse_export(folder: Path) -> dict[str, Any]:
    """A model with an operator that only TensorFlow itself can run."""
    import tensorflow as tf

    from edgekit.pipeline.exporters.tensorflow import convert

    @tf.function(input_signature=[tf.TensorSpec([None, 4], tf.float32, name="x")])
    def serve(x):
        return {"y": tf.math.erfinv(x)}

    tf.saved_model.save(tf.Module(), str(folder / "erfinv"), signatures={"serving_default": serve})
    source = SourceSpec("saved-model", str(folder / "erfinv")).to_json()
    output = folder / "erfinv.tflite"
    error = refusal(lambda: convert(source=source, output=str(output)))
    return {"error": error, "file_left": output.exists()}


def torch_facts(directory: str, names: list[str]) -> dict[str, Any]:
    """Everything the tests want from PyTorch, about the models that `tensorflow_facts` left in *directory*."""
    import keras

    stock_order = keras.tree.flatten({"b": {"d": 1, "c": 2}, "a": 0})  # before edgekit mends it
    models = rebuild_models(directory, names)
    own = Path(directory) / "own.py"
    levels = opened("keras", Path(directory) / "dict.keras")
    return {
        "stock_order": stock_order,
        "dict": [spec.name for spec in levels.signature.outputs],
        "models": models,
        "own_layer": snr_of_own_layer(own),
        "native_layers": {
            name: refusal(
                lambda name=name: opened(
                    "keras", own, factory="build", weights=f"{directory}/{name}.keras"
                ).torch_module()
            )
            for name in ("Native", "Unshaped")
        },
        "tensorflow_imported": any(key.partition(".")[0] == "tensorflow" for key in sys.modules),
        "outside_xnnpack": {name: outside_xnnpack(directory, name) for name in ("mobile", "series")},
    }


def snr_of_own_layer(file: Path) -> float:
    """How near a layer of the user's own comes in PyTorch to itself in Keras."""
    import torch

    source = opened("keras", file, factory="build", weights=str(file.with_name("own.keras")))
    rows = np.random.default_rng(0).standard_normal((5, 6)).astype("float32")
    (expected,) = source.predict({source.signature.inputs[0].name: rows}).values()
    with torch.no_grad():
        return snr_db(expected, source.torch_module()(torch.from_numpy(rows)).numpy())


def outside_xnnpack(directory: str, name: str) -> dict[str, int]:
    """Operators of the rebuilt model that XNNPACK leaves to others, and the number of its subgraphs."""
    import torch
    from executorch.backends.xnnpack.partition.xnnpack_partitioner import XnnpackPartitioner
    from executorch.exir import to_edge_transform_and_lower

    source = opened("keras", Path(directory) / f"{name}.keras")
    example = tuple(torch.zeros(spec.shape) for spec in source.signature.inputs)
    program = torch.export.export(source.torch_module(), example)
    graph = to_edge_transform_and_lower(program, partitioner=[XnnpackPartitioner()]).exported_program().graph
    counted: dict[str, int] = {}
    for node in graph.nodes:
        if node.op == "call_function" and "getitem" not in str(node.target):
            counted[str(node.target)] = counted.get(str(node.target), 0) + 1
    return counted


def rebuild_models(directory: str, names: list[str]) -> dict[str, Any]:
    """Open the saved models on PyTorch, rebuild them, and compare with what TensorFlow computed."""
    import torch

    facts = {}
    for name in names:
        path = Path(directory) / f"{name}.keras"
        source = opened("keras", path)
        module = source.torch_module()
        inputs, outputs = (dict(np.load(path.with_suffix(f".{what}.npz"))) for what in ("inputs", "outputs"))
        with torch.no_grad():
            got = module(*(torch.from_numpy(inputs[spec.name]) for spec in source.signature.inputs))
        got = (got,) if isinstance(got, torch.Tensor) else got
        facts[name] = {
            "snr_db": {
                spec.name: snr_db(outputs[spec.name], value.numpy())
                for spec, value in zip(source.signature.outputs, got, strict=True)
            },
            "shapes": [list(value.shape[1:]) for value in got],
            "signature": source.signature.to_json(),
            "parameter_count": source.parameter_count,
            "permutes": sum(node.target == "permute" for node in module.graph.nodes),
            "modules": sorted({type(part).__name__ for part in module.children()}),
        }
    return facts
