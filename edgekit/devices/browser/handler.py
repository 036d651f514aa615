"""Takes the requests of phones: who may ask, for what, and how much is read of what they post.

Imports aiohttp; nothing else of edgekit does.
"""

from __future__ import annotations

import asyncio
import hmac
import ipaddress
import json
import logging
import re
import socket
import tempfile
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from aiohttp.web import BaseRequest, RequestHandler, Response, Server, StreamResponse

from edgekit import display, documents
from edgekit.devices.browser.posted import PageProgress, read_progress
from edgekit.devices.browser.site import Answer
from edgekit.errors import EdgekitError, UsageError

MOST_RESULT_BYTES = 32 << 20
MOST_PROGRESS_BYTES = 4 << 10
#: In a result: values, and lists and objects among them, which take the most memory. A strict session of a dozen rows
#: posts some hundred thousand numbers.
_MOST_VALUES, _MOST_GROUPS = 750_000, 50_000
#: Of one server. Phones that come again after a reload count again.
_MOST_RESULTS = 200
#: Without any byte going on, and from the first byte of a body to its last.
_STALL_S, _BODY_S = 20.0, 120.0
_CHUNK_BYTES = 1 << 16
#: What of a request is read at most, beside its body: its first line and each of its header fields.
_LINE_BYTES, _FIELD_BYTES = 2048, 8190
_IDLE_S = 60.0
#: When a phone may try again to send what could not be kept.
_RETRY_S = 5
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


@dataclass(eq=False)
class Handler:
    """Answers requests for one server. All but *receive* happens on the loop of `open`.

    Args as for `edgekit.devices.browser.server.PhoneServer`.

    Args:
        trust: Called with every connection that shows the token.
    """

    token: str
    answers: Mapping[str, Answer]
    receive: Callable[[dict[str, Any]], None]
    listener: Callable[[PageProgress], None]
    trust: Callable[[asyncio.BaseTransport | None], None]

    def __post_init__(self) -> None:
        self._runs: set[str] = set()
        #: One result at a time is read.
        self._reader = ThreadPoolExecutor(max_workers=1, thread_name_prefix="edgekit-result")
        self._web: Server | None = None

    def protocol(self) -> asyncio.Protocol:
        """What speaks with one more connection."""
        if self._web is None:
            self._web = Server(self._answer)
        return _Quiet(
            self._web,
            loop=asyncio.get_running_loop(),
            logger=_SILENT,
            access_log=None,  # type: ignore[arg-type]
            max_line_size=_LINE_BYTES,
            max_field_size=_FIELD_BYTES,
            keepalive_timeout=_IDLE_S,
            lingering_time=2.0,
            auto_decompress=False,  # nothing that phones post is compressed: small bodies cannot become large ones
        )

    async def close(self) -> None:
        """Finish the answers under way, and hang up."""
        if self._web is not None:
            self._web.pre_shutdown()
            await self._web.shutdown(timeout=1.0)
        self._reader.shutdown()

    async def _answer(self, request: BaseRequest) -> StreamResponse:
        """Every request comes here."""
        path = self._path(request)
        if path is None:
            return _empty(404)
        self.trust(request.transport)
        if request.method == "POST" and path == "progress":
            return await self._take_progress(request)
        if request.method == "POST" and path == "result":
            return await self._take_result(request)
        answer = self.answers.get(path)
        if request.method != "GET" or answer is None:
            return _empty(404)
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
            self.listener(read_progress(value))
        except EdgekitError as error:
            return _refuse(_Refused(400, error.message))
        except _Refused as refusal:
            return _refuse(refusal)
        return _empty(204)

    async def _take_result(self, request: BaseRequest) -> StreamResponse:
        loop = asyncio.get_running_loop()
        try:
            with tempfile.SpooledTemporaryFile(max_size=1 << 20) as spool:
                await _receive_body(request, spool, MOST_RESULT_BYTES)
                await loop.run_in_executor(self._reader, self._take, spool)
        except ConnectionError:
            raise
        except OSError as error:  # a large body lies on disk while it is read
            return _refuse(_later(error.strerror or str(error)))
        except _Refused as refusal:
            return _refuse(refusal)
        return _empty(204)

    def _take(self, spool: Any) -> None:
        value = _read_json(spool)
        run = value.get("run")
        if not isinstance(run, str):
            raise _Refused(400, "the result names no run")
        if run in self._runs:  # the phone did not hear that it had arrived
            return
        if len(self._runs) >= _MOST_RESULTS:
            raise _Refused(429, f"{_MOST_RESULTS} results have arrived: no more are taken")
        refusal = self._refusal(value)
        if refusal is not None:
            del value  # the error outlives this call, and whatever its frames hold does too
            raise refusal
        self._runs.add(run)

    def _refusal(self, value: dict[str, Any]) -> _Refused | None:
        try:
            self.receive(value)
        except UsageError as error:
            return _Refused(400, error.message)
        except EdgekitError as error:  # nothing is wrong with what was posted
            return _later(error.message)
        return None


class _Quiet(RequestHandler):
    """Says no more to what is no request than that it is none: aiohttp would send it back with remarks."""

    __slots__ = ()

    def handle_error(
        self, request: BaseRequest, status: int = 500, exc: BaseException | None = None, message: str | None = None
    ) -> StreamResponse:
        return _empty(status)


class _Refused(Exception):
    """What was posted is not taken; the message is for the phone."""

    def __init__(self, status: int, message: str):
        super().__init__(message)
        self.status = status
        self.message = message


def _later(reason: str) -> _Refused:
    """What was posted may be right, and the desk cannot keep it."""
    return _Refused(503, f"the desk cannot keep it now, send it again: {reason}")


def _is_own(host: str) -> bool:
    """Whether a ``Host`` header names this machine in a way that no one else can make up."""
    name = re.sub(r":\d{1,5}$", "", host, flags=re.ASCII).lower().rstrip(".")
    own = socket.gethostname().lower().partition(".")[0]
    if name in ("localhost", own, f"{own}.local"):
        return True
    try:
        ipaddress.ip_address(name.removeprefix("[").removesuffix("]"))
    except ValueError:
        return False
    return True


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
    problem = "it is no JSON object"
    spool.seek(0)
    try:
        data = spool.read()
        if data.count(b"[") + data.count(b"{") > _MOST_GROUPS:
            raise ValueError("it holds too many lists")
        value = documents.parse(data, _MOST_VALUES)
    except ValueError as error:
        value, problem = None, f"it is no JSON that can be read: {error}"
    if isinstance(value, dict):
        return value
    del data, value  # the error outlives this call, as above
    raise _Refused(400, problem)


async def _send(request: BaseRequest, answer: Answer) -> StreamResponse:
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


def _refuse(refusal: _Refused) -> StreamResponse:
    headers = {**_HEADERS, "Cache-Control": _PASSING}
    body = json.dumps({"message": display.one_line(refusal.message, _MOST_TEXT)}).encode()
    if refusal.status == 503:
        headers["Retry-After"] = str(_RETRY_S)
    response = Response(status=refusal.status, body=body, content_type="application/json", headers=headers)
    response.force_close()
    return response


def _empty(status: int) -> StreamResponse:
    """An answer without words; all but 204 end the connection."""
    response = Response(status=status, headers={**_HEADERS, "Cache-Control": _PASSING})
    if status != 204:
        response.force_close()
    return response
