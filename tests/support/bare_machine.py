"""What a test without the mark ``system`` finds on any machine: this Python's programs, and a shell's usual tools.

What more this machine has (compilers, browsers, SSH, emulators) is out of its sight, so that whoever leaves the mark
out learns it here, and not from somebody who has less.
"""

from __future__ import annotations

import os
import re
import shutil
import sys
import sysconfig
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

#: Coreutils, shells, and what else belongs to the smallest of Linux systems.
_NAMES = """
    [ awk base64 basename bash cat chgrp chmod chown cksum cmp comm cp cut dash date dd df diff dirname du echo egrep
    env expr false fgrep find flock fold getconf getopt grep groups gunzip gzip head hostname id install join kill ldd
    link ln locale ls mawk md5sum mkdir mkfifo mknod mktemp mv nice nl nohup nproc od paste pathchk printenv printf pwd
    readlink realpath rm rmdir sed seq setsid sh sha1sum sha256sum sha512sum shuf sleep sort split stat stdbuf stty sync
    tail tar taskset tee test timeout touch tr true truncate tty uname uniq unlink wc which who whoami xargs yes zcat
"""
TOOLS = frozenset(_NAMES.split())

#: Where a system keeps its programs; starting any other from there is seen, too.
_SYSTEM = re.compile(r"(/usr)?(/local)?/s?bin/([^/]+)")


class BareMachine:
    """A ``PATH`` with `TOOLS` and this Python's own programs, and a watch over what is started by its whole path."""

    def __init__(self, folder: Path):
        """*folder* is empty; links go there."""
        for name in TOOLS:
            program = shutil.which(name)
            if program is not None:
                (folder / name).symlink_to(program)
        own = dict.fromkeys([sysconfig.get_path("scripts"), str(Path(sys.executable).parent)])
        self._path = os.pathsep.join([*own, str(folder)])
        self._watching = False
        sys.addaudithook(self._watch)

    @contextmanager
    def only(self) -> Iterator[None]:
        """As long as this is open, this process and those that it starts see no more than that."""
        before = os.environ["PATH"]
        os.environ["PATH"], self._watching = self._path, True
        try:
            yield
        finally:
            os.environ["PATH"], self._watching = before, False

    def _watch(self, event: str, arguments: tuple[Any, ...]) -> None:
        if event != "subprocess.Popen" or not self._watching:
            return
        found = _SYSTEM.fullmatch(os.fsdecode(arguments[0] or arguments[1][0]))
        if found is not None and found[3] not in TOOLS and not found[0].startswith(sys.prefix):
            pytest.fail(f"{found[0]} is on this machine, and not on every one: such a test is marked `system`")
