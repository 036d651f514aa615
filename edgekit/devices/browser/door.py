"""Who is let in: connections to the phones' server, few at a time, and none that dawdles."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from collections.abc import Callable
from dataclasses import dataclass

#: A phone has a handful. When all are taken, the one that has been silent or unwelcome the longest makes room.
MOST_CONNECTIONS = 32
#: From its first byte, or the end of its last request, to a whole head of a request.
HEAD_S = 10.0


@dataclass
class _Guest:
    """One connection: when it came, and whether it has shown the token."""

    since_s: float
    welcome: bool = False


class Door:
    """Accepts connections on a listening socket. All of it happens on the loop that `stand` runs on."""

    def __init__(self, listener: socket.socket, protocol: Callable[[], asyncio.Protocol], tls: ssl.SSLContext | None):
        """*listener* does not block; *protocol* makes what speaks with one connection."""
        self._listener = listener
        self._protocol = protocol
        self._tls = tls
        self._guests: dict[asyncio.BaseTransport, _Guest] = {}
        self._greeting: set[asyncio.Task[None]] = set()

    async def stand(self) -> None:
        """Accept until cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            try:
                connection, _ = await loop.sock_accept(self._listener)
            except OSError:  # out of file descriptors, or a connection that was gone at once
                await asyncio.sleep(0.1)
                continue
            if not self._has_room():
                connection.close()
                continue
            task = loop.create_task(self._greet(connection))
            self._greeting.add(task)
            task.add_done_callback(self._greeting.discard)

    def welcome(self, transport: asyncio.BaseTransport | None) -> None:
        """The connection has shown the token: it is not closed to make room for others."""
        guest = None if transport is None else self._guests.get(transport)
        if guest is not None:
            guest.welcome = True

    def close(self) -> None:
        """End all connections."""
        for task in self._greeting:
            task.cancel()
        for transport in self._guests:
            _abort(transport)

    def _has_room(self) -> bool:
        self._forget_closed()
        if len(self._guests) + len(self._greeting) < MOST_CONNECTIONS:
            return True
        strangers = [item for item in self._guests.items() if not item[1].welcome]
        if not strangers:
            return False
        longest, _ = min(strangers, key=lambda item: item[1].since_s)
        _abort(longest)
        del self._guests[longest]
        return True

    def _forget_closed(self) -> None:
        for transport in [each for each in self._guests if each.is_closing()]:
            del self._guests[transport]

    async def _greet(self, connection: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        timeout_s = None if self._tls is None else HEAD_S
        try:
            transport, _ = await loop.connect_accepted_socket(
                self._protocol, connection, ssl=self._tls, ssl_handshake_timeout=timeout_s
            )
        except (OSError, ssl.SSLError):  # TLS that was none, or took too long
            with contextlib.suppress(OSError):
                connection.close()
            return
        self._guests[transport] = _Guest(loop.time())
        loop.call_later(HEAD_S, self._end_stranger, transport)

    def _end_stranger(self, transport: asyncio.BaseTransport) -> None:
        guest = self._guests.get(transport)
        if guest is not None and not guest.welcome:
            _abort(transport)
            del self._guests[transport]


def _abort(transport: asyncio.BaseTransport) -> None:
    if isinstance(transport, asyncio.Transport):
        transport.abort()
    else:
        transport.close()
