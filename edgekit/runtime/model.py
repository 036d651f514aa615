"""A model on a device: numpy in, numpy out."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, overload

import numpy as np

from edgekit.buckets import Buckets
from edgekit.bundle import SUFFIX, Bundle
from edgekit.errors import UsageError, did_you_mean
from edgekit.manifest import Manifest
from edgekit.runtime import prepare
from edgekit.runtime.batcher import Batcher
from edgekit.runtime.bucketed import Bucketed
from edgekit.runtime.checked import checked
from edgekit.runtime.engines import Session, open_session
from edgekit.runtime.engines.base import WrongShape
from edgekit.runtime.floats import Floats, FloatSession
from edgekit.runtime.machine import default_threads, read_machine
from edgekit.runtime.preprocess import Preprocessing
from edgekit.runtime.selection import Choice, choices, choose
from edgekit.runtime.turn import Turn
from edgekit.tensors import Signature

if TYPE_CHECKING:
    from edgekit.runtime.profiler.profile import Profile

_ndarray = np.ndarray


class Model:
    """One method of one variant of a bundle on one engine; `load` makes it.

    Calls from several threads are safe; they take turns. A forked child may call it, unless a call was under way
    when it was forked, or the engine runs in a process of its own.

    Attributes:
        signature: Names, shapes and dtypes of inputs and outputs; the batch size is 1, and a length that may differ is
            its largest.
        buckets: Which batch sizes and lengths it takes besides; None where it has the signature's shapes alone.
        labels: Class names in output order; empty when the bundle has none.
        variant, engine: Names of what was chosen.
        method: Name of the method inside the file; None for its main one.
        threads: Threads the engine really uses.
        preprocessing: What `prepare` does to a raw sample, or None.
    """

    def __init__(
        self,
        session: Session,
        signature: Signature,
        *,
        variant: str,
        engine: str,
        method: str | None = None,
        labels: tuple[str, ...] = (),
        preprocessing: Preprocessing | None = None,
        source: Path | None = None,
        bucketed: Bucketed | None = None,
        buckets: Buckets | None = None,
    ):
        self.signature = signature
        self.variant = variant
        self.engine = engine
        self.method = method
        self.labels = labels
        self.preprocessing = preprocessing
        self.threads = session.threads
        self.buckets = buckets
        self._bucketed = bucketed
        self._session = session
        self._source = source
        self._turn = Turn()
        self._free = self._turn.free
        self._run: Callable[[list[np.ndarray]], list[np.ndarray]] = session.run
        self._run_one = session.run_one or _one(session.run, signature.inputs[0].shape)
        self._dtypes = tuple(np.dtype(spec.dtype) for spec in signature.inputs)
        # Where there are several inputs or outputs, None, which is no array's dtype.
        self._only_dtype = self._dtypes[0] if len(signature.inputs) == len(signature.outputs) == 1 else None

    def __call__(self, inputs: np.ndarray | Mapping[str, np.ndarray]) -> Any:
        """Run the model once.

        Args:
            inputs: The array, for a model of one input; else a mapping from input name to array. Shapes
                (batch axis of size 1 included) and dtypes have to be those of `signature`. With `buckets`, any number
                of samples first, of any length that there is a bucket for, or that lies in the range.

        Returns:
            A fresh array, for a model of one output; else a dict from output name to array.

        Raises:
            UsageError: ``EK-INPUT``: what is wrong with the input.
            EdgekitError: ``EK-RUN``: the engine failed; ``EK-CRASHED``: the process of an isolated one died.
        """
        # What this costs is added to every inference, which is why it does by itself what `Turn.run` does. What it
        # misses, `_ordered` looks at again: numpy has one object for each of its own types, and may have others.
        if inputs.__class__ is _ndarray and inputs.dtype is self._only_dtype:
            free = self._free
            try:
                del free[0]
            except KeyError:
                pass
            else:
                try:
                    return self._run_one(inputs)
                except WrongShape:
                    pass
                finally:
                    free[0] = None
                    if self._turn.waiting:
                        self._turn.hand_over()
        return self._call(inputs)

    def many(self, requests: Sequence[np.ndarray | Mapping[str, np.ndarray]]) -> list[Any]:
        """What a call gives for each of *requests*, in order; with `buckets`, computed together.

        Raises:
            UsageError, EdgekitError: As a call does, for any of them.
        """
        arrays = [self._ordered(request) for request in requests]
        bucketed = self._bucketed
        if bucketed is None:
            return [self._given(self._turn.run(partial(self._run, each))) for each in arrays]
        names = [spec.name for spec in self.signature.inputs]
        named = [dict(zip(names, each, strict=True)) for each in arrays]
        if self._run is _closed:
            _closed(None)
        found = self._turn.run(lambda: bucketed.run(named))
        return [self._given([each[spec.name] for spec in self.signature.outputs]) for each in found]

    def batched(self, *, max_batch: int | None = None, max_wait_ms: float = 2.0) -> Batcher[Any, Any]:
        """What threads call instead of the model, so that their requests run together (see `many`).

        Args:
            max_batch: The most requests in a batch; by default the largest bucket's.
            max_wait_ms: How long a request waits for others.

        Raises:
            UsageError: ``EK-ARGUMENT``: the model takes one sample at a time, so that there is nothing to gain.
        """
        if self.buckets is None or self.buckets.most_batch < 2:
            what = f"{self.variant} takes one sample at a time"
            raise UsageError(
                "EK-ARGUMENT", what, "name batch sizes in [model.buckets] of edgekit.toml, and build it again"
            )
        most = self.buckets.most_batch if max_batch is None else max_batch
        return Batcher(self.many, max_batch=most, max_wait_ms=max_wait_ms)

    def prepare(self, sample: Any) -> Any:
        """What the model takes, from a raw sample.

        Args:
            sample: An array, or the path of a file (see `edgekit.runtime.preprocess.read_sample`); for a model
                of several inputs, a mapping from input name to either.

        Returns:
            The sample with the bundle's preprocessing applied and a batch axis of size 1; of the signature's
            dtype where that loses no more than precision. For several inputs, a dict.

        Raises:
            UsageError: ``EK-INPUT``: the result does not fit the signature.
        """
        arrays = prepare.prepare(sample, self.signature, self.preprocessing)
        return arrays if len(arrays) > 1 else next(iter(arrays.values()))

    def profile(self, seconds: float = 5.0) -> Profile:
        """Measure this model here, as it is loaded: a warm-up, then at least *seconds* and 64 inferences.

        It is measured in this one process, beside whatever else the program does, on the first of the bundle's check
        inputs (zeros for a further method): a look at what the program gets. To compare variants or engines, use
        `edgekit profile`, which starts fresh processes that take turns.

        Returns:
            A profile of one bundle, one device and one cell; ``to_dataframe()`` has all its durations.

        Raises:
            UsageError: ``EK-ARGUMENT``: the model is closed, or *seconds* is not positive.
            BundleError: The bundle that it was loaded from is gone, or damaged.
        """
        from edgekit.runtime.profiler.fairness import first_inputs  # which most programs never need
        from edgekit.runtime.profiler.in_process import Loaded, profile_loaded
        from edgekit.runtime.profiler.profile import BundleRecord

        if self._run is _closed or self._source is None:
            raise UsageError("EK-ARGUMENT", "the model is closed" if self._source else "the model is of no bundle")
        with Bundle.open(self._source) as bundle:
            record, inputs = BundleRecord.of(bundle), first_inputs(bundle)
        if self.method is not None:
            inputs = [np.zeros(spec.shape, spec.dtype) for spec in self.signature.inputs]
        single = self._only_dtype is not None
        call: Callable[[Any], object] = self._run_one if single else self._run
        argument = inputs[0] if single else inputs
        loaded = Loaded(
            record, self.variant, self.engine, self.signature, self._session, call, argument, inputs, self._turn
        )
        return profile_loaded(loaded, seconds)

    def close(self) -> None:
        """Release the engine's memory; the model cannot be called after that."""
        self._turn.run(self._release)

    def __enter__(self) -> Model:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<edgekit model {self.variant} on {self.engine}, {self.threads} threads>"

    def _call(self, inputs: Any) -> Any:
        """`__call__` for whatever inputs."""
        if self._bucketed is not None:
            return self.many([inputs])[0]
        arrays = self._ordered(inputs)
        return self._given(self._turn.run(lambda: self._run(arrays)))

    def _given(self, outputs: Sequence[np.ndarray]) -> Any:
        if len(outputs) == 1:
            return outputs[0]
        return {spec.name: output for spec, output in zip(self.signature.outputs, outputs, strict=True)}

    def _release(self) -> None:
        self._run = self._run_one = _closed
        (self._bucketed or self._session).close()

    def _ordered(self, inputs: Any) -> list[np.ndarray]:
        """The arrays of *inputs* in the signature's order, after the full check."""
        specs = self.signature.inputs
        if len(specs) == 1 and not isinstance(inputs, Mapping):
            inputs = {specs[0].name: inputs}
        named = prepare.by_name(inputs, self.signature)
        return [
            checked(named[spec.name], spec, dtype, self._bucketed is None)
            for spec, dtype in zip(specs, self._dtypes, strict=True)
        ]


