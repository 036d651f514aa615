"""What a device can do for edgekit, wherever it is: one protocol for each ability, and a value for each request."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol, Self, runtime_checkable

import numpy as np

from edgekit.display import Log
from edgekit.runtime.machine import Machine
from edgekit.runtime.profiler.events import Listener, Note
from edgekit.runtime.profiler.profile import DeviceRecord
from edgekit.runtime.profiler.records import Cell
from edgekit.runtime.profiler.settings import Request
from edgekit.runtime.verification import Verification

if TYPE_CHECKING:
    from edgekit.devices.ssh.deployment import Deployment, Rollback, Sending


@dataclass(frozen=True)
class RunRequest:
    """One inference.

    Attributes:
        inputs: Arrays by input name, with the signature's shapes and dtypes (`edgekit.runtime.prepare`); or with those
            of its buckets, where the device takes them.
        variant, engine: Names; None for the best that the device can run.
        threads: None for the device's own default.
    """

    inputs: Mapping[str, np.ndarray]
    variant: str | None = None
    engine: str | None = None
    threads: int | None = None


@dataclass(frozen=True)
class RunResult:
    """What an inference came to.

    Attributes:
        variant, engine: Names of what ran.
        threads: Threads the engine really used.
        outputs: Arrays by output name.
    """

    variant: str
    engine: str
    threads: int
    outputs: Mapping[str, np.ndarray]


@dataclass(frozen=True)
class VerifyRequest:
    """A check of one variant or, where it is None, of all; with so many threads, or the device's own default."""

    variant: str | None = None
    threads: int | None = None


@dataclass(frozen=True)
class Checkup:
    """What a device is and has, or what it lacks.

    Attributes:
        document: For programs: everything, as JSON has it.
        lines: For people.
        notes: What they have to know of it besides.
    """

    document: Mapping[str, Any]
    lines: tuple[str, ...]
    notes: tuple[str, ...] = ()


@runtime_checkable
class Device(Protocol):
    """A place where bundles run. A context manager; closing twice is harmless.

    Attributes:
        name: As the user wrote it: ``local``, ``emulator:rpi4``, ``ssh://pi@host``, ``browser``.
        emulated: Whether only outputs are real there, and times are not.
    """

    name: str
    emulated: bool

    def close(self) -> None:
        """Release what the device holds here and there."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(self, *_: object) -> None: ...


class Closing:
    """A context manager that calls `close` at its end."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """There is nothing to release."""


@runtime_checkable
class Runs(Device, Protocol):
    """Runs and verifies bundles. Each method raises:

    DeviceError: ``EK-CONNECT``, ``EK-DEVICE``: the device is out of reach, or something failed there.
    EdgekitError: What `edgekit.load` and a call of the model raise, or `edgekit.runtime.verification.verify`.
    """

    def run(self, bundle: Path, request: RunRequest, log: Log) -> RunResult:
        """Run the bundle's model once."""
        ...

    def verify(self, bundle: Path, request: VerifyRequest, log: Log) -> tuple[Verification, ...]:
        """Hash the bundle's files, and compare every variant's outputs with the float reference, on the device."""
        ...


@runtime_checkable
class TakesBuckets(Runs, Protocol):
    """Runs what a bundle's buckets take, and not the signature's shapes alone."""

    takes_buckets: Literal[True]


@runtime_checkable
class CountsInstructions(Runs, Protocol):
    """An emulated device, which counts what an inference costs."""

    def count(self, bundle: Path, request: VerifyRequest, log: Log) -> tuple[Verification, ...]:
        """As `Runs.verify`, and count the instructions of one inference of each variant, with one thread."""
        ...


@runtime_checkable
class Measures(Device, Protocol):
    """Measures bundles. Each method raises `DeviceError` as those of `Runs`."""

    def machine(self) -> Machine | None:
        """What the device is; None for an emulated one, which measures nothing that depends on it, and for a browser
        that has not come yet."""
        ...

    def profile(
        self, bundles: Sequence[Path], request: Request, listener: Listener
    ) -> tuple[DeviceRecord, tuple[Cell, ...]]:
        """Measure the bundles' variants side by side, in one session.

        What *listener* was given before an error is what was measured until then.

        Raises:
            EdgekitError: What `edgekit.runtime.profiler.session.run_session` raises.
        """
        ...


@runtime_checkable
class Deploys(Device, Protocol):
    """Keeps releases of bundles (see `edgekit.devices.ssh.deployment`)."""

    def deploy(self, bundle: Path, listener: Callable[[Note | Sending], None]) -> Deployment:
        """Make *bundle* the current release of its name."""
        ...

    def rollback(self, name: str | None) -> Rollback:
        """Make the release before the current one current again."""
        ...


@runtime_checkable
class Examines(Device, Protocol):
    """Says what it is."""

    def examine(self) -> Checkup:
        """What the device is, what could run there, and what is missing; raises `DeviceError` as the methods of
        `Runs`."""
        ...
