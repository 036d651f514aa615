"""``.keras``: layers by allow-list, and weights as plain arrays.

A ``.keras`` file names, for every layer, a class to import and the arguments to make it with. Keras 3.15 with
``safe_mode=True`` runs no pickled functions and imports nothing outside of Keras, but some of its own layers open files
that their arguments name, and whatever a program registered as a custom object goes before Keras's own. HDF5's
library believes what a file of weights says.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from edgekit.runtime.contents import hdf5, zips
from edgekit.runtime.contents.allowed import KERAS, KERAS_FUNCTIONS, KERAS_VALUES
from edgekit.runtime.contents.hdf5 import Array
from edgekit.runtime.contents.refusal import Malformed, Refused, parse_json, reading, shown
from edgekit.runtime.contents.zips import Packed

_METADATA, _CONFIG, _WEIGHTS = "metadata.json", "config.json", "model.weights.h5"
ENTRIES = (_METADATA, _CONFIG, _WEIGHTS)
#: What the rules for bundles and sources have in common: such a layer is said by name.
_RUNS_CODE = {
    "Lambda": "runs the code in the file",
    "FlaxLayer": "runs code of another framework",
    "JaxLayer": "runs code of another framework",
    "TorchModuleWrapper": "unpickles a module of PyTorch",
    "TFSMLayer": "loads the SavedModel that it names",
}
_CURE = "write it as a layer class that a project's Python file registers"
#: Arguments that give weights or outputs their size. Larger ones than this are found among the weights' own sizes.
_SIZES = frozenset(
    {"cropping", "depth_multiplier", "filters", "groups", "height", "input_dim", "key_dim", "kernel_size", "n"}
    | {"num_heads", "output_dim", "padding", "pool_size", "size", "strides", "units", "value_dim", "width"}
)
_PLAIN_SIZE = 4096


@dataclass(frozen=True)
class KerasModel(Packed):
    """One model.

    Attributes:
        layers: Class of every layer and operator, those of inner models among them.
        weights: Every stored array.
    """

    layers: tuple[str, ...]
    weights: tuple[Array, ...]

    @property
    def operators(self) -> tuple[str, ...]:
        return self.layers


@reading("it is no Keras model")
def read(data: bytes | memoryview, registered: Collection[str] = ()) -> KerasModel:
    """Read and check a file that ``model.save("….keras")`` wrote.

    Args:
        data: The file.
        registered: Names, as ``package>Name``, of classes and functions that a project's own code registered.

    Raises:
        Refused: It holds a layer that is not on the list, or another file.
        Malformed: It is none, or damaged.
    """
    files = zips.unpack(data, _reads)
    missing = set(ENTRIES) - files.keys()
    if missing:
        raise Malformed(f"it is no Keras model: it has no {sorted(missing)[0]}")
    config, metadata = (parse_json(files[name], "configuration") for name in (_CONFIG, _METADATA))
    version = str(metadata.get("keras_version", ""))[:40]
    group = hdf5.read(files[_WEIGHTS])
    weights = tuple(array for _, array in hdf5.arrays(group))
    layers = checked_layers(config, registered, {size for array in weights for size in array.shape})
    kept = {
        _METADATA: json.dumps({"keras_version": version}).encode(),
        _CONFIG: json.dumps(config).encode(),
        _WEIGHTS: hdf5.write(group),
    }
    return KerasModel(kept, layers, weights)


def _reads(name: str) -> bool:
    if name not in ENTRIES:
        raise Refused(
            f"it holds {shown(name)}, which no model of plain layers needs", "opens it, or what it stands for"
        )
    return True


def checked_layers(
    config: Any, registered: Collection[str], stored: Collection[int], *, old: bool = False
) -> tuple[str, ...]:
    """Classes of the layers in *config*, all of it checked as by `read`.

    Args:
        stored: Sizes of the axes of stored weights.
        old: Whether it is of before ``.keras``: classes have no module then, and are looked for in Keras alone.
    """
    layers = tuple(_checked(config, registered, old))
    _check_sizes(config, stored)
    return layers


def _checked(value: Any, registered: Collection[str], old: bool) -> Iterator[str]:
    """The classes of layers and operators in *value*, after a check of everything that Keras would make of it.

    What the model was compiled with is taken out on the way: it is for training, and made of more classes.
    """
    if isinstance(value, dict):
        value.pop("compile_config", None)
        if "class_name" in value:
            yield from _class(value, registered, old and "module" not in value)
        for item in value.values():
            yield from _checked(item, registered, old)
    elif isinstance(value, list):
        for item in value:
            yield from _checked(item, registered, old)


def _class(value: Mapping[str, Any], registered: Collection[str], anywhere: bool) -> Iterator[str]:
    """Refuse a class or function that is not Keras's own, *anywhere* in it, or does more than compute."""
    name, module = str(value["class_name"]), str(value.get("module"))
    own = value.get("registered_name")
    if name in KERAS_VALUES:
        return
    if own is not None and own in registered:
        yield str(own)
        return
    if name == "function":
        if module not in KERAS_FUNCTIONS or not re.fullmatch(r"\w+", str(value.get("config"))):
            raise Refused(f"it names a function of {shown(module)}, which is not Keras's own", "calls that function")
        return
    if name in _RUNS_CODE:
        raise Refused(f"it holds a {name} layer", _RUNS_CODE[name], _CURE)
    if name == "__lambda__":
        raise Refused("it holds a function as code ('__lambda__')", "runs the code in the file", _CURE)
    if anywhere and any(name == each.rpartition(">")[2] for each in registered):
        yield name
        return
    known = {each for names in KERAS.values() for each in names} if anywhere else KERAS.get(module, ())
    if name not in known:
        does = "can open files that it names" if module == "keras.layers" else "imports that class"
        of = "" if module == "None" else f" of {shown(module)}"
        raise Refused(f"it holds the class {shown(name)}{of}, which is not on the list", does, _CURE)
    if own not in (None, name):
        raise Refused(f"it holds {shown(own)}, a custom object", "makes what a program registered by that name", _CURE)
    if module == "keras.layers" or module.startswith("keras.src.ops.") or anywhere:
        yield name


def _check_sizes(value: Any, stored: Collection[int]) -> None:
    """Refuse sizes by which Keras would make weights that the file does not have."""
    if isinstance(value, dict):
        for key, item in value.items():
            if key in _SIZES:
                _check_size(key, item, stored)
            _check_sizes(item, stored)
    elif isinstance(value, list):
        for item in value:
            _check_sizes(item, stored)


def _check_size(key: str, item: Any, stored: Collection[int]) -> None:
    for number in item if isinstance(item, list) else [item]:
        if isinstance(number, list):
            _check_size(key, number, stored)
        elif (
            isinstance(number, int) and number > _PLAIN_SIZE and not any(size and size % number == 0 for size in stored)
        ):
            raise Malformed(f"its {key} is {f'{number:,}'[:40]}, and no weight is of that size")
