"""Whether a bundle's variants still give, here, what they gave when they were built."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from edgekit.bundle import Bundle
from edgekit.display import Log
from edgekit.fidelity import compare
from edgekit.manifest import Variant
from edgekit.recipes import RECIPES
from edgekit.runtime import agreement
from edgekit.runtime.check_runs import CheckRun, CheckVectors, check_vectors, run_checks
from edgekit.runtime.engines import ENGINES, is_browser_engine
from edgekit.runtime.machine import Machine
from edgekit.runtime.selection import why_not

PASSED, FAILED, NOT_RUN = "passed", "failed", "not run"


@dataclass(frozen=True)
class Verification:
    """One variant on one engine against the float reference.

    Attributes:
        status: ``passed``, ``failed`` or ``not run``.
        reason: Why not, in one line; empty when it passed.
        snr_db, worst_column, worst_column_snr_db, max_abs_diff, agreement: See `edgekit.manifest.Variant`; None when it
            did not run to the end.
        required_snr_db: What `snr_db` has to reach; None for a variant that was exported, not run.
        threads: Threads the engine used; None when it did not load.
        host_rel_diff: The largest difference from what the same engine gives on the host, relative to the largest
            output there; 0 means the same bits. None when only one of them ran (on the host itself, nothing else
            is run).
        matches_host: Whether that is no more than it may be; None where no bound is known (see `edgekit.recipes`).
        is_given: Whether the file was given, and not built: there is no float reference then, and outputs are held
            against those of an engine of the machine where it was taken in.
        guest_instructions: Instructions of one inference on an emulated board; None when they were not counted.
    """

    variant: str
    engine: str
    status: str
    reason: str
    required_snr_db: float | None
    snr_db: float | None = None
    worst_column: str | None = None
    worst_column_snr_db: float | None = None
    max_abs_diff: float | None = None
    agreement: float | None = None
    threads: int | None = None
    host_rel_diff: float | None = None
    matches_host: bool | None = None
    guest_instructions: int | None = None
    is_given: bool = False


def verify(
    bundle: Bundle, *, machine: Machine, threads: int, variant: str | None = None, log: Log | None = None
) -> tuple[Verification, ...]:
    """Hash every file, then run each variant on each engine that loads its format over the check vectors.

    Engines run in processes of their own, so that one that crashes is a failed row.

    Args:
        machine: This one.
        variant: Name of the only one to run.

    Raises:
        BundleError: A file is damaged, or the check vectors do not fit the signature.
        LimitError: ``EK-VERIFY``: the reference outputs are (near) constant and would prove nothing.
    """
    bundle.verify()
    vectors = check_vectors(bundle)
    pairs = [
        (entry, name)
        for entry in bundle.manifest.variants
        if variant in (None, entry.name)
        for name in dict.fromkeys(
            [*entry.engines, *(engine.name for engine in ENGINES if entry.format in engine.formats)]
        )
        if not is_browser_engine(name)
    ]
    refused = {(entry.name, name): why_not(bundle.manifest, entry, name, machine) for entry, name in pairs}
    runnable = [(entry, name) for entry, name in pairs if not refused[entry.name, name]]
    runs = run_checks(bundle, vectors, runnable, threads=threads, log=log)
    again = [(entry, name) for entry, name in runnable if entry.given is not None]
    repeated = run_checks(bundle, vectors, again, threads=threads)
    return tuple(
        _same_again(judge(entry, name, vectors, runs[entry.name, name]), runs, repeated)
        if (entry.name, name) in runs
        else not_run(entry, name, refused[entry.name, name])
        for entry, name in pairs
    )


def not_run(variant: Variant, engine: str, reason: str) -> Verification:
    return Verification(
        variant.name, engine, NOT_RUN, reason, _required_snr_db(variant), is_given=variant.given is not None
    )


def _same_again(
    row: Verification, runs: Mapping[tuple[str, str], CheckRun], repeated: Mapping[tuple[str, str], CheckRun]
) -> Verification:
    """*row*, failed where its run was *repeated* and gave other outputs: there is no reference that would tell."""
    first, second = runs[row.variant, row.engine].outputs, repeated.get((row.variant, row.engine))
    if row.status != PASSED or first is None or second is None or second.outputs is None:
        return row
    if all(first[name].tobytes() == second.outputs[name].tobytes() for name in first):
        return row
    return replace(row, status=FAILED, reason="gives different outputs for the same input from one run to the next")


def _judge_given(
    row: Verification, variant: Variant, vectors: CheckVectors, outputs: Mapping[str, np.ndarray]
) -> Verification:
    """What *outputs* of a file that was given come to: against those that an engine gave when it was taken in."""
    said = agreement.remarks(vectors.signature.outputs, outputs)
    row = replace(row, status=PASSED, reason=said, is_given=True)
    if not vectors.reference or variant.given is None:
        return row
    found, most = agreement.difference(vectors.reference, outputs), agreement.tolerance(variant.recipe)
    row = replace(row, host_rel_diff=found, matches_host=found <= most)
    if found <= most:
        return row
    reason = f"differs from {variant.given.reference} by {found:.1g} of the largest output, at most {most:g} is usual"
    return replace(row, status=FAILED, reason=reason)


def judge(variant: Variant, engine: str, vectors: CheckVectors, run: CheckRun) -> Verification:
    """What a run of *variant* comes to: against the float reference if it was built, against an engine if given."""
    row = Verification(variant.name, engine, FAILED, run.failure, _required_snr_db(variant), threads=run.threads)
    if run.outputs is None:
        return replace(row, is_given=variant.given is not None)
    if variant.given is not None:
        return _judge_given(row, variant, vectors, run.outputs)
    assert variant.required is not None
    if not all(np.isfinite(measured).all() for measured in run.outputs.values()):
        return replace(row, reason="outputs not finite")
    found = compare(vectors.reference, run.outputs, vectors.class_scores)
    fault = found.fault(variant.required.snr_db, variant.required.column_snr_db)
    return replace(
        row,
        status=FAILED if fault else PASSED,
        reason=fault or "",
        snr_db=round(found.snr_db, 2),
        worst_column=found.worst.name,
        worst_column_snr_db=round(found.worst.snr_db, 2),
        max_abs_diff=found.max_abs_diff,
        agreement=found.agreement,
    )


def _required_snr_db(variant: Variant) -> float | None:
    return None if variant.required is None else variant.required.snr_db


def compared(row: Verification, variant: Variant, run: CheckRun, host: CheckRun | None) -> Verification:
    """*row*, of *run* on a device, with what the *host*'s run of the same pair says of it."""
    if run.outputs is None or host is None or host.outputs is None:
        return row
    differences = [agreement.relative(host.outputs[name], measured) for name, measured in run.outputs.items()]
    worst = max(differences)
    if row.is_given:
        return replace(row, host_rel_diff=worst, matches_host=worst <= agreement.tolerance(variant.recipe))
    recipe = RECIPES.get(variant.recipe)
    tolerance = None if recipe is None else recipe.host_tolerance
    return replace(row, host_rel_diff=worst, matches_host=None if tolerance is None else worst <= tolerance)
