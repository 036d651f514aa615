"""Running bundles by ``edgekit-runner``, wherever it is: behind SSH or adb. All but inference is done here."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np

from edgekit.bundle import Bundle, Variant
from edgekit.devices.base import RunResult
from edgekit.devices.shell import Answer, death, failure
from edgekit.errors import DeviceError
from edgekit.runtime import native
from edgekit.runtime.check_runs import CheckRun, check_vectors
from edgekit.runtime.machine import Machine
from edgekit.runtime.model import MAX_DEFAULT_THREADS
from edgekit.runtime.profiler.records import BoardState
from edgekit.runtime.selection import check_names, why_not
from edgekit.runtime.verification import Verification, judge, not_run
from edgekit.tensors import TensorSpec

#: A run on a small board starts a program, reads the model and runs it: seconds, unless something hangs.
RUN_S = 300
#: Some hundred inferences.
MEASURE_S = 1800


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

    def fetch(self, file: str) -> bytes:
        """The contents of *file*."""
        ...

    def execute(self, arguments: Sequence[str], timeout_s: float) -> Answer:
        """Run the runner to its end."""
        ...

    def look(self) -> BoardState | None:
        """The board's sensors now; None where they cannot be read."""
        ...


@dataclass(frozen=True)
class RunnerRun:
    """What the runner's process came to: outputs by name, threads in use, and the duration of each inference."""

    outputs: dict[str, np.ndarray]
    threads: int
    elapsed_ns: list[int]


class WithRunner:
    """Runs *bundle* by the runner of *host*, which takes ``.pte`` files."""

    ENGINE = "executorch"

    def __init__(self, host: RunnerHost, bundle: Bundle):
        self.host = host
        self.bundle = bundle

    def run(
        self, inputs: Mapping[str, np.ndarray], *, variant: str | None, engine: str | None, threads: int | None
    ) -> RunResult:
        entry = self._choose(variant, engine)
        ordered = [inputs[spec.name] for spec in self.bundle.manifest.signature.inputs]
        run = self.measure(entry, ordered, threads)
        return RunResult(entry.name, self.ENGINE, run.threads, run.outputs)

    def verify(
        self, *, variant: str | None, threads: int | None, report: Callable[[str], None]
    ) -> tuple[Verification, ...]:
        vectors = check_vectors(self.bundle)
        rows = []
        for entry in self.bundle.manifest.variants:
            if variant not in (None, entry.name):
                continue
            reason = self.why_not(entry)
            if reason:
                rows += [not_run(entry, engine, reason) for engine in entry.engines]
                continue
            report(f"{entry.name} on {self.ENGINE}")
            try:
                runs = [self.measure(entry, sample, threads) for sample in vectors.samples]
            except DeviceError as error:
                if error.code == "EK-CONNECT":
                    raise
                rows.append(judge(entry, self.ENGINE, vectors, CheckRun(None, f"{error.code}: {error.message}")))
                continue
            outputs = {name: np.concatenate([run.outputs[name] for run in runs]) for name in runs[0].outputs}
            rows.append(judge(entry, self.ENGINE, vectors, CheckRun(outputs, threads=runs[0].threads)))
        return tuple(rows)

    def why_not(self, entry: Variant) -> str:
        """Why the device cannot run *entry*, in one line; empty when it can."""
        if entry.format != "pte":
            return f"the device has no Python that edgekit runs on, which .{entry.format} files need"
        machine = replace(self.host.machine, glibc=None)  # the runner brings its own C library
        installed = {self.ENGINE: native.EXECUTORCH}
        return why_not(self.bundle.manifest, entry, self.ENGINE, machine, installed=installed)

    def measure(self, entry: Variant, inputs: Sequence[np.ndarray], threads: int | None, repeat: int = 1) -> RunnerRun:
        """Run *entry* so many times on *inputs*, in one process.

        Raises:
            DeviceError: ``EK-CONNECT``, ``EK-DEVICE``, ``EK-CRASHED``: the connection, or the process, failed.
        """
        host = self.host
        folder = host.workspace()
        files = [f"{folder}/input_{index}.raw" for index in range(len(inputs))]
        for file, array in zip(files, inputs, strict=True):
            host.put(file, array.tobytes())
        used = threads or min(MAX_DEFAULT_THREADS, host.machine.cores)
        options = ["--model", host.model(entry), "--threads", str(used), "--output-dir", folder]
        options += ["--repeat", str(repeat), "--input", *files]
        answer = host.execute(options, RUN_S if repeat == 1 else MEASURE_S)
        if answer.signal is not None:
            raise death(host.device, f"{self.ENGINE}'s process", answer)
        try:
            document = json.loads(answer.output)
        except ValueError:
            raise failure(host.device, answer) from None
        if "error" in document:
            raise DeviceError("EK-DEVICE", f"{host.device}: {self.ENGINE}: {document['error']}")
        specs = self.bundle.manifest.signature.outputs
        outputs = {
            spec.name: _array(host.fetch(f"{folder}/output_{index}.raw"), spec) for index, spec in enumerate(specs)
        }
        return RunnerRun(outputs, document["threads"], document["elapsed_ns"])

    def _choose(self, variant: str | None, engine: str | None) -> Variant:
        device, manifest = self.host.device, self.bundle.manifest
        if engine not in (None, self.ENGINE):
            reason = f"{device} has no Python that edgekit runs on, so only {self.ENGINE} runs there"
            raise DeviceError("EK-DEVICE", reason, "leave out --engine")
        check_names(manifest, variant)
        best = manifest.recommended["variant"]
        ordered = sorted(manifest.variants, key=lambda entry: entry.name != best)
        candidates = [entry for entry in ordered if variant in (None, entry.name)]
        for entry in candidates:
            if not self.why_not(entry):
                return entry
        first = candidates[0]
        raise DeviceError("EK-DEVICE", f"{first.name} cannot run on {device}: {self.why_not(first)}")


def _array(data: bytes, spec: TensorSpec) -> np.ndarray:
    try:
        return np.frombuffer(data, spec.dtype).reshape(spec.shape)
    except ValueError as error:
        raise DeviceError("EK-DEVICE", f"output {spec.name!r} does not fit the bundle's signature") from error
