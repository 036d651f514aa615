"""The project's data: read by its own functions, checked, and left in files that are read a few samples at a time.

Every file this writes is an ``.npz`` with one array per model input, samples first. Labels, where there are any, lie in
a file of their own beside it: an input may be called whatever its model calls it. So does what has yet to be done to
each sample (see `edgekit.runtime.samples`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from edgekit import npz
from edgekit.errors import UsageError
from edgekit.names import tensor_name
from edgekit.numbers import plain, single
from edgekit.pipeline.work.python_file import load_callable, split_reference
from edgekit.runtime.preprocess import Preprocessing, read_arrays
from edgekit.runtime.samples import Column, note, open_samples
from edgekit.tensors import TensorSpec

#: The name of a model's only input, unless the data names it.
DEFAULT_INPUT = "input"

#: How many calibration samples are drawn when the project does not say.
_CALIBRATION_SAMPLES = 128

Arrays = dict[str, np.ndarray]
_Inputs = Mapping[str, np.ndarray] | Mapping[str, Column]


def prepare(
    *,
    project: str,
    train: str | None,
    evaluation: str,
    calibration: str | None,
    draw_from: str | None = None,
    draw: int | None = None,
    preprocessing: Mapping[str, Any] | None,
    classes: int,
    seed: int,
    directory: str,
) -> dict[str, Any]:
    """Write ``train.npz``, ``evaluation.npz`` and ``calibration.npz`` into *directory*; a task for a worker.

    Args:
        project: The project's folder; references are relative to it.
        train, evaluation: ``file.py:function`` giving (inputs, labels), or an ``.npz`` with ``x`` and ``y``.
        calibration: The same giving inputs; None to draw samples: *draw* of them, from the set *draw_from*, or as many
            as usual, from the training data where there are any.
        preprocessing: The manifest's ``preprocessing``, or None for data that is ready.
        classes: Number of class labels the project names; 0 when it names none.
        seed: For drawing calibration samples.

    Returns:
        An `edgekit.pipeline.work.answers.DataAnswer`, as JSON.

    Raises:
        UsageError: ``EK-DATA`` or ``EK-CODE``, saying which set and what is wrong with it.
    """
    root, out = Path(project), Path(directory)
    process = None if preprocessing is None else Preprocessing.from_json(preprocessing)
    sets: dict[str, Mapping[str, Column]] = {}
    for name, reference in (("train", train), ("evaluation", evaluation)):
        if reference is not None:
            _store(root, out, name, reference, classes, process)
            sets[name] = open_samples(out / f"{name}.npz")
    origin = calibration or draw_from or ("train" if train is not None else "evaluation")
    if calibration is not None:
        inputs = _fitting("calibration", _read(root, "calibration", calibration)[0], process)
        drawn = inputs if process is None else {key: process.apply_batch(array) for key, array in inputs.items()}
    else:
        drawn = _draw(sets, origin, draw or _CALIBRATION_SAMPLES, seed)
    _check_alike({**sets, "calibration": drawn})
    save_arrays(out / "calibration.npz", drawn)  # which exporters take as it is
    counts = {name: len(next(iter(inputs.values()))) for name, inputs in sets.items()}
    counts["calibration"] = len(next(iter(drawn.values())))
    specs = [TensorSpec(name, (1, *each.shape[1:]), each.dtype.name) for name, each in sets["evaluation"].items()]
    return {"inputs": [spec.to_json() for spec in specs], "samples": counts, "calibration_from": origin}


def save_arrays(
    path: str | Path,
    arrays: Mapping[str, np.ndarray],
    labels: np.ndarray | None = None,
    process: Preprocessing | None = None,
) -> None:
    """Write *arrays* by name to an ``.npz``, and beside it *labels*, and what is done to samples when they are read;
    the same arrays give the same bytes."""
    npz.save(path, arrays)
    if labels is not None:
        np.save(_labels_beside(path), labels, allow_pickle=False)
    note(path, process)


def load_arrays(path: str | Path) -> tuple[Arrays, np.ndarray | None]:
    """All arrays by name as models take them, and labels or None, of a file that `save_arrays` wrote."""
    return {name: column.all() for name, column in open_samples(path).items()}, load_labels(path)


def load_labels(path: str | Path) -> np.ndarray | None:
    """The labels beside a file that `save_arrays` wrote, or None."""
    labels = _labels_beside(path)
    return np.load(labels, allow_pickle=False) if labels.exists() else None


def _labels_beside(path: str | Path) -> Path:
    return Path(path).with_suffix(".labels.npy")


def read_array_file(path: Path) -> Arrays:
    """Arrays of numbers by name from a ``.npy`` file, or from an ``.npz`` (its only array, or one per input name).

    Floats are in single precision.

    Raises:
        UsageError: ``EK-DATA``: it holds none.
    """
    try:
        stored = read_arrays(path)
    except UsageError as error:
        raise UsageError("EK-DATA", error.message, error.hint) from error
    if not stored:
        raise UsageError("EK-DATA", f"{path} holds no arrays", "save it with numpy.savez(FILE, NAME=array)")
    arrays = _numbers(path.name, {DEFAULT_INPUT: next(iter(stored.values()))} if len(stored) == 1 else stored)
    return {name: single("EK-DATA", f"{path.name}'s {name!r}", array) for name, array in arrays.items()}


def _numbers(what: str, inputs: Mapping[Any, Any]) -> Arrays:
    """*inputs* as arrays of numbers, under names that a tensor may have."""
    arrays: Arrays = {}
    for given, value in inputs.items():
        name = tensor_name(given, DEFAULT_INPUT)
        if name in arrays:
            raise UsageError("EK-DATA", f"{what} names two inputs {name!r}", "give each input a name of its own")
        shown = f"{what}'s {name!r}" if len(inputs) > 1 else what
        arrays[name] = plain("EK-DATA", shown, value)
    return arrays


def check_inputs(name: str, inputs: Arrays) -> None:
    """Raise `UsageError` unless *inputs*, which are numbers, are finite, not empty and of one length."""
    for key, array in inputs.items():
        if array.ndim == 0:
            raise UsageError("EK-DATA", f"the {name} data's {key!r} is one number, not samples", "samples come first")
    lengths = {key: len(array) for key, array in inputs.items()}
    if not inputs or not all(array.size for array in inputs.values()):
        raise UsageError("EK-DATA", f"the {name} data is empty", "it has to hold at least one sample")
    if len(set(lengths.values())) > 1:
        message = f"the {name} data's inputs differ in length: {lengths}"
        raise UsageError("EK-DATA", message, "one row per sample in each")
    for array in inputs.values():
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            bad = int(np.argmin(np.isfinite(array).reshape(len(array), -1).all(axis=1)))
            message = f"the {name} data holds NaN or infinity, first in sample {bad}"
            raise UsageError("EK-DATA", message, "clean the data")


def _read(root: Path, name: str, reference: str) -> tuple[Arrays, np.ndarray | None]:
    file, function = split_reference(reference)
    if function is not None:
        value = load_callable(root / file, function)()
        what = f"{file}:{function}()"
    else:
        arrays = read_array_file(root / file)
        what = file
        value = (arrays["x"], arrays["y"]) if {"x", "y"} <= arrays.keys() else arrays
    inputs, labels = value if isinstance(value, tuple) and len(value) == 2 else (value, None)
    arrays = _numbers(what, inputs if isinstance(inputs, Mapping) else {DEFAULT_INPUT: inputs})
    check_inputs(name, arrays)
    return arrays, None if labels is None else plain("EK-DATA", f"the labels of {what}", labels)


def _store(root: Path, out: Path, name: str, reference: str, classes: int, process: Preprocessing | None) -> None:
    """Write the set called *name*; nothing of it is in memory afterwards."""
    inputs, labels = _read(root, name, reference)
    if labels is not None:
        _check_labels(name, labels, len(next(iter(inputs.values()))), classes)
    arrays = _fitting(name, inputs, process)
    if process is not None:
        arrays = {key: process.arranged_batch(array) for key, array in arrays.items()}
        process = replace(process, resize=None)
    save_arrays(out / f"{name}.npz", arrays, labels, process)


def _fitting(name: str, inputs: Arrays, process: Preprocessing | None) -> Arrays:
    """*inputs* in single precision, if they are what *process* takes."""
    if process is not None and len(inputs) != 1:
        message = f"[preprocessing] needs one input, the {name} data has {len(inputs)}"
        raise UsageError("EK-DATA", message, "prepare it in data.py")
    return {key: single("EK-DATA", f"the {name} data's {key!r}", array) for key, array in inputs.items()}


def _check_labels(name: str, labels: np.ndarray, samples: int, classes: int) -> None:
    if len(labels) != samples:
        raise UsageError("EK-DATA", f"the {name} data has {samples} samples but {len(labels)} labels", "one label each")
    if labels.dtype.kind == "f" and not np.isfinite(labels).all():
        raise UsageError("EK-DATA", f"the {name} data's labels hold NaN or infinity", "clean the data")
    if classes and labels.dtype.kind in "iu" and labels.ndim == 1 and not 0 <= labels.min() <= labels.max() < classes:
        raise UsageError(
            "EK-DATA",
            f"the {name} labels run from {labels.min()} to {labels.max()}, but data.labels names {classes} classes",
            "labels are indices from 0; name every class in data.labels",
        )


def _check_alike(sets: Mapping[str, _Inputs]) -> None:
    """Raise `UsageError` unless all sets have the same inputs, of one shape for a sample."""
    expected = sets["evaluation"]
    for name, inputs in sets.items():
        if inputs.keys() != expected.keys():
            message = f"the {name} data's inputs are {', '.join(inputs)}, the evaluation data's {', '.join(expected)}"
            raise UsageError("EK-DATA", message, "give them the same names in all sets")
        for key, array in inputs.items():
            if array.shape[1:] != expected[key].shape[1:]:
                shapes = f"{list(array.shape[1:])}, the evaluation data's {list(expected[key].shape[1:])}"
                message = f"samples of the {name} data have the shape {shapes}"
                raise UsageError("EK-DATA", message, "give them one shape")


def _draw(sets: Mapping[str, Mapping[str, Column]], name: str, wanted: int, seed: int) -> Arrays:
    """So many calibration samples of the data set called *name*, chosen at random."""
    if name not in sets:
        message = f"data.calibration draws from {name!r}, which the project lacks"
        raise UsageError("EK-DATA", message, f"add data.{name}")
    inputs = sets[name]
    available = len(next(iter(inputs.values())))
    chosen = np.sort(np.random.default_rng(seed).permutation(available)[:wanted])
    return {key: array[chosen] for key, array in inputs.items()}
