"""Accepts connections to the phones' server: few at a time, and none that dawdles."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Callable
from dataclasses import dataclass

#: A phone has a handful. When all are taken, the one that has been silent or without the token the longest makes room.
MOST_CONNECTIONS = 32
#: How long a client may take to show the token.
HEAD_S = 10.0


@dataclass
class _Connection:
    """One connection.

    Attributes:
        since_s: When it came.
        end: Ends it.
        transport: None until it is open, which takes two messages each way with TLS.
        trusted: Whether it has shown the token.
    """

    since_s: float
    end: Callable[[], object]
    transport: asyncio.BaseTransport | None = None
    trusted: bool = False


class Acceptor:
    """Accepts connections on a listening socket. All of it happens on the loop that `accept` runs on."""

    def __init__(self, socket: socket.socket, protocol: Callable[[], asyncio.Protocol], tls: ssl.SSLContext | None):
        """*socket* does not block; *protocol* makes what speaks with one connection."""
        self._socket = socket
        self._protocol = protocol
        self._tls = tls
        self._connections: list[_Connection] = []

    async def accept(self) -> None:
        """Accept until cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            try:
                client, _ = await loop.sock_accept(self._socket)
            except OSError:  # out of file descriptors, or a connection that was gone at once
                await asyncio.sleep(0.1)
                continue
            if self._make_room():
                connection = _Connection(loop.time(), client.close)
                connection.end = loop.create_task(self._open(connection, client)).cancel
                self._connections.append(connection)
            else:
                client.close()
            await asyncio.sleep(0)  # those that are open come before those that wait

    def trust(self, transport: asyncio.BaseTransport | None) -> None:
        """The connection has shown the token: it is not closed to make room for others."""
        for connection in self._connections:
            if connection.transport is transport:
                connection.trusted = True

    def close(self) -> None:
        """End all connections."""
        for connection in self._connections:
            connection.end()

    def _make_room(self) -> bool:
        """Whether one more may come: perhaps in place of the one that has been there without the token the longest."""
        self._connections = [
            each for each in self._connections if each.transport is None or not each.transport.is_closing()
        ]
        if len(self._connections) < MOST_CONNECTIONS:
            return True
        untrusted = [each for each in self._connections if not each.trusted]
        if untrusted:
            self._end(min(untrusted, key=lambda each: each.since_s))
        return bool(untrusted)

    async def _open(self, connection: _Connection, client: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        timeout_s = None if self._tls is None else HEAD_S
        try:
            transport, _ = await loop.connect_accepted_socket(
                self._protocol, client, ssl=self._tls, ssl_handshake_timeout=timeout_s
            )
            connection.transport, connection.end = transport, transport.abort
            loop.call_later(HEAD_S, self._end_untrusted, connection)
        except OSError:  # TLS that was none, or took too long
            pass
        finally:
            if connection.transport is None:
                self._forget(connection)
                client.close()

    def _end_untrusted(self, connection: _Connection) -> None:
        if not connection.trusted:
            self._end(connection)

    def _end(self, connection: _Connection) -> None:
        connection.end()
        self._forget(connection)

    def _forget(self, connection: _Connection) -> None:
        self._connections = [each for each in self._connections if each is not connection]
