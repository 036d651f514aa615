"""The phones that come to a page: what each is at, what each measured, and all of it as one profile."""

from __future__ import annotations

import shutil
import signal
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from queue import Empty, SimpleQueue
from types import FrameType, TracebackType
from typing import TYPE_CHECKING, Any

import click

import edgekit
from edgekit.cli import console, findings
from edgekit.errors import DeviceError, EdgekitError, Interrupted
from edgekit.runtime.profiler.records import BundleRecord, Cell, DeviceRecord, Profile, Settings

if TYPE_CHECKING:
    from edgekit.bundle import Bundle

#: A phone that has said nothing for so long has gone; one that reloads the page comes as another.
_GONE_S = 60.0
#: Phones whose progress is kept in mind.
_MOST_AT_WORK = 20
_LOOK_S = 0.5


class Sitting:
    """Shows and keeps what phones send. `receive` and `progress` are called by the server, on its threads.

    Used as a context manager: the first Ctrl-C ends it between two results and not in the middle of one, a second one
    at once.
    """

    def __init__(
        self,
        bundle: Bundle,
        settings: Settings,
        words: Sequence[str],
        outputs: Sequence[Path],
        *,
        as_json: bool,
        quiet: bool,
    ):
        """*words* are what of the command *settings* do not say."""
        self._bundle = bundle
        self._settings = settings
        self._words = tuple(words)
        self._outputs = tuple(outputs)
        self._as_json = as_json
        self._quiet = quiet
        self._created = datetime.now(UTC).isoformat(timespec="seconds")
        self._arrived: SimpleQueue[tuple[DeviceRecord, tuple[Cell, ...]]] = SimpleQueue()
        self._devices: list[DeviceRecord] = []
        self._cells: list[Cell] = []
        self._line = _Line(quiet)
        self._stopped = False

    def __enter__(self) -> Sitting:
        self._before = signal.signal(signal.SIGINT, self._press)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        signal.signal(signal.SIGINT, self._before)

    def _press(self, number: int, frame: FrameType | None) -> None:
        if self._stopped:
            raise KeyboardInterrupt
        self._stopped = True

    def receive(self, value: dict[str, Any]) -> None:
        """Take a posted result.

        Raises:
            UsageError: ``EK-INPUT``: it does not fit.
        """
        from edgekit.devices.browser.result import read_result

        try:
            found = read_result(value, self._bundle, self._settings)
        except Exception as error:
            reason = error.message if isinstance(error, EdgekitError) else f"{type(error).__name__}: {error}"
            self._line.say(f"a phone's result was not taken: {reason}")
            raise
        self._line.forget(str(value["run"]))
        self._arrived.put(found)

    def progress(self, event: dict[str, Any]) -> None:
        """Show how far a phone is."""
        self._line.hear(event)

    def wait(self, *, once: bool) -> None:
        """Show results as they come, until Ctrl-C or, with *once*, the first.

        Raises:
            Interrupted: No phone has sent one.
        """
        while not (self._stopped or (once and self._devices)):
            try:
                self._take(*self._arrived.get(timeout=_LOOK_S))
            except Empty:
                continue
        while not self._arrived.empty():  # phones were told that it has arrived
            self._take(*self._arrived.get())
        self._line.erase()
        if not self._devices:
            raise Interrupted("EK-INTERRUPTED", "stopped; no phone has sent a result")

    def end(self, *, strict: bool) -> None:
        """The last word.

        Raises:
            EdgekitError: Nothing was measured; or, with *strict*, something failed.
        """
        profile = self._profile(self._devices, self._cells)
        if self._as_json:
            findings.show(profile, self._outputs, as_json=True, quiet=self._quiet)
        failed = findings.failure(profile)
        if failed is not None and (strict or not findings.measured(profile)):
            raise failed
        if not findings.measured(profile):
            reason = profile.cells[0].reason if profile.cells else "it sent no rows"
            raise DeviceError("EK-DEVICE", f"nothing was measured: {reason}", "the page says more")

    def _take(self, record: DeviceRecord, cells: tuple[Cell, ...]) -> None:
        name = self._free_name(_name(record))
        record, cells = replace(record, name=name), tuple(replace(cell, device=name) for cell in cells)
        self._devices.append(record)
        self._cells += cells
        findings.keep(self._profile(self._devices, self._cells), self._outputs)
        self._show(record, cells)

    def _show(self, record: DeviceRecord, cells: Sequence[Cell]) -> None:
        if self._as_json:
            self._line.say(f"{record.name}: its result has arrived")
            return
        self._line.erase()
        browser = record.browser
        why = f" ({browser.connection}: {browser.why_threads})" if browser else ""
        click.echo(f"\n{record.name}{why}")
        findings.show(self._profile([record], cells), self._outputs, as_json=False, quiet=self._quiet)

    def _profile(self, devices: Sequence[DeviceRecord], cells: Sequence[Cell]) -> Profile:
        return Profile(
            created=self._created,
            producer=f"edgekit {edgekit.__version__}",
            command=self._command(),
            settings=self._settings,
            bundles=(BundleRecord.of(self._bundle),),
            devices=tuple(devices),
            cells=tuple(cells),
        )

    def _command(self) -> tuple[str, ...]:
        """What measures the same in the same order."""
        settings = self._settings
        words = ["edgekit", "phone", str(self._bundle.path), *self._words]
        words += [] if settings.mode == "default" else [f"--{settings.mode}"]
        words += [] if settings.threads is None else ["--threads", str(settings.threads)]
        return (*words, "--seed", str(settings.seed))

    def _free_name(self, name: str) -> str:
        taken, free, number = {record.name for record in self._devices}, name, 1
        while free in taken:
            number += 1
            free = f"{name} ({number})"
        return free


class _Line:
    """What phones are at: a line for each that begins, and on a terminal one that moves."""

    def __init__(self, quiet: bool):
        self._quiet = quiet
        self._moving = sys.stderr.isatty() and not quiet
        self._lock = threading.Lock()
        self._at_work: dict[str, tuple[float, str]] = {}
        self._begun: set[str] = set()

    def hear(self, event: dict[str, Any]) -> None:
        now, run = time.monotonic(), event["run"]
        with self._lock:
            if run not in self._begun and len(self._begun) < 10 * _MOST_AT_WORK:
                self._begun.add(run)
                self._say(f"{event['device']} measures")
            self._at_work.pop(run, None)
            self._at_work = {
                key: known for key, known in list(self._at_work.items())[-_MOST_AT_WORK:] if now - known[0] < _GONE_S
            }
            if event["done"] < 1:
                self._at_work[run] = now, f"{event['device']}: {100 * event['done']:.0f} % {event['text']}"
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
            click.echo("\r\x1b[K", err=True, nl=False)

    def _say(self, text: str) -> None:
        self.erase()
        console.note(text, self._quiet)

    def _draw(self) -> None:
        if self._moving and self._at_work:
            text = " | ".join(shown for _, shown in self._at_work.values())
            width = shutil.get_terminal_size().columns
            click.echo(f"\r\x1b[K{text[: width - 1]}", err=True, nl=False)


def _name(record: DeviceRecord) -> str:
    """What people call the phone: its model, where its browser tells."""
    machine = record.machine
    if machine is None:
        return record.name
    return f"{machine.os.partition(' on ')[0]} on {machine.board}" if machine.board else machine.os
