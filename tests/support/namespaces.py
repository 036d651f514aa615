"""Linux namespaces for systems under emulation: mounts, processes and foreign executables that only they see."""

from __future__ import annotations

import ctypes
import os
import shutil
import signal
from collections.abc import Iterable
from pathlib import Path

NEW_MOUNTS, NEW_USERS, NEW_PROCESSES = 0x20000, 0x10000000, 0x20000000
READ_ONLY, NO_SUID, NO_DEVICES, NO_EXEC, REMOUNT = 1, 2, 4, 8, 0x20
BIND, RECURSIVE, PRIVATE = 0x1000, 0x4000, 1 << 18

_PR_SET_PDEATHSIG = 1

#: Interpreter -> class and machine in the header of the files it runs.
_QEMU = {"qemu-aarch64-static": (r"\x02", r"\xb7"), "qemu-arm-static": (r"\x01", r"\x28")}
_MAGIC = r"\x7f\x45\x4c\x46{}\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00{}\x00"
_MASK = r"\xff\xff\xff\xff\xff\xff\xff\x00\xff\xff\xff\xff\xff\xff\xff\xff\xfe\xff\xff\xff"

_libc = ctypes.CDLL(None, use_errno=True)


def unshare(namespaces: int) -> None:
    """Leave the parent's *namespaces*; those of processes are for children only.

    Raises:
        OSError: The kernel refuses.
    """
    _check(_libc.unshare(namespaces), "new namespaces")


def mount(source: Path | str, target: Path | str, kind: str, flags: int = 0, options: str | None = None) -> None:
    data = None if options is None else options.encode()
    _check(_libc.mount(str(source).encode(), str(target).encode(), kind.encode(), flags, data), f"mounting {target}")


def die_with_parent() -> None:
    """Be killed when the parent ends. To be said again after each change of user, which clears it."""
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def map_users(process: int) -> None:
    """Give the user namespace of *process* the users of this one. Needs root."""
    for file in ("uid_map", "gid_map"):
        Path(f"/proc/{process}/{file}").write_text("0 0 65536")


def run_foreign_programs(interpreters: Iterable[str] = _QEMU) -> None:
    """Have the kernel start Arm programs by qemu, in this user namespace alone (Linux 6.7). Mounts what that takes."""
    mount("binfmt_misc", "/proc/sys/fs/binfmt_misc", "binfmt_misc")
    for name in interpreters:
        # F: the interpreter is opened now, so that it need not be in the system's root.
        line = f":{name}:M::{_MAGIC.format(*_QEMU[name])}:{_MASK}:{shutil.which(name)}:F"
        Path("/proc/sys/fs/binfmt_misc/register").write_text(line)


def _check(result: int, what: str) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")
