"""Phones that are programs: they speak to the server over real sockets and post what `support.posted` makes."""

from __future__ import annotations

import http.client
import json
import secrets
import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from support.posted import document
from support.shared import Shared

from edgekit.devices.browser import assets


def fetch_litert_js() -> None:
    """Have what phones are served in ``$EDGEKIT_HOME``, as a user has after ``edgekit doctor --setup phone``."""
    Shared.once("litert.js", lambda _: assets.set_up(lambda _: None))


@dataclass(frozen=True)
class Reply:
    status: int
    headers: dict[str, str]
    body: bytes


@dataclass(frozen=True)
class Phone:
    """One phone at *url*; it trusts whatever certificate it is shown."""

    url: str
    timeout_s: float = 20.0

    def ask(
        self, path: str = "", body: Any = None, *, method: str | None = None, headers: dict[str, str] | None = None
    ) -> Reply:
        """The answer to a GET, or to a POST of *body* as JSON (bytes as they are); *path* is sent as it stands."""
        parts = urlsplit(self.url)
        assert parts.hostname is not None
        connection = (
            http.client.HTTPSConnection(
                parts.hostname, parts.port, timeout=self.timeout_s, context=ssl._create_unverified_context()
            )
            if parts.scheme == "https"
            else http.client.HTTPConnection(parts.hostname, parts.port, timeout=self.timeout_s)
        )
        data = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        target = path if path.startswith("/") else parts.path + path
        try:
            connection.request(method or ("GET" if data is None else "POST"), target, data, headers or {})
            answer = connection.getresponse()
            return Reply(answer.status, {key.lower(): value for key, value in answer.getheaders()}, answer.read())
        finally:
            connection.close()

    def post_result(self, bundle: Path, **changes: Any) -> Reply:
        """What a phone sends at its end; as another run each time, unless *changes* say which."""
        return self.ask("result", document(bundle, **{"run": secrets.token_hex(8), **changes}))
