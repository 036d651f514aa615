"""``.onnx`` files as source models: imported for exporters, and run by ONNX Runtime as what these are held against."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from google.protobuf.message import DecodeError
from onnx import external_data_helper

from edgekit.errors import UsageError
from edgekit.names import distinct, tensor_name
from edgekit.pipeline.sources import SourceSpec, contents
from edgekit.pipeline.sources.matching import match_file
from edgekit.pipeline.sources.onnx_inputs import Input, fix_inputs, inputs_of
from edgekit.pipeline.sources.onnx_precision import in_float32, nudged
from edgekit.pipeline.sources.onnx_to_torch import import_model
from edgekit.pipeline.sources.samples import apart, check_shapes, does_not_run, example_of, first_line, stacked
from edgekit.pipeline.sources.tracing import check_traceable
from edgekit.runtime.engines import onnxruntime
from edgekit.runtime.samples import Stack
from edgekit.tensors import DTYPES, Signature, TensorSpec

#: The newest operator set that the importer was tried with; those that are read start at the first.
OPSETS = range(9, 29)
_HINT = "export it again; onnx.checker.check_model(FILE) says what is wrong with it"


class OnnxSource:
    """An ONNX model; see `edgekit.pipeline.sources.Source`.

    Inputs and outputs whose first axis is not that of one sample get one.
    """

    framework = "torch"

    def __init__(self, model: onnx.ModelProto, inputs: Sequence[Input], spec: SourceSpec, what: str):
        """*model* computes in float32."""
        own = [each.spec for each in inputs]
        # Without a sample, the data are told for their sizes: the inputs keep the file's names.
        named = [] if spec.sample is None else [entry.name for entry in spec.inputs]
        specs, self.data_names = match_file(own, named, what)
        self.example = example_of(specs, self.data_names, spec.read_sample())
        self._model, self._inputs, self._what = model, tuple(inputs), what
        self._session = _session(model, what)
        self._names = [each.name for each in model.graph.output]
        try:
            given = self._outputs(self.example)
        except UsageError as error:
            if spec.sample is not None:
                raise
            message = f"{what} does not run on inputs that are made up: {first_line(error).partition(': ')[2]}"
            hint = "what is a setting, as a sampling rate, is made a constant: --constant sr=16000"
            raise UsageError("EK-SOURCE", message, hint) from error
        self._bare = tuple(value.ndim == 0 or len(value) != 1 for value in given)
        names = distinct(tensor_name(name, "output") for name in self._names)
        outputs = (_spec(name, value, bare) for name, value, bare in zip(names, given, self._bare, strict=True))
        self.signature = Signature(tuple(specs), tuple(outputs))
        self._module = self._imported()
        self.parameter_count = sum(parameter.numel() for parameter in self._module.parameters())

    def predict(self, inputs: Mapping[str, Stack]) -> dict[str, np.ndarray]:
        return stacked(self.signature, map(self._run, apart(self.signature, inputs)))

    def check(self, inputs: Mapping[str, Stack]) -> None:
        example = tuple(map(torch.from_numpy, self.example))
        check_traceable(self._what, self._module, example, {})

    def takes_batches(self, inputs: Mapping[str, Stack]) -> bool:
        return False  # it is imported for one sample

    def nudge(self, random: np.random.Generator) -> None:
        self._session = _session(nudged(self._model, random), self._what)

    def torch_module(self) -> torch.nn.Module:
        return self._module

    def _imported(self) -> torch.nn.Module:
        pairs = zip(self._inputs, self.example, strict=True)
        examples = {each.name: torch.from_numpy(array) for each, array in pairs}
        bare_inputs = [each.name for each in self._inputs if each.bare]
        bare_outputs = [name for name, bare in zip(self._names, self._bare, strict=True) if bare]
        return import_model(self._model, examples, bare_inputs, bare_outputs)

    def _run(self, arrays: Sequence[np.ndarray]) -> list[np.ndarray]:
        """One sample: an array per input, batch axis of 1 included, in; the same per output."""
        values = self._outputs(arrays)
        outputs = [np.array(value[None] if bare else value) for value, bare in zip(values, self._bare, strict=True)]
        check_shapes(self.signature, outputs)
        return outputs

    def _outputs(self, arrays: Sequence[np.ndarray]) -> list[np.ndarray]:
        """What the file itself gives."""
        given = {
            each.name: np.asarray(array[0]) if each.bare else array
            for each, array in zip(self._inputs, arrays, strict=True)
        }
        try:
            found: list[np.ndarray] = self._session.run(self._names, given)
        except Exception as error:  # the only base that ONNX Runtime's exceptions have in common
            raise does_not_run(self._what, error) from error
        return found


def open_source(spec: SourceSpec) -> OnnxSource:
    """Open an ``onnx`` source.

    Raises:
        UsageError: ``EK-SOURCE``: no such file, a damaged one, one that ONNX Runtime does not run, or one whose axes
            are open; ``EK-CONTENTS``: it holds more than data; ``EK-DATA``: the data name other inputs.
        ConversionError: ``EK-UNSUPPORTED``: an operator of it is not imported, by name.
    """
    path = Path(spec.path)
    model = _load(path, spec.trust)
    in_float32(model)
    fix_inputs(model, spec.constants, path.name)
    return OnnxSource(model, inputs_of(model, spec.shapes, spec.inputs, path.name), spec, path.name)


def _load(path: Path, trust: bool) -> onnx.ModelProto:
    if not path.is_file():
        raise UsageError("EK-SOURCE", f"{path} is not a file", "name an .onnx file")
    contents.onnx_model(path, trust)
    try:
        model = onnx.load_model(path, load_external_data=False)
        external_data_helper.load_external_data_for_model(model, str(path.parent))
    except (OSError, ValueError, DecodeError, onnx.checker.ValidationError) as error:
        raise UsageError("EK-SOURCE", f"{path.name} cannot be loaded: {first_line(error)}", _HINT) from error
    version = max((each.version for each in model.opset_import if each.domain in ("", "ai.onnx")), default=1)
    if version not in OPSETS:
        message = f"{path.name} is of operator set {version}: edgekit imports {OPSETS.start} to {OPSETS.stop - 1}"
        hint = "export it with one of these, as opset_version=18; onnx.version_converter.convert_version changes it"
        raise UsageError("EK-SOURCE", message, hint)
    return model


def _session(model: onnx.ModelProto, what: str) -> Any:
    library = onnxruntime.library()
    options = onnxruntime.options(1)
    # What is quantized is computed as the file says, in float32 and rounded, and not by kernels of whole numbers.
    options.add_session_config_entry("session.disable_quant_qdq", "1")
    try:
        return library.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # see above
        message = f"{what} is not run by ONNX Runtime, which its files would be held against: {first_line(error)}"
        raise UsageError("EK-SOURCE", message, _HINT) from error


def _spec(name: str, value: Any, bare: bool) -> TensorSpec:
    if not isinstance(value, np.ndarray) or value.dtype.name not in DTYPES:
        raise UsageError("EK-SOURCE", f"the output {name!r} is no tensor of numbers", "export the model without it")
    if not value.size:
        raise UsageError("EK-SOURCE", f"the output {name!r} has the shape {list(value.shape)}, and no values", _HINT)
    return TensorSpec(name, (1, *value.shape) if bare else value.shape, value.dtype.name)
