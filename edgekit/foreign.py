"""Files that people have at hand and that are something else than what was asked for: what they are, and what to do.

For every verb that takes a path. Files that edgekit builds from, or makes, are known by their kinds and formats.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from edgekit.formats import FORMATS
from edgekit.source_kinds import SOURCE_KINDS, kind_of, written

_SOURCE = "edgekit build {path} --target NAME makes a bundle of it"
_FROM_SOURCE = (
    "edgekit build makes such files itself and checks each against the model it is from: give it that model, as "
)
_FACTORY = (
    "write a function in Python that makes the model and loads them, and give edgekit build FILE.py:FUNCTION "
    "--calibration SAMPLES.npz"
)
_SCRIPTED = (
    "write a function that returns torch.jit.load({name!r}), and give edgekit build FILE.py:FUNCTION "
    "--calibration SAMPLES.npz"
)
_OTHERS = "edgekit builds from PyTorch, Keras or a SavedModel: give it the model that this file was made from"
_PICKLED = "it is a program, and is not run: " + _FACTORY


@dataclass(frozen=True)
class Foreign:
    """A file that is known, and not what was asked for.

    Attributes:
        what: What it is, as in "an ONNX model".
        hint: What to do, in one line.
    """

    what: str
    hint: str


_KERAS_2 = Foreign(
    "a Keras file in HDF5",
    "save the whole model as .keras: keras.saving.load_model({name!r}).save('model.keras'); weights alone are "
    "model.weights in edgekit.toml",
)
_WEIGHTS = Foreign("a file of weights without the model", _FACTORY)
_TORCH = Foreign("a PyTorch file of weights, or a pickled model", _FACTORY)
_SCRIPT = Foreign("a TorchScript program", _SCRIPTED)
_PICKLE = Foreign("a pickled Python object", _PICKLED)
_CORE_ML = Foreign("a Core ML model", "edgekit build --target ios makes files for Core ML: " + _OTHERS)
_TENSORRT = Foreign("a TensorRT engine, for one GPU only", _OTHERS)
_ARRAYS = Foreign("a file of arrays", "samples are given with --input (edgekit run) or --calibration (edgekit build)")

_FOREIGN = {
    ".bin": Foreign("a file of weights, or of another tool", _FACTORY),
    ".blob": Foreign("a model for Myriad chips", _OTHERS),
    ".caffemodel": Foreign("a Caffe model", _OTHERS),
    ".ckpt": Foreign("a checkpoint of training", _FACTORY),
    ".dlc": Foreign("a model for Qualcomm's SNPE", _OTHERS),
    ".edgekit": Foreign("a bundle", "edgekit run, verify, inspect, profile, deploy, phone and integrate take bundles"),
    ".engine": _TENSORRT,
    ".gguf": Foreign("a llama.cpp model", "llama.cpp runs it; " + _OTHERS),
    ".ggml": Foreign("a llama.cpp model", "llama.cpp runs it; " + _OTHERS),
    ".h5": _KERAS_2,
    ".hdf5": _KERAS_2,
    ".hef": Foreign("a model for Hailo chips", _OTHERS),
    ".html": Foreign("a report", "the .json file beside it holds the profile: edgekit profile BUNDLE -o FILE.json"),
    ".ipynb": Foreign(
        "a notebook", "put the function that makes the model into a .py file: edgekit build FILE.py:FUNCTION"
    ),
    ".joblib": _PICKLE,
    ".json": Foreign(
        "a JSON file", "edgekit report and compare take profiles; edgekit profile BUNDLE -o FILE.json writes one"
    ),
    ".lite": Foreign("a LiteRT model", "it is a .tflite by another name: " + _OTHERS),
    ".litertlm": Foreign("a LiteRT language model", "LiteRT-LM runs it; " + _OTHERS),
    ".mlmodel": _CORE_ML,
    ".mlmodelc": _CORE_ML,
    ".mlpackage": _CORE_ML,
    ".mnn": Foreign("an MNN model", _OTHERS),
    ".msgpack": Foreign("weights of Flax", "export the function with jax2tf as a SavedModel, and build that"),
    ".npy": _ARRAYS,
    ".npz": _ARRAYS,
    ".ort": Foreign("an ONNX Runtime model", _OTHERS),
    ".param": Foreign("an ncnn model", _OTHERS),
    ".pb": Foreign(
        "a TensorFlow graph",
        "give the folder that saved_model.pb lies in; write a frozen graph as a SavedModel, with tf.saved_model.save",
    ),
    ".pbtxt": Foreign("a TensorFlow graph as text", "give a SavedModel folder, as tf.saved_model.save writes"),
    ".pdiparams": Foreign("weights of PaddlePaddle", _OTHERS),
    ".pdmodel": Foreign("a PaddlePaddle model", _OTHERS),
    ".pickle": _PICKLE,
    ".pkl": _PICKLE,
    ".plan": _TENSORRT,
    ".pt": _TORCH,
    ".pth": _TORCH,
    ".py": Foreign(
        "a Python file",
        "name the function in it that makes the model: edgekit build {name}:FUNCTION --target NAME",
    ),
    ".rknn": Foreign("a model for Rockchip NPUs", _OTHERS),
    ".safetensors": Foreign(
        "a file of weights without the model",
        "load them in a function that makes the model, with safetensors.torch.load_file({name!r}), and give edgekit "
        "build FILE.py:FUNCTION --calibration SAMPLES.npz",
    ),
    ".t7": Foreign("a Torch7 file", "write the model in PyTorch, and load its weights in a factory: FILE.py:FUNCTION"),
    ".task": Foreign("a MediaPipe bundle", "MediaPipe runs it; " + _OTHERS),
    ".toml": Foreign("a project or target file", "edgekit build FOLDER --target NAME builds a project"),
    ".torchscript": _SCRIPT,
    ".trt": _TENSORRT,
    ".ts": _SCRIPT,
    ".uff": _TENSORRT,
    ".weights": Foreign("a file of weights without the model", _FACTORY),
    ".xml": Foreign("an OpenVINO model, or another XML file", _OTHERS),
    ".zip": Foreign("an archive", "unpack it, and name the model in it"),
}

_PROJECT = Foreign("a project", "edgekit build {path} --target NAME makes a bundle of it, in its folder build/")


def foreign(path: Path) -> Foreign | None:
    """What the file or folder at *path* is, by its name; None for what nobody knows, and what is not there."""
    if not path.exists():
        return None
    if (path / "edgekit.toml").exists():
        found: Foreign | None = _PROJECT
    else:
        found = _own(path) or _FOREIGN.get(path.suffix.lower())
    if found is _TORCH and _is_script(path):
        found = _SCRIPT
    if found is None:
        return None
    return Foreign(found.what, found.hint.format(path=path, name=path.name))


def _own(path: Path) -> Foreign | None:
    """The same for what edgekit builds from, and what it makes."""
    own, suffix = kind_of(path), path.suffix.lower()
    for kind in SOURCE_KINDS:
        if kind.name == own or kind.suffix == suffix != "":
            return Foreign(f"{kind.title} folder" if kind.marker else kind.title, _SOURCE)
    for format in FORMATS:
        if suffix == f".{format.name}":
            return Foreign(format.title, _OTHERS if format.is_baseline else f"{_FROM_SOURCE}{written()}")
    return None


def _is_script(path: Path) -> bool:
    """Whether torch.jit.save wrote the file: such a zip holds code."""
    import zipfile  # which a device never needs

    try:
        with zipfile.ZipFile(path) as archive:
            return any("/code/" in name for name in archive.namelist())
    except (OSError, zipfile.BadZipFile):
        return False
