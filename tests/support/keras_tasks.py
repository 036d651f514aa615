"""What the tests of Keras and SavedModel sources want to know, found out in one process for each framework."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from edgekit.errors import EdgekitError
from edgekit.pipeline.sources import SourceSpec, open_source
from edgekit.tensors import snr_db

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
        inputs = dict(zip([spec.name for spec in source.signature.inputs], keras_zoo.samples(model, SAMPLES, 2), strict=True))
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
    facts["tensorflow_imported"] = any(key.partition(".")[0] == "tensorflow" for key in sys.modules)
    return facts
