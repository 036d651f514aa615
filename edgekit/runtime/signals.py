"""The signals that ask a program to stop."""

from __future__ import annotations

import os
import signal

#: What ``kill``, ``timeout`` and init systems send; and what a terminal sends that is closed.
_OUTSIDE = (signal.SIGTERM, signal.SIGHUP)
STOPPING = (signal.SIGINT, *_OUTSIDE)


def leave_to_parent() -> None:
    """In a child that works at its parent's word: signals that reach the whole group of processes, or everything below
    a supervisor, are the parent's to hear. It ends this process when it is ready to."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    for number in _OUTSIDE:
        # To ignore them would pass on to programs that are started from here.
        signal.signal(number, lambda number, frame: None)
    # One that comes to a forked child before it has the default again is not lost: it waits.
    os.register_at_fork(before=_hold, after_in_parent=_release, after_in_child=_reset)


def _hold() -> None:
    signal.pthread_sigmask(signal.SIG_BLOCK, _OUTSIDE)


def _release() -> None:
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _OUTSIDE)


def _reset() -> None:
    """`multiprocessing` ends its workers by these."""
    for number in _OUTSIDE:
        signal.signal(number, signal.SIG_DFL)
    _release()
