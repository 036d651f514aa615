"""``.keras`` files, read as data, and refused where Keras would do more with them than read data.

A ``.keras`` file names, for every layer, a class to import and the arguments to make it with. Keras 3.15 with
``safe_mode=True`` runs no pickled functions and imports nothing outside of Keras, but some of its own layers open files
that their arguments name, and whatever a program registered as a custom object goes before Keras's own. A bundle's
hashes say that a file is the one that was packed, not who packed it. A float model needs none of that: Keras's own
layers and operators, and weights as plain arrays.
"""

from __future__ import annotations

import io
import json
import re
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

_CONFIG, _WEIGHTS = "config.json", "model.weights.h5"
_ENTRIES = ("metadata.json", _CONFIG, _WEIGHTS)
#: ``module.class`` of what may be made.
_CLASSES = re.compile(
    r"keras\.(Functional|Sequential|Model|DTypePolicy)|keras\.src\.models\.functional\.Functional"
    r"|keras\.(layers|initializers|regularizers|constraints)\.\w+"
    r"|keras\.src\.ops\.(core|image|linalg|math|nn|numpy)\.\w+"
)
#: Layers that run code or open files.
REFUSED_LAYERS = frozenset(
    {"FlaxLayer", "IntegerLookup", "JaxLayer", "Lambda", "StringLookup", "TFSMLayer", "TextVectorization"}
    | {"TorchModuleWrapper"}
)
#: Plain values that JSON has no words for.
_VALUES = frozenset({"__keras_tensor__", "__tensor__", "__numpy__", "__ellipsis__", "__slice__"})
#: Where Keras looks for a function by its name: among its own.
_FUNCTIONS = frozenset({"builtins", "keras.activations"})


@dataclass(frozen=True)
class Weight:
    """One array of a ``.keras`` file: numpy dtype name and shape."""

    dtype: str
    shape: tuple[int, ...]


@dataclass(frozen=True)
class KerasFile:
    """One model.

    Attributes:
        layers: Class of every layer and operator, those of inner models among them.
        weights: Every stored array.
        data: The same model as an archive that holds what was checked and nothing else.
    """

    layers: tuple[str, ...]
    weights: tuple[Weight, ...]
    data: bytes


def read_keras(data: bytes) -> KerasFile:
    """Read and check a file that ``model.save("….keras")`` wrote. Imports ``h5py``, which Keras brings.

    Raises:
        ValueError: It is none, or holds what a float model of Keras's own layers does not need.
    """
    try:
        entries = dict(_entries(zipfile.ZipFile(io.BytesIO(data))))
        config = json.loads(entries[_CONFIG])
        layers = tuple(_checked(config))
        weights = tuple(_weights(entries[_WEIGHTS]))
    except (zipfile.BadZipFile, KeyError, TypeError, EOFError, NotImplementedError, RecursionError) as error:
        raise ValueError(f"no Keras model: {error}") from error
    except OSError as error:  # h5py's
        raise ValueError(f"the weights cannot be read: {error}") from error
    return KerasFile(layers, weights, pack_keras({**entries, _CONFIG: json.dumps(config).encode()}))


def pack_keras(entries: Mapping[str, bytes]) -> bytes:
    """A ``.keras`` file of *entries*; the same entries give the same bytes."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as stored:
        for name in _ENTRIES:
            stored.writestr(zipfile.ZipInfo(name), entries[name])  # of 1980, as Keras has it
    return buffer.getvalue()


def _entries(stored: zipfile.ZipFile) -> Iterator[tuple[str, bytes]]:
    for info in stored.infolist():
        if info.filename not in _ENTRIES:
            raise ValueError(f"the file holds {info.filename[:80]!r}, which no float model needs")
        if info.compress_type != zipfile.ZIP_STORED:
            raise ValueError("the file is compressed")
        yield info.filename, stored.read(info)


def _checked(value: Any) -> Iterator[str]:
    """The classes of layers and operators in *value*, after a check of everything that Keras would make of it.

    What the model was compiled with is taken out on the way: it is for training, and made of more classes.
    """
    if isinstance(value, dict):
        value.pop("compile_config", None)
        if "class_name" in value:
            yield from _class(value)
        for item in value.values():
            yield from _checked(item)
    elif isinstance(value, list):
        for item in value:
            yield from _checked(item)


def _class(value: Mapping[str, Any]) -> Iterator[str]:
    """Refuse a class or function that is not Keras's own, or does more than compute."""
    name, module = str(value["class_name"]), str(value.get("module"))
    if name in _VALUES:
        return
    if name == "function":
        if module not in _FUNCTIONS or not re.fullmatch(r"\w+", str(value.get("config"))):
            raise ValueError(f"the model names a function of {module[:80]}, which is not Keras's own")
        return
    if not _CLASSES.fullmatch(f"{module}.{name}"):
        raise ValueError(f"the model holds {name[:80]!r} of {module[:80]}, which is not Keras's own")
    if name in REFUSED_LAYERS:
        raise ValueError(f"the model holds a {name} layer, which runs code or opens files")
    if value.get("registered_name") not in (None, name):
        raise ValueError(f"the model holds {str(value['registered_name'])[:80]!r}, a custom object")
    if module == "keras.layers" or module.startswith("keras.src.ops."):
        yield name


def _weights(data: bytes) -> Iterator[Weight]:
    """The arrays of an HDF5 file, which has to hold all of them itself, as they are."""
    import h5py

    with h5py.File(io.BytesIO(data), "r") as file:
        yield from _arrays(file)


def _arrays(group: Any) -> Iterator[Weight]:
    import h5py

    for name in group:
        if not isinstance(group.get(name, getlink=True), h5py.HardLink):
            raise ValueError(f"the weights hold a link: {name[:80]!r}")
        item = group[name]
        if isinstance(item, h5py.Group):
            yield from _arrays(item)
        elif not isinstance(item, h5py.Dataset) or item.external or item.is_virtual or _is_filtered(item):
            raise ValueError(f"the weights {name[:80]!r} are not in the file as they are")
        elif item.dtype.kind not in "biuf":
            raise ValueError(f"the weights {name[:80]!r} are no numbers")
        else:
            yield Weight(item.dtype.name, tuple(item.shape))


def _is_filtered(dataset: Any) -> bool:
    """Whether it is stored through filters: a few bytes may then stand for any number, and filters are plugins."""
    return bool(dataset.id.get_create_plist().get_nfilters())
