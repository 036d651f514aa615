"""``.tflite`` for LiteRT, in two steps: litert-torch converts PyTorch, ai-edge-quantizer quantizes any ``.tflite``.

The steps are tasks of their own: one conversion serves every recipe, and quantizing needs no PyTorch, so that
`convert` alone imports torch and litert-torch.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
from ai_edge_litert.interpreter import Interpreter
from ai_edge_quantizer import calibrator
from ai_edge_quantizer.quantizer import Quantizer
from ai_edge_quantizer.utils import qsv_utils, tfl_interpreter_utils

from edgekit.errors import ConversionError
from edgekit.pipeline.exporters.exported import record
from edgekit.pipeline.exporters.inputs import calibration_samples, parameter_names
from edgekit.pipeline.exporters.output_types import kept_outputs
from edgekit.pipeline.exporters.symptoms import explaining
from edgekit.pipeline.readers.facts import inspect_file
from edgekit.pipeline.recipes.biases import flat_biases
from edgekit.pipeline.recipes.litert import rules
from edgekit.pipeline.sources import SourceSpec, open_source
from edgekit.pipeline.work.events import Step, emit
from edgekit.recipes import RECIPES
from edgekit.runtime.engines.litert import ENGINE

#: The signature that runs when none is named.
_MAIN = "serving_default"
_MINIMUM_RUNTIME = {ENGINE.name: "2.1"}


def convert(*, source: Mapping[str, Any], output: str, buckets: Sequence[Mapping[str, Any]] = ()) -> dict[str, Any]:
    """Convert a source model to a float32 ``.tflite``; shapes, order and layout of its tensors stay as they are.

    As `edgekit.pipeline.exporters.Exporter` has it.
    """
    import litert_torch

    from edgekit.pipeline.exporters.layouts import sound_layouts
    from edgekit.pipeline.rewrites.constants import values_in

    main = _Method.of(source, 1)
    methods = {_MAIN: main}
    for bucket in buckets:
        emit(Step(f"exporting {bucket['name']}"))
        methods[bucket["name"]] = _Method.of(bucket["source"], bucket["batch"])

    def write(converter: Any) -> None:
        with sound_layouts():
            converter.convert().export(output)
        inspect_file(Path(output), "tflite")

    def converted(part: Any) -> None:
        write(litert_torch.signature(_MAIN, main.named(part), sample_kwargs=main.examples))

    with explaining(main.module, converted, "LiteRT"):
        converter = litert_torch
        for name, method in methods.items():
            converter = converter.signature(name, method.named(method.module), sample_kwargs=method.examples)
        write(converter)
    held = values_in(main.module)
    made_by, rewritten = ("torch", "litert-torch", "litert-converter"), main.module.meta["rewritten"]
    return record(made_by, _MINIMUM_RUNTIME, values=held, rewritten=rewritten)


@dataclass(frozen=True)
class _Method:
    """A signature of the file that is made.

    Attributes:
        module: A graph that takes the inputs in order.
        examples: They by name.
        outputs: Names of what it gives.
    """

    module: Any
    examples: Mapping[str, Any]
    outputs: tuple[str, ...]

    @classmethod
    def of(cls, source: Mapping[str, Any], batch: int) -> _Method:
        """That of *source* for *batch* samples."""
        from edgekit.pipeline.exporters.tracing import example_inputs, traced
        from edgekit.pipeline.rewrites import LITERT

        opened = open_source(SourceSpec.from_json(source))
        for spec in opened.signature.outputs:
            if spec.dtype == "float64":
                message = f"the output {spec.name!r} is float64, and LiteRT computes in float32"
                raise ConversionError("EK-UNSUPPORTED", message, "end with .float(), or build the other format")
        examples = example_inputs(opened, batch)
        module = traced(opened, examples, LITERT)
        named = dict(zip(parameter_names(opened.signature.inputs), examples, strict=True))
        return cls(module, named, tuple(spec.name for spec in opened.signature.outputs))

    def named(self, module: Any) -> Any:
        """*module*, or a part of it, as one that takes and returns tensors by name."""
        import torch
        from torch.utils import _pytree as pytree

        names, outputs = tuple(self.examples), self.outputs

        class Model(torch.nn.Module):
            """litert-torch reads the names of the file's signature from what it takes and gives.

            Outputs that are not the model's, of a part of it, are numbered.
            """

            # litert-torch writes the qualified name of the class into the name of every tensor.
            __module__, __qualname__ = "edgekit", "Model"

            def __init__(self) -> None:
                super().__init__()
                self.model = module
                self.training = False  # the source is in evaluation mode; exported modules refuse eval()

            def forward(self, **tensors: torch.Tensor) -> dict[str, torch.Tensor]:
                results = self.model(*(tensors[name] for name in names))
                results = [results] if isinstance(results, torch.Tensor) else pytree.tree_leaves(results)
                keys = outputs if len(results) == len(outputs) else map(str, range(len(results)))
                return dict(zip(keys, results, strict=True))

        return Model()


def quantize(*, base: str, recipe: str, calibration: str | None, output: str) -> dict[str, Any]:
    """Quantize a float32 ``.tflite``. Input and output stay float32.

    ``int8`` calibrates with the extremes over all samples. ai-edge-quantizer 0.10.0 takes a moving average of each
    sample's extremes instead, which cuts off what most samples exceed. Symptom: EfficientNet-Lite0 falls
    from 17.5 to 15.2 dB and loses 8 points of accuracy, a small digit classifier falls from 30.7 to 19.0 dB.

    Args:
        base: The float32 ``.tflite``.
        recipe: Name of a recipe that is not exact.
        calibration: An ``.npz`` of inputs by name, samples first; ``int8`` needs it.
        output: The file to write.

    Raises:
        UsageError: ``EK-DATA``: calibration samples are missing.
        ConversionError: ``EK-UNSUPPORTED``: the engine does not take the file; ``EK-QUALITY``: there is nothing to
            quantize.
    """
    model = flat_biases(Path(base).read_bytes())
    applied = rules(RECIPES[recipe], model)
    quantizer = Quantizer(model, applied.get_quantization_recipe())
    ranges = None
    if quantizer.need_calibration:
        emit(Step("calibrating"))
        with explaining(), _without_missing_tensors():
            observer = calibrator.Calibrator(model, num_threads=1, qsv_update_func=qsv_utils.min_max_update)
            samples = {name: _samples(base, name, calibration, recipe) for name in observer.get_signature_list()}
            observer.calibrate(samples, applied)
        ranges = observer.get_model_qsvs()
        if not ranges:
            what = f"{recipe} changes nothing here: it quantizes no operator of this model"
            raise ConversionError("EK-QUALITY", what, RECIPES[recipe].instead)
    emit(Step("quantizing"))
    with kept_outputs():
        Path(output).write_bytes(bytes(quantizer.quantize(ranges).quantized_model))
    return record(("ai-edge-quantizer",), _MINIMUM_RUNTIME)


@contextmanager
def _without_missing_tensors() -> Iterator[None]:
    """Take a tensor that nothing reads for zeros.

    LiteRT 2.3.0 gives results of a loop that nobody reads no memory, and ai-edge-quantizer 0.10.0 reads every tensor by
    name. Symptom: an LSTM of Keras ends in "Tensor data is null".
    """
    stock = tfl_interpreter_utils.get_tensor_data

    def tolerant(interpreter: Any, detail: Mapping[str, Any], *arguments: Any) -> np.ndarray:
        try:
            value: np.ndarray = stock(interpreter, detail, *arguments)
        except ValueError:
            return np.zeros(detail["shape"], detail["dtype"])
        return value

    with patch.object(tfl_interpreter_utils, "get_tensor_data", tolerant):
        yield


def _samples(path: str, signature: str, calibration: str | None, recipe: str) -> list[dict[str, np.ndarray]]:
    """Calibration samples as a *signature* of the file has its inputs: of its shapes and dtypes, under its names, which
    may be places in the source's; litert-torch stores whole numbers of 64 bits as 32."""
    details = Interpreter(path, num_threads=1).get_signature_runner(signature).get_input_details()
    (first, *_) = calibration_samples(calibration, recipe)
    given = {name if name in details else f"args_{number}": name for number, name in enumerate(first)}
    shapes = {given[name]: tuple(map(int, detail["shape"])) for name, detail in details.items()}
    return [
        {name: sample[given[name]].astype(detail["dtype"]) for name, detail in details.items()}
        for sample in calibration_samples(calibration, recipe, shapes)
    ]
