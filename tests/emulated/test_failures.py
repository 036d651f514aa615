"""What goes wrong between a desk and a board: one clear line, the right code, and nothing changed on the board."""

from __future__ import annotations

import contextlib
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from support import board_root
from support.board import Board
from support.bundles import only, with_file
from support.commands import Done, edgekit, finish, start

pytestmark = pytest.mark.slow

MakeBoard = Callable[..., Board]


@pytest.fixture(scope="module")
def bare(make_board: MakeBoard) -> Board:
    """A board without Python and without anything of edgekit's, which tests leave as it is."""
    return make_board(layers=board_root.NO_PYTHON)


def deploy(bundle: Path, board: Board, ssh_config: Path | None = None) -> Done:
    environment = {"EDGEKIT_SSH_CONFIG": str(ssh_config)} if ssh_config else board.environment
    return edgekit("deploy", bundle, "--on", board.url, environment=environment)


def refused(done: Done, code: str, *words: str) -> None:
    """The command failed with one line and one hint, which have these words."""
    message, *rest = [line for line in done.errors if line.startswith(("error:", " hint:", "  log:"))]
    assert done.exit_code == 4, done.errors
    assert f"[{code}]" in message and [line[:6] for line in rest] in ([], [" hint:"]), done.errors
    text = "\n".join([message, *rest])
    assert all(word in text for word in words), text
    assert "Traceback" not in "".join(done.errors)


def changed(board: Board) -> list[str]:
    """What of edgekit's is on the board."""
    return sorted(path.name for path in board.home.glob("edgekit/*/*"))


def ssh_config(board: Board, tmp_path: Path, old: str, new: str) -> Path:
    """The board's configuration with something else in it."""
    config = tmp_path / "ssh_config"
    text = board.ssh_config.read_text()
    assert old in text
    config.write_text(text.replace(old, new))
    return config


def test_wrong_key(bare: Board, pte_bundle: Path, tmp_path: Path) -> None:
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", tmp_path / "other"], check=True)
    config = ssh_config(bare, tmp_path, str(bare.key), str(tmp_path / "other"))
    refused(deploy(pte_bundle, bare, config), "EK-CONNECT", "accepts none of your keys", "ssh-copy-id")
    assert changed(bare) == []


def test_changed_host_key(bare: Board, pte_bundle: Path, tmp_path: Path) -> None:
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", tmp_path / "other"], check=True)
    address = bare.known_hosts.read_text().split()[0]
    (tmp_path / "known_hosts").write_text(f"{address} {(tmp_path / 'other.pub').read_text()}")
    config = ssh_config(bare, tmp_path, str(bare.known_hosts), str(tmp_path / "known_hosts"))
    refused(deploy(pte_bundle, bare, config), "EK-CONNECT", "another host key", f"ssh-keygen -R '{address}'")
    assert changed(bare) == []


def test_refused_port(bare: Board, pte_bundle: Path, tmp_path: Path) -> None:
    port = bare.known_hosts.read_text().split("]:")[1].split()[0]
    config = ssh_config(bare, tmp_path, f"Port {port}", "Port 9")
    refused(deploy(pte_bundle, bare, config), "EK-CONNECT", "refuses connections")


def test_no_python_is_no_failure(make_board: MakeBoard, tflite_bundle: Path) -> None:
    board = make_board(layers=board_root.NO_PYTHON)
    assert deploy(tflite_bundle, board).exit_code == 0
    (row,) = edgekit("verify", tflite_bundle, "--on", board.url, "--json", environment=board.environment).document[
        "rows"
    ]
    assert (row["engine"], row["status"]) == ("litert", "passed")


def test_32_bit_userland_on_a_64_bit_kernel(make_board: MakeBoard, pte_bundle: Path) -> None:
    # qemu knows no Cortex-A72 in 32 bits.
    board = make_board(layers=board_root.BOOKWORM_32_BIT, core="max")
    # A stand-in: qemu tells 32-bit programs that the kernel is one too, which on a Raspberry Pi it is not.
    (board.root / "usr/local/bin").mkdir(parents=True, exist_ok=True)
    uname = board.root / "usr/local/bin/uname"
    uname.write_text('#!/bin/sh\n[ "$1" = -m ] && echo aarch64 || exec /usr/bin/uname "$@"\n')
    uname.chmod(0o755)
    assert board.exec("uname -m; getconf LONG_BIT").stdout == "aarch64\n32\n"
    refused(deploy(pte_bundle, board), "EK-DEVICE", "armv7l", "64-bit")
    assert changed(board) == []


