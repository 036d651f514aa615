"""What a device offers edgekit, wherever it is."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

from edgekit.runtime.machine import Machine
from edgekit.runtime.profiler.records import Cell, DeviceRecord, Request
from edgekit.runtime.profiler.session import Hear
from edgekit.runtime.verification import Verification


@dataclass(frozen=True)
class RunResult:
    """One inference on a device.

    Attributes:
        variant, engine: Names of what ran.
        threads: Threads the engine really used.
        outputs: Arrays by output name.
    """

    variant: str
    engine: str
    threads: int
    outputs: Mapping[str, np.ndarray]


class Device(Protocol):
    """A place where bundles run. A context manager; closing twice is harmless.

    Attributes:
        name: As the user wrote it: ``local``, ``emulator:rpi4``, ``ssh://pi@host``, ``browser``.
        emulated: Whether only outputs are real there, and times are not.
    """

    name: str
    emulated: bool

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
        """Run the bundle's model once.

        Args:
            inputs: Arrays by input name, with the signature's shapes and dtypes (`edgekit.runtime.prepare`).
            variant, engine: Names; None for the best that the device can run.
            threads: None for the device's own default.
            report: Called with one line for each slow step.

        Raises:
            DeviceError: ``EK-CONNECT``, ``EK-DEVICE``: the device is out of reach, or something failed there.
            EdgekitError: What `edgekit.load` and a call of the model raise.
        """
        ...

    def verify(
        self, bundle: Path, *, variant: str | None, threads: int | None, report: Callable[[str], None]
    ) -> tuple[Verification, ...]:
        """Hash the bundle's files, and compare every variant's outputs with the float reference, on the device.

        Raises:
            DeviceError: ``EK-CONNECT``, ``EK-DEVICE``: the device is out of reach, or something failed there.
            EdgekitError: What `edgekit.runtime.verification.verify` raises.
        """
        ...

    def machine(self) -> Machine | None:
        """What the device is; None for an emulated one, which measures nothing that depends on it, and for a browser
        that has not come yet.

        Raises:
            DeviceError: ``EK-CONNECT``, ``EK-DEVICE``: as `run`.
        """
        ...

    def profile(
        self, bundles: Sequence[Path], request: Request, *, hear: Hear
    ) -> tuple[DeviceRecord, tuple[Cell, ...]]:
        """Measure the bundles' variants side by side, in one session.

        What *hear* was given before an error is what was measured until then.

        Raises:
            DeviceError: ``EK-CONNECT``, ``EK-DEVICE``: the device is out of reach, or something failed there.
            EdgekitError: What `edgekit.runtime.profiler.session.run_session` raises.
        """
        ...

    def close(self) -> None:
        """Release what the device holds here and there."""
        ...

    def __enter__(self) -> Device: ...

    def __exit__(self, *_: object) -> None: ...
