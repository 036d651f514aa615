"""Running what is on a device, behind a shell: the release's own ``edgekit``, or its runner where Python is missing."""

from __future__ import annotations

import base64
import io
import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np

from edgekit.bundle import Bundle, Variant
from edgekit.devices.base import RunResult
from edgekit.devices.deployment import CHUNK_BYTES, Plan
from edgekit.devices.shell import Answer, Shell, death, failure
from edgekit.errors import BundleError, DeviceError, EdgekitError, LimitError, UsageError
from edgekit.runtime import native
from edgekit.runtime.check_runs import CheckRun, check_vectors
from edgekit.runtime.model import MAX_DEFAULT_THREADS
from edgekit.runtime.selection import check_names, why_not
from edgekit.runtime.verification import Verification, judge, not_run, required_snr_db
from edgekit.tensors import TensorSpec, snr_db

#: A run on a small board starts Python, reads the model and runs it: seconds, unless something hangs.
RUN_S = 300
#: Every variant over every check vector.
VERIFY_S = 1800
#: Some hundred inferences.
MEASURE_S = 1800

_KINDS = {kind.exit_code: kind for kind in (UsageError, LimitError, DeviceError, BundleError)}


class Execution(Protocol):
    """A release on a device."""

    def run(
        self, inputs: Mapping[str, np.ndarray], *, variant: str | None, engine: str | None, threads: int | None
    ) -> RunResult: ...

    def verify(
        self, *, variant: str | None, threads: int | None, report: Callable[[str], None]
    ) -> tuple[Verification, ...]: ...


def execution(device: str, shell: Shell, plan: Plan, bundle: Bundle) -> Execution:
    """The way to run the release of *plan*, which has to be on the device."""
    kind = WithPython if plan.has_python else WithRunner
    return kind(device, shell, plan, bundle)


def prove(device: str, shell: Shell, plan: Plan, bundle: Bundle) -> None:
    """Run one check input through the release, as a user would.

    Raises:
        DeviceError: ``EK-DEVICE``: it fails, or what comes out is not what the model gives.
    """
    inputs, reference = bundle.check_vectors()
    try:
        result = execution(device, shell, plan, bundle).run(
            {name: array[:1] for name, array in inputs.items()}, variant=None, engine=None, threads=None
        )
    except DeviceError:
        raise
    except EdgekitError as error:
        raise DeviceError("EK-DEVICE", f"it does not run there: {error.message}", error.hint) from error
    # One sample varies more than all of them together do, so half of what those must reach is asked of it.
    due = required_snr_db(bundle.manifest.variant(result.variant)) / 2
    found = min(snr_db(array[:1], result.outputs[name]) for name, array in reference.items())
    if found < due:
        reason = (
            f"{device}: {result.variant} on {result.engine} gives wrong outputs ({found:.1f} dB, {due:.1f} dB are due)"
        )
        raise DeviceError("EK-DEVICE", reason, "edgekit verify BUNDLE --on local: is the bundle right here?")


class WithPython:
    """Runs ``bin/edgekit`` of the release."""

    def __init__(self, device: str, shell: Shell, plan: Plan, bundle: Bundle):
        self._device = device
        self._shell = shell
        self._program = f"{plan.path}/bin/edgekit"
        self._bundle = f"{plan.path}/{plan.release.bundle}"

    def run(
        self, inputs: Mapping[str, np.ndarray], *, variant: str | None, engine: str | None, threads: int | None
    ) -> RunResult:
        folder = self._shell.do("workspace")
        packed = io.BytesIO()
        np.savez(packed, allow_pickle=False, **inputs)
        send(self._shell, f"{folder}/inputs.npz", packed.getvalue())
        files = ("--input", f"{folder}/inputs.npz", "--output", f"{folder}/outputs.npz")
        chosen = _options({"--variant": variant, "--engine": engine, "--threads": threads})
        answer = self._shell.ask("exec", self._program, "run", self._bundle, *files, *chosen, "--json", timeout_s=RUN_S)
        if answer.status != 0:
            raise self._failure(answer)
        document = self._document(answer)
        with np.load(io.BytesIO(fetch(self._shell, f"{folder}/outputs.npz")), allow_pickle=False) as stored:
            outputs = {name: stored[name] for name in document["outputs"]}
        return RunResult(document["variant"], document["engine"], document["threads"], outputs)

    def verify(
        self, *, variant: str | None, threads: int | None, report: Callable[[str], None]
    ) -> tuple[Verification, ...]:
        chosen = _options({"--variant": variant, "--threads": threads})
        answer = self._shell.ask(
            "exec",
            self._program,
            "verify",
            self._bundle,
            *chosen,
            "--json",
            timeout_s=VERIFY_S,
            on_error=_notes(report),
        )
        if not answer.output.strip():  # it prints its document whether variants passed or not
            raise self._failure(answer)
        rows = self._document(answer)["rows"]
        known = Verification.__dataclass_fields__
        return tuple(Verification(**{key: value for key, value in row.items() if key in known}) for row in rows)

    def _document(self, answer: Answer) -> dict[str, Any]:
        try:
            document: dict[str, Any] = json.loads(answer.output)
        except ValueError as error:
            raise DeviceError("EK-DEVICE", f"{self._device}: edgekit's answer is unreadable there") from error
        return document

    def _failure(self, answer: Answer) -> EdgekitError:
        """The error that edgekit reported on the device, or that ended it."""
        if answer.signal is not None:
            return death(self._device, "the model's process", answer)
        hint = None
        for line in reversed(answer.errors):
            if line.startswith(" hint: "):
                hint = line.removeprefix(" hint: ")
            found = re.fullmatch(r"error: (.*) \[(EK-[A-Z-]+)\]", line)
            if found is not None:
                kind = _KINDS.get(answer.status, EdgekitError)
                return kind(found[2], f"{self._device}: {found[1]}", hint)
        return failure(self._device, answer)


