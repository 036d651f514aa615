"""Child processes: asked, heard, ended with all that they started; and one explanation of how they died."""

from __future__ import annotations

import errno
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.waiting import is_alive, wait_until

from edgekit.errors import ConversionError, DeviceError, EdgekitError
from edgekit.runtime import children, frames
from edgekit.runtime.children import Child, Death

#: Answers each request by what its code does with ``stream``, where ``send`` puts a message.
_PROGRAM = """
import os, signal, sys, time
from edgekit.errors import UsageError
from edgekit.runtime import frames
from edgekit.runtime.confinement import end_with_parent
end_with_parent()
requests, stream = frames.take_over_pipes()
def send(header, body=b""):
    frames.send(stream, header, body)
while True:
    try:
        _, code = frames.receive(requests)
    except EOFError:
        sys.exit(3)
    exec(code)
"""


@pytest.fixture
def child() -> Iterator[Child]:
    child = Child(children.python("-c", _PROGRAM), subprocess.DEVNULL, EDGEKIT_TESTS_WORD="hello")
    yield child
    child.kill()


def ask(child: Child, code: str) -> tuple[dict[str, object], bytes]:
    return child.ask({}, code.encode(), take=frames.receive)


@pytest.mark.parametrize(
    ("status", "name", "what", "hint"),
    [
        (-11, "SIGSEGV", "died (SIGSEGV)", "native code crashed"),
        (-9, "SIGKILL", "died (SIGKILL: out of memory, most likely)", "smaller variant"),
        (-7, "SIGBUS", "died (SIGBUS: out of memory or disk, most likely)", "free some"),
        (-4, "SIGILL", "died (SIGILL: instructions that this processor lacks)", "another variant or engine"),
        (-60, "signal 60", "died (signal 60)", "native code crashed"),
        (7, None, "died (exit code 7)", "last words"),
        (0, None, "died (exit code 0)", "last words"),
        (None, "SIGKILL", "gave an answer that makes no sense", "led astray"),
        (
            OSError(errno.ENOMEM, "Cannot allocate memory"),
            None,
            "could not be started (Cannot allocate memory)",
            "close",
        ),
    ],
)
def test_a_death_is_explained_in_one_way(status: int | OSError | None, name: str | None, what: str, hint: str) -> None:
    death = Death(status)
    assert (death.signal, death.what) == (name, what) and hint in death.hint
    for kind in (EdgekitError, ConversionError, DeviceError):
        error = death.error("litert's process", kind)
        assert type(error) is kind and (error.code, error.message) == ("EK-CRASHED", f"litert's process {what}")


def test_events_are_heard_before_the_answer(child: Child) -> None:
    heard: list[bytes] = []
    code = b"send({'event': 1}, b'one'); send({'event': 1}, b'two'); send({'done': 1}, b'three')"
    assert child.ask({}, code, take=frames.receive, listener=heard.append) == ({"done": 1}, b"three")
    assert heard == [b"one", b"two"]
    assert ask(child, "send({'word': os.environ['EDGEKIT_TESTS_WORD'], 'left': sys.stdin.read()})")[0] == {
        "word": "hello",
        "left": "",
    }


def test_what_a_listener_raises_is_no_death(child: Child) -> None:
    """As of a terminal that was closed, while progress is shown on it."""

    def hear(body: bytes) -> None:
        raise BrokenPipeError

    with pytest.raises(BrokenPipeError):
        child.ask({}, b"send({'event': 1}); send({})", take=frames.receive, listener=hear)
    assert child.process.poll() is None


def test_a_refusal_is_the_error_that_was_raised_there(child: Child) -> None:
    with pytest.raises(EdgekitError, match="empty") as caught:
        ask(child, "send({'error': UsageError('EK-DATA', 'the data is empty', 'fill it').to_json()})")
    assert (caught.value.code, caught.value.exit_code, caught.value.hint) == ("EK-DATA", 2, "fill it")
    assert ask(child, "send({'more': 1})") == ({"more": 1}, b"")


@pytest.mark.parametrize(
    ("code", "what"),
    [
        ("os._exit(7)", "exit code 7"),
        ("os.kill(os.getpid(), signal.SIGSEGV)", "SIGSEGV"),
        ("os.write(stream.fileno(), b'x' * 100)", "makes no sense"),
        ("send({'error': 'no'})", "makes no sense"),
        ("stream.close(); os.close(1); time.sleep(100)", "makes no sense"),
    ],
)
def test_what_gives_no_answer_has_ended(child: Child, code: str, what: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edgekit.runtime.children._END_S", 0.5)
    ask(child, "send({})")
    with pytest.raises(Death, match=what):
        ask(child, code)
    assert child.process.poll() is not None
    with pytest.raises(Death):
        ask(child, "send({})")


def test_what_it_started_ends_with_it(child: Child) -> None:
    header, _ = ask(child, "import subprocess; send({'pid': subprocess.Popen(['sleep', '100']).pid})")
    pid = header["pid"]
    assert isinstance(pid, int) and os.getpgid(pid) == child.process.pid != os.getpgid(0)
    assert os.getsid(child.process.pid) == os.getsid(0), "it would not be as nice as this process"
    child.kill()
    wait_until(lambda: not is_alive(pid) and not is_alive(child.process.pid))


def test_a_while_is_given_to_what_ends_by_itself(child: Child) -> None:
    ask(child, "send({})")
    assert child.kill(gently=True) == 3
    assert child.kill(gently=True) == 3, "twice is harmless"


def test_what_cannot_be_started_is_a_death(tmp_path: Path) -> None:
    with pytest.raises(Death, match=r"could not be started \(No such file or directory\)"):
        Child([str(tmp_path / "none")], subprocess.DEVNULL)
