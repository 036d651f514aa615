"""Measuring on a device behind a shell: edgekit's session in a release's Python, its events heard as they come."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace

from edgekit import display, documents
from edgekit.bundle import Bundle
from edgekit.devices.ssh.deployment import Plan
from edgekit.devices.ssh.execution import send
from edgekit.devices.ssh.shell import Shell
from edgekit.devices.transport.completed import Answer, failure, told
from edgekit.errors import DeviceError
from edgekit.runtime.children import ANYWHERE
from edgekit.runtime.profiler import plausibility
from edgekit.runtime.profiler.events import Listener, Measured, event_from_json
from edgekit.runtime.profiler.profile import BundleRecord, DeviceRecord
from edgekit.runtime.profiler.records import Cell
from edgekit.runtime.profiler.settings import Request
from edgekit.schema import conform

#: The longest event, with the durations of a whole session; and all that a session may say.
_MOST_EVENT_BYTES, _MOST_SAID_BYTES = 32 << 20, 2 << 30
#: What is kept of a line that is no event.
_SAID_CHARACTERS = 4000

#: The agent keeps a program's standard output until its end, and passes on standard error as it comes.
_STREAMED = ("sh", "-c", 'exec "$@" 1>&2', "sh")
#: Runs the rest of the command line with what this release's Python has on its path.
_WITH_ITS_PATH = (*ANYWHERE, "-c", "import os, sys; os.execv(sys.argv[1], sys.argv[1:])")


def run_session(
    device: str, shell: Shell, plans: Sequence[Plan], bundles: Sequence[Bundle], request: Request, *, listener: Listener
) -> tuple[DeviceRecord, tuple[Cell, ...]]:
    """A session of `edgekit.runtime.profiler` in the Python of the releases of *plans*, which hold *bundles*.

    Raises:
        DeviceError: ``EK-CONNECT``, ``EK-DEVICE``, ``EK-CRASHED``: the connection or the session broke.
        EdgekitError: What the session raised there.
    """
    folder = shell.workspace()
    send(shell, f"{folder}/request.json", json.dumps(asdict(request)).encode())
    events = _Events(device, bundles, listener)
    first, *others = (f"{plan.path}/bin/python" for plan in plans)
    python = [word for other in others for word in (other, *_WITH_ITS_PATH)] + [first]
    files = (f"{plan.path}/{plan.release.bundle}" for plan in plans)
    module = (*ANYWHERE, "-m", "edgekit.runtime.profiler", f"{folder}/request.json", *files)
    answer = shell.ask(
        "exec",
        *_STREAMED,
        *python,
        *module,
        timeout_s=_limit_s(request, bundles),
        log=events.line,
        most_said=(_MOST_EVENT_BYTES, _MOST_SAID_BYTES),
    )
    return events.result(answer)


@dataclass(frozen=True)
class _Result:
    device: DeviceRecord
    cells: tuple[Cell, ...]


class _Events:
    """Takes the lines of a session: events in JSON, and whatever else is said. What does not fit is none of the two."""

    def __init__(self, device: str, bundles: Sequence[Bundle], listener: Listener):
        self._device = device
        self._variants = {
            (BundleRecord.of(bundle).sha256, entry.name) for bundle in bundles for entry in bundle.manifest.variants
        }
        self._listener = listener
        self._result: _Result | None = None
        self._said: deque[str] = deque(maxlen=20)
        self._error: Exception | None = None

    def line(self, line: str) -> None:
        """Called from another thread, which may not end by an error."""
        try:
            event = display.values(documents.parse(line))
        except ValueError:
            event = None
        if not isinstance(event, dict) or "event" not in event:
            self._said.append(line[:_SAID_CHARACTERS])
            return
        try:
            if event["event"] == "result":
                self._result = conform(_Result, {"device": event["device"], "cells": event["cells"]})
                self._check(*self._result.cells)
            elif event["event"] == "error":
                self._error = told(self._device, event["error"])
            elif (said := event_from_json(event)) is not None:
                if isinstance(said, Measured):
                    self._check(said.cell)
                    said = Measured(replace(said.cell, device=self._device))
                self._listener(said)
        except (ValueError, KeyError) as error:
            what = f"{self._device}: what edgekit answered there makes no sense ({error})"
            self._error = DeviceError("EK-DEVICE", what)
        except Exception as error:
            self._error = error

    def _check(self, *cells: Cell) -> None:
        """ValueError for a cell of something that is not measured here, or with durations that cannot be."""
        for cell in cells:
            if (cell.bundle, cell.variant) not in self._variants:
                raise ValueError("a row of something else")
            plausibility.check(cell)

    def result(self, answer: Answer) -> tuple[DeviceRecord, tuple[Cell, ...]]:
        if self._error is not None:
            raise self._error
        if self._result is None:
            said = replace(answer, output="", errors=tuple(self._said))
            raise failure(self._device, said, "the session")
        record, cells = self._result.device, self._result.cells
        return replace(record, name=self._device), tuple(replace(cell, device=self._device) for cell in cells)


def _limit_s(request: Request, bundles: Sequence[Bundle]) -> float:
    """No session takes longer; a connection that breaks is noticed much earlier."""
    settings = request.settings
    cells = sum(len(variant.engines) for bundle in bundles for variant in bundle.manifest.variants)
    passes = max(settings.repeats, settings.busy_repeats or 0) + 2  # memory and operators have their own
    return request.wait_s + cells * (passes * request.cell_timeout_s + 5 * settings.seconds) + 60
