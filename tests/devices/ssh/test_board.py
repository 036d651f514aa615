"""The state of a machine behind a shell."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from support.fake_board import FakeMachine

from edgekit.devices.ssh.board import SCRIPT, RemoteBoard
from edgekit.runtime.profiler.board import Board


def read() -> str:
    return subprocess.run(["sh", "-c", SCRIPT], capture_output=True, text=True, check=True).stdout


def printed(root: Path, firmware: str = "") -> str:
    """What `SCRIPT` would print on the made-up machine below *root*."""
    files = [Path(folder, name) for folder, _, names in os.walk(root, followlinks=True) for name in sorted(names)]
    lines = [f"/{file.relative_to(root)}:{line}" for file in files for line in file.read_text().splitlines()]
    return "\n".join([*lines, firmware])


def test_this_machine_looks_as_it_does_from_within() -> None:
    there, here = RemoteBoard(read), Board()
    before, expected = there.look(), here.look()
    assert before.load_per_core is None and before.at_s > 0
    assert before.governors == expected.governors
    assert before.frequency_limit_hz == expected.frequency_limit_hz
    assert before.power_source == expected.power_source
    assert len(before.frequencies_hz) == len(expected.frequencies_hz)
    sum(range(2_000_000))
    after = there.look()
    assert after.load_per_core is not None and 0 < after.load_per_core <= 1
    assert after.others_load_per_core is None and after.at_s > before.at_s
    assert after.free_memory_bytes is not None and after.free_memory_bytes > 1 << 20


def test_a_raspberry_pi_is_understood(tmp_path: Path) -> None:
    """Simulated: the files of a Raspberry Pi's kernel, and what its firmware says where the kernel does not."""
    machine = (
        FakeMachine(tmp_path).cores([1_800_000_000] * 4, "ondemand", together=False).zones(("cpu-thermal", 61_234))
    )
    machine.write({"proc/stat": "cpu 100 0 100 800 0 0 0 0 0 0\n", "proc/uptime": "1234.5 4000.0\n"})
    bits = "throttled=0x50005\n"
    look = RemoteBoard(lambda: printed(tmp_path, bits)).look()
    assert look.frequencies_hz == (1_800_000_000,) * 4 and set(look.governors) == {"ondemand"}
    assert (look.temperature_celsius, look.throttled, look.at_s) == (61.234, 0x50005, 1234.5)
    kernel = "sys/devices/platform/soc/soc:firmware/get_throttled"
    machine.write({kernel: "20002\n"})
    assert RemoteBoard(lambda: printed(tmp_path, bits)).look().throttled == 0x20002


def test_a_machine_that_shows_nothing_is_none_of_it() -> None:
    look = RemoteBoard(lambda: "").look()
    assert (look.frequencies_hz, look.temperature_celsius, look.throttled, look.load_per_core) == ((), None, None, None)
