"""Tasks for the tests of the worker pool; they run in its processes."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

from edgekit.errors import UsageError
from edgekit.pipeline.work.events import Step, emit


def echo(**arguments: Any) -> dict[str, Any]:
    print("chatter from Python")
    os.system("echo chatter from C")
    emit(Step("echoing", 1, 1))
    return {"arguments": arguments, "pid": os.getpid(), "backend": os.environ.get("KERAS_BACKEND")}


def standing() -> dict[str, Any]:
    """How the system ranks this process."""
    autogroup = Path("/proc/self/autogroup")
    return {
        "nice": os.nice(0),
        "session": os.getsid(0),
        "group": os.getpgrp(),
        "autogroup": autogroup.read_text() if autogroup.exists() else "",
    }


def refuse() -> None:
    raise UsageError("EK-DATA", "the data is empty", "fill it")


def fail() -> None:
    raise RuntimeError("inner\nworkings")


def crash() -> None:
    ctypes.string_at(0)


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def leave() -> None:
    sys.stderr.flush()
    os._exit(7)


def import_numpy(path: str) -> None:
    """Wait for a Ctrl-C within an import, which numpy takes for a broken installation."""
    try:
        wait_for_ctrl_c(path)
    except KeyboardInterrupt:
        raise ImportError("IMPORTANT: PLEASE READ THIS FOR ADVICE ON HOW TO SOLVE THIS ISSUE!") from None


def wait(path: str) -> dict[str, Any]:
    """Wait for a Ctrl-C, then tidy up."""
    try:
        wait_for_ctrl_c(path)
    except KeyboardInterrupt:
        return {"interrupted": True}
    return {"interrupted": False}


def wait_for_ctrl_c(path: str) -> None:
    with open(path, "w") as started:
        started.write(str(os.getpid()))
    time.sleep(60)


def read_and_fail(path: str, directory: str) -> None:
    """Read a file, leave another, and say in an error whether that was there before."""
    with open(path) as file:
        file.read()
    left = os.path.join(directory, "left")
    found = "found" if os.path.exists(left) else "new"
    with open(left, "w") as file:
        file.write("left")
    raise RuntimeError(found)
