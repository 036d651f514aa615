"""Each bucket of a file, run by its real engine and compared with the float source model at its own shape.

One that takes a range is so at the bounds of that, and between them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from edgekit.errors import ConversionError
from edgekit.fidelity import compare
from edgekit.formats import FORMATS
from edgekit.pipeline.data import load_arrays
from edgekit.pipeline.exporters.symptoms import explaining
from edgekit.pipeline.work.answers import Answer
from edgekit.runtime.engines import Session, open_session
from edgekit.tensors import Signature, grouped

_HINT = "leave that size out of [model.buckets]"


@dataclass(frozen=True)
class BucketRuns(Answer):
    """How near to the float model each method came, in dB."""

    snr_db: Mapping[str, float]


def run_buckets(
    *, file: str, format: str, methods: Sequence[Mapping[str, Any]], minimum_snr_db: float
) -> dict[str, Any]:
    """Run the buckets of *file*; a task for a worker.

    Args:
        methods: Of each, ``name``, ``signature`` at its largest, and ``trials`` that it is held against, each an
            `edgekit.pipeline.model.bucketed.Trial`.
        minimum_snr_db: What all have to reach.

    Returns:
        `BucketRuns`, as JSON.

    Raises:
        ConversionError: ``EK-QUALITY``: a bucket gives something else than the model.
        EdgekitError: ``EK-RUN``: the engine failed.
    """
    data, found = Path(file).read_bytes(), dict[str, float]()
    for method in methods:
        name, signature = method["name"], Signature.from_json(method["signature"])
        with explaining():
            session = open_session(FORMATS[format].engine, data, format, signature, 1, name)
        try:
            runs = [_run(session, name, signature, trial, minimum_snr_db) for trial in method["trials"]]
        finally:
            session.close()
        found[name] = round(min(runs), 2)
    return asdict(BucketRuns(found))


def _run(session: Session, name: str, signature: Signature, trial: Mapping[str, Any], minimum_snr_db: float) -> float:
    """How near to the float model the method *name* comes for the samples of *trial*, in dB."""
    expected, _ = load_arrays(trial["outputs"])
    count = len(next(iter(expected.values())))
    groups = list(_groups(signature, trial))
    where = f"bucket {name} at {list(groups[0][0].shape)}"
    with explaining():
        answers = [session.run(group) for group in groups]
    columns = zip(signature.outputs, zip(*answers, strict=True), strict=True)
    measured = {spec.name: np.concatenate(column)[:count] for spec, column in columns}
    for output, array in measured.items():
        if array.shape != expected[output].shape:
            shapes = f"{list(array.shape[1:])}, not {list(expected[output].shape[1:])}"
            raise ConversionError("EK-QUALITY", f"{where}: output {output!r} of a sample is {shapes}", _HINT)
    compared = compare(expected, measured)
    if not all(np.isfinite(array).all() for array in measured.values()):
        raise ConversionError("EK-QUALITY", f"{where}: an output holds NaN or infinity", _HINT)
    if fault := compared.fault(minimum_snr_db):
        raise ConversionError("EK-QUALITY", f"{where}: {fault}", f"{_HINT}, or use fp32")
    return compared.snr_db


def _groups(signature: Signature, trial: Mapping[str, Any]) -> Sequence[list[np.ndarray]]:
    arrays, _ = load_arrays(trial["inputs"])
    count = len(next(iter(arrays.values())))
    samples = [[arrays[spec.name][row : row + 1] for spec in signature.inputs] for row in range(count)]
    return list(grouped(samples, trial["batch"]))
