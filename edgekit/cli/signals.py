"""Signals that stop a command: the first in good order, a second at once."""

from __future__ import annotations

import errno
import os
import select
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType

from edgekit.cli import console
from edgekit.errors import Interrupted
from edgekit.runtime.signals import STOPPING

#: One stop may come as several signals: ``timeout`` sends its own twice, a terminal and its shell send one each.
_SAME_S = 0.1
#: How long a command may take after a second signal, and until it takes note of the first, which native code does not,
#: before its process is ended.
_GRACE_S, _STUCK_S = 1.0, 5.0
#: Standard output and standard error.
_STREAMS = (1, 2)


class Stop(KeyboardInterrupt):
    """A signal asks the command to stop."""


class _Received:
    """What this process was sent."""

    first: int | None = None
    at = 0.0
    instead: Callable[[], object] | None = None
    muted = False
    word: tuple[str, str | None] = "", None


def listen(clear: Callable[[], object]) -> None:
    """From now on, each of `STOPPING` raises `Stop` in the main thread, unless this process was started to ignore it.

    Args:
        clear: Called, on another thread, before the process is ended because the main thread does not come to its end.
    """
    while (fd := os.open(os.devnull, os.O_RDWR)) <= 2:  # it was closed, and is for nothing else that is opened
        pass
    os.close(fd)
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
    threading.Thread(target=_watch, args=(reading, clear), name="edgekit-signals", daemon=True).start()
    for number in STOPPING:
        if signal.getsignal(number) is not signal.SIG_IGN:  # as by nohup
            signal.signal(number, _handle)


def ignore() -> None:
    """Let nothing stop the rest, which is short."""
    for number in STOPPING:
        signal.signal(number, signal.SIG_IGN)


def received() -> bool:
    """Whether there was one."""
    return _Received.first is not None


def cause() -> str:
    """What stopped the command, for people."""
    return "Ctrl-C" if _Received.first in (None, signal.SIGINT) else signal.Signals(_Received.first).name


def stopped_with(kept: str = "", hint: str | None = None) -> Interrupted:
    """The error for a command that was stopped, which says what is *kept* of its work."""
    by = "" if _Received.first in (None, signal.SIGINT) else f" by {cause()}"
    return Interrupted("EK-INTERRUPTED", f"stopped{by}{kept and f'; {kept}'}", hint)


def leave_word(kept: str, hint: str | None = None) -> None:
    """What to say of a stop, in case that the main thread does not come to saying it."""
    _Received.word = kept, hint


def exit_code() -> int:
    """Of a command that was stopped: 128 and the signal's number."""
    return 128 + (_Received.first or signal.SIGINT)


@contextmanager
def instead(act: Callable[[], object]) -> Iterator[None]:
    """Within it the first signal calls *act* on the main thread, in the middle of whatever it does; a second is a
    `Stop`."""
    _Received.instead = act
    try:
        yield
    finally:
        _Received.instead = None


def nobody_listens(error: OSError) -> bool:
    """Whether *error* is of writing to a pipe whose reader has gone (``| head``), or to a terminal that is closed:
    where there is one, and not of another pipe or a disk."""
    return error.errno in (errno.EPIPE, errno.EIO) and (_Received.muted or any(map(_is_deaf, _STREAMS)))


def mute() -> None:
    """Drop what is written to where nobody listens, from now on, and what still waits to be."""
    _Received.muted = True
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for fd in filter(_is_deaf, _STREAMS):
        os.dup2(nowhere, fd)
    os.close(nowhere)


def _is_deaf(fd: int) -> bool:
    poll = select.poll()
    poll.register(fd, select.POLLOUT)
    return any(event & (select.POLLERR | select.POLLHUP) for _, event in poll.poll(0))


def _handle(number: int, frame: FrameType | None) -> None:
    now, first = time.monotonic(), _Received.first is None
    if not first and now - _Received.at < _SAME_S:
        return
    if first:
        _Received.first, _Received.at = number, now
        if any(map(_is_deaf, _STREAMS)):  # the terminal was closed: writing to it would fail
            mute()
        if _Received.instead is not None:
            _Received.instead()
            return
    raise Stop


def _watch(reading: int, clear: Callable[[], object]) -> None:
    """Hear signals even when the main thread cannot: end the process after a second one, or when it is stuck."""
    first, began = 0, 0.0
    while True:
        waits = first > 0 and _Received.first is None
        ready, _, _ = select.select([reading], [], [], _STUCK_S if waits else None)
        numbers = [number for number in os.read(reading, 64) if number in STOPPING] if ready else []
        if not numbers and waits and _Received.first is None:
            break
        now = time.monotonic()
        if numbers and not first:
            first, began = numbers[0], now
        elif numbers and now - began >= _SAME_S:
            time.sleep(_GRACE_S)
            break
    _Received.first = _Received.first or first
    word = stopped_with(*_Received.word)
    hint = f" hint: {word.hint}\n" if word.hint else ""
    for fd, text in ((2, f"error: {word.message} [{word.code}]\n{hint}"), (1, console.due_document(word))):
        with suppress(OSError):
            os.write(fd, text.encode(errors="backslashreplace"))
    clear()
    os._exit(exit_code())
