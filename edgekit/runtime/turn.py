"""Whose turn it is: one caller at a time, at a third of what a `threading.Lock` in a ``with`` statement costs.

That counts beside a model that runs for a microsecond. The turn is a key of a dict: taking it (``del``) and giving it
back are one instruction each, so that, as in such a ``with`` statement, no Ctrl-C and no exception out of a signal's
handler can come between taking it and knowing that it was taken. A call of ``acquire`` would leave it taken for ever.
"""

from __future__ import annotations

from collections.abc import Callable
from threading import Lock
from typing import TypeVar

T = TypeVar("T")

#: Who waits looks again after this time, should the one who was to hand over have been interrupted.
_LOOK_AGAIN_S = 1.0


class Turn:
    """A turn that one thread has at a time. Who has it must not ask for it again: that would wait for itself.

    `run` is how to take it. A caller for whom a function call is too much does by itself what `run` does.

    Attributes:
        free: Has the key 0 as long as nobody has the turn.
        waiting: Whether there is one to whom it has to be handed over.
    """

    __slots__ = ("_handed", "_is_handed", "_line", "free", "waiting")

    def __init__(self) -> None:
        self.free: dict[int, None] = {0: None}
        self.waiting = False
        self._line = Lock()  # of those who wait, the first one has it
        self._handed = Lock()  # free as soon as the turn was handed over
        self._handed.acquire()
        self._is_handed = False

    def run(self, function: Callable[[], T]) -> T:
        """What *function* gives, called when it is this thread's turn."""
        free = self.free
        try:
            del free[0]
        except KeyError:
            pass
        else:
            try:
                return function()
            finally:
                free[0] = None
                if self.waiting:
                    self.hand_over()
        return self.in_line(function)

    def in_line(self, function: Callable[[], T]) -> T:
        """The same for somebody who found the turn taken. Without being handed it, a thread that calls again and again
        would take it again and again, too."""
        with self._line:
            has_turn = False
            try:
                self.waiting = True
                while not has_turn:
                    try:
                        del self.free[0]
                        has_turn = True
                    except KeyError:
                        has_turn = self._handed.acquire(timeout=_LOOK_AGAIN_S)
                self.waiting = False
                return function()
            finally:
                self.waiting = False
                # An interruption may have come just when what was handed over was accepted; if it came before that, the
                # next one accepts it. Otherwise there is no call in between: after each, an interruption may come.
                if has_turn or (self._is_handed and self._handed.locked()):
                    self._is_handed = False
                    self.free[0] = None

    def hand_over(self) -> None:
        """Hand the turn, which was just given back, to the one who waits for it, unless it is taken already."""
        try:
            del self.free[0]
        except KeyError:
            return
        self._is_handed = True
        self._handed.release()
