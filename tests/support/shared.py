"""What takes long to make is made once for all test processes of a run."""

from __future__ import annotations

import fcntl
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest


class Shared:
    """Folders that the first test process to ask for them fills, while the others wait.

    `directory` is set by conftest.py, to one that all processes of this run have and no other run has.
    """

    directory: Path

    @classmethod
    def place(cls, factory: pytest.TempPathFactory, worker: str | None) -> None:
        base = factory.getbasetemp()
        cls.directory = (base if worker is None else base.parent) / "shared"
        cls.directory.mkdir(exist_ok=True)

    @classmethod
    def once(cls, name: str, make: Callable[[Path], object]) -> Path:
        """The folder called *name*, filled by *make*; one that *make* did not finish is made again."""
        folder, finished = cls.directory / name, cls.directory / f"{name}.finished"
        with (cls.directory / f"{name}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not finished.exists():
                shutil.rmtree(folder, ignore_errors=True)
                folder.mkdir()
                make(folder)
                finished.touch()
        return folder