def test_glibc_too_old(make_board: MakeBoard, tflite_bundle: Path, pte_bundle: Path) -> None:
    board = make_board(layers=board_root.BOOKWORM)
    # A stand-in: no release of Debian has so old a C library beside a Python that edgekit runs on.
    (board.root / "usr/local/bin").mkdir(parents=True, exist_ok=True)
    getconf = board.root / "usr/local/bin/getconf"
    getconf.write_text('#!/bin/sh\n[ "$1" = GNU_LIBC_VERSION ] && echo glibc 2.31 || exec /usr/bin/getconf "$@"\n')
    getconf.chmod(0o755)
    refused(deploy(tflite_bundle, board), "EK-DEVICE", "needs glibc 2.34, the device has 2.31")
    assert changed(board) == []


def test_raspberry_pi_os_11_runs_everything_by_the_runner(make_board: MakeBoard, small_bundle: Path) -> None:
    """Its Python is 3.9, and its C library older than LiteRT's own needs: the runner brings one."""
    board = make_board(layers=board_root.BULLSEYE)
    rows = edgekit("verify", small_bundle, "--on", board.url, "--json", environment=board.environment).document["rows"]
    assert [(row["engine"], row["status"]) for row in rows] == [
        ("litert", "passed"),
        ("litert", "passed"),
        ("executorch", "passed"),
    ]


def test_disk_too_small(make_board: MakeBoard, pte_bundle: Path) -> None:
    board = make_board(layers=board_root.NO_PYTHON, disk_mib=24)
    refused(deploy(pte_bundle, board), "EK-DEVICE", "of disk free", "nothing was sent")
    assert changed(board) == []


def test_disk_full_in_the_middle(make_board: MakeBoard, pte_bundle: Path) -> None:
    board = make_board(layers=board_root.NO_PYTHON, disk_mib=128)
    process = start("deploy", pte_bundle, "--on", board.url, environment=board.environment)
    while not list(board.home.glob("edgekit/incoming/*.tar.gz")):
        assert process.poll() is None, finish(process).errors
        time.sleep(0.01)
    _fill(board.home / "filler")
    refused(finish(process), "EK-DEVICE", "disk is full")
    assert not list(board.home.glob("edgekit/parts/*")) and not list(board.home.glob("edgekit/apps/*/current"))
    (board.home / "filler").unlink()
    assert deploy(pte_bundle, board).exit_code == 0


def _fill(file: Path) -> None:
    """Take what is left of the disk."""
    with file.open("wb", buffering=0) as stream:
        for size in (1 << 20, 1 << 12, 1):
            with contextlib.suppress(OSError):
                while True:
                    stream.write(bytes(size))


def test_illegal_instruction(make_board: MakeBoard, digits_bundle: Path, tmp_path: Path) -> None:
    # Its files say Cortex-A76, and XNNPACK takes dot products for int8; the emulated Cortex-A72 has none.
    board = make_board(target="rpi5", core="cortex-a72", layers=board_root.NO_PYTHON)
    bundle = only(digits_bundle, ("int8.pte",), tmp_path / "digits.edgekit")
    refused(deploy(bundle, board), "EK-CRASHED", "SIGILL", "instructions that this processor lacks")
    assert not list(board.home.glob("edgekit/apps/*/current"))


def test_out_of_memory(make_board: MakeBoard, small_bundle: Path, tmp_path: Path) -> None:
    board = make_board(layers=board_root.NO_PYTHON, memory_mib=128)
    bundle = with_file(small_bundle, "fp32.pte", _greedy(), tmp_path / "small.edgekit")
    refused(deploy(bundle, board), "EK-CRASHED", "SIGKILL", "out of memory")
    assert not list(board.home.glob("edgekit/apps/*/current"))


def _greedy() -> bytes:
    """A small file with the signature of the small bundle that needs 150 MB when it runs."""
    import torch
    from executorch.exir import to_edge

    class Greedy(torch.nn.Module):
        def forward(self, image: torch.Tensor) -> torch.Tensor:
            return image.reshape(1, 144).repeat(1, 1 << 18).reshape(1, 4, -1).amax(2)

    exported = torch.export.export(Greedy(), (torch.zeros(1, 1, 12, 12),))
    return bytes(to_edge(exported).to_executorch().buffer)
