"""Waiting for what another process does: long enough for a machine that is busy with something else."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")

_LIMIT_S = 60


def wait_until(fact: Callable[[], T], what: str = "it happens") -> T:
    """What *fact* gives as soon as that is true; *what* is said where it never is."""
    deadline = time.monotonic() + _LIMIT_S
    while not (value := fact()):
        assert time.monotonic() < deadline, f"waited in vain: {what}"
        time.sleep(0.02)
    return value


def text_of(file: Path) -> str:
    """What is in *file*, once something is."""
    return wait_until(lambda: file.exists() and file.read_text(), f"{file} is written") or ""


def is_alive(pid: int) -> bool:
    """Whether there is such a process that has not ended."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
