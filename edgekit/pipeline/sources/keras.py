"""Keras models as source models: a ``.keras`` or ``.h5`` file, or a Python file and the function that makes the model.

Works on whichever backend ``KERAS_BACKEND`` names: TensorFlow to predict and to write ``.tflite``, PyTorch to be
rebuilt as an ``nn.Module`` (see `keras_to_torch`). Keras chooses its backend once per process, when imported.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import keras
import numpy as np

from edgekit.errors import UsageError
from edgekit.names import distinct, tensor_name
from edgekit.pipeline.sources import SourceSpec
from edgekit.pipeline.sources.determinism import check_repeatable, write_error
from edgekit.pipeline.sources.drawn import other_parts
from edgekit.pipeline.sources.keras_files import load_weights, read_model
from edgekit.pipeline.sources.matching import match_file
from edgekit.pipeline.sources.samples import (
    apart,
    batched_alike,
    check_shapes,
    does_not_run,
    example_of,
    first_line,
    probes,
    stacked,
)
from edgekit.pipeline.sources.variables import VariableState, nudge
from edgekit.pipeline.work.python_file import load_callable
from edgekit.runtime.samples import Stack
from edgekit.tensors import Signature, TensorSpec

if TYPE_CHECKING:
    import torch

_HALVES = ("float16", "bfloat16")

#: In the path of a variable that holds how far a generator of random numbers is.
_GENERATOR = "seed_generator"


def _order_nested_dicts() -> None:
    """Have PyTorch's Keras flatten dicts within dicts by their keys, as TensorFlow's does.

    Keras 3.15 sorts the outer dict only. Symptom: a model that returns dicts of dicts loses its weights when loaded on
    PyTorch ("objects could not be loaded"), or has them and its outputs in another order.
    """
    from keras.src.tree import torchtree_impl

    stock = torchtree_impl._dict_to_ordered_dict

    def ordered(structure: Any) -> Any:
        if type(structure) is dict:
            return {key: ordered(structure[key]) for key in sorted(structure)}
        if type(structure) in (list, tuple):
            return type(structure)(ordered(part) for part in structure)
        return stock(structure)

    torchtree_impl._dict_to_ordered_dict = ordered


def _leave_tensorflow_alone() -> None:
    """Have Keras look for no TensorFlow where PyTorch computes.

    Keras 3.15 imports it to ask whether what it serializes is a shape of its. Symptom: a bidirectional layer brings
    TensorFlow into a process with PyTorch.
    """
    from keras.src.utils import module_utils

    module_utils.tensorflow._available = False


if keras.backend.backend() == "torch":
    _order_nested_dicts()
    _leave_tensorflow_alone()


class KerasSource:
    """A Keras model in evaluation mode and float32; see `edgekit.pipeline.sources.Source`.

    Attributes:
        model: The model as a functional one that takes and returns flat lists, in signature order.
    """

    framework = "keras"

    def __init__(
        self,
        model: keras.Model,
        output_names: Sequence[str],
        what: str,
        *,
        given: Sequence[str] = (),
        sample: Mapping[str, np.ndarray] | None = None,
    ):
        """*given* are the data's names for the inputs, *sample* is one of the data's by these."""
        self.model = model
        self._what = what
        own = [_spec(tensor_name(tensor.name, "input"), tensor) for tensor in model.inputs]
        inputs, self.data_names = match_file(own, given, what)
        outputs = (_spec(*pair) for pair in zip(output_names, model.outputs, strict=True))
        self.signature = Signature(inputs, tuple(outputs))
        self.example = example_of(inputs, self.data_names, sample)
        self.parameter_count = _parameter_count(model)

    def predict(self, inputs: Mapping[str, Stack]) -> dict[str, np.ndarray]:
        return stacked(self.signature, map(self._run, apart(self.signature, inputs)))

    def check(self, inputs: Mapping[str, Stack]) -> None:
        samples = probes(self.signature, inputs)
        dice = VariableState([each for each in self.model.variables if _GENERATOR in each.path])
        before = dice.take()

        def drawn() -> list[str]:
            paths = dice.differences(before).get("variable", ())
            return list(dict.fromkeys(path.partition("/")[0] for path in paths if not path.startswith(_GENERATOR)))

        state = VariableState([each for each in _variables(self.model) if _GENERATOR not in each.path])
        if written := check_repeatable(self._what, self._run, samples, state, state.take(), drawn):
            raise write_error(self._what, written)

    def takes_batches(self, inputs: Mapping[str, Stack]) -> bool:
        return batched_alike(self.signature, inputs, self._outputs)

    def _outputs(self, arrays: Sequence[np.ndarray]) -> list[np.ndarray]:
        return [np.asarray(result) for result in keras.tree.flatten(self.model.predict_on_batch(list(arrays)))]

    def _run(self, arrays: Sequence[np.ndarray]) -> list[np.ndarray]:
        """One sample: an array per input, batch axis of 1 included, in; the same per output."""
        try:
            outputs = self._outputs(arrays)
        except Exception as error:  # layers raise what they like, and each backend what it does
            raise does_not_run(self._what, error) from error
        check_shapes(self.signature, outputs)
        return outputs

    def call(self, tensors: Sequence[Any]) -> list[Any]:
        """Outputs for backend tensors (batch first), both in signature order."""
        return list(keras.tree.flatten(self.model(list(tensors), training=False)))

    def nudge(self, random: np.random.Generator) -> None:
        nudge(self.model.variables, random)

    def torch_module(self) -> torch.nn.Module:
        from edgekit.pipeline.sources.keras_to_torch import rebuild

        return rebuild(self.model)


def open_source(spec: SourceSpec) -> KerasSource:
    """Open a ``keras`` source.

    Raises:
        UsageError: ``EK-CODE`` (the project's Python failed), ``EK-SOURCE`` (no readable model, or one whose
            input shape is open) or ``EK-CHECKPOINT`` (the weights cannot be read, do not fit or are not finite).
        ConversionError: ``EK-UNSUPPORTED``: a layer of the user's own does not run on this backend.
    """
    model = open_model(spec)
    if spec.made is not None:
        if Path(spec.made).exists():
            try:
                model.load_weights(spec.made)
            except (OSError, MemoryError):
                raise
            except Exception as error:  # each layer raises what it likes of weights that are not its own
                raise other_parts("the factory") from error
        else:
            model.save_weights(spec.made)
    flat = keras.Model(list(model.inputs), list(model.outputs), name=model.name)
    _compute_in_float32(flat)
    for variable in flat.weights:
        values = keras.ops.convert_to_numpy(variable)
        if not np.isfinite(values).all():
            message = f"the model's weights {variable.path} hold NaN or infinity"
            raise UsageError("EK-CHECKPOINT", message, "train it again")
    what = Path(spec.path).name if spec.factory is None else f"{Path(spec.path).name}:{spec.factory}"
    given = [entry.name for entry in spec.inputs]
    return KerasSource(flat, _output_names(model, flat), what, given=given, sample=spec.read_sample())


def _output_names(model: keras.Model, flat: keras.Model) -> tuple[str, ...]:
    """The names of the outputs: of the layers that they are from, or, where the model returns dicts, the keys' path."""
    returned = model.outputs if isinstance(model, keras.Sequential) else model.output
    paths = [path for path, _ in keras.tree.flatten_with_path(returned)]
    if not any(isinstance(part, str) for path in paths for part in path):
        return distinct(tensor_name(name, "output") for name in flat.output_names)
    names = []
    for path in paths:
        name = ""
        for part in path:
            name = f"{name or 'output'}_{part}" if isinstance(part, int) else f"{name}.{part}".lstrip(".")
        names.append(tensor_name(name, "output"))
    return distinct(names)


