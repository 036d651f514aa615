"""Files of Keras models and of their weights, read as data before Keras sees what was checked of them."""

from __future__ import annotations

import contextlib
import json
import re
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import h5py
import keras
import numpy as np

from edgekit.errors import ConversionError, UsageError
from edgekit.pipeline.sources import contents
from edgekit.pipeline.sources.samples import first_line
from edgekit.runtime.contents.hdf5 import Array, is_hdf5
from edgekit.runtime.contents.keras_h5 import TOP, WEIGHTS, KerasH5, Layer, is_legacy
from edgekit.schema import walk

#: What Keras 3.15 says of names that nobody registered.
_UNKNOWN = re.compile(r"Could not locate (class|function) '([^']+)'")
#: The same of a layer of the user's own that another backend computed (its message has colours).
_FAILS = re.compile(r"calling (\w+)\.call\(\)\..*Error encountered:\s+([^\n\x1b]+)", re.DOTALL)
_FOR_ALL_BACKENDS = "write it with keras.ops, which all backends have, or build .tflite only (--format tflite)"

#: Arguments that Keras 2 wrote and Keras 3.15 does not take, by class: at this value they change nothing; at any where
#: it is None (what initial weights were drawn from, what shapes were built for).
_ONE_GROUP: dict[str, Any] = {"groups": 1}
_RECURRENT: dict[str, Any] = {"time_major": False}
_SEPARABLE = {**_ONE_GROUP, "kernel_initializer": None, "kernel_regularizer": None, "kernel_constraint": None}
_DROPOUT: dict[str, Any] = {"trainable": None, "noise_shape": None}
_DROPPED: dict[str, dict[str, Any]] = {
    **dict.fromkeys(("DepthwiseConv1D", "DepthwiseConv2D"), _ONE_GROUP),
    **dict.fromkeys(("Conv1DTranspose", "Conv2DTranspose", "Conv3DTranspose"), _ONE_GROUP),
    **dict.fromkeys(("SeparableConv1D", "SeparableConv2D"), _SEPARABLE),
    **dict.fromkeys(("GRU", "LSTM", "SimpleRNN", "RNN", "ConvLSTM1D", "ConvLSTM2D", "ConvLSTM3D"), _RECURRENT),
    **dict.fromkeys(("SpatialDropout1D", "SpatialDropout2D", "SpatialDropout3D"), _DROPOUT),
    "MultiHeadAttention": {
        "query_shape": None,
        "key_shape": None,
        "value_shape": None,
        "softmax_robust_masking": False,
    },
}
#: Functions that Keras 2 computed in another way, and how.
_OTHERWISE = {"hard_sigmoid": "0.2 x + 0.5 between 0 and 1, where Keras 3 has x / 6 + 0.5"}


def read_model(path: Path, code: str, trust: bool) -> keras.Model:
    """The model in a ``.keras`` file, or in one of HDF5 as Keras wrote them before.

    Raises:
        UsageError: *code*: there is none, or Keras does not take it; ``EK-CONTENTS``: it holds more than data.
        ConversionError: ``EK-UNSUPPORTED``: a layer of the user's own does not run on this backend.
    """
    if not path.is_file():
        raise UsageError(code, f"{path} is not a file", "name a file that model.save('….keras') wrote")
    own = keras.saving.get_custom_objects()
    with path.open("rb") as file:
        old = is_hdf5(file.read(8))
    if old:
        found = contents.keras_h5(path, code, trust, own, whole=True)
        _check_alike(path, found)
        name, write = "model.h5", None if found is None else _writing(found)
    elif not zipfile.is_zipfile(path):
        message = f"{path.name} is cut short, or no .keras file at all"
        raise UsageError(code, message, "save it again, with model.save('….keras')")
    else:
        checked = contents.keras_model(path, code, trust, own)
        name, write = "model.keras", None if checked is None else _copying(checked)
    try:
        with _file(path, write, name) as checked_file:
            return keras.saving.load_model(checked_file, compile=False, safe_mode=write is not None)
    except Exception as error:  # each layer raises what it likes
        if failed := _FAILS.search(str(error)):
            message = f"the layer {failed[1]} of {path.name} does not run on {keras.backend.backend()}: {failed[2]}"
            raise ConversionError("EK-UNSUPPORTED", message, _FOR_ALL_BACKENDS) from error
        hint = (
            "save it with model.save('….keras') of Keras 3; register own layers and functions, and what a Lambda did, "
            "in the project's Python file"
        )
        if old:
            hint = f"make the model in a function, and build FILE.py:FUNCTION --framework keras --weights {path.name}"
        raise UsageError(code, f"{path.name} cannot be loaded: {_reason(error)}", hint) from error