@dataclass(frozen=True)
class RunnerRun:
    """What the runner's process came to: outputs by name, threads in use, and the duration of each inference."""

    outputs: dict[str, np.ndarray]
    threads: int
    elapsed_ns: list[int]


class WithRunner:
    """Runs ``bin/edgekit-runner`` of the release, which takes ``.pte`` files; all else is done here."""

    ENGINE = "executorch"

    def __init__(self, device: str, shell: Shell, plan: Plan, bundle: Bundle):
        self._device = device
        self._shell = shell
        self._bundle = bundle
        self._facts = plan.facts
        self._program = f"{plan.path}/bin/edgekit-runner"
        self._files = f"{plan.path}/{plan.release.bundle}"

    def run(
        self, inputs: Mapping[str, np.ndarray], *, variant: str | None, engine: str | None, threads: int | None
    ) -> RunResult:
        entry = self._choose(variant, engine)
        ordered = [inputs[spec.name] for spec in self._bundle.manifest.signature.inputs]
        run = self.measure(entry, ordered, threads)
        return RunResult(entry.name, self.ENGINE, run.threads, run.outputs)

    def verify(
        self, *, variant: str | None, threads: int | None, report: Callable[[str], None]
    ) -> tuple[Verification, ...]:
        vectors = check_vectors(self._bundle)
        rows = []
        for entry in self._bundle.manifest.variants:
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

    def _choose(self, variant: str | None, engine: str | None) -> Variant:
        manifest = self._bundle.manifest
        if engine not in (None, self.ENGINE):
            reason = f"{self._device} has no Python that edgekit runs on, so only {self.ENGINE} runs there"
            raise DeviceError("EK-DEVICE", reason, "leave out --engine")
        check_names(manifest, variant)
        best = manifest.recommended["variant"]
        ordered = sorted(manifest.variants, key=lambda entry: entry.name != best)
        candidates = [entry for entry in ordered if variant in (None, entry.name)]
        for entry in candidates:
            if not self.why_not(entry):
                return entry
        first = candidates[0]
        raise DeviceError("EK-DEVICE", f"{first.name} cannot run on {self._device}: {self.why_not(first)}")

    def why_not(self, entry: Variant) -> str:
        """Why the device cannot run *entry*, in one line; empty when it can."""
        if entry.format != "pte":
            return f"the device has no Python that edgekit runs on, which .{entry.format} files need"
        machine = replace(self._facts.machine, glibc=None)  # the runner brings its own C library
        installed = {self.ENGINE: native.EXECUTORCH}
        return why_not(self._bundle.manifest, entry, self.ENGINE, machine, installed=installed)

    def measure(self, entry: Variant, inputs: Sequence[np.ndarray], threads: int | None, repeat: int = 1) -> RunnerRun:
        """Run *entry* so many times on *inputs*, in one process.

        Raises:
            DeviceError: ``EK-CONNECT``, ``EK-DEVICE``, ``EK-CRASHED``: the connection, or the process, failed.
        """
        folder = self._shell.do("workspace")
        files = [f"{folder}/input_{index}.raw" for index in range(len(inputs))]
        for file, array in zip(files, inputs, strict=True):
            send(self._shell, file, array.tobytes())
        used = threads or min(MAX_DEFAULT_THREADS, self._facts.machine.cores)
        options = ["--model", f"{self._files}/{entry.file}", "--threads", str(used), "--output-dir", folder]
        options += ["--repeat", str(repeat), "--input", *files]
        limit_s = RUN_S if repeat == 1 else MEASURE_S
        answer = self._shell.ask("exec", self._program, *options, timeout_s=limit_s)
        if answer.signal is not None:
            raise death(self._device, f"{self.ENGINE}'s process", answer)
        try:
            document = json.loads(answer.output)
        except ValueError:
            raise failure(self._device, answer) from None
        if "error" in document:
            raise DeviceError("EK-DEVICE", f"{self._device}: {self.ENGINE}: {document['error']}")
        specs = self._bundle.manifest.signature.outputs
        outputs = {
            spec.name: _array(fetch(self._shell, f"{folder}/output_{index}.raw"), spec)
            for index, spec in enumerate(specs)
        }
        return RunnerRun(outputs, document["threads"], document["elapsed_ns"])


def send(shell: Shell, file: str, data: bytes) -> None:
    """Put *data* into *file* on the device, in place of what is there."""
    shell.do("remove", file)
    for start in range(0, len(data), CHUNK_BYTES):
        chunk = data[start : start + CHUNK_BYTES]
        shell.do("put", file, str(start), str(len(chunk)), payload=chunk)


def fetch(shell: Shell, file: str) -> bytes:
    """The contents of *file* on the device."""
    return base64.b64decode(shell.do("fetch", file, timeout_s=300))


def _array(data: bytes, spec: TensorSpec) -> np.ndarray:
    try:
        return np.frombuffer(data, spec.dtype).reshape(spec.shape)
    except ValueError as error:
        raise DeviceError("EK-DEVICE", f"output {spec.name!r} does not fit the bundle's signature") from error


def _options(values: Mapping[str, object]) -> list[str]:
    return [word for option, value in values.items() if value is not None for word in (option, str(value))]


def _notes(report: Callable[[str], None]) -> Callable[[str], None]:
    """Passes on what edgekit says of its progress, but not its errors, which the rows have."""

    def note(line: str) -> None:
        if not line.startswith(("error:", " hint:", "  log:")):
            report(line)

    return note
