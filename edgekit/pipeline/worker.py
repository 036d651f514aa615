"""The worker process: runs tasks of one framework, one after the other, at the host's word.

Started by `edgekit.pipeline.pool`. Requests come as JSON lines on standard input and answers leave as JSON
lines on what was standard output; descriptors 1 and 2 point to the task's log file meanwhile, so that nothing a
converter prints, from Python or from C, can reach the user's terminal or spoil a JSON document.
"""

from __future__ import annotations

import importlib
import json
import os
import queue
import signal
import sys
import threading
import traceback
from typing import Any, TextIO

from edgekit.errors import ConversionError, EdgekitError, Interrupted
from edgekit.pipeline import progress
from edgekit.pipeline.watching import Watch
from edgekit.runtime.confinement import leave_no_core
from edgekit.runtime.signals import leave_to_parent


def main() -> None:
    leave_to_parent()  # it passes Ctrl-C on to the task that can make use of it
    leave_no_core()
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    # Not by `sys.stdin`: a process that the user's code forks closes that first, and would wait for who reads it.
    lines = os.fdopen(os.dup(0), encoding="utf-8")
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    requests: queue.SimpleQueue[str] = queue.SimpleQueue()
    threading.Thread(target=_listen, args=(lines, requests), daemon=True).start()

    def answer(value: dict[str, Any]) -> None:
        answers.write(json.dumps(value) + "\n")
        answers.flush()

    watch = Watch()

    def tell(event: dict[str, Any], told: list[int]) -> None:
        """Send *event*, and before it what has been read since the last one."""
        notes = watch.notes()
        if len(notes) > told[0]:
            answer({"event": {"kind": "reads", "notes": notes[told[0] :]}})
            told[0] = len(notes)
        answer(event)

    told = [0]
    progress.listen(lambda event: tell({"event": event}, told))
    while True:
        request = json.loads(requests.get())
        told[0] = 0  # whatever this process has read for one task, it has in memory for the next
        tell(_perform(request), told)


def _listen(lines: TextIO, requests: queue.SimpleQueue[str]) -> None:
    """Queue requests; end the process when the host is gone, whatever the main thread is busy with."""
    for line in lines:
        requests.put(line)
    os._exit(0)


def _perform(request: dict[str, Any]) -> dict[str, Any]:
    log = os.open(request["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(log, 1)
    os.dup2(log, 2)
    os.close(log)
    module, _, function = request["function"].partition(":")
    try:
        if request["interruptible"]:
            signal.signal(signal.SIGINT, signal.default_int_handler)
        try:
            return {"result": getattr(importlib.import_module(module), function)(**request["arguments"])}
        finally:
            signal.signal(signal.SIGINT, signal.SIG_IGN)
    except EdgekitError as error:
        traceback.print_exc()
        return {"error": error.to_json()}
    except KeyboardInterrupt:
        hint = "run the same command again to go on"
        return {"error": Interrupted("EK-INTERRUPTED", "stopped", hint).to_json()}
    except MemoryError:
        traceback.print_exc()
        memory = ConversionError("EK-CRASHED", "ran out of memory", "close other programs, or try --jobs 1")
        return {"error": memory.to_json()}
    except Exception as error:  # the one boundary where a converter may raise anything: it becomes one failed row
        traceback.print_exc()
        text = next(iter(str(error).strip().splitlines()), "")
        message = f"{type(error).__name__}: {text}"[:300]
        return {"error": ConversionError(request["code"], message, request["hint"]).to_json()}
    finally:
        sys.stdout.flush()
        sys.stderr.flush()


if __name__ == "__main__":
    main()
