"""What is the same for everything that is compared: the inputs, and the conditions on record."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from edgekit.bundle import Bundle
from edgekit.digests import sha256
from edgekit.errors import BundleError
from edgekit.runtime import frames
from edgekit.runtime.profiler.records import Conditions
from edgekit.tensors import Signature, TensorSpec, rows_of


def first_inputs(bundle: Bundle) -> list[np.ndarray]:
    """The first sample of the check inputs, in the signature's order: every process gets the same bytes.

    Raises:
        BundleError: It does not fit the signature.
    """
    signature = bundle.manifest.signature
    files: dict[str, str] = dict(bundle.manifest.checks["inputs"])
    try:
        data = frames.pack([bundle.array(files[spec.name])[: rows_of(spec)] for spec in signature.inputs])
        return frames.unpack(data, signature.inputs)
    except (KeyError, ValueError) as error:
        raise BundleError("EK-BUNDLE", f"{bundle.path}: the check inputs do not fit the signature") from error


def conditions(
    signature: Signature,
    inputs: Sequence[np.ndarray],
    recipe: str,
    accelerator: str,
    cpus: tuple[int, ...] | None,
    threads: int | None = None,
) -> Conditions:
    """The conditions under which *inputs* are run."""
    shape = signature.inputs[0].shape
    return Conditions(
        threads=threads,
        inputs_sha256=sha256(frames.pack(inputs)),
        inputs=_described(signature.inputs),
        outputs=_described(signature.outputs),
        precision=recipe,
        batch=shape[0] if shape else 1,
        accelerator=accelerator,
        cpus=cpus,
    )


def _described(specs: Sequence[TensorSpec]) -> tuple[str, ...]:
    return tuple(f"{spec.dtype}{list(spec.shape)}" for spec in specs)
