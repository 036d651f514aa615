"""Running bundles by ``edgekit-runner``, wherever it is: behind SSH or adb. All but inference is done here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np

from edgekit import documents
from edgekit.bundle import Bundle
from edgekit.devices.base import RunRequest, RunResult, VerifyRequest
from edgekit.devices.payload.runner_pack import engines, versions
from edgekit.devices.transport.completed import Answer, failure
from edgekit.display import Log
from edgekit.errors import DeviceError
from edgekit.manifest import Variant
from edgekit.runtime.check_runs import CheckRun, CheckVectors, check_vectors
from edgekit.runtime.engines import is_browser_engine
from edgekit.runtime.machine import MAX_DEFAULT_THREADS, Machine
from edgekit.runtime.native import command
from edgekit.runtime.profiler.records import BoardState, Memory
from edgekit.runtime.profiler.samples import Trace
from edgekit.runtime.selection import check_names, why_not
from edgekit.runtime.verification import Verification, judge, not_run
from edgekit.schema import conform
from edgekit.tensors import Signature, TensorSpec, grouped

#: A run on a small board starts a program, reads the model and runs it: seconds, unless something hangs.
RUN_S = 300
#: Some hundred inferences.
MEASURE_S = 1800
#: What the runner prints beside figures of inferences, and one such figure.
_DOCUMENT_BYTES, _FIGURE_BYTES = 1 << 20, 24
_MOST_THREADS = 1024
#: Some ten times what a large model's operators take, in as many inferences as are recorded.
_MOST_TRACE_BYTES = 16 << 20


class RunnerHost(Protocol):
    """A place with the runner and the files of one bundle.

    Every method raises `DeviceError` ``EK-CONNECT`` when the connection breaks.

    Attributes:
        device: What messages call it.
        machine: What it is.
    """

    @property
    def device(self) -> str: ...

    @property
    def machine(self) -> Machine: ...

    def model(self, entry: Variant) -> str:
        """Path of the variant's file, which is there and verified."""
        ...

    def workspace(self) -> str:
        """Path of a folder for the files of runs; the same one every time."""
        ...

    def put(self, file: str, data: bytes) -> None:
        """Write *data* into *file*, in place of what is there."""
        ...

    def fetch(self, file: str, most_bytes: int) -> bytes:
        """The contents of *file*, which may not have more than *most_bytes*."""
        ...

    def execute(self, arguments: Sequence[str], timeout_s: float, most_bytes: int) -> Answer:
        """Run the runner to its end; it may print *most_bytes*."""
        ...

    def look(self) -> BoardState | None:
        """The board's sensors now; None where they cannot be read."""
        ...


@dataclass(frozen=True)
class _Tensor:
    dtype: str
    shape: tuple[int, ...]


@dataclass(frozen=True)
class _Parts:
    write_ns: tuple[int, ...]
    invoke_ns: tuple[int, ...]
    read_ns: tuple[int, ...]


@dataclass(frozen=True)
class Document:
    """What the runner prints; see ``runner.cpp``.

    Attributes:
        threads: In use.
        import_ns: Loading the engine's library.
        load_ns: From the model file to a session that can run.
        before_bytes, peak_rss_bytes, anonymous_bytes, file_bytes: See `memory`.
        elapsed_ns: Of each inference: writing the inputs, the inference, reading the outputs.
        spans: Those three parts, call by call, of inferences that came after; None when none were asked for.
    """

    engine: str
    threads: int
    cpus: tuple[int, ...] | None
    import_ns: int
    load_ns: int
    before_bytes: int | None
    peak_rss_bytes: int | None
    anonymous_bytes: int | None
    file_bytes: int | None
    inputs: tuple[_Tensor, ...]
    outputs: tuple[_Tensor, ...]
    elapsed_ns: tuple[int, ...]
    spans: _Parts | None

    @property
    def parts(self) -> tuple[tuple[int, ...], ...]:
        return () if self.spans is None else (self.spans.write_ns, self.spans.invoke_ns, self.spans.read_ns)

    def fits(self, signature: Signature, repeat: int, spans: int) -> bool:
        """Whether it tells of so many inferences of a model with *signature*."""
        counts = [len(self.elapsed_ns), *map(len, self.parts)]
        figures = (self.import_ns, self.load_ns, *self.elapsed_ns, *(each for part in self.parts for each in part))
        return (
            (len(self.inputs), len(self.outputs)) == (len(signature.inputs), len(signature.outputs))
            and counts == [repeat, *([spans] * 3 if spans else [])]
            and min(figures) >= 0
            and 0 < self.threads <= _MOST_THREADS
        )

    def memory(self) -> Memory | None:
        """After the inferences of *elapsed_ns*; None where the system does not say."""
        if self.peak_rss_bytes is None or self.before_bytes is None:
            return None
        return Memory(self.peak_rss_bytes, self.anonymous_bytes, self.file_bytes, self.before_bytes)


