"""The adb protocol from the device's end: packets, and streams over one connection.

After Android's description: packages/modules/adb, `docs/dev/internals.md` and `protocol.txt`.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import struct
from collections import deque
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass

from support.android.keys import Key, read_key, verify

CNXN, AUTH, OPEN, OKAY, WRTE, CLSE = (
    int.from_bytes(name, "little") for name in (b"CNXN", b"AUTH", b"OPEN", b"OKAY", b"WRTE", b"CLSE")
)
#: What an AUTH packet carries.
_TOKEN, _SIGNATURE, _PUBLIC_KEY = 1, 2, 3

_HEADER = struct.Struct("<6I")  # command, two arguments, length of the data, checksum, command ^ _ONES
_ONES = 0xFFFFFFFF
_MOST_BYTES = 1 << 20

#: From here on (Android 9), nobody looks at checksums.
_WITHOUT_CHECKSUMS = 0x01000001


class HostGone(Exception):
    """The host closed the stream, or the connection is lost."""


@dataclass(frozen=True)
class Dialect:
    """What a device says of itself when it is connected.

    Attributes:
        version: Of the protocol; both ends take the lower one.
        packet_bytes: The most that one packet carries; both ends take the lower one.
        banner: ``STATE::PROPERTY=VALUE;…features=A,B``.
    """

    version: int
    packet_bytes: int
    banner: str


Service = Callable[["Stream"], Awaitable[None]]


class Stream:
    """One opened service: bytes both ways."""

    def __init__(self, connection: Connection, local: int, remote: int):
        self._connection, self.local, self.remote = connection, local, remote
        self._received: deque[bytes] = deque()
        self._buffer = bytearray()
        self._news, self._acknowledged = asyncio.Event(), asyncio.Event()
        self._acknowledged.set()
        self._closed = False

    async def receive(self) -> bytes:
        """The next block; it is acknowledged only now, so that a host cannot send faster than it is read.

        Raises:
            HostGone: There is none, and none will come.
        """
        while not self._received:
            if self._closed:
                raise HostGone
            self._news.clear()
            await self._news.wait()
        data = self._received.popleft()
        if not self._closed:
            await self._connection.send(OKAY, self.local, self.remote)
        return data

    async def receive_exactly(self, count: int) -> bytes:
        while len(self._buffer) < count:
            self._buffer += await self.receive()
        data = bytes(self._buffer[:count])
        del self._buffer[:count]
        return data

    async def send(self, data: bytes) -> None:
        """Send *data* in as many packets as it takes: each waits for the acknowledgement of the one before.

        Raises:
            HostGone: Nobody reads any more.
        """
        rest = memoryview(data)
        while rest:
            await self.flushed()
            if self._closed:
                raise HostGone
            self._acknowledged.clear()
            block, rest = rest[: self._connection.packet_bytes], rest[self._connection.packet_bytes :]
            await self._connection.send(WRTE, self.local, self.remote, bytes(block))

    async def flushed(self) -> None:
        """Wait until the host has taken what was sent, or is gone."""
        await self._acknowledged.wait()

    def acknowledge(self) -> None:
        self._acknowledged.set()

    def add(self, data: bytes) -> None:
        self._received.append(data)
        self._news.set()

    def close(self) -> None:
        self._closed = True
        self._news.set()
        self._acknowledged.set()


class Connection:
    """One host's connection, from its first packet to its last.

    Attributes:
        online: Whether the host was let in.
        packet_bytes: As agreed with the host.
    """

    def __init__(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        *,
        dialect: Dialect,
        door: Door,
        find: Callable[[str], Service | None],
        moved: Callable[[int], None],
    ):
        """Nothing is read yet.

        Args:
            find: Gives the service that a host names, None for those that are not there.
            moved: Called with each number of bytes of data that came or goes.
        """
        self._reader, self._writer = reader, writer
        self._dialect, self._door, self._find, self._moved = dialect, door, find, moved
        self._streams: dict[int, Stream] = {}
        self._services: set[asyncio.Task[None]] = set()
        self._last_stream = 0
        self._version, self.packet_bytes = dialect.version, dialect.packet_bytes
        self.online = False
        # asyncio does this only to sockets made with IPPROTO_TCP; without it each block takes 40 ms.
        writer.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    async def serve(self) -> None:
        """Answer the host until it is gone."""
        try:
            while True:
                await self._answer(*await self._receive())
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            for stream in self._streams.values():
                stream.close()
            if self._services:
                await asyncio.wait(self._services, timeout=5)
            self._writer.close()

    def abort(self) -> None:
        """End it at once, as when the cable is pulled."""
        self._writer.transport.abort()

    async def send(self, command: int, first: int, second: int, data: bytes = b"") -> None:
        self._moved(len(data))
        checksum = sum(data) & _ONES if self._version < _WITHOUT_CHECKSUMS else 0
        self._writer.write(_HEADER.pack(command, first, second, len(data), checksum, command ^ _ONES) + data)
        await self._writer.drain()

    async def welcome(self) -> None:
        """Let the host in."""
        self.online = True
        await self.send(CNXN, self._dialect.version, self._dialect.packet_bytes, self._dialect.banner.encode())

    async def _receive(self) -> tuple[int, int, int, bytes]:
        command, first, second, length, _, magic = _HEADER.unpack(await self._reader.readexactly(_HEADER.size))
        if magic != command ^ _ONES or length > _MOST_BYTES:
            raise ConnectionError("not a packet")
        data = await self._reader.readexactly(length)
        self._moved(length)
        return command, first, second, data

    async def _answer(self, command: int, first: int, second: int, data: bytes) -> None:
        if command == CNXN:
            self._version = min(first, self._dialect.version)
            self.packet_bytes = min(second, self._dialect.packet_bytes)
            await self._door.knock(self)
        elif command == AUTH:
            await self._door.hear(self, first, data)
        elif command == OPEN and self.online:
            await self._open(first, data.rstrip(b"\0").decode("utf-8", "replace"))
        elif stream := self._streams.get(second):
            if command == OKAY:
                stream.acknowledge()
            elif command == WRTE:
                stream.add(data)
            elif command == CLSE:
                stream.close()
                del self._streams[second]
        elif command == WRTE:
            await self.send(CLSE, 0, first)

    async def _open(self, remote: int, name: str) -> None:
        service = self._find(name)
        if service is None:
            await self.send(CLSE, 0, remote)
            return
        self._last_stream += 1
        stream = self._streams[self._last_stream] = Stream(self, self._last_stream, remote)
        await self.send(OKAY, stream.local, remote)
        task = asyncio.create_task(self._run(service, stream))
        self._services.add(task)
        task.add_done_callback(self._services.discard)

    async def _run(self, service: Service, stream: Stream) -> None:
        with contextlib.suppress(HostGone, ConnectionError):
            await service(stream)
        with contextlib.suppress(ConnectionError):
            # The stream stays known until the last block is acknowledged: a host drops what comes with the end.
            await stream.flushed()
            if self._streams.pop(stream.local, None):
                await self.send(CLSE, stream.local, stream.remote)


class Door:
    """Who is let in.

    Attributes:
        mode: ``none``: everybody. ``accept``: who has a trusted key, and somebody at the device trusts every new one.
            ``ask``: the same, once `allow` was called. ``never``: nobody. ``mute``: the device does not say a word.
    """

    MODES = ("none", "accept", "ask", "never", "mute")

    def __init__(self, mode: str, trusted: Iterable[bytes]):
        """*trusted* are public keys as in ``adbkey.pub``."""
        self.mode = mode
        self._trusted = [read_key(text) for text in trusted]
        self._tokens: dict[Connection, bytes] = {}
        self._offered: dict[Connection, Key] = {}

    async def knock(self, connection: Connection) -> None:
        if self.mode == "none":
            await connection.welcome()
        elif self.mode != "mute":
            await self._challenge(connection)

    async def hear(self, connection: Connection, kind: int, data: bytes) -> None:
        if kind == _SIGNATURE:
            token = self._tokens.get(connection, b"")
            if self.mode != "never" and any(verify(key, token, data) for key in self._trusted):
                await connection.welcome()
            else:
                await self._challenge(connection)
        elif kind == _PUBLIC_KEY:
            self._offered[connection] = read_key(data)
            if self.mode == "accept":
                await self.allow(connection)

    async def allow(self, connection: Connection) -> None:
        """Somebody taps on *Allow*: the key that *connection* offered is trusted from now on."""
        if key := self._offered.pop(connection, None):
            self._trusted.append(key)
            await connection.welcome()

    def forget(self, connection: Connection) -> None:
        self._tokens.pop(connection, None)
        self._offered.pop(connection, None)

    async def _challenge(self, connection: Connection) -> None:
        self._tokens[connection] = token = os.urandom(20)
        await connection.send(AUTH, _TOKEN, 0, token)
