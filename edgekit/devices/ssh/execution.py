"""Running what is on a device, behind a shell: the release's own ``edgekit``, or its runner where Python is missing."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from typing import Any

import numpy as np

from edgekit import arrays, display, documents, npz
from edgekit.arrays import ArrayError
from edgekit.bundle import Bundle
from edgekit.devices.base import RunRequest, RunResult, VerifyRequest
from edgekit.devices.runner.inference import RUN_S, WithRunner
from edgekit.devices.ssh.board import SCRIPT, RemoteBoard
from edgekit.devices.ssh.deployment import CHUNK_BYTES, Plan
from edgekit.devices.ssh.shell import Shell
from edgekit.devices.transport.completed import Answer, failure, told
from edgekit.display import Log
from edgekit.errors import DeviceError, EdgekitError
from edgekit.fidelity import compare
from edgekit.manifest import Variant
from edgekit.runtime import agreement
from edgekit.runtime.profiler.records import BoardState
from edgekit.runtime.verification import FAILED, NOT_RUN, PASSED, Verification
from edgekit.schema import conform
from edgekit.tensors import first_sample

#: Every variant over every check vector.
VERIFY_S = 1800
#: Lines of its progress that a device may have shown here.
_MOST_NOTES = 500
#: What an array takes in an ``.npz`` that is not compressed, beside its own bytes and twice its name.
_MEMBER_BYTES = 512


@dataclass(frozen=True)
class _Ran:
    variant: str
    engine: str
    threads: int


def execution(device: str, shell: Shell, plan: Plan, bundle: Bundle) -> Execution:
    """The way to run the release of *plan*, which has to be on the device."""
    if plan.has_python:
        return WithPython(device, shell, plan, bundle)
    return WithRunner(ShellHost(device, shell, plan), bundle)


def prove(device: str, release: Execution, bundle: Bundle) -> None:
    """Run one check input through *release*, which holds *bundle*, as a user would.

    Raises:
        DeviceError: ``EK-DEVICE``: it fails, or what comes out is not what the model gives.
    """
    inputs, reference = bundle.check_vectors()
    try:
        sample = first_sample(bundle.manifest.signature.inputs, inputs)
        result = release.run(RunRequest(sample))
    except DeviceError:
        raise
    except EdgekitError as error:
        raise DeviceError("EK-DEVICE", f"it does not run there: {error.message}", error.hint) from error
    expected = first_sample(bundle.manifest.signature.outputs, reference) if reference else {}
    if fault := _fault(bundle.manifest.variant(result.variant), expected, result.outputs):
        reason = f"{device}: {result.variant} on {result.engine} gives wrong outputs: {fault}"
        raise DeviceError("EK-DEVICE", reason, "edgekit verify BUNDLE --on local: is the bundle right here?")


def _fault(variant: Variant, expected: Mapping[str, np.ndarray], outputs: Mapping[str, np.ndarray]) -> str | None:
    """What is wrong with the outputs for one sample, or None."""
    if variant.given is not None:
        found = agreement.difference(expected, outputs) if expected else 0.0
        if found <= agreement.tolerance(variant.recipe):
            return None
        return f"they are off {variant.given.reference} by {found:.1g} of the largest"
    # One sample varies more than all of them together do, so half of what those must reach is asked of it.
    assert variant.required is not None
    return compare(expected, outputs).fault(variant.required.snr_db / 2, variant.required.column_snr_db / 2)


class WithPython:
    """Runs ``bin/edgekit`` of the release."""

    def __init__(self, device: str, shell: Shell, plan: Plan, bundle: Bundle):
        self._device = device
        self._shell = shell
        self._program = f"{plan.path}/bin/edgekit"
        self._bundle = f"{plan.path}/{plan.release.bundle}"
        self._outputs = bundle.manifest.signature.outputs
        self._variants = {entry.name for entry in bundle.manifest.variants}

    def run(self, request: RunRequest) -> RunResult:
        folder = self._shell.workspace()
        packed = io.BytesIO()
        npz.save(packed, request.inputs)
        send(self._shell, f"{folder}/inputs.npz", packed.getvalue())
        files = ("--input", f"{folder}/inputs.npz", "--output", f"{folder}/outputs.npz")
        chosen = _options({"--variant": request.variant, "--engine": request.engine, "--threads": request.threads})
        document = self._ask("run", *files, *chosen, timeout_s=RUN_S)
        ran = self._told(_Ran, {name: document.get(name) for name in ("variant", "engine", "threads")})
        if ran.variant not in self._variants:
            raise self._unreadable()
        specs = self._outputs
        most_bytes = sum(spec.size_bytes for spec in specs)
        packed_bytes = most_bytes + sum(_MEMBER_BYTES + 2 * len(spec.name.encode()) for spec in specs)
        try:
            stored = arrays.from_npz(self._shell.fetch(f"{folder}/outputs.npz", packed_bytes), most_bytes=most_bytes)
        except ArrayError as error:
            raise self._unreadable() from error
        for spec in specs:
            array = stored.get(spec.name)
            if array is None or array.shape != spec.shape or array.dtype != np.dtype(spec.dtype):
                raise self._unreadable()
        return RunResult(ran.variant, ran.engine, ran.threads, {spec.name: stored[spec.name] for spec in specs})

    def verify(self, request: VerifyRequest, log: Log) -> tuple[Verification, ...]:
        chosen = _options({"--variant": request.variant, "--threads": request.threads})
        rows = self._ask("verify", *chosen, timeout_s=VERIFY_S, log=_notes(log)).get("rows")
        if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
            raise self._unreadable()
        known = Verification.__dataclass_fields__
        found: tuple[Verification, ...] = self._told(
            tuple[Verification, ...], [{key: value for key, value in row.items() if key in known} for row in rows]
        )
        if any(row.variant not in self._variants or row.status not in (PASSED, FAILED, NOT_RUN) for row in found):
            raise self._unreadable()
        return found

    def _ask(self, verb: str, *words: str, timeout_s: float, log: Log | None = None) -> dict[str, Any]:
        """The document that a verb printed about the bundle: an error beside rows is what the rows say."""
        command = (self._program, verb, self._bundle, *words, "--json")
        answer = self._shell.ask("exec", *command, timeout_s=timeout_s, log=log)
        try:
            document = display.values(documents.parse(answer.output))
            if not isinstance(document, dict):
                raise ValueError("a document that is no object")
            error = told(self._device, document["error"]) if "error" in document and not document.get("rows") else None
        except ValueError as nonsense:  # where it failed, something ended it before its last word
            if answer.status:
                raise failure(self._device, answer, "the model's process") from nonsense
            raise self._unreadable() from nonsense
        if error is not None:
            raise error
        return document

    def _told(self, kind: Any, value: object) -> Any:
        """*value* as *kind*, as the device's own edgekit gives it."""
        try:
            return conform(kind, value)
        except ValueError as error:
            raise self._unreadable() from error

    def _unreadable(self) -> DeviceError:
        return DeviceError("EK-DEVICE", f"{self._device}: what edgekit answered there makes no sense")


