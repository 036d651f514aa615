"""Keras's HDF5 files of before ``.keras``: a model as JSON in an attribute, and its weights by layer; or weights alone.

Keras 3.15 reads them with HDF5's library, which believes what a file says. So they are read here, as ``.keras`` files
are, and Keras gets a new file of what was checked (`edgekit.pipeline.sources.keras_files`).
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from edgekit.runtime.contents import hdf5, keras
from edgekit.runtime.contents.hdf5 import Array, Group, Texts
from edgekit.runtime.contents.keras import KerasModel, checked_layers
from edgekit.runtime.contents.refusal import Malformed, parse_json, reading, shown

_WANTED = re.compile(r"model_config|keras_version|backend|(layer|weight)_names\d*")
WEIGHTS = "model_weights"
#: What Keras 3 writes beside the layers: weights of the model itself.
TOP = "top_level_model_weights"


@dataclass(frozen=True)
class Layer:
    """What is stored of one layer: its weights by name, in order."""

    name: str
    weights: tuple[tuple[str, Array], ...]


@dataclass(frozen=True)
class KerasH5:
    """One file.

    Attributes:
        config: The model, as Keras describes it; None for weights alone.
        keras_version, backend: Those that it was written with; empty where it does not say.
        stored: Layers in order; the last is named ``top_level_model_weights`` where the model has such.
        layers: Classes of the model's layers.
    """

    config: Mapping[str, Any] | None
    keras_version: str
    backend: str
    stored: tuple[Layer, ...]
    layers: tuple[str, ...] = ()


def read_model(data: bytes | memoryview) -> KerasModel | KerasH5:
    """Read and check a file of a whole model, of either form."""
    return read(data) if hdf5.is_hdf5(data) else keras.read(data)


def is_legacy(data: bytes) -> bool:
    """Whether weights are stored by layers in order, as before Keras 3, and not as in ``.weights.h5``."""
    return b"layer_names" in data and b"weight_names" in data


@reading("it is no Keras file")
def read(data: bytes | memoryview, registered: Collection[str] = (), *, whole: bool = True) -> KerasH5:
    """Read and check a file that ``model.save("….h5")`` wrote, or ``model.save_weights("….h5")`` of Keras 2.

    Args:
        data: The file.
        registered: Names of classes and functions that a project's own code registered.
        whole: Whether there has to be a model in it.

    Raises:
        Refused: It holds a layer that is not on the list.
        Malformed: It is none, or damaged.
    """
    root, texts = hdf5.read_with_texts(data, lambda name: _WANTED.fullmatch(name) is not None)
    top = texts.get("", {})
    if whole and "model_config" not in top:
        raise Malformed("it holds weights, and no model")
    config = parse_json(_one(top, "model_config"), "configuration") if "model_config" in top else None
    position = f"/{WEIGHTS}" if WEIGHTS in root else ""
    group = root[WEIGHTS] if position else root
    named = texts.get(position, {})
    names = [*_names(named, "layer_names"), *([TOP] if not isinstance(group, Array) and TOP in group else [])]
    stored = tuple(_layer(group, name, texts, f"{position}/{name}") for name in names)
    sizes = {size for layer in stored for _, array in layer.weights for size in array.shape}
    layers = () if config is None else checked_layers(config, registered, sizes, old=True)
    version, backend = (_one({**top, **named}, name)[:40] for name in ("keras_version", "backend"))
    return KerasH5(config, version, backend, stored, layers)


def _layer(group: Group | Array, name: str, texts: Texts, path: str) -> Layer:
    found = _within(group, name)
    return Layer(name, tuple((each, _array(found, each)) for each in _names(texts.get(path, {}), "weight_names")))


def _array(group: Group | Array, path: str) -> Array:
    found = _within(group, path)
    if not isinstance(found, Array):
        raise Malformed(f"it has no weights {shown(path)}")
    return found


def _within(group: Group | Array, path: str) -> Group | Array:
    for part in path.split("/"):
        if isinstance(group, Array) or part not in group:
            raise Malformed(f"it has no weights {shown(path)}")
        group = group[part]
    return group


def _one(texts: Mapping[str, tuple[str, ...]], name: str) -> str:
    return next(iter(texts.get(name, ())), "")


def _names(texts: Mapping[str, tuple[str, ...]], name: str) -> list[str]:
    """The texts of an attribute, which Keras splits into numbered ones where they are many."""
    if name in texts:
        return list(texts[name])
    parts = [key for key in texts if key.startswith(name)]
    return [text for number in range(len(parts)) for text in texts.get(f"{name}{number}", ())]
