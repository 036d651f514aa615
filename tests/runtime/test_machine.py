"""What `read_machine` finds on boards, from copies of what their kernels show."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import asdict
from pathlib import Path
from typing import get_args

import pytest

from edgekit.runtime.machine import _FEATURES, Machine, free_disk_bytes, read_machine, userland
from edgekit.target import Feature, load_target

PI3 = ("Raspberry Pi 3 Model B Plus Rev 1.3", "0xd03", "fp asimd evtstrm crc32 cpuid")
PI4 = ("Raspberry Pi 4 Model B Rev 1.4", "0xd08", "fp asimd evtstrm crc32 cpuid")
PI5 = (
    "Raspberry Pi 5 Model B Rev 1.0",
    "0xd0b",
    "fp asimd evtstrm aes pmull sha1 sha2 crc32 atomics fphp asimdhp cpuid asimdrdm lrcpc dcpop asimddp",
)


def fake_root(root: Path, model: str, parts: list[str], features: str, device_tree: str | None = None) -> Path:
    """A file tree with what the kernel of a board shows of it (simulated: no board was at hand)."""
    cores = [
        f"processor\t: {index}\nBogoMIPS\t: 108.00\nFeatures\t: {features}\nCPU implementer\t: 0x41\n"
        f"CPU architecture: 8\nCPU variant\t: 0x0\nCPU part\t: {part}\nCPU revision\t: 3\n"
        for index, part in enumerate(parts)
    ]
    files = {
        "proc/cpuinfo": "\n".join(cores) + f"\nRevision\t: c03114\nSerial\t\t: 10000000\nModel\t\t: {model}\n",
        "proc/meminfo": "MemTotal:        3884404 kB\nMemFree:         3012345 kB\n",
        "etc/os-release": 'PRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\nNAME="Debian GNU/Linux"\n',
    }
    if device_tree is not None:
        files[device_tree] = model + "\0"
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


@pytest.mark.parametrize(("board", "target"), [(PI3, "rpi3"), (PI4, "rpi4"), (PI5, "rpi5")])
def test_a_raspberry_pi_has_what_its_target_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, board: tuple[str, str, str], target: str
) -> None:
    monkeypatch.setattr("platform.machine", lambda: "aarch64")
    model, part, features = board
    machine = read_machine(fake_root(tmp_path, model, [part] * 4, features, "sys/firmware/devicetree/base/model"))
    wanted = load_target(target)
    assert machine.board == model
    assert (machine.architecture, machine.cpu, machine.cores, machine.features) == (
        wanted.cpu.architecture,
        wanted.cpu.core,
        wanted.cpu.cores,
        wanted.cpu.features,
    )
    assert machine.memory_bytes == 3884404 * 1024
    assert machine.os == "Debian GNU/Linux 12 (bookworm)"
    assert wanted.is_machine(machine.board, machine.architecture)


@pytest.mark.parametrize("place", ["sys/firmware/devicetree/base/model", "proc/device-tree/model", None])
def test_the_board_is_named_wherever_the_kernel_shows_it(tmp_path: Path, place: str | None) -> None:
    model, part, features = PI4
    assert read_machine(fake_root(tmp_path, model, [part], features, place)).board == model


def test_a_feature_counts_only_if_every_core_has_it(tmp_path: Path) -> None:
    big, little = "fp asimd fphp asimdhp asimddp i8mm sve2", "fp asimd fphp asimdhp asimddp"
    root = fake_root(tmp_path, "phone", ["0xd4d"] * 2, big)
    path = root / "proc/cpuinfo"
    path.write_text(path.read_text().replace(big, little, 1))
    assert read_machine(root).features == ("neon", "fp16", "dotprod")


def test_different_cores_are_named_together(tmp_path: Path) -> None:
    machine = read_machine(fake_root(tmp_path, "phone", ["0xd46", "0xd46", "0xd4e", "0xfff"], "asimd"))
    assert machine.cpu == "cortex-a510 + cortex-x3 + 0xfff"


def test_a_32_bit_userland_on_a_64_bit_kernel_is_32_bit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("platform.machine", lambda: "aarch64")
    monkeypatch.setattr("struct.calcsize", lambda kind: 4)
    machine = read_machine(fake_root(tmp_path, PI3[0], [PI3[1]] * 4, "half thumb fastmult vfp neon vfpv4 crc32"))
    assert (machine.architecture, machine.kernel_architecture) == ("armv7l", "aarch64")
    assert machine.features == ("neon",)


@pytest.mark.parametrize(
    ("machine", "pointer_bytes", "architecture"),
    [
        ("aarch64", 8, "aarch64"),
        ("aarch64", 4, "armv7l"),
        ("armv8l", 4, "armv7l"),
        ("armv7l", 4, "armv7l"),
        ("armv6l", 4, "armv6l"),
        ("x86_64", 8, "x86_64"),
        ("AMD64", 8, "x86_64"),
        ("arm64", 8, "aarch64"),
    ],
)
def test_the_userland_is_told_by_its_pointers(machine: str, pointer_bytes: int, architecture: str) -> None:
    assert userland(machine, pointer_bytes) == architecture


def test_x86_flags(tmp_path: Path) -> None:
    path = tmp_path / "proc/cpuinfo"
    path.parent.mkdir()
    flags = "fpu sse4_2 fma avx f16c avx2 avx512f avx512bw avx512vl avx512_vnni"
    path.write_text(f"processor\t: 0\nmodel name\t: AMD EPYC\nmodel\t\t: 17\nflags\t\t: {flags}\n")
    machine = read_machine(tmp_path)
    assert (machine.cpu, machine.cores, machine.features) == ("AMD EPYC", 1, ("avx2", "avx512", "vnni"))
    assert machine.board is None


def test_this_machine() -> None:
    machine = read_machine()
    assert machine.cores >= 1
    assert machine.memory_bytes is None or machine.memory_bytes > 1 << 28
    assert machine.page_bytes in (4096, 16384, 65536)
    assert asdict(machine)["python"] == machine.python
    assert isinstance(machine, Machine)


def test_nothing_readable_is_no_error(tmp_path: Path) -> None:
    machine = read_machine(tmp_path)
    assert (machine.board, machine.features, machine.memory_bytes) == (None, (), None)


def test_every_feature_that_a_target_may_name_can_be_found() -> None:
    assert set(_FEATURES) == set(get_args(Feature))


def test_free_disk_of_a_folder_that_is_not_made_yet(tmp_path: Path) -> None:
    assert free_disk_bytes(tmp_path / "not" / "yet") > 0


def test_it_runs_where_only_python_and_numpy_are() -> None:
    code = (
        "import sys; import edgekit.runtime.machine, edgekit.runtime.packages;"
        "print([n for n in ('torch', 'tensorflow', 'pydantic', 'click') if n in sys.modules])"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"