def load_weights(model: keras.Model, path: Path, trust: bool) -> None:
    """Give *model* the weights in a ``.weights.h5`` file, or those of an ``.h5`` file of before Keras 3.

    Raises:
        UsageError: ``EK-CHECKPOINT``: they cannot be read, or do not fit; ``EK-CONTENTS``: it holds more than data.
    """
    if path.is_file() and is_legacy(path.read_bytes()):
        own = keras.saving.get_custom_objects()
        found = contents.keras_h5(path, "EK-CHECKPOINT", trust, own, whole=False)
        name, write = "model.h5", None if found is None else _writing(found)
    else:
        checked = contents.keras_weights(path, trust)
        name, write = "model.weights.h5", None if checked is None else _copying(checked)
    try:
        with _file(path, write, name) as file:
            model.load_weights(file)
    except Exception as error:  # each layer raises what it likes
        message = f"weights {path.name} do not fit the model: {first_line(error)}"
        hint = "save them from this very model, with model.save_weights() or model.save()"
        raise UsageError("EK-CHECKPOINT", message, hint) from error


def _check_alike(path: Path, file: KerasH5 | None) -> None:
    """Refuse a model of Keras 2 that Keras 3 would compute otherwise without a word."""
    if file is None or file.keras_version[:2] not in ("1.", "2."):
        return
    for name, how in _OTHERWISE.items():
        if any(value == name for _, value in walk(file.config)):
            message = f"{path.name} is of Keras {file.keras_version}, whose {name} is {how}"
            hint = f"write {name} with other layers, or train with that of Keras 3, and save the model as .keras"
            raise UsageError("EK-SOURCE", message, hint)


@contextlib.contextmanager
def _file(path: Path, write: Callable[[Path], object] | None, name: str) -> Iterator[Path]:
    """A file of that *name* of what was checked; the one at *path* where that is trusted as it is."""
    if write is None:
        yield path
        return
    with tempfile.TemporaryDirectory(prefix="edgekit-keras-") as folder:
        file = Path(folder, name)
        write(file)
        yield file


def _copying(checked: bytes) -> Callable[[Path], object]:
    return lambda path: path.write_bytes(checked)


def _writing(file: KerasH5) -> Callable[[Path], object]:
    """What writes *file* in Keras's form of before ``.keras``."""

    def write(path: Path) -> None:
        with h5py.File(path, "w") as root:
            group = root
            if file.config is not None:
                root.attrs["model_config"] = json.dumps(_in_keras_3(file.config))
                group = root.create_group(WEIGHTS)
            for name, value in (("keras_version", file.keras_version), ("backend", file.backend)):
                if value:
                    group.attrs[name] = value
            _write_names(group, "layer_names", [layer.name for layer in file.stored if layer.name != TOP])
            for layer in file.stored:
                _write_layer(group.require_group(layer.name), layer)

    return write


def _in_keras_3(config: Any) -> Any:
    """*config* without arguments of layers that Keras 2 wrote, Keras 3.15 does not know, and nobody set.

    Symptom: "Unrecognized keyword arguments passed to DepthwiseConv2D: {'groups': 1}".
    """
    if isinstance(config, list):
        return [_in_keras_3(each) for each in config]
    if not isinstance(config, dict):
        return config
    made = {key: _in_keras_3(value) for key, value in config.items()}
    dropped = _DROPPED.get(str(made.get("class_name")), {})
    if dropped and isinstance(made.get("config"), dict):
        kept = {
            key: value
            for key, value in made["config"].items()
            if not (key in dropped and dropped[key] in (None, value))
        }
        made["config"] = kept
    return made


def _write_layer(group: Any, layer: Layer) -> None:
    _write_names(group, "weight_names", [name for name, _ in layer.weights])
    for name, array in layer.weights:
        group.create_dataset(name, data=_values(array))


def _write_names(group: Any, attribute: str, names: list[str]) -> None:
    """As texts of any length, which have no bound of 64 KiB together."""
    group.attrs.create(attribute, names, shape=(len(names),), dtype=h5py.string_dtype())


def _values(array: Array) -> np.ndarray:
    return np.frombuffer(array.values, f"<{array.dtype}").reshape(array.shape)


def _reason(error: BaseException) -> str:
    """What is the matter with a file: Keras 3 says it last, behind every layer around it with all that is in it."""
    if isinstance(error, IndexError):  # a Sequential that is called by a functional model, in a file of Keras 2
        return "Keras 3 does not find the layers of a model within the model again"
    innermost = str(error).rpartition("Exception encountered: ")[2]
    if found := _UNKNOWN.search(innermost):
        return f"it has the {found[1]} {found[2]!r}, which is not Keras's own"
    return first_line(ValueError(innermost) if innermost else error)