def open_model(spec: SourceSpec) -> keras.Model:
    """The model as it was made, ready to be trained; raises what `open_source` raises."""
    # Layers without a name are numbered, and outputs are called by them: from 1 again, whatever was opened before.
    keras.utils.clear_session(free_memory=False)
    path, weights = Path(spec.path), spec.weights
    if weights is not None and weights.endswith(".keras"):
        # The file holds the whole model, so the project's Python, which may import TensorFlow into a process that
        # already holds PyTorch, runs only where it has to: to register layers of its own.
        try:
            return _with_inputs(read_model(Path(weights), "EK-CHECKPOINT", spec.trust), spec)
        except UsageError:
            if spec.factory is None:
                raise
            load_callable(path, spec.factory)
            return _with_inputs(read_model(Path(weights), "EK-CHECKPOINT", spec.trust), spec)
    if spec.factory is None:
        model = read_model(path, "EK-SOURCE", spec.trust)
    else:
        model = load_callable(path, spec.factory)()
        if not isinstance(model, keras.Model):
            message = f"{path.name}:{spec.factory}() returned {type(model).__name__}, not a keras.Model"
            raise UsageError("EK-CODE", message, "return the model; with a PyTorch model, set the framework to torch")
    wrapped = _with_inputs(model, spec)
    if weights is not None:
        load_weights(model, Path(weights), spec.trust)
    return wrapped


