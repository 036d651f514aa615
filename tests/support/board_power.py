"""The power supply of a test board: a program that mounts its disk, starts it, and can cut the power.

Runs as root. Everything happens in namespaces of its own: mounts, processes and the table of foreign executables
(binfmt_misc, one for each user namespace since Linux 6.7), so that nothing is left when it ends.

Usage: python -m support.board_power FILE.json. The line ``cut`` on standard input is a power
loss: the disk keeps what was written to it by then and no more. The end of standard input is a shutdown.
"""

from __future__ import annotations

import contextlib
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

from support.namespaces import (
    BIND,
    NEW_MOUNTS,
    NEW_PROCESSES,
    NEW_USERS,
    PRIVATE,
    RECURSIVE,
    die_with_parent,
    map_users,
    mount,
    run_foreign_programs,
    unshare,
)

#: FS_IOC_SHUTDOWN of linux/fs.h, and EXT4_GOING_FLAGS_NOLOGFLUSH: not even the journal is written out.
_SHUTDOWN, _NO_LOG_FLUSH = 0x8004587D, 2


def main(plan: dict[str, Any]) -> None:
    root = Path(plan["root"])
    unshare(NEW_MOUNTS)
    mount("none", "/", "none", PRIVATE | RECURSIVE)
    mount("overlay", root, "overlay", options=plan["overlay"])
    subprocess.run(["mount", "-o", "loop", plan["disk"], str(root / "home")], check=True)
    mount("tmpfs", root / "sys", "tmpfs")
    if plan["sys"] is not None:
        shutil.copytree(plan["sys"], root / "sys", dirs_exist_ok=True)
    mount("tmpfs", root / "dev", "tmpfs")
    for name in ("null", "zero", "full", "random", "urandom", "tty"):
        (root / "dev" / name).touch()
        mount(f"/dev/{name}", root / "dev" / name, "none", BIND)
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
        unshare(NEW_USERS | NEW_MOUNTS | NEW_PROCESSES)
        die_with_parent()
        os.write(ready[1], b"x")
        os.read(mapped[0], 1)
        # The first child is process 1 of the new namespace, whose end is the end of all others there.
        first = os.fork()
        if first == 0:
            die_with_parent()
            _boot(plan, root)
        _, status = os.waitpid(first, 0)
        os._exit(os.waitstatus_to_exitcode(status) & 255)
    os.read(ready[0], 1)
    map_users(guest)
    memory = None if plan["memory_mib"] is None else _limit_memory(guest, plan["memory_mib"])
    os.write(mapped[1], b"x")
    return guest, memory


def _boot(plan: dict[str, Any], root: Path) -> NoReturn:
    mount("proc", "/proc", "proc")
    run_foreign_programs()
    mount("proc", root / "proc", "proc")
    for name, file in plan["proc"].items():
        mount(file, root / "proc" / name, "none", BIND)
    os.chroot(root)
    os.chdir("/")
    os.execve(plan["command"][0], plan["command"], plan["environment"])


if __name__ == "__main__":
    main(json.loads(Path(sys.argv[1]).read_text()))
