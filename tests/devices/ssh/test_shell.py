"""The agent in a real shell, on this machine: requests, answers, and what is left when it is interrupted."""

from __future__ import annotations

import io
import os
import signal
import tarfile
import time
from collections.abc import Iterator, Sequence
from hashlib import sha256
from pathlib import Path

import pytest

from edgekit.devices.ssh import deployment
from edgekit.devices.ssh.preflight import read_inventory
from edgekit.devices.ssh.shell import Shell
from edgekit.errors import DeviceError


def lost(exit_code: int, errors: Sequence[str]) -> DeviceError:
    return DeviceError("EK-CONNECT", f"lost ({exit_code}): {' '.join(errors)}")


def start(*connect: str) -> Shell:
    return Shell.start("bench", connect or ("sh", "-c"), timeout_s=20, explain=lost)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What the agent takes for its user's home."""
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path


@pytest.fixture
def shell(home: Path) -> Iterator[Shell]:
    with start() as shell:
        yield shell


def archive(files: dict[str, str]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as packed:
        for name, text in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(text)
            packed.addfile(info, io.BytesIO(text.encode()))
    return buffer.getvalue()


def install(shell: Shell, home: Path, place: str, files: dict[str, str]) -> str:
    data = archive(files)
    digest = sha256(data).hexdigest()
    shell.do("put", f"{home}/edgekit/incoming/{digest}.tar.gz", "0", str(len(data)), payload=data)
    shell.do("install", digest, place)
    return digest


def release(shell: Shell, home: Path, name: str, id: str, parts: str = "") -> None:
    install(shell, home, f"apps/{name}/releases/{id}", {"parts": parts, "id": id})


@pytest.mark.parametrize("login_shell", ["sh", "bash", "dash"])
def test_output_errors_and_exit_codes_come_apart(home: Path, login_shell: str) -> None:
    said: list[str] = []
    with start(login_shell, "-c") as shell:
        script = "echo result; echo one >&2; echo two >&2; exit 7"
        answer = shell.ask("exec", "sh", "-c", script, log=said.append)
        assert (answer.status, answer.output, answer.errors) == (7, "result", ("one", "two"))
        assert said == ["one", "two"] and answer.death is None
        assert shell.ask("exec", "printf", "%s", 'it\'s "$HOME" \\ and `more`').output == 'it\'s "$HOME" \\ and `more`'


@pytest.mark.parametrize(
    ("name", "words"),
    [("ILL", "instructions that this processor lacks"), ("KILL", "out of memory"), ("SEGV", "native")],
)
def test_a_death_by_signal_is_told_from_a_lost_connection(shell: Shell, name: str, words: str) -> None:
    with pytest.raises(DeviceError) as caught:
        shell.do("exec", "sh", "-c", f"kill -{name} $$")
    assert caught.value.code == "EK-CRASHED" and caught.value.exit_code == 4
    assert f"died (SIG{name}" in caught.value.message and words in f"{caught.value.message} {caught.value.hint}"
    assert shell.do("exec", "echo", "alive") == "alive"


def test_what_a_login_shell_prints_is_passed_over(home: Path) -> None:
    with start("sh", "-c", 'echo Welcome; printf "to the board> "; eval "$0"') as shell:
        assert shell.do("exec", "echo", "alive") == "alive"


def test_a_connection_that_ends_is_explained_by_what_it_said(home: Path) -> None:
    with pytest.raises(DeviceError, match=r"lost \(255\): no route"):
        start("sh", "-c", "echo no route >&2; exit 255")
    with pytest.raises(DeviceError, match="not installed"):
        start("no-such-program")


def test_an_answer_that_does_not_come_is_not_waited_for(shell: Shell) -> None:
    with pytest.raises(DeviceError, match="no answer for 1 s") as caught:
        shell.ask("exec", "sleep", "60", timeout_s=1)
    assert caught.value.code == "EK-CONNECT"


def test_a_full_disk_is_named(shell: Shell) -> None:
    with pytest.raises(DeviceError, match="the disk is full") as caught:
        shell.do("put", "/dev/full", "0", "5", payload=b"hello")
    assert caught.value.code == "EK-DEVICE"


def test_what_could_not_be_put_is_not_taken_for_requests(shell: Shell, tmp_path: Path) -> None:
    trap = f"exec touch {tmp_path}/trap\n$(touch {tmp_path}/trap)\n".encode()
    with pytest.raises(DeviceError, match="cannot write"):
        shell.do("put", f"{tmp_path}/no/such/folder", "0", str(len(trap)), payload=trap)
    with pytest.raises(DeviceError, match="lost"):
        shell.do("inventory")
    assert not (tmp_path / "trap").exists()


def test_line_breaks_in_words_are_refused(shell: Shell) -> None:
    with pytest.raises(DeviceError, match="line break"):
        shell.ask("exec", "echo", "a\nb")


def test_bytes_arrive_as_they_are_and_are_continued(shell: Shell, tmp_path: Path) -> None:
    data = bytes(range(256)) * 5000
    file = str(tmp_path / "file")
    shell.do("put", file, "0", "1000", payload=data[:1000])
    assert shell.do("size", file) == "1000"
    shell.do("put", file, "1000", str(len(data) - 1000), payload=data[1000:])
    assert Path(file).read_bytes() == data
    with pytest.raises(DeviceError, match="did not come whole"):
        shell.do("put", file, "0", "3", payload=b"abc")


def test_the_workspace_goes_with_the_session(home: Path) -> None:
    with start() as shell:
        folder = Path(shell.do("workspace"))
        assert folder.is_dir() and shell.do("workspace") == str(folder)
    assert not folder.exists()


def test_an_archive_appears_whole_or_not_at_all(shell: Shell, home: Path) -> None:
    shell.do("lock", "1")
    digest = install(shell, home, "parts/one", {"a/b.txt": "b"})
    assert (home / "edgekit/parts/one/a/b.txt").read_text() == "b"
    damaged = home / "edgekit/incoming" / f"{digest}.tar.gz"
    damaged.write_bytes(b"damaged")
    with pytest.raises(DeviceError, match="damaged on its way"):
        shell.do("install", digest, "parts/two")
    assert not damaged.exists()
    data = archive({"c": "c" * 100_000})[:-500]  # the right digest of something that is no archive
    digest = sha256(data).hexdigest()
    (home / "edgekit/incoming" / f"{digest}.tar.gz").write_bytes(data)
    with pytest.raises(DeviceError, match="cannot unpack"):
        shell.do("install", digest, "parts/two")
    assert os.listdir(home / "edgekit/parts") == ["one"]


def test_switching_and_going_back_and_forth(shell: Shell, home: Path) -> None:
    shell.do("lock", "1")
    current = home / "edgekit/apps/net/current"
    with pytest.raises(DeviceError, match="no release"):
        shell.do("switch", "net", "one")
    for id in ("one", "two"):
        release(shell, home, "net", id)
        shell.do("switch", "net", id)
        assert (current / "id").read_text() == id
    for id in ("one", "two", "one"):
        shell.do("rollback", "net")
        assert (current / "id").read_text() == id
    shell.do("switch", "net", "one")  # it is current already: what was before stays known
    app = read_inventory(shell.do("inventory")).apps["net"]
    assert (app.current, app.previous, sorted(app.releases)) == ("one", "two", ["one", "two"])


def test_there_is_nothing_to_go_back_to_after_the_first(shell: Shell, home: Path) -> None:
    shell.do("lock", "1")
    release(shell, home, "net", "one")
    shell.do("switch", "net", "one")
    with pytest.raises(DeviceError, match="no earlier release of net"):
        shell.do("rollback", "net")


def test_what_no_release_needs_goes(shell: Shell, home: Path) -> None:
    shell.do("lock", "1")
    for part in ("aa", "bb", "cc", "dd", "ee"):
        install(shell, home, f"parts/{part}", {"x": part})
    for id, part in (("one", "aa"), ("two", "bb"), ("three", "cc")):
        release(shell, home, "net", id, f"{part}\n")
        shell.do("switch", "net", id)
    release(shell, home, "net", "tried", "dd\n")
    release(shell, home, "other", "first", "ee\n")
    shell.do("prune", "net", "tried")
    inventory = read_inventory(shell.do("inventory"))
    assert sorted(inventory.apps["net"].releases) == ["three", "tried", "two"]
    assert inventory.parts == {"bb", "cc", "dd", "ee"}
    shell.do("prune", "net", "three")
    assert read_inventory(shell.do("inventory")).parts == {"bb", "cc", "ee"}
    assert os.listdir(home / "edgekit/incoming") == []


def test_left_overs_go_but_for_what_can_be_continued(shell: Shell, home: Path) -> None:
    shell.do("lock", "1")
    incoming = home / "edgekit/incoming"
    for name in ("11.tar.gz", "22.tar.gz"):
        (incoming / name).write_bytes(b"part")
    (incoming / "33").mkdir()
    (incoming / "link").symlink_to("nowhere")
    shell.do("clean", "22")
    assert os.listdir(incoming) == ["22.tar.gz"]


def test_two_deployers_are_kept_apart(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deployment, "LOCK_WAIT_S", 0)
    with start() as second, start() as first:
        deployment.lock("bench", first)
        with pytest.raises(DeviceError, match=r"bench is being deployed to by \w+@\S+ since 20") as caught:
            deployment.lock("bench", second)
        assert caught.value.code == "EK-DEVICE"
        first.do("unlock")
        deployment.lock("bench", second)
        with pytest.raises(DeviceError):
            deployment.lock("bench", first)


def test_a_lock_dies_with_its_holder(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deployment, "LOCK_WAIT_S", 5)
    with start() as second:
        first = start()
        deployment.lock("bench", first)
        holder = int((home / "edgekit/lock").read_text().split("|")[0])
        os.kill(holder, signal.SIGKILL)
        deployment.lock("bench", second)
        first.close()


def test_a_holder_that_is_cut_off_loses_the_lock(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deployment, "LOCK_WAIT_S", 0)
    with start() as second, start() as first:
        deployment.lock("bench", first)
        long_ago = time.time() - 3600
        os.utime(home / "edgekit/lock", (long_ago, long_ago))
        deployment.lock("bench", second)
        with pytest.raises(DeviceError) as caught:
            first.do("inventory")
        assert caught.value.code == "EK-CONNECT"


def test_a_home_that_cannot_be_written_is_named(home: Path, shell: Shell) -> None:
    (home / "edgekit").write_text("in the way")
    with pytest.raises(DeviceError, match="cannot write below"):
        deployment.lock("bench", shell)
