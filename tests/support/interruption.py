"""Ctrl-C in the middle of some work."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable

import pytest


def interrupted(work: Callable[[], object]) -> float:
    """How long it took from Ctrl-C until *work* was over, and all that was behind it."""
    pressed: list[float] = []

    def press() -> None:
        time.sleep(0.5)
        pressed.append(time.monotonic())
        os.kill(os.getpid(), signal.SIGINT)

    thread = threading.Thread(target=press)
    thread.start()
    with pytest.raises(KeyboardInterrupt):
        work()
    thread.join()
    return time.monotonic() - pressed[0]
