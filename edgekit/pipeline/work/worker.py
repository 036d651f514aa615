"""The worker process: runs tasks of one framework, one after the other, at the host's word.

Started by `edgekit.pipeline.work.pool`. Requests and answers are JSON in messages (`edgekit.runtime.frames`)
over what were standard input and output; descriptors 1 and 2 point to the task's log file meanwhile, so that nothing
a converter prints, from Python or from C, can reach the user's terminal or spoil a JSON document.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import traceback
from typing import Any

from edgekit.errors import ConversionError, EdgekitError, Interrupted
from edgekit.pipeline.work import events
from edgekit.pipeline.work.events import Reading
from edgekit.pipeline.work.watching import Watch
from edgekit.registry import import_name
from edgekit.runtime import frames
from edgekit.runtime.confinement import end_with_parent, leave_no_core
from edgekit.runtime.signals import leave_to_parent


def main() -> None:
    leave_to_parent()  # it passes Ctrl-C on to the task that can make use of it
    end_with_parent()
    leave_no_core()
    requests, answers = frames.take_over_pipes()
    watch = Watch()
    told = 0

    def tell(header: dict[str, Any], value: object) -> None:
        """Send a message, and before it what has been read since the last one."""
        nonlocal told
        notes = watch.notes()
        if len(notes) > told:
            reading = events.to_json(Reading(tuple(notes[told:])))
            told = len(notes)
            frames.send(answers, {"event": True}, json.dumps(reading).encode())
        frames.send(answers, header, json.dumps(value).encode())

    events.listen(lambda event: tell({"event": True}, events.to_json(event)))
    while True:
        try:
            request = json.loads(frames.receive(requests)[1])
        except EOFError:
            return
        told = 0  # whatever this process has read for one task, it has in memory for the next
        try:
            tell({}, _perform(**request))
        except EdgekitError as error:
            tell({"error": error.to_json()}, None)


def _perform(
    function: str, arguments: dict[str, Any], family: str, log: str, code: str, hint: str | None, interruptible: bool
) -> object:
    """See `edgekit.pipeline.work.pool.Task`.

    Raises:
        EdgekitError: Whatever went wrong.
    """
    stream = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(stream, 1)
    os.dup2(stream, 2)
    os.close(stream)
    try:
        if interruptible:
            signal.signal(signal.SIGINT, signal.default_int_handler)
        try:
            return import_name(function)(**arguments)
        finally:
            signal.signal(signal.SIGINT, signal.SIG_IGN)
    except EdgekitError:
        traceback.print_exc()
        raise
    except KeyboardInterrupt:
        raise Interrupted("EK-INTERRUPTED", "stopped", "run the same command again to go on") from None
    except MemoryError as error:
        traceback.print_exc()
        raise ConversionError("EK-CRASHED", "ran out of memory", "close other programs, or try --jobs 1") from error
    except (Exception, SystemExit) as error:  # the one boundary: what a converter raises becomes one failed row
        traceback.print_exc()
        text = next(iter(str(error).strip().splitlines()), "")
        raise ConversionError(code, f"{type(error).__name__}: {text}"[:300], hint) from error
    finally:
        sys.stdout.flush()
        sys.stderr.flush()


if __name__ == "__main__":
    main()
