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
    rows = [[array[i : i + 1] for array in inputs] for i in range(len(inputs[0]))]
    outputs = (_by_litert if format == "tflite" else _by_executorch)(data, rows, expected)
    return {key: np.concatenate([row[i] for row in outputs]) for i, key in enumerate(expected)}


def _by_litert(data: bytes, rows: list[list[np.ndarray]], expected: dict[str, np.ndarray]) -> list[list[np.ndarray]]:
    """Whatever types the file has: a caller who knows them quantizes and dequantizes by hand."""
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_content=data, num_threads=1)
    interpreter.allocate_tensors()
    (runner,) = (interpreter.get_signature_runner(key) for key in interpreter.get_signature_list())
    given, made = runner.get_input_details(), runner.get_output_details()
    outputs = []
    for row in rows:
        named = dict(zip(sorted(given), row, strict=True))
        found = runner(**{name: _quantize(array, given[name]) for name, array in named.items()})
        by_name = [found[name] for name in (expected if expected.keys() == found.keys() else sorted(found))]
        details = [made[name] for name in (expected if expected.keys() == found.keys() else sorted(found))]
        outputs.append([_dequantize(array, detail) for array, detail in zip(by_name, details, strict=True)])
    return outputs


def _quantize(array: np.ndarray, detail: dict[str, Any]) -> np.ndarray:
    scale, zero = detail["quantization"]
    if array.dtype.kind != "f" or not scale:
        return array.astype(detail["dtype"])
    limits = np.iinfo(detail["dtype"])
    return np.clip(np.round(array / scale) + zero, limits.min, limits.max).astype(detail["dtype"])


def _dequantize(array: np.ndarray, detail: dict[str, Any]) -> np.ndarray:
    scale, zero = detail["quantization"]
    return (array.astype(np.float32) - zero) * scale if scale else array


def _by_executorch(
    data: bytes, rows: list[list[np.ndarray]], expected: dict[str, np.ndarray]
) -> list[list[np.ndarray]]:
    import torch
    from executorch.runtime import Runtime

    method = Runtime.get().load_program(data).load_method("forward")
    return [
        [each.numpy().copy() for each in method.execute([torch.from_numpy(array) for array in row])] for row in rows
    ]


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
