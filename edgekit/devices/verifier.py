"""A bundle verified on several devices at once; one that fails does not hide what the others found."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from threading import Thread

from edgekit.bundle import Bundle
from edgekit.devices.base import CountsInstructions, Runs, VerifyRequest
from edgekit.devices.kinds import LOCAL, open_device
from edgekit.engines import ENGINES
from edgekit.errors import DeviceError, EdgekitError, LimitError
from edgekit.runtime import given
from edgekit.runtime.selection import check_names
from edgekit.runtime.verification import FAILED, NOT_RUN, Verification

#: Devices that are worked on at a time: each is a process that computes, or a connection that waits.
_AT_A_TIME = 2


@dataclass(frozen=True)
class DeviceVerification:
    """What one device found.

    Attributes:
        rows: One for each variant on each engine.
        error: Why there are none.
    """

    device: str
    emulated: bool
    rows: tuple[Verification, ...] = ()
    error: DeviceError | None = None


def verify(
    bundle: str | Path,
    on: str | Sequence[str] = (LOCAL,),
    *,
    variant: str | None = None,
    threads: int | None = None,
    instructions: bool = False,
    log: Callable[[str, str], None] = lambda device, line: None,
) -> tuple[DeviceVerification, ...]:
    """Hash the bundle's files, and compare every variant's outputs with the float reference, on every device.

    Args:
        on: Names of devices.
        variant: The only one to verify.
        threads: By default one per core, at most 4; on emulated boards 1.
        instructions: Count those of an inference, on emulated boards.
        log: Called with a device's name and one line for each slow step, from several threads.

    Raises:
        UsageError: ``EK-ARGUMENT``: no such device or variant, or one that cannot count.
        BundleError: The bundle is damaged.
        EdgekitError: What is wrong on any device, but for `DeviceError`, which is that device's result.
    """
    path = given.bundle_at(bundle)
    with Bundle.open(path) as opened:
        check_names(opened.manifest, variant)
    request = VerifyRequest(variant, threads)
    ability: type[Runs] = CountsInstructions if instructions else Runs
    devices = [open_device(name, ability) for name in dict.fromkeys([on] if isinstance(on, str) else on)]

    def work(device: Runs) -> DeviceVerification:
        with device:
            check = device.count if isinstance(device, CountsInstructions) and instructions else device.verify
            try:
                rows = check(path, request, lambda line: log(device.name, line))
            except DeviceError as error:
                return DeviceVerification(device.name, device.emulated, error=error)
        return DeviceVerification(device.name, device.emulated, rows)

    return _side_by_side(work, devices)


def failure(found: Sequence[DeviceVerification]) -> EdgekitError | None:
    """The error for what failed: outputs before devices, and these before nothing that ran. None where all is well."""
    rows = [row for each in found for row in each.rows]
    failed = [row for row in rows if row.status == FAILED]
    if failed:
        first = failed[0]
        return LimitError(
            "EK-VERIFY",
            f"{len(failed)} of {len(rows)} failed, first {first.variant} on {first.engine}: {first.reason}",
            "the engines, or their versions, compute it differently: run it on the one that it was made for"
            if first.is_given
            else "load another variant, or build again with this engine's version",
        )
    for each in found:
        if each.error is not None:
            return each.error
    if all(row.required_snr_db is None and not row.is_given for row in rows):
        hint = "edgekit integrate makes the start of one"
        return EdgekitError("EK-NO-VARIANT", f"nothing ran: {rows[0].variant}: {rows[0].reason}", hint)
    if all(row.status == NOT_RUN for row in rows):
        reason = f"no variant ran: {rows[0].variant} on {rows[0].engine}: {rows[0].reason}"
        known = ENGINES.get(rows[0].engine)
        return EdgekitError("EK-ENGINE", reason, known.install_hint if known else "pip install ai-edge-litert")
    return None


def _side_by_side(
    work: Callable[[Runs], DeviceVerification], devices: Sequence[Runs]
) -> tuple[DeviceVerification, ...]:
    """What *work* gives for each of *devices*, in their order.

    Ctrl-C ends the program at once: the threads are daemons, and what they started ends with this process.
    """
    results: dict[int, DeviceVerification | BaseException] = {}
    waiting = iter(enumerate(devices))

    def worker() -> None:
        for index, device in waiting:
            try:
                results[index] = work(device)
            except BaseException as error:
                results[index] = error

    workers = [Thread(target=worker, daemon=True) for _ in range(min(_AT_A_TIME, len(devices)))]
    for thread in workers:
        thread.start()
    for thread in workers:
        thread.join()
    found = []
    for index in range(len(devices)):
        result = results[index]
        if isinstance(result, BaseException):
            raise result
        found.append(result)
    return tuple(found)
