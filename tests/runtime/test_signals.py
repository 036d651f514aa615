"""Children that work at their parent's word hear no signals that are the parent's; what they start does."""

from __future__ import annotations

import signal
import subprocess
import sys

_CHILD = """
import multiprocessing, os, signal, subprocess, sys, time
from edgekit.runtime.signals import leave_to_parent

if __name__ == "__main__":
    leave_to_parent()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        os.kill(os.getpid(), number)
    print("hears none", flush=True)
    for _ in range(50):  # at once: the signal may come before the worker has run a line
        worker = os.fork()
        if not worker:
            time.sleep(10)
            os._exit(0)
        os.kill(worker, signal.SIGTERM)
        assert os.waitstatus_to_exitcode(os.waitpid(worker, 0)[1]) == -signal.SIGTERM
    pool = multiprocessing.get_context("fork").Pool(2)
    pool.terminate()
    pool.join()
    print("ends its workers", flush=True)
    started = subprocess.Popen(["sleep", "100"])
    started.terminate()
    print(started.wait(10), flush=True)
    sys.stdin.read()
"""


def test_a_child_leaves_signals_to_its_parent() -> None:
    pipe = subprocess.PIPE
    child = subprocess.Popen([sys.executable, "-c", _CHILD], stdin=pipe, stdout=pipe, text=True)
    assert child.stdin is not None and child.stdout is not None
    said = [child.stdout.readline().strip() for _ in range(3)]
    assert said == ["hears none", "ends its workers", str(-signal.SIGTERM)]
    child.stdin.close()
    assert child.wait(10) == 0
    child.stdout.close()