@overload
def load(
    bundle: str | Path | Bundle,
    *,
    variant: str | None = None,
    engine: str | None = None,
    method: str | None = None,
    threads: int | None = None,
    isolated: bool = False,
    shapes: Mapping[str, tuple[int, ...]] | None = None,
    dequantize: bool = False,
    explain: Literal[False] = False,
) -> Model: ...
@overload
def load(
    bundle: str | Path | Bundle,
    *,
    variant: str | None = None,
    engine: str | None = None,
    method: str | None = None,
    threads: int | None = None,
    isolated: bool = False,
    shapes: Mapping[str, tuple[int, ...]] | None = None,
    dequantize: bool = False,
    explain: Literal[True],
) -> tuple[Choice, ...]: ...
def load(
    bundle: str | Path | Bundle,
    *,
    variant: str | None = None,
    engine: str | None = None,
    method: str | None = None,
    threads: int | None = None,
    isolated: bool = False,
    shapes: Mapping[str, tuple[int, ...]] | None = None,
    dequantize: bool = False,
    explain: bool = False,
) -> Model | tuple[Choice, ...]:
    """Load the best variant of a bundle that this machine can run.

    Args:
        bundle: Path of a bundle, or an open one, which stays open; or of a model file as it is (``.tflite``, ``.pte``,
            ``.onnx``, ``.ncnn``), which is a bundle of one variant.
        variant, engine: Names, to choose oneself.
        method: Name of one of the bundle's further methods; by default its main one.
        threads: Threads to use; by default as many as this process may use cores, at most 4.
        isolated: Run the engine in a process of its own, for bundles whose maker is not known: a file that makes native
            code crash, or take all memory, then ends that process and not this one. A call takes about 0.1 ms more.
            Afterwards every call raises ``EK-CRASHED``, and the model can be loaded again.
        shapes: Of a model file as it is: shapes of inputs whose axes it leaves open, by name. An open first axis is
            a batch of one without.
        dequantize: Take and give floats where the file has quantized whole numbers.
        explain: Load nothing; return every variant on each of its engines, best first, with the reason why
            it can or cannot run here.

    Raises:
        BundleError: The bundle is damaged or missing.
        UsageError: There is no such variant, engine or method; an axis stays open.
        EdgekitError: ``EK-NO-VARIANT``: nothing in it can run here; ``EK-RUN``: the engine refuses the file;
            ``EK-CRASHED``: *isolated*, and its process died.
    """
    if not isinstance(bundle, Bundle):
        bundle = Bundle.open(_given(bundle, shapes))
        closing: AbstractContextManager[Bundle] = bundle
    else:
        closing = nullcontext(bundle)
    with closing as opened:
        manifest = opened.manifest
        signature = _signature(manifest, method)
        candidates = choices(manifest, read_machine(), variant, engine)
        if explain:
            return tuple(candidates)
        chosen = choose(candidates)
        entry = manifest.variant(chosen.variant)
        if entry.batch > 1:
            message = f"{entry.name} takes {entry.batch} samples at a time: it is there to measure throughput"
            raise UsageError("EK-ARGUMENT", message, "edgekit profile measures it; choose another variant to run")
        data = opened.read(entry.file)
        preprocessing = prepare.preprocessing_of(opened)
        floats = _floats(manifest, chosen.variant, method) if dequantize else None
    threads = default_threads() if threads is None else threads

    def opened_method(name: str | None, own: Signature) -> Session:
        if isolated:
            from edgekit.runtime.remote import Server  # which programs that trust their model need not wait for

            return Server.start(chosen.engine).open(data, entry.format, own, threads, name, owned=True)
        return open_session(chosen.engine, data, entry.format, own, threads, name)

    session = opened_method(method, signature)
    if floats is not None:
        session, signature = FloatSession(session, floats), floats.signature
    buckets = manifest.buckets_of(entry) if method is None else None
    bucketed = None
    if buckets is not None:
        others = manifest.methods
        bucketed = Bucketed(buckets, session, signature, lambda name: opened_method(name, others[name]))
    return Model(
        session,
        signature,
        variant=chosen.variant,
        engine=chosen.engine,
        method=method,
        labels=manifest.labels,
        # It is for the main method's inputs.
        preprocessing=preprocessing if method is None else None,
        source=opened.path,
        bucketed=bucketed,
        buckets=buckets,
    )


