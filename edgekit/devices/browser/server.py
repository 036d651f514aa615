"""The server that phones measure a bundle from.

It sends what `edgekit.devices.browser.site` lists and takes what phones post, which is read as JSON and handed on, and
nothing more (`edgekit.devices.browser.handler`). Whoever does not know the token in the address is told nothing, not
even that there is something.
"""

from __future__ import annotations

import asyncio
import errno
import secrets
import socket
import ssl
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

from edgekit.bundle import Bundle
from edgekit.devices.browser.acceptor import Acceptor
from edgekit.devices.browser.address import lan_addresses
from edgekit.devices.browser.job import Job
from edgekit.devices.browser.posted import PageProgress
from edgekit.devices.browser.site import answers
from edgekit.errors import UsageError
from edgekit.runtime.installed import required

LOOPBACK, ANYWHERE = "127.0.0.1", "0.0.0.0"


class PhoneServer:
    """Serves one job to any number of phones, in a thread of its own. A context manager.

    Attributes:
        token: Whoever knows it may fetch and post.
    """

    def __init__(
        self,
        bundle: Bundle,
        job: Job,
        *,
        receive: Callable[[dict[str, Any]], None],
        listener: Callable[[PageProgress], None],
        host: str = LOOPBACK,
        port: int = 0,
        https: bool = False,
    ):
        """Read all that will be served; nothing is opened before the server is entered.

        Args:
            job: What `edgekit.devices.browser.job.make_job` made of *bundle*.
            receive: Called with each result as it was posted, one at a time, on a thread of the server's. Its
                `UsageError` refuses the result; another `EdgekitError` has the phone send it again. The phone is shown
                the message.
            listener: Called with each ``{"run", "device", "done", "text"}``, on the server's thread: has to be quick.
            host: ``127.0.0.1`` for this machine (and phones behind ``adb reverse``), ``0.0.0.0`` for its networks.
            port: 0 for any that is free.
            https: With a certificate made now, which phones warn of.

        Raises:
            UsageError: ``EK-MISSING-PACKAGE``: one of the extra ``phone`` is missing.
            EdgekitError: ``EK-MISSING-PACKAGE``: LiteRT.js was not fetched yet.
            BundleError: A file of the bundle is damaged.
        """
        required("aiohttp", "serving phones needs aiohttp", 'pip install "edgekit[phone]"')
        self.token = secrets.token_urlsafe(16)
        self._answers = answers(bundle, job)
        self._receive = receive
        self._listener = listener
        self._host, self._port = host, port
        self._networks = () if host == LOOPBACK else lan_addresses()
        self._tls: ssl.SSLContext | None = None
        self.fingerprint: str | None = None
        if https:
            from edgekit.devices.browser.certificate import make_certificate

            certificate = make_certificate(self._networks)
            self._tls, self.fingerprint = certificate.context(), certificate.fingerprint
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop: asyncio.Event | None = None

    @property
    def port(self) -> int:
        return self._port

    @property
    def url(self) -> str:
        """The address for this machine, and for a phone behind ``adb reverse``."""
        return self._address("localhost")

    @property
    def addresses(self) -> tuple[str, ...]:
        """What a phone in the same network may type, the likeliest first; nothing when only this machine is served."""
        return tuple(map(self._address, self._networks))

    def _address(self, host: str) -> str:
        return f"{'https' if self._tls else 'http'}://{host}:{self._port}/{self.token}/"

    def __enter__(self) -> PhoneServer:
        """Listen. Raises `UsageError` ``EK-ARGUMENT``: the port is in use, or not for this user."""
        listening = _listen(self._host, self._port)
        self._port = listening.getsockname()[1]
        ready: Future[None] = Future()
        self._thread = threading.Thread(target=self._work, args=(listening, ready), name="edgekit-phones", daemon=True)
        self._thread.start()
        ready.result()
        return self

    def __exit__(self, *_: object) -> None:
        assert self._thread is not None and self._loop is not None and self._stop is not None
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()

    def _work(self, listening: socket.socket, ready: Future[None]) -> None:
        try:
            asyncio.run(self._serve(listening, ready))
        except BaseException as error:
            if ready.done():
                raise
            ready.set_exception(error)

    async def _serve(self, listening: socket.socket, ready: Future[None]) -> None:
        from edgekit.devices.browser.handler import Handler

        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        with listening:
            acceptor = Acceptor(listening, lambda: handler.protocol(), self._tls)
            handler = Handler(self.token, self._answers, self._receive, self._listener, acceptor.trust)
            accepting = asyncio.create_task(acceptor.accept())
            ready.set_result(None)
            await self._stop.wait()
            accepting.cancel()
            await handler.close()
            acceptor.close()


def _listen(host: str, port: int) -> socket.socket:
    listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((host, port))
        listening.listen(128)
        listening.setblocking(False)
    except OSError as error:
        listening.close()
        reason = "is in use" if error.errno == errno.EADDRINUSE else f"cannot be used: {error.strerror}"
        raise UsageError("EK-ARGUMENT", f"port {port} {reason}", "choose another --port, or leave it out") from error
    return listening
