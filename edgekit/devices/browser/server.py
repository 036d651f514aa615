"""The server that phones measure a bundle from.

It sends what `edgekit.devices.browser.site` lists and takes what phones post, which is read as JSON and handed on, and
nothing more. Whoever does not know the token in the address is told nothing, not even that there is something.
"""

from __future__ import annotations

import asyncio
import errno
import hmac
import ipaddress
import json
import logging
import re
import secrets
import socket
import ssl
import tempfile
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from types import TracebackType
from typing import TYPE_CHECKING, Any

from edgekit.bundle import Bundle
from edgekit.devices.browser.address import lan_addresses
from edgekit.devices.browser.door import Door
from edgekit.devices.browser.posted import read_progress
from edgekit.devices.browser.site import Answer, answers
from edgekit.errors import EdgekitError, UsageError

if TYPE_CHECKING:
    from aiohttp.web import BaseRequest, StreamResponse

LOOPBACK, ANYWHERE = "127.0.0.1", "0.0.0.0"

MOST_RESULT_BYTES = 32 << 20
MOST_PROGRESS_BYTES = 4 << 10
#: Numbers, texts, lists and objects in a result: a few bytes of each would become many in memory. A strict session of
#: a dozen rows posts some hundred thousand.
_MOST_VALUES = 1_000_000
#: Of one server. Phones that come again after a reload count again.
_MOST_RESULTS = 200
#: Without any byte going on, and from the first byte of a body to its last.
_STALL_S, _BODY_S = 20.0, 120.0
_CHUNK_BYTES = 1 << 16
#: What of a request is read at most, beside its body: its first line and each of its header fields.
_LINE_BYTES, _FIELD_BYTES = 2048, 8190
_IDLE_S = 60.0
_MOST_TEXT = 200

