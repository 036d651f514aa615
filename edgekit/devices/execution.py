"""Running what is on a device, behind a shell: the release's own ``edgekit``, or its runner where Python is missing."""

from __future__ import annotations

import base64
import io
import json
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import numpy as np

from edgekit import npz
from edgekit.bundle import Bundle, Variant
from edgekit.devices.base import RunResult
from edgekit.devices.deployment import CHUNK_BYTES, Plan
from edgekit.devices.remote_board import SCRIPT, RemoteBoard
from edgekit.devices.runner import RUN_S, WithRunner
from edgekit.devices.shell import Answer, Shell, death, failure
from edgekit.errors import BundleError, DeviceError, EdgekitError, LimitError, UsageError
from edgekit.fidelity import compare
from edgekit.runtime.profiler.records import BoardState
from edgekit.runtime.verification import Verification

#: Every variant over every check vector.
VERIFY_S = 1800

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
        sample = {name: array[:1] for name, array in inputs.items()}
        result = release.run(sample, variant=None, engine=None, threads=None)
    except DeviceError:
        raise
    except EdgekitError as error:
        raise DeviceError("EK-DEVICE", f"it does not run there: {error.message}", error.hint) from error
    # One sample varies more than all of them together do, so half of what those must reach is asked of it.
    required = bundle.manifest.variant(result.variant).required
    assert required is not None
    found = compare({name: array[:1] for name, array in reference.items()}, result.outputs)
    if fault := found.fault(required.snr_db / 2, required.column_snr_db / 2):
        reason = f"{device}: {result.variant} on {result.engine} gives wrong outputs: {fault}"
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
        npz.save(packed, inputs)
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


class ShellHost:
    """The runner of the release of *plan*, behind a shell: see `edgekit.devices.runner.RunnerHost`."""

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
        return self._shell.do("workspace")

    def put(self, file: str, data: bytes) -> None:
        send(self._shell, file, data)

    def fetch(self, file: str) -> bytes:
        return fetch(self._shell, file)

    def execute(self, arguments: Sequence[str], timeout_s: float) -> Answer:
        return self._shell.ask("exec", self._program, *arguments, timeout_s=timeout_s)

    def look(self) -> BoardState | None:
        return self._board.look()


def send(shell: Shell, file: str, data: bytes) -> None:
    """Put *data* into *file* on the device, in place of what is there."""
    shell.do("remove", file)
    for start in range(0, len(data), CHUNK_BYTES):
        chunk = data[start : start + CHUNK_BYTES]
        shell.do("put", file, str(start), str(len(chunk)), payload=chunk)


def fetch(shell: Shell, file: str) -> bytes:
    """The contents of *file* on the device."""
    return base64.b64decode(shell.do("fetch", file, timeout_s=300))


def _options(values: Mapping[str, object]) -> list[str]:
    return [word for option, value in values.items() if value is not None for word in (option, str(value))]


def _notes(report: Callable[[str], None]) -> Callable[[str], None]:
    """Passes on what edgekit says of its progress, but not its errors, which the rows have."""

    def note(line: str) -> None:
        if not line.startswith(("error:", " hint:", "  log:")):
            report(line)

    return note