def _given(path: str | Path, shapes: Mapping[str, tuple[int, ...]] | None) -> Path:
    """The bundle at *path*, or what is made of the model file there."""
    path = Path(path)
    if not shapes and (path.suffix == SUFFIX or path.is_dir()):
        return path
    from edgekit.runtime import given  # which programs with a bundle need not wait for

    return given.bundle_at(path, given.Options(shapes or {}), reference=False)


def _floats(manifest: Manifest, variant: str, method: str | None) -> Floats:
    if method is not None:
        raise UsageError("EK-ARGUMENT", "floats are made for a file's main method only", "leave out method")
    return Floats(manifest, variant)


def _signature(manifest: Manifest, method: str | None) -> Signature:
    if method is None:
        return manifest.signature
    if method not in manifest.methods:
        hint = did_you_mean(method, manifest.methods) if manifest.methods else "it has its main method only"
        raise UsageError("EK-ARGUMENT", f"the bundle has no method {method!r}", hint)
    return manifest.methods[method]


def _one(
    run: Callable[[list[np.ndarray]], list[np.ndarray]], shape: tuple[int, ...]
) -> Callable[[np.ndarray], np.ndarray]:
    def run_one(array: np.ndarray) -> np.ndarray:
        if array.shape != shape:
            raise WrongShape
        return run([array])[0]

    return run_one


def _closed(_: object) -> Any:
    raise UsageError("EK-ARGUMENT", "the model is closed")
