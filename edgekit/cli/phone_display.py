"""The phones that come to a page, for the person at the desk: what each is at, and what each measured."""

from __future__ import annotations

import errno
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from itertools import chain
from pathlib import Path
from queue import SimpleQueue

from edgekit.cli import console, findings, signals
from edgekit.devices.browser.posted import PageProgress
from edgekit.errors import DeviceError, EdgekitError, Interrupted
from edgekit.profiling import outcome
from edgekit.profiling.phone_results import PhoneResults
from edgekit.profiling.phone_session import Event, Kept, Refused, Taken
from edgekit.runtime.profiler.profile import DeviceRecord
from edgekit.runtime.profiler.records import Cell

#: A phone that has said nothing for so long has gone; one that reloads the page comes as another.
_GONE_S = 60.0
#: Phones whose progress is kept in mind.
_MOST_AT_WORK = 20

_Result = tuple[DeviceRecord, tuple[Cell, ...]]


class PhoneDisplay:
    """Shows what phones send to a `edgekit.profiling.phone_session.PhoneSession`. `show` is called on the server's
    threads; all else is for the main thread."""

    results: PhoneResults

    def __init__(self, outputs: Sequence[Path], *, as_json: bool, quiet: bool):
        """Its *results* are to be set before anything is shown."""
        #: Results, and None when it is time to stop.
        self._arrived: SimpleQueue[_Result | None] = SimpleQueue()
        self._outputs = tuple(outputs)
        self._as_json = as_json
        self._quiet = quiet
        self._line = _Line(quiet)
        self._trouble = ""
        self._unheard = False

    def show(self, event: Event) -> None:
        """Show one event of the session."""
        match event:
            case PageProgress():
                self._line.move(event)
            case Kept(device, cells):
                self._arrived.put((device, cells))
            case Refused(error):
                self._tell(error.message if isinstance(error, EdgekitError) else f"{type(error).__name__}: {error}")
            case Taken(run):
                self._line.forget(run)
                if self._trouble:
                    self._trouble = ""
                    self._line.say("all results are written again")

    def stop(self) -> None:
        """Have `wait` return. May be called by a signal's handler."""
        self._arrived.put(None)

    def wait(self, *, once: bool) -> None:
        """Show results as they come, until `stop` or, with *once*, the first."""
        while (result := self._arrived.get()) is not None:
            self._show([result])
            if once or self._unheard:
                return

    def end(self, *, strict: bool) -> None:
        """Write what still can be, render, and say the last word. Nothing may be received any more.

        Raises:
            Interrupted: No phone has sent a result; or it was a signal other than Ctrl-C that ended it.
            EdgekitError: Something could not be written; or nothing was measured; or, with *strict*, something failed.
            BrokenPipeError: Nobody listens.
        """
        unwritten = findings.failure_of(self.results.close)
        waiting = (self._arrived.get() for _ in range(self._arrived.qsize()))
        self._show([result for result in waiting if result is not None])
        self._line.erase()
        profile = self.results.profile
        if not profile.devices:
            raise self.stopped()
        signals.leave_word(*self._word())
        if self.results.way_to_render():
            self._line.say(f"writing {', '.join(map(str, self._outputs))} (Ctrl-C leaves out what is not there yet)")
        unrendered = findings.failure_of(self.results.render)
        if self._as_json:
            findings.show(profile, self._outputs, as_json=True, quiet=self._quiet)
        if unwritten is not None:
            lost = f"{self.results.unwritten} of {len(profile.devices)} results are not in it"
            raise EdgekitError(unwritten.code, f"{unwritten.message}: {lost}", unwritten.hint)
        if unrendered is not None:
            raise unrendered
        if self._unheard:
            raise BrokenPipeError(errno.EPIPE, "nobody listens")
        if signals.received() and signals.cause() != "Ctrl-C":
            raise signals.stopped_with(*self._word(rendered=True))
        failed = outcome.failure(profile)
        if failed is not None and (strict or not outcome.is_measured(profile)):
            raise failed
        if not outcome.is_measured(profile):
            reason = profile.cells[0].reason if profile.cells else "it sent no rows"
            raise DeviceError("EK-DEVICE", f"nothing was measured: {reason}", "the page says more")

    def stopped(self) -> Interrupted:
        """For the person who stopped it: what is kept."""
        return signals.stopped_with(*self._word())

    def _word(self, *, rendered: bool = False) -> tuple[str, str | None]:
        """Where the results are, and how to make of them what is not made yet."""
        count = len(self.results.profile.devices) - self.results.unwritten  # waits for what is just being written
        files = self._outputs if rendered else self.results.kept_in
        what = "no phone has sent a result"
        if count:
            kept = f"in {', '.join(map(str, files))}" if files else "nowhere, as there was no -o"
            what = f"the results of {count} phones are {kept}" if count > 1 else f"the result of 1 phone is {kept}"
        return what, None if rendered or not count else self.results.way_to_render() or None

    def _tell(self, reason: str) -> None:
        """Why a result was not taken, or that it waits; the same trouble once."""
        waiting = self.results.unwritten
        if not waiting:
            self._line.say(f"a phone's result was not taken: {reason}")
        elif reason != self._trouble:
            self._trouble = reason
            self._line.say(f"{reason}: what phones send waits in memory, and they are asked to send it again")

    def _show(self, results: Sequence[_Result]) -> None:
        if not results:
            return
        try:
            if self._as_json:
                for record, _ in results:
                    self._line.say(f"{record.name}: its result has arrived")
                return
            self._line.erase()
            console.say()
            for record, _ in results:
                browser = record.browser
                console.say(f"{record.name}{f' ({browser.connection}: {browser.why_threads})' if browser else ''}")
            devices, cells = zip(*results, strict=True)
            profile = replace(self.results.profile, devices=devices, cells=tuple(chain(*cells)))
            findings.show(profile, self.results.kept_in, as_json=False, quiet=self._quiet)
        except OSError as error:
            if not signals.nobody_listens(error):
                raise
            self._unheard = True
            signals.mute()


class _Line:
    """What phones are at: a line for each that begins, and on a terminal one that moves. Where nobody reads it any
    more, phones are served all the same."""

    def __init__(self, quiet: bool):
        self._quiet = quiet
        self._moving = console.is_terminal() and not quiet
        self._lock = threading.Lock()
        self._at_work: dict[str, tuple[float, str]] = {}
        self._begun: set[str] = set()

    def move(self, event: PageProgress) -> None:
        now, run = time.monotonic(), event.run
        with self._lock:
            if run not in self._begun and len(self._begun) < 10 * _MOST_AT_WORK:
                self._begun.add(run)
                self._say(f"{event.device} measures")
            self._at_work.pop(run, None)
            self._at_work = {
                key: known for key, known in list(self._at_work.items())[-_MOST_AT_WORK:] if now - known[0] < _GONE_S
            }
            if event.done < 1:
                self._at_work[run] = now, f"{event.device}: {100 * event.done:.0f} % {event.text}"
            self._draw()

    def forget(self, run: str) -> None:
        with self._lock:
            self._at_work.pop(run, None)

    def say(self, text: str) -> None:
        with self._lock:
            self._say(text)
            self._draw()

    def erase(self) -> None:
        if self._moving:
            with suppress(OSError):
                console.erase()

    def _say(self, text: str) -> None:
        self.erase()
        with suppress(OSError):
            console.note(text, self._quiet)

    def _draw(self) -> None:
        if self._moving and self._at_work:
            text = " | ".join(shown for _, shown in self._at_work.values())
            with suppress(OSError):
                console.move(text)
