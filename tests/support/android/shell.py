"""The services ``shell:``, ``shell,v2:`` and ``exec:``: a command of the device's shell."""

from __future__ import annotations

import asyncio
import signal
import struct
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass

from support.android.protocol import HostGone, Stream

SHELL = "/system/bin/sh"

#: Version 2 puts a number and a length before each block; the others are the raw bytes of all outputs.
_BLOCK = struct.Struct("<BI")
_STDIN, _STDOUT, _STDERR, _EXIT, _CLOSE_STDIN = range(5)

_PIPE_BYTES = 32768


@dataclass(frozen=True)
class Shell:
    """Runs one command per stream.

    Attributes:
        version_2: Outputs apart, and the exit code. Otherwise there is no exit code.
        merged: Whether standard error goes where standard output goes.
        environment: The whole of it.
    """

    command: str
    version_2: bool
    merged: bool
    environment: Mapping[str, str]

    async def __call__(self, stream: Stream) -> None:
        pipe = asyncio.subprocess.PIPE
        process = await asyncio.create_subprocess_exec(
            SHELL,
            *(["-c", self.command] if self.command else []),
            cwd="/",
            env=dict(self.environment),
            stdin=pipe,
            stdout=pipe,
            stderr=subprocess.STDOUT if self.merged else pipe,
            start_new_session=True,
        )
        outputs = [(_STDOUT, process.stdout), (_STDERR, process.stderr)]
        sent = asyncio.gather(*(self._send(stream, number, output) for number, output in outputs if output))
        fed = asyncio.create_task(self._feed(stream, process.stdin))
        try:
            await asyncio.wait({sent, fed}, return_when=asyncio.FIRST_COMPLETED)
            if fed.done() and isinstance(fed.exception(), HostGone):
                raise HostGone
            await sent
            status = await process.wait()
            if self.version_2:
                code = status if status >= 0 else 128 - status  # a signal, as a shell tells it
                await stream.send(_BLOCK.pack(_EXIT, 1) + bytes([code & 255]))
        finally:
            if process.returncode is None:  # as adbd does when the host is gone
                process.send_signal(signal.SIGHUP)
            for task in (sent, fed):
                task.cancel()
            await asyncio.gather(sent, fed, return_exceptions=True)
            assert process.stdin is not None
            process.stdin.close()

    async def _send(self, stream: Stream, number: int, output: asyncio.StreamReader) -> None:
        while data := await output.read(_PIPE_BYTES):
            await stream.send(_BLOCK.pack(number, len(data)) + data if self.version_2 else data)

    async def _feed(self, stream: Stream, stdin: asyncio.StreamWriter | None) -> None:
        assert stdin is not None
        while True:
            number, data = _STDIN, b""
            if self.version_2:
                number, length = _BLOCK.unpack(await stream.receive_exactly(_BLOCK.size))
                data = await stream.receive_exactly(length)
            else:
                data = await stream.receive()
            if number == _STDIN:
                await self._write(stdin, data)
            elif number == _CLOSE_STDIN:
                stdin.close()

    @staticmethod
    async def _write(stdin: asyncio.StreamWriter, data: bytes) -> None:
        try:
            stdin.write(data)
            await stdin.drain()
        except (BrokenPipeError, ConnectionResetError):
            pass  # the program does not read it; its end is what ends this
