"""Measuring on a device behind a shell: edgekit's session in a release's Python, its events heard as they come."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from edgekit.bundle import Bundle
from edgekit.devices.deployment import Plan
from edgekit.devices.execution import send
from edgekit.devices.shell import Answer, Shell, death, failure
from edgekit.errors import DeviceError, EdgekitError, from_json
from edgekit.runtime.profiler.records import Cell, DeviceRecord, Request
from edgekit.runtime.profiler.session import Hear
from edgekit.schema import conform

#: The agent keeps a program's standard output until its end, and passes on standard error as it comes.
_STREAMED = ("sh", "-c", 'exec "$@" 1>&2', "sh")
#: Runs the rest of the command line with what this release's Python has on its path.
_WITH_ITS_PATH = ("-c", "import os, sys; os.execv(sys.argv[1], sys.argv[1:])")


def run_session(
    device: str, shell: Shell, plans: Sequence[Plan], bundles: Sequence[Bundle], request: Request, *, hear: Hear
) -> tuple[DeviceRecord, tuple[Cell, ...]]:
    """A session of `edgekit.runtime.profiler` in the Python of the releases of *plans*, which hold *bundles*.

    Raises:
        DeviceError: ``EK-CONNECT``, ``EK-DEVICE``, ``EK-CRASHED``: the connection or the session broke.
        EdgekitError: What the session raised there.
    """
    folder = shell.do("workspace")
    send(shell, f"{folder}/request.json", json.dumps(request.to_json()).encode())
    listener = _Listener(device, hear)
    first, *others = (f"{plan.path}/bin/python" for plan in plans)
    python = [word for other in others for word in (other, *_WITH_ITS_PATH)] + [first]
    files = (f"{plan.path}/{plan.release.bundle}" for plan in plans)
    module = ("-m", "edgekit.runtime.profiler", f"{folder}/request.json", *files)
    answer = shell.ask(
        "exec", *_STREAMED, *python, *module, timeout_s=_limit_s(request, bundles), on_error=listener.line
    )
    return listener.result(answer)


class _Listener:
    """Takes the lines of a session: events in JSON, and whatever else is said."""

    def __init__(self, device: str, hear: Hear):
        self._device = device
        self._hear = hear
        self._result: dict[str, Any] | None = None
        self._said: deque[str] = deque(maxlen=20)
        self._error: Exception | None = None

    def line(self, line: str) -> None:
        """Called from another thread, which may not end by an error."""
        try:
            event = json.loads(line)
            kind = event["event"]
        except (ValueError, TypeError, KeyError):
            self._said.append(line)
            return
        try:
            if kind == "result":
                self._result = event
            elif kind == "error":
                self._error = from_json(event["error"])
            else:
                if kind == "cell":
                    event["cell"]["device"] = self._device
                self._hear(event)
        except Exception as error:
            self._error = error

    def result(self, answer: Answer) -> tuple[DeviceRecord, tuple[Cell, ...]]:
        if isinstance(self._error, EdgekitError):
            error = self._error
            raise type(error)(error.code, f"{self._device}: {error.message}", error.hint) from error
        if self._error is not None:
            raise self._error
        if self._result is None:
            said = replace(answer, output="", errors=tuple(self._said))
            raise death(self._device, "the session", said) if answer.signal else failure(self._device, said)
        try:
            record: DeviceRecord = conform(DeviceRecord, self._result["device"])
            cells: tuple[Cell, ...] = conform(tuple[Cell, ...], self._result["cells"])
        except (KeyError, ValueError) as error:
            raise DeviceError("EK-DEVICE", f"{self._device}: edgekit's answer is unreadable there") from error
        return replace(record, name=self._device), tuple(replace(cell, device=self._device) for cell in cells)


def _limit_s(request: Request, bundles: Sequence[Bundle]) -> float:
    """No session takes longer; a connection that breaks is noticed much earlier."""
    settings = request.settings
    cells = sum(len(variant.engines) for bundle in bundles for variant in bundle.manifest.variants)
    passes = max(settings.repeats, settings.busy_repeats or 0) + 2  # memory and operators have their own
    return request.wait_s + cells * (passes * request.cell_timeout_s + 5 * settings.seconds) + 60
