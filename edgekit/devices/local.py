"""This machine as a device."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Literal

from edgekit.bundle import Bundle
from edgekit.devices.base import Closing, RunRequest, RunResult, VerifyRequest
from edgekit.display import Log
from edgekit.errors import UsageError
from edgekit.runtime import verification
from edgekit.runtime.machine import Machine, default_threads, read_machine
from edgekit.runtime.model import load
from edgekit.runtime.profiler.events import Listener
from edgekit.runtime.profiler.profile import DeviceRecord
from edgekit.runtime.profiler.records import Cell
from edgekit.runtime.profiler.session import run_session
from edgekit.runtime.profiler.settings import Request
from edgekit.runtime.verification import Verification


def open_local(name: str) -> LocalDevice:
    """The device called ``local``. Raises `UsageError` ``EK-ARGUMENT``: something follows the name."""
    if name != "local":
        raise UsageError("EK-ARGUMENT", f"there is no device {name!r}", "this machine is just 'local'")
    return LocalDevice()


class LocalDevice(Closing):
    """Runs bundles on this machine, their engines in processes of their own."""

    name = "local"
    emulated = False
    takes_buckets: Literal[True] = True

    def run(self, bundle: Path, request: RunRequest, log: Log) -> RunResult:
        with load(
            bundle, variant=request.variant, engine=request.engine, threads=request.threads, isolated=True
        ) as model:
            result = model(request.inputs)
            outputs = result if isinstance(result, dict) else {model.signature.outputs[0].name: result}
            return RunResult(model.variant, model.engine, model.threads, outputs)

    def verify(self, bundle: Path, request: VerifyRequest, log: Log) -> tuple[Verification, ...]:
        with Bundle.open(bundle) as opened:
            return verification.verify(
                opened,
                machine=read_machine(),
                threads=request.threads or default_threads(),
                variant=request.variant,
                log=log,
            )

    def machine(self) -> Machine:
        return read_machine()

    def profile(
        self, bundles: Sequence[Path], request: Request, listener: Listener
    ) -> tuple[DeviceRecord, tuple[Cell, ...]]:
        with ExitStack() as stack:
            opened = [stack.enter_context(Bundle.open(bundle)) for bundle in bundles]
            return run_session(opened, request, listener=listener)
