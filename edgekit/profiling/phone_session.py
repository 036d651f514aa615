"""A page that phones open to try and measure a bundle, and what they send: served until the session is left."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgekit.bundle import Bundle
from edgekit.devices.adb.forwarding import forwarded
from edgekit.devices.browser.job import make_job, phone_settings
from edgekit.devices.browser.posted import PageProgress
from edgekit.devices.browser.server import ANYWHERE, LOOPBACK, PhoneServer
from edgekit.profiling.phone_results import PhoneResults
from edgekit.runtime.profiler.profile import DeviceRecord
from edgekit.runtime.profiler.records import Cell
from edgekit.runtime.profiler.settings import Mode


@dataclass(frozen=True)
class PhoneOptions:
    """How phones measure, and which of them can come.

    Attributes:
        mode, seed, threads: As for `edgekit.profiling.session.profile`.
        webgpu: Measure on the phone's GPU besides.
        variants: Names to keep to; empty for all.
        lan: Serve this machine's networks, not only this machine.
        https: With a certificate made now, which phones warn of.
        usb: Have adb lead a phone on a cable here.
        port: 0 for any that is free.
    """

    mode: Mode = "default"
    seed: int | None = None
    threads: int | None = None
    webgpu: bool = False
    variants: tuple[str, ...] = ()
    lan: bool = False
    https: bool = False
    usb: bool = False
    port: int = 0


@dataclass(frozen=True)
class Kept:
    """A phone's result, which is on disk now."""

    device: DeviceRecord
    cells: tuple[Cell, ...]


@dataclass(frozen=True)
class Taken:
    """A phone's post was taken; *run* as in `edgekit.devices.browser.posted.Posted`."""

    run: str


@dataclass(frozen=True)
class Refused:
    """A phone's post was not taken."""

    error: Exception


Event = PageProgress | Kept | Taken | Refused


class PhoneSession:
    """Serves the page while it is entered, and keeps what phones send. A context manager.

    Attributes:
        results: All that was sent.
        server: Has the addresses to open on a phone.
    """

    def __init__(
        self,
        bundle: Bundle,
        options: PhoneOptions,
        outputs: Sequence[Path] = (),
        *,
        listener: Callable[[Event], None] = lambda event: None,
    ):
        """
        Args:
            outputs: Files, as for `PhoneResults`.
            listener: Called with each event, on the server's threads.

        Raises:
            UsageError, EdgekitError, BundleError: As `make_job`, `PhoneResults` and `PhoneServer`.
        """
        seed = secrets.randbelow(1 << 31) if options.seed is None else options.seed
        settings = phone_settings(options.mode, seed=seed, threads=options.threads)
        job = make_job(bundle, settings, webgpu=options.webgpu, variants=options.variants)
        words = [*(["--webgpu"] if options.webgpu else []), *(w for v in options.variants for w in ("--variant", v))]
        self.results = PhoneResults(
            bundle,
            settings,
            outputs,
            words=words,
            listener=lambda device, cells: listener(Kept(device, cells)),
        )
        self.server = PhoneServer(
            bundle,
            job,
            receive=self._receive,
            listener=listener,
            host=ANYWHERE if options.lan else LOOPBACK,
            port=options.port,
            https=options.https,
        )
        self._usb = options.usb
        self._listener = listener
        self._open = ExitStack()

    def __enter__(self) -> PhoneSession:
        """Begin to serve.

        Raises:
            UsageError: As `PhoneServer`.
            DeviceError: ``EK-CONNECT``: adb leads no phone here.
        """
        with ExitStack() as stack:
            stack.enter_context(self.server)
            if self._usb:
                stack.enter_context(forwarded(self.server.port))
            self._open = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()

    def _receive(self, value: dict[str, Any]) -> None:
        try:
            self.results.receive(value)
        except Exception as error:
            self._listener(Refused(error))
            raise
        self._listener(Taken(str(value["run"])))
