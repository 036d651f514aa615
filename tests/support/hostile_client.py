"""A client that means harm: malformed, oversized, unauthorised and path-tricking requests over raw sockets, drawn from
a seed."""

from __future__ import annotations

import contextlib
import gzip
import json
import random
import socket
from collections.abc import Callable
from dataclasses import dataclass

#: What it sends at most of a body that it calls endless; beyond every limit of the server.
_ENDLESS_BYTES = 33 << 20
#: Where the server waits for more.
_PATIENCE_S = 0.2
_CHUNK = b"10000\r\n" + b"x" * 65536 + b"\r\n"


@dataclass(frozen=True)
class Attack:
    """One request.

    Attributes:
        head: Sent first.
        endless: What is sent again and again after it, until the server hangs up or `_ENDLESS_BYTES` are gone.
    """

    kind: str
    head: bytes
    endless: bytes = b""


class HostileClient:
    """Knows *token* for those attacks that a visitor who is let in could try."""

    def __init__(self, port: int, token: str, seed: int):
        self.port = port
        self._token = token
        self._random = random.Random(seed)
        self._kinds: tuple[Callable[[], Attack], ...] = (
            self._noise,
            self._line,
            self._fields,
            self._lengths,
            self._stranger,
            self._path,
            self._path,
            self._method,
            self._host,
            self._json,
            self._json,
            self._unfinished,
            self._pipeline,
            self._pressed,
        )

    def attacks(self, count: int) -> list[Attack]:
        """*count* of them; every hundredth is one of the two largest kinds."""
        return [
            self._oversized() if number % 100 == 99 else self._random.choice(self._kinds)() for number in range(count)
        ]

    def send(self, attack: Attack, keep: list[socket.socket]) -> bytes:
        """What the server answers. Connections of attacks that wait are put into *keep*, to stay open."""
        received = b""
        connection = socket.create_connection(("127.0.0.1", self.port), timeout=3)
        if attack.kind == "unfinished":
            keep.append(connection)
            with contextlib.suppress(OSError):
                connection.sendall(attack.head)
            return b""
        with connection, contextlib.suppress(OSError):
            with contextlib.suppress(OSError):
                connection.sendall(attack.head)
                sent = 0
                while attack.endless and sent < _ENDLESS_BYTES:
                    connection.sendall(attack.endless)
                    sent += len(attack.endless)
            connection.settimeout(_PATIENCE_S)
            while part := connection.recv(65536):
                received += part
        return received

    def _request(
        self, method: str, path: str, *fields: str, body: bytes = b"", host: str = "localhost", last: bool = True
    ) -> bytes:
        ending = "Connection: close" if last else "Connection: keep-alive"
        head = "\r\n".join((f"{method} {path} HTTP/1.1", f"Host: {host}", *fields, ending, "", ""))
        return head.encode("utf-8", "surrogateescape") + body

    def _post(self, path: str, body: bytes, *fields: str, last: bool = True) -> bytes:
        length = f"Content-Length: {len(body)}"
        return self._request("POST", f"/{self._token}/{path}", length, *fields, body=body, last=last)

    def _noise(self) -> Attack:
        return Attack("noise", self._random.randbytes(self._random.choice((1, 16, 300, 5000))) + b"\r\n\r\n")

    def _line(self) -> Attack:
        token = self._token
        return Attack(
            "line",
            self._random.choice(
                (
                    b"GET\r\n\r\n",
                    b"\r\n\r\n\r\n",
                    b"GET / HTTP/9.9\r\n\r\n",
                    b"GET /\r\n\r\n",
                    b"GET  /  HTTP/1.1\r\n\r\n",
                    b"GET " + b"/a" * 50_000 + b" HTTP/1.1\r\n\r\n",
                    f"GET /{token}/\x00 HTTP/1.1\r\nHost: localhost\r\n\r\n".encode(),
                    f"GET /{token}/ HTTP/1.1\nHost: localhost\n\n".encode(),
                    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x00" * 100,
                    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
                    b"GET http:///// HTTP/1.1\r\nHost: localhost\r\n\r\n",
                    b"GET http://[::1 HTTP/1.1\r\nHost: localhost\r\n\r\n",
                    b"GET * HTTP/1.1\r\nHost: localhost\r\n\r\n",
                    "GET /é HTTP/1.1\r\nHost: localhost\r\n\r\n".encode(),
                )
            ),
        )

    def _fields(self) -> Attack:
        fields = self._random.choice(
            (
                [f"X-{number}: y" for number in range(2000)],
                ["X: " + "y" * 100_000],
                ["X" * 50_000 + ": y"],
                ["no colon here"],
                [" folded: a"],
                ["X: a\x00b"],
                ["X: a\rb"],
                ["Host: localhost"] * 3,
                ["Accept-Encoding: " + "gzip," * 1000],
                ["Content-Type: " + ";" * 5000],
                ["Range: bytes=0-0,1-1,-5,99999999999999999999-"],
                ["Cookie: " + "a=b;" * 2000],
            )
        )
        return Attack("fields", self._request("GET", f"/{self._token}/job.json", *fields))

    def _lengths(self) -> Attack:
        path = f"/{self._token}/{self._random.choice(('result', 'progress'))}"
        fields, body = self._random.choice(
            (
                (["Content-Length: -1"], b"{}"),
                (["Content-Length: 99999999999999999999999"], b"{}"),
                (["Content-Length: 33554433"], b"{}"),
                (["Content-Length: 1e3"], b"{}"),
                (["Content-Length: 5", "Content-Length: 6"], b"{}"),
                (["Content-Length: 4000"], b"{}"),
                (["Content-Length: 2", "Transfer-Encoding: chunked"], b"2\r\n{}\r\n0\r\n\r\n"),
                (["Transfer-Encoding: chunked"], b"zz\r\n{}\r\n0\r\n\r\n"),
                (["Transfer-Encoding: chunked"], b"ffffffffffffffff\r\n{}"),
                (["Transfer-Encoding: chunked"], b"-2\r\n{}\r\n0\r\n\r\n"),
                (["Transfer-Encoding: chunked"], b"2" + b";x=y" * 20_000 + b"\r\n{}\r\n0\r\n\r\n"),
                (["Transfer-Encoding: chunked, gzip"], b"2\r\n{}\r\n0\r\n\r\n"),
                (["Transfer-Encoding: identity"], b"{}"),
                (["Expect: 100-continue", "Content-Length: 2"], b"{}"),
                (["Upgrade: websocket", "Connection: Upgrade", "Content-Length: 2"], b"{}"),
                ([], b"{}"),
            )
        )
        return Attack("lengths", self._request("POST", path, *fields, body=body))

    def _stranger(self) -> Attack:
        token = self._token
        wrong = self._random.choice(
            (
                "",
                "x" * 22,
                token[:-1],
                token + "A",
                token.swapcase(),
                token[::-1],
                f"%2e/{token}",
                f"x/../{token}",
                "%" * 30,
                "💥",
            )
        )
        path = self._random.choice(("", "job.json", "result", "progress", "bundle/variants/fp32.tflite", "page/app.js"))
        if self._random.random() < 0.3:
            body = b"y" * self._random.choice((10, 100_000, 2_000_000))
            fields = f"Content-Length: {len(body)}"
            return Attack("stranger", self._request("POST", f"/{wrong}/{path}", fields, body=body))
        return Attack("stranger", self._request("GET", f"/{wrong}/{path}"))

    def _path(self) -> Attack:
        up = self._random.choice(
            (
                "../",
                "..%2f",
                "%2e%2e/",
                "%2e%2e%2f",
                "..\\",
                "..%5c",
                "%252e%252e%252f",
                "..;/",
                "%c0%ae%c0%ae/",
                ".../",
            )
        )
        start = self._random.choice(
            ("", "page/", "bundle/", "bundle/variants/", "runtime/core/", "runtime/", "page//", "bundle/checks/")
        )
        goal = self._random.choice(
            (
                "etc/passwd",
                "etc/passwd%00.html",
                "proc/self/environ",
                "manifest.json",
                "secret.txt",
                "server.py",
                "variants/fp32.pte",
                "variants/fp32.tflite%00",
                "variants/fp32.tflite/",
                "page/app.js/",
                "",
            )
        )
        tricks = (
            f"/{self._token}/{start}{up * self._random.choice((1, 2, 12))}{goal}",
            f"/{self._token}/{start}/{goal}",
            f"/{self._token}/bundle/file:///{goal}",
            f"/{self._token}//{goal}",
            f"http://localhost/{self._token}/{start}{up}{goal}",
            f"/{self._token}/{start}{goal}".replace("a", "%61") + "?x=" + "../" * 10,
        )
        return Attack("path", self._request("GET", self._random.choice(tricks)))

    def _method(self) -> Attack:
        method = self._random.choice(
            (
                "PUT",
                "DELETE",
                "OPTIONS",
                "TRACE",
                "CONNECT",
                "PATCH",
                "HEAD",
                "PROPFIND",
                "get",
                "G" * 500,
                "GE T",
                "\x01",
            )
        )
        path = self._random.choice(("", "job.json", "result", "bundle/variants/fp32.tflite", "page/index.html"))
        return Attack("method", self._request(method, f"/{self._token}/{path}"))

    def _host(self) -> Attack:
        host = self._random.choice(
            ("evil.example", "evil.example:80", "localhost.evil.example", "", "a" * 5000, "@", "::1:x")
        )
        return Attack("host", self._request("GET", f"/{self._token}/job.json", host=host))

    def _json(self) -> Attack:
        good = {"schema_version": 1, "run": "0" * 16, "bundle_sha256": "0" * 64, "cells": []}
        body = self._random.choice(
            (
                b"[" * 300_000,
                b'{"a":' * 100_000,
                b"[" + b"[]," * 250_000 + b"[]]",
                b'{"run":"x","cells":[' + b"{}," * 400_000 + b"{}]}",
                b'{"run":"x","cells":[' + b"1.5," * 700_000 + b"0]}",
                b'{"run": 1' + b"0" * 10_000 + b"}",
                b'{"run": NaN}',
                b'{"run": "\\ud800"}',
                b'{"run": "' + b"\x00" * 10 + b'"}',
                b"\xff\xfe" + b"{}" * 100,
                b'"' + b"x" * 1_000_000 + b'"',
                json.dumps(good).encode(),
                json.dumps({**good, "__class__": "os.system", "cells": [{"variant": "../../etc/passwd"}]}).encode(),
                json.dumps({**good, "run": "\x1b]0;owned\x07", "cells": "{{7*7}}"}).encode(),
                json.dumps({"run": "a" * 16, "device": "\x1b[2J", "done": 1e999, "text": "x" * 3000}).encode(),
                b"null",
                b"0" * 5000,
                gzip.compress(b" " * 5_000_000),
            )
        )
        fields = ["Content-Encoding: gzip"] if body.startswith(b"\x1f\x8b") else []
        return Attack("json", self._post(self._random.choice(("result", "result", "progress")), body, *fields))

    def _unfinished(self) -> Attack:
        whole = self._random.choice(
            (
                self._request("GET", f"/{self._token}/job.json"),
                self._post("result", b'{"run": "x"}'),
                b"GET / HTTP/1.1\r\n",
            )
        )
        return Attack("unfinished", whole[: self._random.randrange(len(whole))])

    def _pipeline(self) -> Attack:
        one = self._random.choice(
            (
                self._request("GET", f"/{self._token}/job.json", last=False),
                self._request("GET", "/x/", last=False),
                self._post("progress", b"{}", last=False),
            )
        )
        end = self._request("GET", f"/{self._token}/job.json")
        return Attack("pipeline", one * self._random.choice((2, 60)) + end)

    def _pressed(self) -> Attack:
        """Bodies that unpack to a hundred times their size, and a transfer that is smaller than it says."""
        body = gzip.compress(b'{"run": "' + b"x" * 3_000_000 + b'"}')
        return Attack("pressed", self._post("result", body, "Content-Encoding: gzip"))

    def _oversized(self) -> Attack:
        path = f"/{self._random.choice((self._token, self._token, 'x'))}/{self._random.choice(('result', 'progress'))}"
        if self._random.random() < 0.5:
            return Attack("oversized", self._request("POST", path, "Transfer-Encoding: chunked"), endless=_CHUNK)
        return Attack(
            "oversized", self._request("POST", path, f"Content-Length: {_ENDLESS_BYTES * 30}"), endless=_CHUNK
        )
