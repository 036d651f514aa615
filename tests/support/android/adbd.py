"""The device's side of adb: it lets hosts in, finds services, and breaks where a test says so."""

from __future__ import annotations

import asyncio
import socket

from support.android.phone import EMULATED_CORE, Phone
from support.android.protocol import Connection, Dialect, Door, Service
from support.android.shell import Shell
from support.android.sync import sync

_OLD_PROTOCOL, _NEW_PROTOCOL = (0x01000000, 256 << 10), (0x01000001, 1 << 20)

#: What adbd gives to a shell, and the core that qemu emulates.
_ENVIRONMENT = {
    "PATH": "/product/bin:/apex/com.android.runtime/bin:/system_ext/bin:/system/bin:/odm/bin:/vendor/bin",
    "HOME": "/",
    "TMPDIR": "/data/local/tmp",
    "ANDROID_ROOT": "/system",
    "ANDROID_DATA": "/data",
    "USER": "shell",
    "LOGNAME": "shell",
    "SHELL": "/bin/sh",
    "TERM": "dumb",
    "QEMU_CPU": EMULATED_CORE,
}


class Adbd:
    """Serves hosts until told to stop.

    Attributes:
        state: What adb calls it once it is let in: ``device``, ``recovery``, ``sideload``.
    """

    def __init__(self, phone: Phone, door: Door, state: str, listening: socket.socket):
        self.state = state
        self._phone, self._door, self._listening = phone, door, listening
        self._port = listening.getsockname()[1]
        self._server: asyncio.Server | None = None
        self._connections: set[Connection] = set()
        self._moved_bytes = 0
        self._accident: tuple[int, bool] | None = None  # at how many bytes, and whether it stays unplugged

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._serve, sock=self._listening, limit=2 << 20)

    async def obey(self, line: str) -> str:
        """Do what a test asks for, in one line; the answer is one line."""
        verb, *arguments = line.split()
        match verb, arguments:
            case "drop", [count, stays_out]:
                self._accident = self._moved_bytes + int(count), stays_out == "stays"
                if int(count) == 0:
                    self._break()
            case "plug", []:
                if self._server is None:
                    self._listening = socket.create_server(("127.0.0.1", self._port))
                    await self.start()
            case "door", [mode]:
                self._door.mode = mode
            case "allow", []:
                waiting = [connection for connection in self._connections if not connection.online]
                for connection in waiting:
                    await self._door.allow(connection)
                return "ok" if waiting else "nobody asks to be let in"
            case "state", [state]:
                self.state = state
            case _:
                return f"what is {line!r}?"
        return "ok"

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = Connection(
            reader, writer, dialect=self._dialect(), door=self._door, find=self._find, moved=self._moved
        )
        self._connections.add(connection)
        try:
            await connection.serve()
        finally:
            self._connections.discard(connection)
            self._door.forget(connection)

    def _dialect(self) -> Dialect:
        shown = ("ro.product.name", "ro.product.model", "ro.product.device")
        properties = "".join(f"{name}={self._phone.properties[name]};" for name in shown)
        version, packet_bytes = _NEW_PROTOCOL if self._phone.android >= 9 else _OLD_PROTOCOL
        features = ",".join(self._phone.features)
        return Dialect(version, packet_bytes, f"{self.state}::{properties}features={features}")

    def _find(self, name: str) -> Service | None:
        kind, _, argument = name.partition(":")
        service, *options = kind.split(",")
        if service in ("shell", "exec"):
            version_2 = service == "shell" and "v2" in options
            merged = service == "shell" and not version_2
            return Shell(argument, version_2, merged, _ENVIRONMENT)
        return sync if name == "sync:" else None

    def _moved(self, count: int) -> None:
        self._moved_bytes += count
        if self._accident is not None and self._moved_bytes >= self._accident[0]:
            self._break()

    def _break(self) -> None:
        assert self._accident is not None
        (_, stays_out), self._accident = self._accident, None
        if stays_out and self._server is not None:
            self._server.close()
            self._server = None
        for connection in self._connections:
            connection.abort()
