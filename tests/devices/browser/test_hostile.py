"""A hostile client costs nobody else anything: the server goes on, gives nothing away, and does not grow."""

from __future__ import annotations

import gzip
import os
import re
import socket
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from support.hostile_client import HostileClient
from support.phones import Phone, fetch_litert_js

from edgekit.bundle import Bundle

_TESTS = Path(__file__).parents[2]
_SEED, _CLIENTS = 20261124, 4
_MOST_GROWTH_KB = 50_000
_SECRET = b"what lies beside the bundle"


@dataclass
class Desk:
    """The server's process, and its address."""

    process: subprocess.Popen[str]
    url: str

    @property
    def token(self) -> str:
        return self.url.rstrip("/").rpartition("/")[2]

    @property
    def port(self) -> int:
        return int(self.url.split(":")[2].partition("/")[0])

    def peak_kb(self) -> int:
        """The most memory that was ever resident."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        (found,) = re.findall(r"VmHWM:\s+(\d+) kB", status)
        return int(found)


@pytest.fixture
def desk(small_bundle: Path, tmp_path: Path) -> Iterator[Desk]:
    fetch_litert_js()
    (tmp_path / "secret.txt").write_bytes(_SECRET)
    bundle = tmp_path / "small.edgekit"
    bundle.write_bytes(small_bundle.read_bytes())
    process = subprocess.Popen(
        [sys.executable, "-m", "support.phone_desk", str(bundle)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(_TESTS), str(_TESTS.parent)])},
    )
    assert process.stdout is not None
    yield Desk(process, process.stdout.readline().strip())
    process.kill()
    process.communicate()


def served(desk: Desk, bundle: Path) -> set[bytes]:
    """Everything that an answer may hold."""
    phone = Phone(desk.url)
    with Bundle.open(bundle) as opened:
        files = [f"bundle/{file}" for file in opened.manifest.files]
    pages = [f"page/{path.name}" for path in (_TESTS.parent / "edgekit/devices/browser/page").iterdir()]
    names = ["", "job.json", "runtime/core/dist/index.js", "runtime/LICENSE.txt", *files, *pages]
    return {reply.body for reply in map(phone.ask, names) if reply.status == 200}


@pytest.mark.parametrize("count", [100, pytest.param(1000, marks=pytest.mark.slow)])
def test_hostile_requests_cost_nobody_else_anything(desk: Desk, small_bundle: Path, count: int) -> None:
    allowed = served(desk, small_bundle)
    for _ in range(3):  # what a good phone takes is not growth
        assert Phone(desk.url).post_result(small_bundle).status == 204
    before_kb = desk.peak_kb()

    answers: list[tuple[str, bytes]] = []
    failures: list[BaseException] = []
    done = threading.Event()
    good: Counter[int] = Counter()
    posted: list[int] = []

    def attack(number: int) -> None:
        client = HostileClient(desk.port, desk.token, seed=_SEED + number)
        waiting: list[socket.socket] = []
        try:
            for each in client.attacks(count // _CLIENTS):
                answers.append((each.kind, client.send(each, waiting)))
        except BaseException as error:
            failures.append(error)
        for connection in waiting:
            connection.close()

    def live() -> None:
        phone = Phone(desk.url)
        try:
            while not done.is_set():
                good[phone.ask("job.json").status] += 1
                good[phone.ask("bundle/variants/fp32.tflite").status] += 1
                if len(posted) < 100:  # a server takes 200
                    posted.append(phone.post_result(small_bundle).status)
        except BaseException as error:
            failures.append(error)

    attackers = [threading.Thread(target=attack, args=(number,)) for number in range(_CLIENTS)]
    phone = threading.Thread(target=live)
    for thread in (*attackers, phone):
        thread.start()
    for thread in attackers:
        thread.join()
    done.set()
    phone.join()
    growth_kb = desk.peak_kb() - before_kb

    assert not failures
    assert len(answers) == count and desk.process.poll() is None
    assert set(good) == {200} and set(posted) == {204}
    statuses = Counter(status for _, answer in answers for status in re.findall(rb"^HTTP/1\.1 (\d{3}) ", answer, re.M))
    assert set(statuses) <= {b"200", b"204", b"400", b"404", b"408", b"413", b"429"}, statuses
    for kind, answer in answers:
        assert_gives_nothing_away(kind, answer, allowed)
    assert growth_kb < _MOST_GROWTH_KB

    _, errors = desk.process.communicate(timeout=60)
    assert desk.process.returncode == 0 and "Traceback" not in errors, errors[-2000:]


def assert_gives_nothing_away(kind: str, answer: bytes, allowed: set[bytes]) -> None:
    """Every 200 in *answer* holds what a good phone gets too, and nothing else holds more than a line."""
    assert _SECRET not in answer and b"root:" not in answer and b"Traceback" not in answer, kind
    rest = answer
    while rest:
        head, _, rest = rest.partition(b"\r\n\r\n")
        found = re.search(rb"^Content-Length: (\d+)", head, re.M)
        length = int(found[1]) if found else 0
        body, rest = rest[:length], rest[length:]
        if head.startswith(b"HTTP/1.1 200 ") and len(body) == length:
            plain = gzip.decompress(body) if b"Content-Encoding: gzip" in head else body
            assert plain in allowed, (kind, head)
        elif not head.startswith(b"HTTP/1.1 200 "):
            assert len(body) < 1000, (kind, head)