_HEADERS = {
    # Threads and exact timers need the first two (https://web.dev/articles/coop-coep).
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Embedder-Policy": "require-corp",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Content-Security-Policy": "; ".join(
        (
            "default-src 'self'",
            "script-src 'self' 'wasm-unsafe-eval'",
            "connect-src 'self' blob:",
            "worker-src 'self'",
            "img-src 'self' blob: data:",
            "media-src 'self' blob:",
            "object-src 'none'",
            "base-uri 'none'",
            "form-action 'none'",
            "frame-ancestors 'none'",
        )
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Server": "edgekit",
}
_PASSING, _LASTING = "no-store", "private, max-age=31536000, immutable"

#: What aiohttp says of malformed requests, which are none of this server's business.
_SILENT = logging.getLogger("edgekit.devices.browser.requests")
_SILENT.addHandler(logging.NullHandler())
_SILENT.propagate = False


class PhoneServer:
    """Serves one job to any number of phones, in a thread of its own. A context manager.

    Attributes:
        token: Whoever knows it may fetch and post.
    """

    def __init__(
        self,
        bundle: Bundle,
        job: Mapping[str, Any],
        *,
        receive: Callable[[dict[str, Any]], None],
        progress: Callable[[dict[str, Any]], None],
        host: str = LOOPBACK,
        port: int = 0,
        https: bool = False,
    ):
        """Read all that will be served; nothing is opened before the server is entered.

        Args:
            job: What `edgekit.devices.browser.job.make_job` made of *bundle*.
            receive: Called with each result as it was posted, one at a time, on a thread of the server's. An
                `EdgekitError` of its refuses the result; the phone is shown the message.
            progress: Called with each ``{"run", "device", "done", "text"}``, on the server's thread: has to be quick.
            host: ``127.0.0.1`` for this machine (and phones behind ``adb reverse``), ``0.0.0.0`` for its networks.
            port: 0 for any that is free.
            https: With a certificate made now, which phones warn of.

        Raises:
            UsageError: ``EK-MISSING-PACKAGE``: one of the extra ``phone`` is missing.
            EdgekitError: ``EK-MISSING-PACKAGE``: LiteRT.js was not fetched yet.
            BundleError: A file of the bundle is damaged.
        """
        _require_aiohttp()
        self.token = secrets.token_urlsafe(16)
        self._answers = answers(bundle, job)
        self._receive = receive
        self._progress = progress
        self._host, self._port = host, port
        self._networks = () if host == LOOPBACK else lan_addresses()
        self._tls: ssl.SSLContext | None = None
        self.fingerprint: str | None = None
        if https:
            from edgekit.devices.browser.certificate import make_certificate

            certificate = make_certificate(self._networks)
            self._tls, self.fingerprint = certificate.context(), certificate.fingerprint
        self._runs: set[str] = set()
        self._taking: asyncio.Lock | None = None
        self._door: Door | None = None
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
        """Listen.

        Raises:
            UsageError: ``EK-ARGUMENT``: the port is in use, or not for this user.
        """
        listener = _listen(self._host, self._port)
        self._port = listener.getsockname()[1]
        ready: Future[None] = Future()
        self._thread = threading.Thread(target=self._work, args=(listener, ready), name="edgekit-phones", daemon=True)
        self._thread.start()
        ready.result()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._thread is not None and self._loop is not None and self._stop is not None
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()

    def _work(self, listener: socket.socket, ready: Future[None]) -> None:
        try:
            asyncio.run(self._serve(listener, ready))
        except BaseException as error:
            if ready.done():
                raise
            ready.set_exception(error)

    async def _serve(self, listener: socket.socket, ready: Future[None]) -> None:
        from aiohttp.web import Server

        self._loop, self._stop, self._taking = asyncio.get_running_loop(), asyncio.Event(), asyncio.Lock()
        web = Server(
            self._answer,
            logger=_SILENT,
            access_log=None,
            max_line_size=_LINE_BYTES,
            max_field_size=_FIELD_BYTES,
            keepalive_timeout=_IDLE_S,
            lingering_time=2.0,
            auto_decompress=False,  # nothing that phones post is compressed: small bodies cannot become large ones
        )
        with listener:
            self._door = Door(listener, web, self._tls)
            standing = asyncio.create_task(self._door.stand())
            ready.set_result(None)
            await self._stop.wait()
            standing.cancel()
            web.pre_shutdown()
            await web.shutdown(timeout=1.0)
            self._door.close()

    async def _answer(self, request: BaseRequest) -> StreamResponse:
        """Every request comes here."""
        assert self._door is not None
        path = self._path(request)
        if path is None:
            return _nothing(request)
        self._door.welcome(request.transport)
        if request.method == "POST" and path == "progress":
            return await self._take_progress(request)
        if request.method == "POST" and path == "result":
            return await self._take_result(request)
        answer = self._answers.get(path)
        if request.method != "GET" or answer is None:
            return _nothing(request)
        return await _send(request, answer)

    def _path(self, request: BaseRequest) -> str | None:
        """What is asked for below the token; None for whoever does not know it, or came through another name.

        A web page elsewhere can have its own name point to this machine (DNS rebinding), but not choose the name that
        its visitor's browser then sends along.
        """
        given, separator, path = request.path.removeprefix("/").partition("/")
        known = hmac.compare_digest(given.encode("utf-8", "surrogateescape"), self.token.encode())
        return path if known and separator and _is_own(request.headers.get("Host", "")) else None

    async def _take_progress(self, request: BaseRequest) -> StreamResponse:
        try:
            with tempfile.SpooledTemporaryFile(max_size=MOST_PROGRESS_BYTES + 1) as spool:
                await _receive_body(request, spool, MOST_PROGRESS_BYTES)
                value = _read_json(spool)
            self._progress(dict(vars(read_progress(value))))
        except EdgekitError as error:
            return _refuse(request, _Refused(400, error.message))
        except _Refused as refusal:
            return _refuse(request, refusal)
        return _done()

    async def _take_result(self, request: BaseRequest) -> StreamResponse:
        assert self._taking is not None
        try:
            with tempfile.SpooledTemporaryFile(max_size=1 << 20) as spool:
                await _receive_body(request, spool, MOST_RESULT_BYTES)
                async with self._taking:
                    await asyncio.to_thread(self._take, spool)
        except _Refused as refusal:
            return _refuse(request, refusal)
        return _done()

    def _take(self, spool: Any) -> None:
        value = _read_json(spool)
        run = value.get("run")
        if not isinstance(run, str):
            raise _Refused(400, "the result names no run")
        if run in self._runs:  # the phone did not hear that it had arrived
            return
        if len(self._runs) >= _MOST_RESULTS:
            raise _Refused(429, f"{_MOST_RESULTS} results have arrived: no more are taken")
        try:
            self._receive(value)
        except EdgekitError as error:
            raise _Refused(400, error.message) from error
        self._runs.add(run)


class _Refused(Exception):
    """What was posted is not taken; the message is for the phone."""

    def __init__(self, status: int, message: str):
        super().__init__(message)
        self.status = status
        self.message = message


def _require_aiohttp() -> None:
    try:
        import aiohttp  # noqa: F401
    except ImportError as error:
        message, hint = "serving phones needs aiohttp", 'pip install "edgekit[phone]"'
        raise UsageError("EK-MISSING-PACKAGE", message, hint) from error


def _listen(host: str, port: int) -> socket.socket:
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(128)
        listener.setblocking(False)
    except OSError as error:
        listener.close()
        reason = "is in use" if error.errno == errno.EADDRINUSE else f"cannot be used: {error.strerror}"
        raise UsageError("EK-ARGUMENT", f"port {port} {reason}", "choose another --port, or leave it out") from error
    return listener


def _is_own(host: str) -> bool:
    """Whether a ``Host`` header names this machine in a way that no one else can make up."""
    name = re.sub(r":\d{1,5}$", "", host, flags=re.ASCII).lower().rstrip(".")
    if name in _own_names():
        return True
    try:
        ipaddress.ip_address(name.removeprefix("[").removesuffix("]"))
    except ValueError:
        return False
    return True


def _own_names() -> tuple[str, ...]:
    name = socket.gethostname().lower().partition(".")[0]
    return "localhost", name, f"{name}.local"


async def _receive_body(request: BaseRequest, spool: Any, most_bytes: int) -> None:
    """The request's body into *spool*; no more of it is read than is allowed, whatever its header says."""
    too_much = _Refused(413, f"at most {most_bytes} bytes are taken")
    if (request.content_length or 0) > most_bytes:
        raise too_much
    taken = 0
    try:
        async with asyncio.timeout(_BODY_S):
            while True:
                async with asyncio.timeout(_STALL_S):
                    chunk = await request.content.readany()
                if not chunk:
                    return
                taken += len(chunk)
                if taken > most_bytes:
                    raise too_much
                spool.write(chunk)
    except TimeoutError:
        raise _Refused(408, "it took too long to arrive") from None


def _read_json(spool: Any) -> dict[str, Any]:
    spool.seek(0)
    try:
        text = spool.read().decode("utf-8")
        if text.count(",") + text.count("[") + text.count("{") > _MOST_VALUES:
            raise ValueError(f"more than {_MOST_VALUES} values")
        value = json.loads(text, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise _Refused(400, f"it is no JSON that can be read: {_brief(str(error))}") from None
    if not isinstance(value, dict):
        raise _Refused(400, "it is no JSON object")
    return value


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is no number of JSON's")


def _brief(text: str) -> str:
    """One line that shows as it is: no control characters, which a terminal would obey."""
    return "".join(each if each.isprintable() else " " for each in text[:_MOST_TEXT])


async def _send(request: BaseRequest, answer: Answer) -> StreamResponse:
    from aiohttp.web import StreamResponse

    compressed = answer.compressed and "gzip" in request.headers.get("Accept-Encoding", "").lower()
    data = answer.data if compressed else answer.plain()
    headers = {**_HEADERS, "Content-Type": answer.type, "Cache-Control": _LASTING if answer.lasting else _PASSING}
    if answer.compressed:
        headers["Vary"] = "Accept-Encoding"
    if compressed:
        headers["Content-Encoding"] = "gzip"
    response = StreamResponse(headers=headers)
    response.content_length = len(data)
    await response.prepare(request)
    for start in range(0, len(data), _CHUNK_BYTES):
        try:
            async with asyncio.timeout(_STALL_S):
                await response.write(data[start : start + _CHUNK_BYTES])
        except TimeoutError:
            if request.transport is not None:
                request.transport.close()
            break
    return response


def _done() -> StreamResponse:
    from aiohttp.web import Response

    return Response(status=204, headers={**_HEADERS, "Cache-Control": _PASSING})


def _refuse(request: BaseRequest, refusal: _Refused) -> StreamResponse:
    from aiohttp.web import Response

    headers = {**_HEADERS, "Cache-Control": _PASSING}
    body = json.dumps({"message": _brief(refusal.message)}).encode()
    response = Response(status=refusal.status, body=body, content_type="application/json", headers=headers)
    response.force_close()
    return response


def _nothing(request: BaseRequest) -> StreamResponse:
    from aiohttp.web import Response

    response = Response(status=404, headers={**_HEADERS, "Cache-Control": _PASSING})
    response.force_close()
    return response
