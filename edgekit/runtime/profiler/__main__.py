"""A session on this machine, for a host: ``python -m edgekit.runtime.profiler REQUEST.json BUNDLE...``.

Writes events as lines of JSON on standard output (see `edgekit.runtime.profiler.events`); the last one is
``{"event": "result", "device": ..., "cells": [...]}`` or ``{"event": "error", "error": ...}``.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from contextlib import ExitStack
from pathlib import Path
from types import FrameType
from typing import Any

from edgekit.bundle import Bundle
from edgekit.errors import EdgekitError, UsageError
from edgekit.runtime.profiler.events import event_to_json, to_json
from edgekit.runtime.profiler.session import run_session
from edgekit.runtime.profiler.settings import Request
from edgekit.schema import conform


def main(request_file: str, *bundles: str) -> int:
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _stop)
    try:
        with ExitStack() as stack:
            opened = [stack.enter_context(Bundle.open(bundle)) for bundle in bundles]
            device, cells = run_session(opened, _read(request_file), listener=lambda event: _say(event_to_json(event)))
        _say({"event": "result", "device": to_json(device), "cells": [to_json(cell) for cell in cells]})
    except EdgekitError as error:
        _say({"event": "error", "error": error.to_json()})
        return 1
    except (BrokenPipeError, KeyboardInterrupt):  # nobody listens any more
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # to what is left in the buffer, either
        return 1
    return 0


def _read(file: str) -> Request:
    try:
        request: Request = conform(Request, json.loads(Path(file).read_text(encoding="utf-8")))
    except (OSError, ValueError) as error:
        raise UsageError("EK-ARGUMENT", f"{file} holds no request: {error}") from error
    return request


def _say(event: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(event) + "\n")
    sys.stdout.flush()


def _stop(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt  # which ends the processes that are measured on its way out


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
