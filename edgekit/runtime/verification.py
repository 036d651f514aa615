"""Whether a bundle's variants still give, here, what they gave when they were built."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from edgekit.bundle import Bundle, Variant
from edgekit.errors import BundleError, EdgekitError, LimitError
from edgekit.runtime import environments
from edgekit.runtime.engines import engine as find_engine
from edgekit.runtime.engines import engine_names
from edgekit.runtime.remote import Server
from edgekit.runtime.selection import choices
from edgekit.tensors import Signature, agreement, max_abs_diff, near_constant, snr_db

#: An exact float copy of the model differs from it by rounding only, on any machine.
FP32_MINIMUM_SNR_DB = 80.0

#: How far below the SNR of the build a quantized variant may fall: other kernels round otherwise, no more.
SNR_MARGIN_DB = 3.0

PASSED, FAILED, NOT_RUN = "passed", "failed", "not run"


@dataclass(frozen=True)
class Verification:
    """One variant on one engine against the float reference.

    Attributes:
        status: ``passed``, ``failed`` or ``not run``.
        reason: Why not, in one line; empty when it passed.
        snr_db, max_abs_diff, agreement: Those of the worst output; None when it did not run to the end.
        required_snr_db: What `snr_db` has to reach.
        threads: Threads the engine used; None when it did not load.
    """

    variant: str
    engine: str
    status: str
    reason: str
    required_snr_db: float
    snr_db: float | None = None
    max_abs_diff: float | None = None
    agreement: float | None = None
    threads: int | None = None

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def verify(
    bundle: Bundle,
    *,
    features: Collection[str],
    threads: int,
    variant: str | None = None,
    report: Callable[[str], None] | None = None,
) -> tuple[Verification, ...]:
    """Hash every file, then run each variant on each engine that loads its format over the check vectors.

    Engines run in processes of their own, so that one that crashes is a failed row.

    Args:
        features: CPU features of this machine, as `edgekit.runtime.machine` names them.
        variant: Name of the only one to run.
        report: Called with one line before each run.

    Raises:
        BundleError: A file is damaged, or the check vectors do not fit the signature.
        LimitError: ``EK-VERIFY``: the reference outputs are (near) constant and would prove nothing.
    """
    bundle.verify()
    signature = bundle.manifest.signature
    samples, reference = _check_vectors(bundle, signature)
    pairs: list[tuple[str, str]] = []
    rows: dict[tuple[str, str], Verification] = {}
    usable: dict[str, list[Variant]] = {}
    variants = [entry for entry in bundle.manifest.variants if variant in (None, entry.name)]
    for entry in variants:
        own = [name for name in engine_names() if entry.format in find_engine(name).formats]
        for name in dict.fromkeys([*entry.engines, *own]):
            pairs.append((entry.name, name))
            if name in engine_names():
                choice = choices(bundle.manifest, features, entry.name, name)[0]
                if choice.usable:
                    usable.setdefault(name, []).append(entry)
                    continue
                reason = choice.reason
            else:
                reason = "this edgekit does not know the engine"
            rows[entry.name, name] = Verification(entry.name, name, NOT_RUN, reason, required_snr_db(entry))
    for name, entries in usable.items():
        rows.update(_run_engine(name, entries, bundle, samples, reference, threads, report))
    return tuple(rows[pair] for pair in pairs)


def required_snr_db(variant: Variant) -> float:
    """The SNR that *variant* has to reach anywhere, in dB."""
    return FP32_MINIMUM_SNR_DB if variant.recipe == "fp32" else round(variant.snr_db - SNR_MARGIN_DB, 2)


def _run_engine(
    name: str,
    entries: list[Variant],
    bundle: Bundle,
    samples: list[list[np.ndarray]],
    reference: Mapping[str, np.ndarray],
    threads: int,
    report: Callable[[str], None] | None,
) -> dict[tuple[str, str], Verification]:
    """Run *entries* one after the other in one process of the engine; a new one after a crash."""
    rows = {}
    module = "edgekit.runtime.serve"
    elsewhere = environments.is_needed(name)
    command = environments.command(name, module) if elsewhere else environments.command_here(module)
    server = Server.start(name, command)
    try:
        for entry in entries:
            if report is not None:
                report(f"{entry.name} on {name}")
            if not server.alive:
                server.close()
                server = Server.start(name, command)
            try:
                rows[entry.name, name] = _run(server, entry, name, bundle, samples, reference, threads)
            except EdgekitError as error:
                reason = f"{error.code}: {error.message}"
                rows[entry.name, name] = Verification(entry.name, name, FAILED, reason, required_snr_db(entry))
    finally:
        server.close()
    return rows


def _run(
    server: Server,
    entry: Variant,
    name: str,
    bundle: Bundle,
    samples: list[list[np.ndarray]],
    reference: Mapping[str, np.ndarray],
    threads: int,
) -> Verification:
    signature = bundle.manifest.signature
    session = server.open(bundle.read(entry.file), entry.format, signature, threads)
    outputs = [session.run(sample) for sample in samples]
    session.close()
    measured = {
        spec.name: np.concatenate([row[index] for row in outputs]) for index, spec in enumerate(signature.outputs)
    }
    worst = round(min(snr_db(array, measured[key]) for key, array in reference.items()), 2)
    required = required_snr_db(entry)
    passed = worst >= required
    finite = all(bool(np.isfinite(array).all()) for array in measured.values())
    return Verification(
        entry.name,
        name,
        PASSED if passed else FAILED,
        "" if passed else f"SNR {worst:.1f} dB, at least {required:.1f} dB are due" if finite else "outputs not finite",
        required,
        worst,
        max(max_abs_diff(array, measured[key]) for key, array in reference.items()) if finite else None,
        min(agreement(array, measured[key]) for key, array in reference.items()) if finite else None,
        session.threads,
    )


def _check_vectors(bundle: Bundle, signature: Signature) -> tuple[list[list[np.ndarray]], dict[str, np.ndarray]]:
    """The check inputs, one list of arrays per sample, and the reference outputs by name."""
    inputs, reference = bundle.check_vectors()
    count = len(next(iter(inputs.values()), ()))
    for specs, arrays in ((signature.inputs, inputs), (signature.outputs, reference)):
        for spec in specs:
            array = arrays.get(spec.name)
            if array is None or array.shape != (count, *spec.shape[1:]) or array.dtype != np.dtype(spec.dtype):
                raise BundleError("EK-BUNDLE", f"{bundle.path}: the check vectors of {spec.name!r} do not fit")
    if count == 0 or all(near_constant(reference[spec.name]) for spec in signature.outputs):
        raise LimitError(
            "EK-VERIFY",
            "the bundle's reference outputs hardly depend on the input, so that they prove nothing",
            "build it again from a trained model",
        )
    columns = [inputs[spec.name] for spec in signature.inputs]
    samples = [[column[index : index + 1] for column in columns] for index in range(count)]
    return samples, {spec.name: reference[spec.name] for spec in signature.outputs}
