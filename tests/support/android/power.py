"""The program that is a simulated device: its end is the end of everything on it.

Usage: power.py PLAN, in JSON as `support.android.device` makes it. Lines on standard input are commands for
`support.android.adbd`, each answered by a line; the end of standard input, or of the parent, switches it off.

Four processes: this one stays outside to give the others their users; the second makes the namespaces; the third is
process 1 there and reaps; the fourth is adbd, inside the device's root and without rights.
"""

# What is imported only when it is needed has to be here before the root changes.
from __future__ import annotations

import asyncio
import concurrent.futures.thread  # noqa: F401
import json
import linecache  # noqa: F401
import os
import resource
import signal
import socket
import sys
import traceback  # noqa: F401
from pathlib import Path
from typing import Any, NoReturn

from support import namespaces
from support.android import root
from support.android.adbd import Adbd
from support.android.phone import Phone
from support.android.protocol import Door

#: The user of adb's shell on Android.
_SHELL_USER = 2000


def main(plan: dict[str, Any]) -> NoReturn:
    namespaces.die_with_parent()
    if os.getppid() != plan["parent"]:
        sys.exit("the parent is gone")
    listening = socket.create_server(("127.0.0.1", plan["port"]))
    ready, mapped = os.pipe(), os.pipe()
    child = os.fork()
    if child == 0:
        namespaces.die_with_parent()
        namespaces.unshare(namespaces.NEW_USERS | namespaces.NEW_MOUNTS | namespaces.NEW_PROCESSES)
        namespaces.die_with_parent()
        os.write(ready[1], b"x")
        os.read(mapped[0], 1)
        _first(plan, listening)
    os.close(ready[1])
    if os.read(ready[0], 1):
        namespaces.map_users(child)
        os.write(mapped[1], b"x")
    listening.close()
    _end_with(child)


def _first(plan: dict[str, Any], listening: socket.socket) -> NoReturn:
    child = os.fork()
    if child == 0:
        namespaces.die_with_parent()
        _init(plan, listening)
    print(json.dumps({"init": child}), flush=True)
    listening.close()
    _end_with(child)


def _init(plan: dict[str, Any], listening: socket.socket) -> NoReturn:
    """Process 1: adopts what loses its parent; the kernel ends all others with it. Freezes and thaws them, too."""
    namespaces.mount("none", "/", "none", namespaces.PRIVATE | namespaces.RECURSIVE)
    namespaces.mount("proc", "/proc", "proc")
    namespaces.run_foreign_programs(["qemu-aarch64-static"])
    phone = Phone(**plan["phone"])
    root.fill(Path(plan["root"]), phone)
    child = os.fork()
    if child == 0:
        _enter(Path(plan["root"]))
        asyncio.run(_serve(plan, phone, listening))
        os._exit(0)
    listening.close()
    os.close(sys.stdin.fileno())
    signal.signal(signal.SIGUSR1, lambda *_: os.kill(-1, signal.SIGSTOP))
    signal.signal(signal.SIGUSR2, lambda *_: os.kill(-1, signal.SIGCONT))
    while True:
        process, status = os.wait()
        if process == child:
            os._exit(os.waitstatus_to_exitcode(status) & 255)


def _enter(directory: Path) -> None:
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    os.chroot(directory)
    os.chdir("/")
    os.umask(0)
    os.setgroups([])
    os.setresgid(_SHELL_USER, _SHELL_USER, _SHELL_USER)
    os.setresuid(_SHELL_USER, _SHELL_USER, _SHELL_USER)
    namespaces.die_with_parent()


async def _serve(plan: dict[str, Any], phone: Phone, listening: socket.socket) -> None:
    adbd = Adbd(phone, Door(plan["door"], [text.encode() for text in plan["trusted"]]), plan["state"], listening)
    commands = asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(commands), sys.stdin)
    await adbd.start()
    print(json.dumps({"port": listening.getsockname()[1]}), flush=True)
    while line := await commands.readline():
        print(await adbd.obey(line.decode()), flush=True)
    os._exit(0)


def _end_with(child: int) -> NoReturn:
    os.close(sys.stdin.fileno())
    _, status = os.waitpid(child, 0)
    os._exit(os.waitstatus_to_exitcode(status) & 255)


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
