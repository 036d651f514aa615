"""The worker pool: isolation, crashes, Ctrl-C, and silence on standard output."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.waiting import is_alive, text_of, wait_until

from edgekit.errors import ConversionError, EdgekitError, UsageError
from edgekit.pipeline.work.events import Reading, Started, Step, TaskEvent
from edgekit.pipeline.work.pool import Pool, Task

SUPPORT = Path(__file__).parents[2] / "support"


@pytest.fixture
def pool(monkeypatch: pytest.MonkeyPatch) -> Iterator[Pool]:
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(SUPPORT), *filter(None, [os.environ.get("PYTHONPATH")])]))
    with Pool(2) as pool:
        yield pool


def task(name: str, log: Path, family: str = "plain", interruptible: bool = False, **arguments: Any) -> Task:
    return Task(f"tasks:{name}", arguments, family, log / f"{name}.log", interruptible=interruptible)


def ignore(event: TaskEvent | Started) -> None:
    pass


def test_a_task_gets_its_arguments_and_answers_while_its_chatter_goes_to_the_log(
    pool: Pool, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    events: list[TaskEvent | Started] = []
    result = pool.run(task("echo", tmp_path, shape=[1, 2]), events.append)
    assert result["arguments"] == {"shape": [1, 2]}
    assert [event for event in events if not isinstance(event, Reading)] == [Started(), Step("echoing", 1, 1)]
    log = (tmp_path / "echo.log").read_text()
    assert "chatter from Python" in log and "chatter from C" in log
    assert capfd.readouterr() == ("", "")


def test_a_worker_is_kept_for_its_family_and_never_shared_with_another(pool: Pool, tmp_path: Path) -> None:
    torch, again = (pool.run(task("echo", tmp_path, "torch"), ignore) for _ in range(2))
    keras = pool.run(task("echo", tmp_path, "tensorflow"), ignore)
    assert torch["pid"] == again["pid"] != keras["pid"]
    assert (torch["backend"], keras["backend"]) == ("torch", "tensorflow")


def test_an_error_arrives_as_it_was_raised_with_the_log(pool: Pool, tmp_path: Path) -> None:
    with pytest.raises(UsageError) as caught:
        pool.run(task("refuse", tmp_path), ignore)
    error = caught.value
    assert (error.code, error.message, error.hint) == ("EK-DATA", "the data is empty", "fill it")
    assert error.log is not None and "UsageError" in Path(error.log).read_text()


def test_an_unforeseen_exception_becomes_one_line(pool: Pool, tmp_path: Path) -> None:
    with pytest.raises(ConversionError, match=r"^RuntimeError: inner$"):
        pool.run(task("fail", tmp_path), ignore)


@pytest.mark.parametrize(("name", "says"), [("crash", "SIGSEGV"), ("die", "SIGKILL"), ("leave", "exit code 7")])
def test_a_dead_process_costs_one_task(pool: Pool, tmp_path: Path, name: str, says: str) -> None:
    with pytest.raises(ConversionError, match=says) as caught:
        pool.run(task(name, tmp_path), ignore)
    assert caught.value.code == "EK-CRASHED"
    assert pool.run(task("echo", tmp_path), ignore)["arguments"] == {}


@pytest.mark.parametrize(("function", "outcome"), [("wait", {"interrupted": True}), ("import_numpy", "EK-INTERRUPTED")])
def test_ctrl_c_lets_a_task_that_can_save_finish_and_kills_the_others(
    pool: Pool, tmp_path: Path, function: str, outcome: Any
) -> None:
    ended: dict[str, Any] = {}

    def run(name: str, function: str, interruptible: bool) -> None:
        marker = tmp_path / name
        try:
            ended[name] = pool.run(task(function, tmp_path, interruptible=interruptible, path=str(marker)), ignore)
        except EdgekitError as error:
            ended[name] = error.code

    tasks = (("saver", function, True), ("other", "wait", False))
    threads = [threading.Thread(target=run, args=item) for item in tasks]
    for thread in threads:
        thread.start()
    for name, *_ in tasks:
        text_of(tmp_path / name)
    pool.interrupt()
    for thread in threads:
        thread.join()
    assert ended == {"saver": outcome, "other": "EK-INTERRUPTED"}
    assert all(thread.daemon for thread in threading.enumerate() if thread is not threading.main_thread())
    with pytest.raises(EdgekitError, match="stopped"):
        pool.run(task("echo", tmp_path), ignore)


def test_workers_end_when_their_host_is_killed(tmp_path: Path) -> None:
    marker = tmp_path / "started"
    program = f"""
from pathlib import Path
from edgekit.pipeline.work.events import Reading, Started, Step, TaskEvent
from edgekit.pipeline.work.pool import Pool, Task
Pool(1).run(Task("tasks:wait", {{"path": {str(marker)!r}}}, "plain", Path({str(tmp_path / "log")!r})), print)
"""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(SUPPORT), os.environ.get("PYTHONPATH", "")])}
    host = subprocess.Popen([sys.executable, "-c", program], env=environment)
    worker = int(text_of(marker))
    host.send_signal(signal.SIGKILL)
    host.wait()
    wait_until(lambda: not is_alive(worker))


def test_a_build_that_is_nice_has_nice_workers(tmp_path: Path) -> None:
    """The processor is shared out between sessions first: in one of its own, a worker would take as much as any other
    program, however nice the build is. The terminal's Ctrl-C goes to a group of processes, and it has one of its own.
    """
    program = f"""
import json
from pathlib import Path
import tasks
from edgekit.pipeline.work.events import Reading, Started, Step, TaskEvent
from edgekit.pipeline.work.pool import Pool, Task
with Pool(1) as pool:
    worker = pool.run(Task("tasks:standing", {{}}, "plain", Path({str(tmp_path / "log")!r})), lambda event: None)
print(json.dumps([tasks.standing(), worker]))
"""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(SUPPORT), os.environ.get("PYTHONPATH", "")])}
    command = ["nice", "-n", "7", sys.executable, "-c", program]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True, start_new_session=True)
    host, worker = json.loads(done.stdout)
    assert host["nice"] == worker["nice"] == os.nice(0) + 7
    assert (worker["session"], worker["autogroup"]) == (host["session"], host["autogroup"])
    assert worker["group"] != host["group"]
