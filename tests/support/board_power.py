"""The power supply of a test board: a program that mounts its disk, starts it, and can cut the power.

Runs as root. Everything happens in namespaces of its own: mounts, processes and the table of foreign executables
(binfmt_misc, one for each user namespace since Linux 6.7), so that nothing is left when it ends.

Usage: board_power.py FILE.json. The line ``cut`` on standard input is a power
loss: the disk keeps what was written to it by then and no more. The end of standard input is a shutdown.
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import json
import os
import shutil
import signal
import struct
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, NoReturn

_NEWNS, _NEWUSER, _NEWPID = 0x20000, 0x10000000, 0x20000000
_MS_BIND, _MS_PRIVATE, _MS_REC = 0x1000, 1 << 18, 0x4000
_PR_SET_PDEATHSIG = 1

#: FS_IOC_SHUTDOWN of linux/fs.h, and EXT4_GOING_FLAGS_NOLOGFLUSH: not even the journal is written out.
_SHUTDOWN, _NO_LOG_FLUSH = 0x8004587D, 2

#: Interpreter -> class and machine in the header of the files it runs.
_QEMU = {"qemu-aarch64-static": (r"\x02", r"\xb7"), "qemu-arm-static": (r"\x01", r"\x28")}
_MAGIC = r"\x7f\x45\x4c\x46{}\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00{}\x00"
_MASK = r"\xff\xff\xff\xff\xff\xff\xff\x00\xff\xff\xff\xff\xff\xff\xff\xff\xfe\xff\xff\xff"

_libc = ctypes.CDLL(None, use_errno=True)


def main(plan: dict[str, Any]) -> None:
    root = Path(plan["root"])
    _check(_libc.unshare(_NEWNS), "a mount namespace")
    _mount("none", "/", "none", _MS_PRIVATE | _MS_REC)
    _mount("overlay", root, "overlay", options=plan["overlay"])
    subprocess.run(["mount", "-o", "loop", plan["disk"], str(root / "home")], check=True)
    _mount("tmpfs", root / "sys", "tmpfs")
    if plan["sys"] is not None:
        shutil.copytree(plan["sys"], root / "sys", dirs_exist_ok=True)
    _mount("tmpfs", root / "dev", "tmpfs")
    for name in ("null", "zero", "full", "random", "urandom", "tty"):
        (root / "dev" / name).touch()
        _mount(f"/dev/{name}", root / "dev" / name, "none", _MS_BIND)
    (root / "dev/shm").mkdir(mode=0o1777)
    guest, memory = _start(plan, root)
    command = sys.stdin.readline().strip()
    if command == "cut":
        disk = os.open(root / "home", os.O_RDONLY)
        fcntl.ioctl(disk, _SHUTDOWN, struct.pack("I", _NO_LOG_FLUSH))
        os.close(disk)
    os.kill(guest, signal.SIGKILL)
    os.waitpid(guest, 0)
    if memory is not None:
        _remove(memory)


def _limit_memory(guest: int, mebibytes: int) -> Path:
    """A control group in which the kernel kills the largest process once all together are too large."""
    groups = Path("/sys/fs/cgroup")
    if (groups / "cgroup.controllers").exists():
        (groups / "cgroup.subtree_control").write_text("+memory")
        group, file = groups / f"edgekit-board-{guest}", "memory.max"
    else:
        group, file = groups / f"memory/edgekit-board-{guest}", "memory.limit_in_bytes"
    group.mkdir()
    (group / file).write_text(str(mebibytes << 20))
    (group / "cgroup.procs").write_text(str(guest))
    return group


def _remove(group: Path) -> None:
    for _ in range(100):
        with contextlib.suppress(OSError):  # busy until the last process is gone
            group.rmdir()
            return
        time.sleep(0.05)


def _start(plan: dict[str, Any], root: Path) -> tuple[int, Path | None]:
    """The process whose death ends everything on the board, and the control group it is in."""
    ready, mapped = os.pipe(), os.pipe()
    guest = os.fork()
    if guest == 0:
        _check(_libc.unshare(_NEWUSER | _NEWNS | _NEWPID), "a user namespace")
        _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        os.write(ready[1], b"x")
        os.read(mapped[0], 1)
        # The first child is process 1 of the new namespace, whose end is the end of all others there.
        first = os.fork()
        if first == 0:
            _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
            _boot(plan, root)
        _, status = os.waitpid(first, 0)
        os._exit(os.waitstatus_to_exitcode(status) & 255)
    os.read(ready[0], 1)
    for file in ("uid_map", "gid_map"):
        Path(f"/proc/{guest}/{file}").write_text("0 0 65536")
    memory = None if plan["memory_mib"] is None else _limit_memory(guest, plan["memory_mib"])
    os.write(mapped[1], b"x")
    return guest, memory


def _boot(plan: dict[str, Any], root: Path) -> NoReturn:
    _mount("proc", "/proc", "proc")
    _mount("binfmt_misc", "/proc/sys/fs/binfmt_misc", "binfmt_misc")
    for name, header in _QEMU.items():
        # F: the interpreter is opened now, so that it need not be in the board's root.
        line = f":{name}:M::{_MAGIC.format(*header)}:{_MASK}:{shutil.which(name)}:F"
        Path("/proc/sys/fs/binfmt_misc/register").write_text(line)
    _mount("proc", root / "proc", "proc")
    for name, file in plan["proc"].items():
        _mount(file, root / "proc" / name, "none", _MS_BIND)
    os.chroot(root)
    os.chdir("/")
    os.execve(plan["command"][0], plan["command"], plan["environment"])


def _mount(source: str, target: Path | str, kind: str, flags: int = 0, options: str | None = None) -> None:
    data = None if options is None else options.encode()
    _check(_libc.mount(source.encode(), str(target).encode(), kind.encode(), flags, data), f"mounting {target}")


def _check(result: int, what: str) -> None:
    if result != 0:
        sys.exit(f"{what}: {os.strerror(ctypes.get_errno())}")


if __name__ == "__main__":
    main(json.loads(Path(sys.argv[1]).read_text()))