def _with_inputs(model: keras.Model, spec: SourceSpec) -> keras.Model:
    """The model itself where it knows its inputs, else called on inputs as *spec* describes them."""
    if getattr(model, "inputs", None):
        return model
    if not spec.inputs:
        message = f"model {model.name!r} does not say what goes into it"
        hint = "start it with keras.Input(shape=…), or describe its inputs in the project"
        raise UsageError("EK-SOURCE", message, hint)
    inputs = [keras.Input(entry.shape[1:], dtype=entry.dtype, name=entry.name) for entry in spec.inputs]
    try:
        outputs = model(inputs if len(inputs) > 1 else inputs[0])
    except (ValueError, TypeError) as error:
        message = f"model {model.name!r} does not take inputs of these shapes: {first_line(error)}"
        raise UsageError("EK-SOURCE", message, "correct the input shapes in the project") from error
    return keras.Model(inputs, outputs, name=f"{model.name}_with_inputs")


def _compute_in_float32(model: keras.Model) -> None:
    """Undo mixed precision: weights are float32 in any case, and so are the outputs from now on.

    In place, because ``keras.models.clone_model`` leaves nested models alone, and imports TensorFlow on any backend.
    """
    for layer in model._flatten_layers():
        if layer.compute_dtype in _HALVES:
            layer.dtype_policy = "float32"
        # A model within the model casts what it is given to the dtype that it was made for, noted in two places.
        if isinstance(layer, keras.layers.InputLayer) and layer.dtype in _HALVES:
            layer._dtype = layer.output._dtype = "float32"


def _spec(name: str, tensor: Any) -> TensorSpec:
    if not tensor.shape or tensor.shape[0] not in (None, 1):
        message = f"{name!r} has the shape {tuple(tensor.shape)}: its first axis is not that of one sample at a time"
        hint = "leave the batch size open, keras.Input(shape=…) without batch_size, and keep that axis first to the end"
        raise UsageError("EK-SOURCE", message, hint)
    rest = tensor.shape[1:]
    if None in rest:
        message = f"{name!r} has open dimensions {tuple(tensor.shape)}; an exported file has fixed shapes"
        hint = "give the whole shape, as in keras.Input(shape=(224, 224, 3)), and save the model again"
        raise UsageError("EK-SOURCE", message, hint)
    dtype = str(keras.backend.standardize_dtype(tensor.dtype))
    return TensorSpec(name, (1, *rest), "float32" if dtype in _HALVES else dtype)


def _variables(model: keras.Model) -> list[Any]:
    """The variables of *model*, and the states of its stateful RNNs, which Keras 3.15 does not count among them."""
    states = [getattr(layer, "states", None) for layer in model._flatten_layers() if getattr(layer, "stateful", False)]
    return [*model.variables, *keras.tree.flatten([each for each in states if each is not None])]


def _parameter_count(model: keras.Model) -> int:
    statistics = {
        id(variable)
        for layer in model._flatten_layers()
        if isinstance(layer, keras.layers.BatchNormalization)
        for variable in (layer.moving_mean, layer.moving_variance)
    }
    return sum(int(np.prod(variable.shape)) for variable in model.weights if id(variable) not in statistics)
