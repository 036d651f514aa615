"""What workers do with a source model: look what it is, prepare it for exporters, and run it over the samples."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from edgekit.errors import UsageError
from edgekit.fidelity import MAX_SNR_DB, compare, near_constant
from edgekit.numbers import fit
from edgekit.pipeline.data import Arrays, load_arrays, save_arrays
from edgekit.pipeline.sources import Source, SourceSpec, open_source
from edgekit.pipeline.sources.samples import check_fit
from edgekit.runtime.samples import Column, open_samples
from edgekit.source_kinds import SOURCE_KINDS

_NOT_FINITE = (
    "look for the logarithm or root of a negative number, a division by 0, the deviation of one sample (std() of a "
    "batch); or train it again, where its weights have grown too large"
)
#: Samples that are run again with other last bits.
_NUDGED_SAMPLES = 32


def describe(*, source: Mapping[str, Any]) -> dict[str, Any]:
    """The source model's signature and size; a task for a worker of its framework."""
    return _facts(open_source(SourceSpec.from_json(source)))


def prepare(*, source: Mapping[str, Any], samples: str, calibration: str, directory: str) -> dict[str, Any]:
    """Look whether files can do what the source model does, and keep what exporters need of it; a task.

    Args:
        samples, calibration: Files that `edgekit.pipeline.data.save_arrays` wrote, by the data's names.
        directory: Takes ``sample.npz``, one sample as the signature has it; the weights that a factory made; and, where
            names, order or types of the calibration data are not the signature's, ``calibration.npz`` as it has them.

    Returns:
        An `edgekit.pipeline.work.answers.ModelAnswer`, as JSON.

    Raises:
        UsageError: ``EK-DATA`` when data and model do not fit, ``EK-SOURCE`` when no file can do what the model does.
    """
    out = Path(directory)
    given = open_samples(samples)
    sample = out / "sample.npz"
    save_arrays(sample, {name: column[:1] for name, column in given.items()})
    spec = replace(SourceSpec.from_json(source), sample=str(sample))
    made = out / SOURCE_KINDS[spec.kind].made_weights if spec.factory and not spec.weights else None
    opened = open_source(spec if made is None else replace(spec, made=str(made)))
    check_fit(opened.signature.inputs, opened.data_names, given)
    names = {spec.name: name for spec, name in zip(opened.signature.inputs, opened.data_names, strict=True)}
    inputs = open_samples(samples, opened.signature.inputs, names)
    opened.check(inputs)
    save_arrays(sample, {name: column[:1] for name, column in inputs.items()})
    drawn = load_arrays(calibration)[0]
    wanted = [(spec.name, spec.dtype) for spec in opened.signature.inputs]
    fitted = wanted != [(name, array.dtype.name) for name, array in drawn.items()]
    if fitted:
        save_arrays(out / "calibration.npz", _fitted(opened, drawn, "calibration"))
    return {
        **_facts(opened),
        "made": None if made is None else made.name,
        "names": names,
        "fitted": fitted,
        "batches": opened.takes_batches(inputs),
    }


def evaluate(*, source: Mapping[str, Any], samples: str, names: Mapping[str, str], outputs: str) -> dict[str, Any]:
    """Run the source model over *samples*, and write its outputs to the ``.npz`` *outputs*; a task.

    Args:
        source, names: As `prepare` left them.

    Returns:
        ``rounding_db``: how near to its own outputs the model stays, in the worst column, when every weight is moved to
        a number next to it.

    Raises:
        UsageError: ``EK-UNTRAINED`` when outputs hardly depend on the input, ``EK-SOURCE`` when they are not finite.
    """
    opened = open_source(SourceSpec.from_json(source))
    inputs = open_samples(samples, opened.signature.inputs, names)
    results = opened.predict(inputs)
    for name, array in results.items():
        if not np.isfinite(array).all():
            bad = int(np.argmin(np.isfinite(array).reshape(len(array), -1).all(1)))
            what = f"the source model's output {name!r} holds NaN or infinity, first for sample {bad}"
            raise UsageError("EK-SOURCE", what, _NOT_FINITE)
    if all(near_constant(array) for array in results.values()):
        message = "the source model's outputs hardly depend on its input, so no comparison would mean anything"
        raise UsageError("EK-UNTRAINED", message, "train it first, or load trained weights with model.weights")
    save_arrays(outputs, results)
    return {"rounding_db": _rounding_db(opened, inputs, results)}


def _rounding_db(opened: Source, inputs: Mapping[str, Column], results: Arrays) -> float:
    """How far the column that float32 leaves most open moves with the last bit of every weight; *opened* is changed."""
    count = len(next(iter(inputs.values())))
    tried = np.linspace(0, count - 1, min(count, _NUDGED_SAMPLES)).round().astype(int)
    opened.nudge(np.random.default_rng(0))
    moved = opened.predict({name: column[tried] for name, column in inputs.items()})
    if not all(np.isfinite(array).all() for array in moved.values()):
        return -MAX_SNR_DB
    return round(compare({name: array[tried] for name, array in results.items()}, moved).worst.snr_db, 2)


def _facts(opened: Source) -> dict[str, Any]:
    return {
        "framework": opened.framework,
        "signature": opened.signature.to_json(),
        "parameter_count": opened.parameter_count,
    }


def _fitted(opened: Source, data: Arrays, name: str) -> Arrays:
    """*data* by the signature's names, and of its types."""
    specs, names = opened.signature.inputs, opened.data_names
    check_fit(specs, names, data)
    return {
        spec.name: fit("EK-DATA", f"the {name} data's {given!r}", data[given], spec.dtype)
        for spec, given in zip(specs, names, strict=True)
    }
