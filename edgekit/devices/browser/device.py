"""A browser as a device of a profile: a page is served, and the first result that comes is taken."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any

from edgekit.bundle import Bundle
from edgekit.devices.base import Closing
from edgekit.devices.browser.job import FORMAT, make_job
from edgekit.devices.browser.posted import PageProgress
from edgekit.devices.browser.result import ENGINES, read_result
from edgekit.devices.browser.server import ANYWHERE, LOOPBACK, PhoneServer
from edgekit.errors import DeviceError, EdgekitError, UsageError, did_you_mean
from edgekit.runtime.profiler.events import Listener, Measured, Note, Progress
from edgekit.runtime.profiler.profile import DeviceRecord
from edgekit.runtime.profiler.records import Cell
from edgekit.runtime.profiler.settings import Request

#: What follows the colon -> where the page is served, and whether with a certificate.
_ADDRESSES = {"": (LOOPBACK, False), "lan": (ANYWHERE, False), "https": (ANYWHERE, True)}
#: How long nobody may come; and how long nothing may be heard of one who came.
COME_S, SILENT_S = 600.0, 180.0
#: What a worker takes to load and settle, about.
_START_S = 1.5


def open_browser(name: str) -> BrowserDevice:
    """The device ``browser``: one on this machine, or on a phone that adb leads here. ``browser:lan`` serves the
    machine's networks, ``browser:https`` does so with a certificate made on the spot, which threads and WebGPU take.

    Raises:
        UsageError: ``EK-ARGUMENT``: something else follows the name.
    """
    suffix = name.partition(":")[2]
    if suffix not in _ADDRESSES or name.endswith(":"):
        known = ["browser", *(f"browser:{each}" for each in _ADDRESSES if each)]
        raise UsageError("EK-ARGUMENT", f"there is no device {name!r}", did_you_mean(name, known))
    return BrowserDevice(name, *_ADDRESSES[suffix])


class BrowserDevice(Closing):
    """Whichever browser opens the page first."""

    emulated = False

    def __init__(self, name: str, host: str, https: bool, *, come_s: float = COME_S, silent_s: float = SILENT_S):
        self.name = name
        self._host = host
        self._https = https
        self._come_s = come_s
        self._silent_s = silent_s

    def machine(self) -> None:
        """Nobody knows before a browser comes."""

    def profile(
        self, bundles: Sequence[Path], request: Request, listener: Listener
    ) -> tuple[DeviceRecord, tuple[Cell, ...]]:
        """As `edgekit.devices.base.Measures.profile`; each bundle has a page of its own, one after the other.

        Of the request's engines only those of browsers count: WebGPU is measured when it is named.

        Raises:
            DeviceError: ``EK-CONNECT``: nobody came in ten minutes, or who came fell silent for three; ``EK-DEVICE``:
                cores were asked for.
            EdgekitError: What `edgekit.devices.browser.server.PhoneServer` raises; ``EK-NO-VARIANT``: no bundle has
                what browsers run.
        """
        if request.settings.cpus is not None:
            raise DeviceError("EK-DEVICE", f"{self.name}: cores cannot be chosen in a browser", "leave out --cpus")
        record: DeviceRecord | None = None
        cells: list[Cell] = []
        refusals: list[EdgekitError] = []
        for path in bundles:
            with Bundle.open(path) as bundle:
                try:
                    record, found = self._measure(bundle, request, listener)
                except EdgekitError as error:
                    if error.code != "EK-NO-VARIANT":
                        raise
                    refusals.append(error)
                    continue
            for cell in found:
                if not request.engines or cell.engine in request.engines:
                    cells.append(cell)
                    listener(Measured(cell))
        if record is None:
            raise refusals[0]
        return record, tuple(cells)

    def _measure(self, bundle: Bundle, request: Request, listener: Listener) -> tuple[DeviceRecord, tuple[Cell, ...]]:
        """Serve the page of one bundle until a result has come."""
        events: SimpleQueue[PageProgress | tuple[DeviceRecord, tuple[Cell, ...]]] = SimpleQueue()

        def receive(value: dict[str, Any]) -> None:
            events.put(read_result(value, bundle, request.settings, name=self.name))

        ours = {entry.name for entry in bundle.manifest.variants if entry.format == FORMAT}
        names = [name for name in request.variants if name in ours]
        if request.variants and not names:
            raise EdgekitError("EK-NO-VARIANT", f"{bundle.path}: none of the variants named is for browsers")
        webgpu = ENGINES["webgpu"] in request.engines
        job = make_job(bundle, request.settings, webgpu=webgpu, variants=names)
        rows = len(job.variants) * len(job.settings.accelerators)
        total_s = rows * (request.settings.repeats * _START_S + request.settings.seconds)
        with ExitStack() as stack:
            server = stack.enter_context(
                PhoneServer(bundle, job, receive=receive, listener=events.put, host=self._host, https=self._https)
            )
            for text in self._invitation(server, bundle):
                listener(Note(text))
            until, came = time.monotonic() + self._come_s, ""
            while True:
                try:
                    event = events.get(timeout=max(0.0, until - time.monotonic()))
                except Empty:
                    raise self._silence(came) from None
                if isinstance(event, tuple):
                    return event
                if not came:
                    listener(Note(f"{event.device} measures"))
                came, until = event.device, time.monotonic() + self._silent_s
                listener(Progress(event.done * total_s, total_s))

    def _invitation(self, server: PhoneServer, bundle: Bundle) -> list[str]:
        what = f"to measure {bundle.manifest.name}"
        if self._host == LOOPBACK:
            return [
                f"{what}, open {server.url} in a browser of this machine, and press Measure (an Android phone on a "
                f"cable opens it too, after adb reverse tcp:{server.port} tcp:{server.port})"
            ]
        if not server.addresses:
            return [f"this machine is in no network; {what}, open {server.url} in a browser of this machine"]
        lines = [f"{what}, open {server.addresses[0]} on the phone, and press Measure"]
        if server.fingerprint:
            lines.append(f"the phone warns of the certificate, whose SHA-256 is {server.fingerprint}")
        return lines

    def _silence(self, came: str) -> DeviceError:
        if came:
            message = f"{self.name}: nothing was heard of {came} for {self._silent_s:.0f} s"
            return DeviceError("EK-CONNECT", message, "keep the page in front and the phone awake")
        message = f"{self.name}: nobody opened the page and measured for {self._come_s:.0f} s"
        return DeviceError("EK-CONNECT", message, "edgekit phone BUNDLE  waits as long as it takes")