@dataclass(frozen=True)
class RunnerRun:
    """What the runner's process came to.

    Attributes:
        outputs: Of its last inference, by name.
        trace: What it recorded of operators, where that was asked for.
    """

    outputs: dict[str, np.ndarray]
    document: Document
    trace: Trace | None = None


class WithRunner:
    """Runs *bundle* by the runner of *host*: ``.tflite`` files by LiteRT, ``.pte`` files by ExecuTorch."""

    def __init__(self, host: RunnerHost, bundle: Bundle):
        self.host = host
        self.bundle = bundle

    def run(self, request: RunRequest) -> RunResult:
        entry = self._choose(request.variant, request.engine)
        ordered = [request.inputs[spec.name] for spec in self.bundle.manifest.signature.inputs]
        run = self.measure(entry, ordered, request.threads)
        return RunResult(entry.name, self._engine(entry), run.document.threads, run.outputs)

    def verify(self, request: VerifyRequest, log: Log) -> tuple[Verification, ...]:
        vectors = check_vectors(self.bundle)
        rows = []
        for entry in self.bundle.manifest.variants:
            if request.variant not in (None, entry.name):
                continue
            named = [name for name in entry.engines if not is_browser_engine(name)]
            for engine in named or [self._engine(entry)]:
                reason = self.why_not(entry, engine)
                if reason:
                    rows.append(not_run(entry, engine, reason))
                    continue
                log(f"{entry.name} on {engine}")
                rows.append(judge(entry, engine, vectors, self._check(entry, vectors, request.threads)))
        return tuple(rows)

    def why_not(self, entry: Variant, engine: str) -> str:
        """Why the device cannot run *entry* on *engine*, in one line; empty when it can."""
        if self._engine(entry) != engine:
            return f"the device has no Python that edgekit runs on, which {engine} needs"
        machine = replace(self.host.machine, glibc=None)  # the runner brings its own C library
        return why_not(self.bundle.manifest, entry, engine, machine, installed=versions())

    def measure(
        self,
        entry: Variant,
        inputs: Sequence[np.ndarray],
        threads: int | None,
        repeat: int = 1,
        *,
        spans: int = 0,
        cpus: Sequence[int] | None = None,
        trace: bool = False,
    ) -> RunnerRun:
        """Run *entry* so many times on *inputs*, in one process.

        Args:
            inputs: One array per input of the signature, with as many samples as the file takes per inference.
            threads: None for the device's own default.
            spans: So many inferences more, which are taken apart.
            cpus: Cores to bind the process to.
            trace: Record the operators of *repeat* inferences more.

        Raises:
            DeviceError: ``EK-CONNECT``, ``EK-DEVICE``, ``EK-CRASHED``: the connection, or the process, failed.
        """
        host, engine = self.host, self._engine(entry)
        signature = self.bundle.manifest.signature.batched(entry.batch)
        folder = host.workspace()
        for file, array in zip(command.input_files(folder, signature), inputs, strict=True):
            host.put(file, array.tobytes())
        used = threads or min(MAX_DEFAULT_THREADS, host.machine.cores, len(set(cpus or range(host.machine.cores))))
        kind = engines()[entry.format].trace if trace else None
        options = command.options(
            engine,
            host.model(entry),
            signature,
            folder,
            threads=used,
            repeat=repeat,
            spans=spans,
            cpus=cpus,
            trace=None if kind is None else f"{folder}/trace",
        )
        most_bytes = _DOCUMENT_BYTES + _FIGURE_BYTES * (repeat + 3 * spans)
        answer = host.execute(options, RUN_S if repeat == 1 else MEASURE_S, most_bytes)
        document = self._document(answer, engine)
        if not document.fits(signature, repeat, spans):
            raise self._unreadable()
        for spec, said in zip(signature.inputs, document.inputs, strict=True):
            _check_fit(spec, said)
        outputs = {
            spec.name: _array(host.fetch(f"{folder}/output_{index}.raw", spec.size_bytes), spec, said)
            for index, (spec, said) in enumerate(zip(signature.outputs, document.outputs, strict=True))
        }
        recorded = None if kind is None else Trace.pack(kind, host.fetch(f"{folder}/trace", _MOST_TRACE_BYTES))
        return RunnerRun(outputs, document, recorded)

    def _check(self, entry: Variant, vectors: CheckVectors, threads: int | None) -> CheckRun:
        """*entry* over all check vectors."""
        groups = grouped(vectors.samples, entry.batch)
        try:
            runs = [self.measure(entry, group, threads) for group in groups]
        except DeviceError as error:
            if error.code == "EK-CONNECT":
                raise
            return CheckRun(None, f"{error.code}: {error.message}")
        outputs = vectors.joined([list(run.outputs.values()) for run in runs], entry.batch)
        return CheckRun(outputs, threads=runs[0].document.threads)

    def _document(self, answer: Answer, engine: str) -> Document:
        """What the runner printed."""
        device = self.host.device
        if answer.death is not None:
            raise failure(device, answer, f"{engine}'s process")
        try:
            value = documents.parse(answer.output)
        except ValueError as error:
            raise (failure(device, answer) if answer.status else self._unreadable()) from error
        if isinstance(value, dict) and "error" in value:
            raise DeviceError("EK-DEVICE", f"{device}: {engine}: {value['error']}")
        try:
            document: Document = conform(Document, value)
        except ValueError as error:
            raise self._unreadable() from error
        return document

    def _unreadable(self) -> DeviceError:
        return DeviceError("EK-DEVICE", f"{self.host.device}: what edgekit's runner answered there makes no sense")

    def _engine(self, entry: Variant) -> str:
        """Name of the runner's engine for *entry*; empty for none."""
        return engines()[entry.format].name if entry.format in engines() else ""

    def _choose(self, variant: str | None, engine: str | None) -> Variant:
        device, manifest = self.host.device, self.bundle.manifest
        if engine is not None and engine not in versions():
            reason = f"{device} has no Python that edgekit runs on, so only {' and '.join(versions())} run there"
            raise DeviceError("EK-DEVICE", reason, "leave out --engine")
        check_names(manifest, variant)
        best = manifest.recommended["variant"]
        ordered = sorted(manifest.variants, key=lambda entry: (entry.batch > 1, entry.name != best))
        candidates = [(entry, engine or self._engine(entry)) for entry in ordered if variant in (None, entry.name)]
        reasons = [self.why_not(*candidate) for candidate in candidates]
        for (entry, _), reason in zip(candidates, reasons, strict=True):
            if not reason:
                return entry
        raise DeviceError("EK-DEVICE", f"{candidates[0][0].name} cannot run on {device}: {reasons[0]}")


def _check_fit(spec: TensorSpec, said: _Tensor) -> None:
    narrowed = (spec.dtype, said.dtype) == ("int64", "int32")  # litert-torch 0.10 writes every int64 as int32
    if said.shape != spec.shape or not (said.dtype == spec.dtype or narrowed):
        described = f"{said.dtype}{list(said.shape)}, not {spec.dtype}{list(spec.shape)}"
        raise DeviceError("EK-DEVICE", f"{spec.name!r} does not fit the bundle's signature: it is {described}")


def _array(data: bytes, spec: TensorSpec, said: _Tensor) -> np.ndarray:
    _check_fit(spec, said)
    try:
        return np.frombuffer(data, said.dtype).reshape(spec.shape).astype(spec.dtype)
    except ValueError as error:
        raise DeviceError("EK-DEVICE", f"output {spec.name!r} did not come whole") from error
