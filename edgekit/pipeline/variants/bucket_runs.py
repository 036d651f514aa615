"""Each bucket of a file, run by its real engine and compared with the float source model at its own shape."""

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
from edgekit.runtime.engines import open_session
from edgekit.tensors import Signature, grouped


@dataclass(frozen=True)
class BucketRuns(Answer):
    """How near to the float model each method came, in dB."""

    snr_db: Mapping[str, float]


def run_buckets(
    *, file: str, format: str, methods: Sequence[Mapping[str, Any]], minimum_snr_db: float
) -> dict[str, Any]:
    """Run the buckets of *file*; a task for a worker.

    Args:
        methods: Of each, ``name``, ``signature``, and the files ``inputs`` and ``outputs`` of samples one by one.
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
                answers = [session.run(group) for group in _groups(signature, method["inputs"])]
            finally:
                session.close()
        expected, _ = load_arrays(method["outputs"])
        count = len(next(iter(expected.values())))
        columns = zip(signature.outputs, zip(*answers, strict=True), strict=True)
        measured = {spec.name: np.concatenate(column)[:count] for spec, column in columns}
        compared = compare(expected, measured)
        if not all(np.isfinite(array).all() for array in measured.values()):
            raise ConversionError(
                "EK-QUALITY", f"bucket {name}: an output holds NaN or infinity", "leave that bucket out"
            )
        if fault := compared.fault(minimum_snr_db):
            raise ConversionError("EK-QUALITY", f"bucket {name}: {fault}", "leave that bucket out, or use fp32")
        found[name] = round(compared.snr_db, 2)
    return asdict(BucketRuns(found))


def _groups(signature: Signature, inputs: str) -> Sequence[list[np.ndarray]]:
    arrays, _ = load_arrays(inputs)
    count = len(next(iter(arrays.values())))
    samples = [[arrays[spec.name][row : row + 1] for spec in signature.inputs] for row in range(count)]
    return list(grouped(samples, signature.inputs[0].shape[0]))
