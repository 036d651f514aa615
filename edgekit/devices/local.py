"""This machine as a device."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path

import numpy as np

from edgekit.bundle import Bundle
from edgekit.devices.base import RunResult
from edgekit.errors import UsageError
from edgekit.runtime import verification
from edgekit.runtime.machine import Machine, read_machine
from edgekit.runtime.model import default_threads, load
from edgekit.runtime.profiler.records import Cell, DeviceRecord, Request
from edgekit.runtime.profiler.session import Hear, run_session
from edgekit.runtime.verification import Verification


def open(name: str) -> LocalDevice:
    """The device called ``local``.

    Raises:
        UsageError: ``EK-ARGUMENT``: something follows the name.
    """
    if name != "local":
        raise UsageError("EK-ARGUMENT", f"there is no device {name!r}", "this machine is just 'local'")
    return LocalDevice()


class LocalDevice:
    """Runs bundles on this machine, their engines in processes of their own."""

    name = "local"
    emulated = False

    def run(
        self,
        bundle: Path,
        inputs: Mapping[str, np.ndarray],
        *,
        variant: str | None,
        engine: str | None,
        threads: int | None,
        report: Callable[[str], None],
    ) -> RunResult:
        with load(bundle, variant=variant, engine=engine, threads=threads, isolated=True) as model:
            result = model(inputs)
            outputs = result if isinstance(result, dict) else {model.signature.outputs[0].name: result}
            return RunResult(model.variant, model.engine, model.threads, outputs)

    def verify(
        self, bundle: Path, *, variant: str | None, threads: int | None, report: Callable[[str], None]
    ) -> tuple[Verification, ...]:
        with Bundle.open(bundle) as opened:
            return verification.verify(
                opened,
                machine=read_machine(),
                threads=threads or default_threads(),
                variant=variant,
                report=report,
            )

    def machine(self) -> Machine:
        return read_machine()

    def profile(
        self, bundles: Sequence[Path], request: Request, *, hear: Hear
    ) -> tuple[DeviceRecord, tuple[Cell, ...]]:
        with ExitStack() as stack:
            opened = [stack.enter_context(Bundle.open(bundle)) for bundle in bundles]
            return run_session(opened, request, hear=hear)

    def close(self) -> None:
        """There is nothing to release."""

    def __enter__(self) -> LocalDevice:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
