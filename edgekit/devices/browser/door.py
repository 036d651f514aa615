"""Who is let in: connections to the phones' server, few at a time, and none that dawdles."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Callable
from dataclasses import dataclass

#: A phone has a handful. When all are taken, the one that has been silent or unwelcome the longest makes room.
MOST_CONNECTIONS = 32
#: For a stranger to show the token.
HEAD_S = 10.0


@dataclass
class _Guest:
    """One connection.

    Attributes:
        since_s: When it came.
        end: Ends it.
        transport: None until it is greeted, which takes two messages each way with TLS.
        welcome: Whether it has shown the token.
    """

    since_s: float
    end: Callable[[], object]
    transport: asyncio.BaseTransport | None = None
    welcome: bool = False


class Door:
    """Accepts connections on a listening socket. All of it happens on the loop that `stand` runs on."""

    def __init__(self, listener: socket.socket, protocol: Callable[[], asyncio.Protocol], tls: ssl.SSLContext | None):
        """*listener* does not block; *protocol* makes what speaks with one connection."""
        self._listener = listener
        self._protocol = protocol
        self._tls = tls
        self._guests: list[_Guest] = []

    async def stand(self) -> None:
        """Accept until cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            try:
                connection, _ = await loop.sock_accept(self._listener)
            except OSError:  # out of file descriptors, or a connection that was gone at once
                await asyncio.sleep(0.1)
                continue
            if self._make_room():
                guest = _Guest(loop.time(), connection.close)
                guest.end = loop.create_task(self._greet(guest, connection)).cancel
                self._guests.append(guest)
            else:
                connection.close()
            await asyncio.sleep(0)  # those who are in come before those who wait

    def welcome(self, transport: asyncio.BaseTransport | None) -> None:
        """The connection has shown the token: it is not closed to make room for others."""
        for guest in self._guests:
            if guest.transport is transport:
                guest.welcome = True

    def close(self) -> None:
        """End all connections."""
        for guest in self._guests:
            guest.end()

    def _make_room(self) -> bool:
        """Whether one more may come in: perhaps in place of the stranger who has been there the longest."""
        self._guests = [each for each in self._guests if each.transport is None or not each.transport.is_closing()]
        if len(self._guests) < MOST_CONNECTIONS:
            return True
        strangers = [guest for guest in self._guests if not guest.welcome]
        if strangers:
            self._end(min(strangers, key=lambda guest: guest.since_s))
        return bool(strangers)

    async def _greet(self, guest: _Guest, connection: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        timeout_s = None if self._tls is None else HEAD_S
        try:
            transport, _ = await loop.connect_accepted_socket(
                self._protocol, connection, ssl=self._tls, ssl_handshake_timeout=timeout_s
            )
            guest.transport, guest.end = transport, transport.abort
            loop.call_later(HEAD_S, self._end_stranger, guest)
        except OSError:  # TLS that was none, or took too long
            pass
        finally:
            if guest.transport is None:
                self._forget(guest)
                connection.close()

    def _end_stranger(self, guest: _Guest) -> None:
        if not guest.welcome:
            self._end(guest)

    def _end(self, guest: _Guest) -> None:
        guest.end()
        self._forget(guest)

    def _forget(self, guest: _Guest) -> None:
        self._guests = [each for each in self._guests if each is not guest]
