"""A bundle's check inputs through its variants, each engine in a process of its own, wherever that runs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from edgekit.bundle import Bundle
from edgekit.display import Log
from edgekit.errors import BundleError, EdgekitError, LimitError
from edgekit.fidelity import near_constant
from edgekit.manifest import Variant
from edgekit.runtime.contents import read_variant
from edgekit.runtime.remote import Server, serve_here
from edgekit.tensors import Signature, grouped, rows_of


@dataclass(frozen=True)
class CheckVectors:
    """What goes into a model, and what has to come out.

    Attributes:
        samples: For each sample one array per input, in the signature's order, with a batch axis of size 1.
        reference: The float reference's outputs by name, samples first. Of a file that was given, what an engine gave
            where that was; or nothing.
        class_scores: The output whose largest value is the class; None for none.
    """

    signature: Signature
    samples: tuple[list[np.ndarray], ...]
    reference: Mapping[str, np.ndarray]
    class_scores: str | None

    def joined(self, rows: Sequence[Sequence[np.ndarray]], batch: int = 1) -> dict[str, np.ndarray]:
        """Outputs by name, samples first, of what inferences of *batch* samples each gave, in the signature's order."""
        columns = zip(self.signature.outputs, zip(*rows, strict=True), strict=True)
        return {
            spec.name: np.concatenate([np.atleast_1d(array) for array in column])[: len(self.samples) * rows_of(spec)]
            for spec, column in columns
        }


@dataclass(frozen=True)
class CheckRun:
    """One variant on one engine over all samples.

    Attributes:
        outputs: By name, samples first; None when it failed.
        failure: Why it failed, in one line; empty when it did not.
        threads: Threads the engine used; None when it did not load.
    """

    outputs: Mapping[str, np.ndarray] | None
    failure: str = ""
    threads: int | None = None


def check_vectors(bundle: Bundle) -> CheckVectors:
    """The check vectors of *bundle*.

    Raises:
        BundleError: They do not fit the signature.
        LimitError: ``EK-VERIFY``: the reference outputs are (near) constant and would prove nothing.
    """
    signature = bundle.manifest.signature
    inputs, reference = bundle.check_vectors()
    count = len(inputs.get(signature.inputs[0].name, ())) // rows_of(signature.inputs[0])
    given = bundle.manifest.is_given
    sides = [(signature.inputs, inputs), *([(signature.outputs, reference)] if reference or not given else [])]
    for specs, arrays in sides:
        for spec in specs:
            array, rows = arrays.get(spec.name), count * rows_of(spec)
            if array is None or array.shape != (rows, *spec.shape[1:]) or array.dtype != np.dtype(spec.dtype):
                what = f"{bundle.path}: the check vectors of {spec.name!r} do not fit its signature"
                raise BundleError("EK-BUNDLE", what, "build the bundle again")
    if count == 0 or (not given and all(near_constant(reference[spec.name]) for spec in signature.outputs)):
        raise LimitError(
            "EK-VERIFY",
            "the bundle's reference outputs hardly depend on the input, so that they prove nothing",
            "build it again from a trained model",
        )
    columns = [(inputs[spec.name], rows_of(spec)) for spec in signature.inputs]
    samples = tuple([array[index * n : (index + 1) * n] for array, n in columns] for index in range(count))
    named = {spec.name: reference[spec.name] for spec in signature.outputs if spec.name in reference}
    return CheckVectors(signature, samples, named, bundle.manifest.class_scores)


def run_checks(
    bundle: Bundle,
    vectors: CheckVectors,
    pairs: Sequence[tuple[Variant, str]],
    *,
    threads: int,
    command: Callable[[str], list[str]] = serve_here,
    log: Log | None = None,
) -> dict[tuple[str, str], CheckRun]:
    """Run each variant on the engine that it is paired with; by names of variant and engine.

    An engine's variants run one after the other in one process, and in a new one after a crash, which is a
    failed run.

    Args:
        command: The command line that runs `edgekit.runtime.remote_child` for an engine.

    Raises:
        BundleError: A file holds more than data, or is damaged.
    """
    for name in dict.fromkeys(variant.name for variant, _ in pairs):
        read_variant(bundle, bundle.manifest.variant(name))
    runs = {}
    for engine in dict.fromkeys(name for _, name in pairs):
        server = Server.start(engine, command(engine))
        try:
            for variant in (variant for variant, name in pairs if name == engine):
                if log is not None:
                    log(f"{variant.name} on {engine}")
                if not server.alive:
                    server.close()
                    server = Server.start(engine, command(engine))
                try:
                    runs[variant.name, engine] = _run(server, variant, bundle, vectors, threads)
                except EdgekitError as error:
                    runs[variant.name, engine] = CheckRun(None, f"{error.code}: {error.message}")
        finally:
            server.close()
    return runs


def _run(server: Server, variant: Variant, bundle: Bundle, vectors: CheckVectors, threads: int) -> CheckRun:
    signature = vectors.signature.batched(variant.batch)
    session = server.open(bundle.read(variant.file), variant.format, signature, threads)
    rows = [session.run(group) for group in grouped(vectors.samples, variant.batch)]
    session.close()
    return CheckRun(vectors.joined(rows, variant.batch), "", session.threads)
