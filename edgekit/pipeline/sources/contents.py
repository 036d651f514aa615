"""Model files and weights of a source, read as data before their framework sees them.

What is outside of its format's list (`edgekit.runtime.contents.allowed`) is refused, or taken as it is where the user
trusts it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from pathlib import Path

from edgekit.errors import UsageError
from edgekit.pipeline.sources import SourceSpec
from edgekit.recipes import FP32, RECIPES, Recipe
from edgekit.registry import import_name
from edgekit.runtime.contents import hdf5, keras, onnx, pt2, saved_model, tflite, torchscript
from edgekit.runtime.contents import keras_h5 as keras_h5_contents
from edgekit.runtime.contents import t7 as t7_contents
from edgekit.runtime.contents import weights as torch_weights
from edgekit.runtime.contents.keras_h5 import KerasH5
from edgekit.runtime.contents.refusal import Malformed, Refused
from edgekit.runtime.contents.t7 import T7
from edgekit.source_kinds import SOURCE_KINDS, kind_of

#: How to get a file that can be read, where its kind does not say, by what it is for.
_AGAIN = {
    "EK-SOURCE": "save the model again",
    "EK-CHECKPOINT": "save them from this very model",
}


def check(spec: SourceSpec) -> str | None:
    """Check the files of *spec*, but what only its own Python can tell (custom objects that it registers).

    Returns:
        What a trusted file would do, in one line; None where there is nothing to say.

    Raises:
        UsageError: As `readable`.
    """
    kind, path, said = SOURCE_KINDS[spec.kind], Path(spec.path), None
    if spec.factory is None and kind.contents:
        whole = path.is_dir() or bool(kind.beside)
        said = _attempt(path, lambda: _read(kind.contents, path, whole), "EK-SOURCE", spec.trust)
    if spec.weights is not None and kind.weights and Path(spec.weights).is_file():
        weights = Path(spec.weights)
        said = _attempt(weights, lambda: _read(kind.weights, weights, False), "EK-CHECKPOINT", spec.trust) or said
    return said


def recipe(spec: SourceSpec) -> Recipe:
    """The recipe that the file of *spec* is in already: float32 for whatever does not say another."""
    reader = SOURCE_KINDS[spec.kind].recipe
    return FP32 if not reader or spec.factory is not None else RECIPES[import_name(reader)(Path(spec.path))]


def _read(reader: str, path: Path, whole: bool) -> None:
    """*whole*: the reader takes the path of a folder, or of a file with others beside it; else a file's bytes."""
    import_name(reader)(path if whole else path.read_bytes())


def program(path: Path, trust: bool) -> bytes | None:
    """What torch may see of a ``.pt2`` file; None for one that is trusted and holds more than data.

    Raises:
        UsageError: ``EK-CONTENTS``: it holds what is not on the list; ``EK-SOURCE``: it is damaged.
    """
    return readable(path, lambda: pt2.read(path.read_bytes()).data, "EK-SOURCE", trust)


def onnx_model(path: Path, trust: bool) -> None:
    """Check an ``.onnx`` file and what lies beside it. Raises `UsageError` as `program`."""
    _attempt(path, lambda: onnx.read_file(path), "EK-SOURCE", trust)


def script(path: Path, trust: bool) -> bytes | None:
    """The same of a TorchScript file."""
    return readable(path, lambda: torchscript.read(path.read_bytes()).data, "EK-SOURCE", trust)


def t7(path: Path) -> T7:
    """What is in a Torch7 file. Raises `UsageError` (``EK-SOURCE``): it is damaged, or none."""
    found: list[T7] = []
    _attempt(path, lambda: found.append(t7_contents.read(path.read_bytes())), "EK-SOURCE", False)
    return found[0]


def weights(path: Path, trust: bool) -> bytes | None:
    """The same of a file that ``torch.save`` or safetensors wrote; ``EK-CHECKPOINT`` where it is damaged."""
    return readable(path, lambda: torch_weights.read(path.read_bytes()).data, "EK-CHECKPOINT", trust)


def keras_model(path: Path, code: str, trust: bool, registered: Collection[str]) -> bytes | None:
    """The same of a ``.keras`` file, whose own classes may be *registered*."""
    return readable(path, lambda: keras.read(path.read_bytes(), registered).data, code, trust)


def keras_weights(path: Path, trust: bool) -> bytes | None:
    """The same of a ``.weights.h5`` file."""
    return readable(path, lambda: hdf5.write(hdf5.read(path.read_bytes())), "EK-CHECKPOINT", trust)


def lite_model(path: Path, trust: bool) -> bytes:
    """The bytes of a ``.tflite``, checked; raises as `program`."""
    data = path.read_bytes()
    _attempt(path, lambda: tflite.read(data), "EK-SOURCE", trust)
    return data


def checked(path: Path, check: Callable[[], object], trust: bool) -> None:
    """*check* the model at *path*, or a part of it, by a reader of its own; raises as `program`."""
    _attempt(path, check, "EK-SOURCE", trust)


def keras_h5(path: Path, code: str, trust: bool, registered: Collection[str], whole: bool) -> KerasH5 | None:
    """What is in a Keras file in HDF5 of before ``.keras``; None and errors as `readable`."""
    found: list[KerasH5] = []
    read = keras_h5_contents.read
    said = _attempt(path, lambda: found.append(read(path.read_bytes(), registered, whole=whole)), code, trust)
    return found[0] if said is None else None


def folder(path: Path, trust: bool) -> None:
    """Check a SavedModel.

    Raises:
        UsageError: As `program`.
    """
    _attempt(path, lambda: saved_model.check_folder(path), "EK-SOURCE", trust)


def readable(path: Path, read: Callable[[], bytes], code: str, trust: bool) -> bytes | None:
    """What *read* gives; None for a file that is trusted and holds more than data.

    Raises:
        UsageError: ``EK-CONTENTS``: it holds what is not on the list; *code*: it is damaged, or cannot be read.
    """
    found: list[bytes] = []
    said = _attempt(path, lambda: found.append(read()), code, trust)
    return found[0] if said is None else None


def _attempt(path: Path, read: Callable[[], object], code: str, trust: bool) -> str | None:
    try:
        read()
    except Refused as error:
        if trust:
            return f"{path.name} is trusted: {error}: this {error.does}"
        trusting = "where you know who made it, --trust takes it all the same"
        hint = f"{error.cure}; {trusting}" if error.cure else trusting
        raise UsageError("EK-CONTENTS", f"{path.name} is refused: {error}: this {error.does}", hint) from error
    except Malformed as error:
        kind = kind_of(path)
        again = (SOURCE_KINDS[kind].again if kind and code != "EK-CHECKPOINT" else "") or _AGAIN[code]
        if trust:
            return f"{path.name} is trusted, and not read here: {error}"
        raise UsageError(code, f"{path.name} cannot be loaded: {error}", again) from error
    except OSError as error:
        raise UsageError(code, f"{path.name} cannot be read: {error.strerror or error}", _AGAIN[code]) from error
    return None