class ShellHost:
    """The runner of the release of *plan*, behind a shell: see `edgekit.devices.runner.inference.RunnerHost`."""

    def __init__(self, device: str, shell: Shell, plan: Plan):
        self.device = device
        self.machine = plan.facts.machine
        self._shell = shell
        self._program = f"{plan.path}/bin/edgekit-runner"
        self._files = f"{plan.path}/{plan.release.bundle}"
        self._board = RemoteBoard(lambda: shell.ask("exec", "sh", "-c", SCRIPT).output)

    def model(self, entry: Variant) -> str:
        return f"{self._files}/{entry.file}"

    def workspace(self) -> str:
        return self._shell.workspace()

    def put(self, file: str, data: bytes) -> None:
        send(self._shell, file, data)

    def fetch(self, file: str, most_bytes: int) -> bytes:
        return self._shell.fetch(file, most_bytes)

    def execute(self, arguments: Sequence[str], timeout_s: float, most_bytes: int) -> Answer:
        return self._shell.ask("exec", self._program, *arguments, timeout_s=timeout_s, most_bytes=most_bytes)

    def look(self) -> BoardState | None:
        return self._board.look()


#: A release on a device.
Execution = WithPython | WithRunner


def send(shell: Shell, file: str, data: bytes) -> None:
    """Put *data* into *file* on the device, in place of what is there."""
    shell.do("remove", file)
    for start in range(0, len(data), CHUNK_BYTES):
        chunk = data[start : start + CHUNK_BYTES]
        shell.do("put", file, str(start), str(len(chunk)), payload=chunk)


def _options(values: Mapping[str, object]) -> list[str]:
    return [word for option, value in values.items() if value is not None for word in (option, str(value))]


def _notes(log: Log) -> Log:
    """Passes on what edgekit says of its progress, but not its errors, which the rows have."""
    left = count(_MOST_NOTES, -1)

    def note(line: str) -> None:
        if not line.startswith(("error:", " hint:", "  log:")) and next(left) > 0:
            log(line)

    return note
