"""One architecture by one raw converter, called plainly: ``python raw.py MODULE NAME VARIANT FOLDER``.

The last line printed is ``ok … dB``, ``wrong … dB`` or ``fails …``. What counts as right is what counts for edgekit.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import numpy as np

from edgekit.fidelity import compare
from edgekit.recipes import RECIPES
from edgekit.runtime.engines import open_session
from edgekit.tensors import Signature, TensorSpec

HERE = Path(__file__).parent


def main() -> None:
    module, name, variant, folder = sys.argv[1:]
    recipe, _, format = variant.partition(".")
    sys.path.insert(0, str(HERE))
    if module == "keras_models":
        os.environ["KERAS_BACKEND"] = "tensorflow" if format == "tflite" else "torch"
    try:
        data, inputs, expected = (_keras if module == "keras_models" else _torch)(name, recipe, format, Path(folder))
        measured = _run(data, format, inputs, expected)
    except BaseException as error:
        print("fails", type(error).__name__, str(error).strip().replace("\n", " ")[:200])
        return
    found = compare(expected, measured, None)
    fault = found.fault(RECIPES[recipe].minimum_snr_db)
    print(f"wrong {found.snr_db:.1f} dB: {fault}" if fault else f"ok {found.snr_db:.1f} dB")


def _run(data: bytes, format: str, inputs: list[np.ndarray], expected: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    signature = Signature(
        tuple(TensorSpec(f"args_{i}", (1, *array.shape[1:]), array.dtype.name) for i, array in enumerate(inputs)),
        tuple(TensorSpec(key, (1, *array.shape[1:]), array.dtype.name) for key, array in expected.items()),
    )
    session = open_session({"tflite": "litert", "pte": "executorch"}[format], data, format, signature, 1)
    rows = [session.run([array[i : i + 1] for array in inputs]) for i in range(len(inputs[0]))]
    return {key: np.concatenate([row[i] for row in rows]) for i, key in enumerate(expected)}


def _torch(name: str, recipe: str, format: str, folder: Path) -> tuple[bytes, list[np.ndarray], dict[str, np.ndarray]]:
    import torch
    import torch_models

    model, inputs = getattr(torch_models, name)(), torch_models.samples(name)
    tensors = [torch.from_numpy(array) for array in inputs.values()]
    singles = [tuple(tensor[i : i + 1] for tensor in tensors) for i in range(len(tensors[0]))]
    with torch.no_grad():
        outputs = [model(*single) for single in singles]
    if isinstance(outputs[0], dict):
        expected = {key: torch.cat([each[key] for each in outputs]).numpy() for key in outputs[0]}
    else:
        expected = {"output": torch.cat(outputs).numpy()}
    convert = _litert_torch if format == "tflite" else _executorch
    return convert(model, singles, recipe, folder), list(inputs.values()), expected


def _litert_torch(model: Any, singles: list[Any], recipe: str, folder: Path) -> bytes:
    import litert_torch

    path = folder / "raw.tflite"
    litert_torch.convert(model, singles[0]).export(str(path))
    data = path.read_bytes()
    return data if recipe == "fp32" else _quantized(data, [[array.numpy() for array in single] for single in singles])


def _quantized(data: bytes, samples: list[list[np.ndarray]]) -> bytes:
    from ai_edge_litert.interpreter import Interpreter
    from ai_edge_quantizer import quantizer, recipe

    interpreter = Interpreter(model_content=data)
    (key, signature), *_ = interpreter.get_signature_list().items()
    names = sorted(signature["inputs"])
    made = quantizer.Quantizer(bytearray(data), recipe.static_wi8_ai8())
    found = made.calibrate({key: [dict(zip(names, sample, strict=True)) for sample in samples]})
    return bytes(made.quantize(found).quantized_model)


def _executorch(model: Any, singles: list[Any], recipe: str, folder: Path) -> bytes:
    import torch
    from executorch.backends.xnnpack.partition.xnnpack_partitioner import XnnpackPartitioner
    from executorch.backends.xnnpack.quantizer.xnnpack_quantizer import (
        XNNPACKQuantizer,
        get_symmetric_quantization_config,
    )
    from executorch.exir import to_edge_transform_and_lower
    from torchao.quantization.pt2e.quantize_pt2e import convert_pt2e, prepare_pt2e

    program = torch.export.export(model, singles[0])
    if recipe == "int8":
        chosen = XNNPACKQuantizer().set_global(get_symmetric_quantization_config(is_per_channel=True))
        prepared = prepare_pt2e(program.module(), chosen)
        with torch.no_grad():
            for single in singles:
                prepared(*single)
        program = torch.export.export(convert_pt2e(prepared), singles[0])
    return to_edge_transform_and_lower(program, partitioner=[XnnpackPartitioner()]).to_executorch().buffer


def _keras(name: str, recipe: str, format: str, folder: Path) -> tuple[bytes, list[np.ndarray], dict[str, np.ndarray]]:
    import keras
    import keras_models

    # One set of weights for both backends, whose random numbers differ.
    model, inputs = keras.saving.load_model(folder / f"{name}.keras"), keras_models.samples(name)
    expected = {
        "output": np.concatenate([np.asarray(model.predict_on_batch(inputs[i : i + 1])) for i in range(len(inputs))])
    }
    if format == "pte":
        import torch

        singles = [(torch.from_numpy(inputs[i : i + 1]),) for i in range(len(inputs))]
        return _executorch(model, singles, recipe, folder), [inputs], expected
    import tensorflow as tf

    converter = tf.lite.TFLiteConverter.from_keras_model(model)
    if recipe == "int8":
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.representative_dataset = lambda: ([inputs[i : i + 1]] for i in range(len(inputs)))
    return converter.convert(), [inputs], expected


if __name__ == "__main__":
    main()
