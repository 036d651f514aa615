"""The files that every simulated device has alike: made once, from Debian's packages for arm64.

The shell is mksh and the tools are toybox, as on Android. toybox needs a C library, which lies where only it looks:
programs that a test sends have to bring their own.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from support.android.root import MOUNT_POINTS

from edgekit.devices.payload import debian
from edgekit.private import home

_PACKAGES = ("mksh", "toybox")
_SHELL, _TOYBOX, _LIBRARIES = "usr/lib/klibc/bin/mksh", "usr/bin/toybox", "usr/lib/aarch64-linux-gnu"
_LOADER, _NEEDED = "ld-linux-aarch64.so.1", ("libc.so.6", "libm.so.6", "libcrypt.so.1")

#: Paths in the loader and in toybox -> the device's, not longer.
_PATHS = {
    "/lib/ld-linux-aarch64.so.1": "/system/bin/toybox-linker",
    "/lib/aarch64-linux-gnu/": "/system/lib64/toybox-c/",
}

#: Tools of Android 14, as far as Debian's toybox has them: awk, dd, diff, expr, more and tr are lacking.
_ANDROID_TOOLS = """
awk base64 basename blkid blockdev bunzip2 bzcat cal cat chgrp chmod chown chroot clear cmp cp cpio cut date dd df
diff dirname dmesg dos2unix du echo egrep env expand expr fallocate false fgrep find flock fmt free fsync getopt grep
groups gunzip gzip head hostname id ifconfig inotifyd insmod ionice kill killall ln logger logname ls lsmod lsof lspci
lsusb md5sum microcom mkdir mkfifo mknod mkswap mktemp more mount mountpoint mv nc netstat nice nl nohup nproc nsenter
od paste patch pgrep pidof ping pkill printenv printf ps pwd readlink realpath renice rev rm rmdir rmmod sed seq
setsid sha1sum sha224sum sha256sum sha384sum sha512sum sleep sort split stat strings stty swapoff swapon sync sysctl
tac tail tar taskset tee test time timeout top touch tr traceroute true truncate tty uname uniq unix2dos unlink
unshare uptime usleep uudecode uuencode vi vmstat watch wc which whoami xargs xxd yes zcat
"""

_GETPROP = """\
#!/system/bin/sh
while IFS='=' read -r name value; do
    [ -z "$1" ] && echo "[$name]: [$value]"
    [ "$name" = "$1" ] && found=$value
done </vendor/build.prop
[ -z "$1" ] || echo "${found:-$2}"
"""

_DUMPSYS = """\
#!/system/bin/sh
[ -f "/vendor/dumpsys/$1" ] && exec cat "/vendor/dumpsys/$1"
echo "Can't find service: $1"
"""


def missing() -> str | None:
    """What this machine lacks, in one line; None when it lacks nothing."""
    programs = {"qemu-aarch64-static": "qemu-user-static", "adb": "adb"}
    packages = [package for program, package in programs.items() if shutil.which(program) is None]
    packages += debian.missing_tools()
    return f"apt-get install {' '.join(packages)}" if packages else None


def directory() -> Path:
    """What every device has, below ``$EDGEKIT_HOME``: fetched and made by the first who asks. Nobody writes there.

    Raises:
        AssertionError: This machine cannot have such devices.
    """
    lack = missing()
    assert lack is None, f"a simulated device needs more on this machine: {lack}"
    assert os.geteuid() == 0, "a simulated device is started by root: run the tests as root"
    recipe = repr((_PACKAGES, MOUNT_POINTS, _PATHS, _ANDROID_TOOLS, _GETPROP, _DUMPSYS))
    folder = home() / "simulated-device"
    place = folder / hashlib.sha256(recipe.encode()).hexdigest()[:16]
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not place.is_dir():
            with tempfile.TemporaryDirectory(dir=folder) as scratch:
                debian.unpack(_PACKAGES, "aarch64", Path(scratch, "debian"), lambda line: None)
                _make(Path(scratch, "debian"), Path(scratch, "root"))
                Path(scratch, "root").rename(place)
    return place


def _make(unpacked: Path, root: Path) -> None:
    programs, libraries = root / "system/bin", root / _PATHS["/lib/aarch64-linux-gnu/"].strip("/")
    for path in (programs, libraries, *(root / name for name in MOUNT_POINTS)):
        path.mkdir(parents=True)
    shutil.copy(unpacked / _SHELL, programs / "sh")
    for name in _NEEDED:
        shutil.copy(unpacked / _LIBRARIES / name, libraries / name)
    loader = root / _PATHS[f"/lib/{_LOADER}"].strip("/")
    _move(unpacked / _LIBRARIES / _LOADER, loader)
    _move(unpacked / _TOYBOX, programs / "toybox")
    listing = ["qemu-aarch64-static", "-L", str(unpacked), str(unpacked / _TOYBOX)]
    known = subprocess.run(listing, env={}, capture_output=True, text=True, check=True).stdout.split()
    for name in set(_ANDROID_TOOLS.split()).intersection(known):
        (programs / name).symlink_to("toybox")
    for name, text in {"getprop": _GETPROP, "dumpsys": _DUMPSYS}.items():
        (programs / name).write_text(text)
        (programs / name).chmod(0o755)
    (root / "bin").symlink_to("/system/bin")


def _move(program: Path, target: Path) -> None:
    """Copy *program* and make it look for its libraries where the device has them."""
    code = program.read_bytes()
    for old, new in _PATHS.items():
        code = code.replace(old.encode(), new.encode().ljust(len(old), b"\0"))
    target.write_bytes(code)
    target.chmod(0o755)
