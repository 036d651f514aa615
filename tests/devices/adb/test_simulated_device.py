"""The simulated device itself is what the other tests take it for, through the real adb."""

from __future__ import annotations

import hashlib
import os
import random
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from support.android import system
from support.android.client import Adb, both_clients, program
from support.android.device import SimulatedDevice
from support.waiting import wait_until

MakeDevice = Callable[..., SimulatedDevice]

_TESTS = Path(__file__).resolve().parents[2]
_TMP = "/data/local/tmp"
_MEBI = 1 << 20


def random_file(path: Path, size: int) -> Path:
    path.write_bytes(random.Random(size).randbytes(size))
    return path


def test_it_is_an_arm64_phone_with_nothing_but_a_kernel(
    simulated_device: MakeDevice, adb: Adb, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENBLAS_CORETYPE", "Haswell")  # what a host sets for itself must not reach programs there
    device = simulated_device()
    absent = "for name in /etc /tmp /usr /lib /home; do [ -e $name ] && echo there is $name; done"
    programs = "for name in python3 python bash busybox tail; do command -v $name; done"
    told = adb.shell(
        device.serial, f"uname -m; echo $USER_ID; pwd; grep -c asimddp /proc/cpuinfo; {absent}; {programs}; env"
    )
    facts, variables = told.splitlines()[:5], told.splitlines()[5:]
    assert facts == ["aarch64", "2000", "/", "8", "/system/bin/tail"]
    assert {line.partition("=")[0] for line in variables} - {"_"} == {
        *("PATH", "HOME", "TMPDIR", "ANDROID_ROOT", "ANDROID_DATA", "USER", "LOGNAME", "SHELL", "TERM", "QEMU_CPU")
    }


@pytest.mark.slow
@both_clients
def test_exit_codes_and_outputs_come_back(simulated_device: MakeDevice, adb: Adb) -> None:
    device = simulated_device()
    for code in (0, 1, 2, 77, 126, 128, 255):
        result = adb("shell", f"echo out; echo err >&2; exit {code}", serial=device.serial)
        assert (result.returncode, result.stdout, result.stderr) == (code, b"out\n", b"err\n")
    for name in ("KILL", "SEGV", "TERM"):
        result = adb("shell", f"kill -{name} $$", serial=device.serial)
        assert result.returncode == 128 + signal.Signals[f"SIG{name}"]
    assert adb("shell", "no-such-program", serial=device.serial).returncode == 127


@pytest.mark.slow
@both_clients
@pytest.mark.parametrize("android", [14, 8])
def test_files_go_and_come_byte_for_byte(simulated_device: MakeDevice, adb: Adb, tmp_path: Path, android: int) -> None:
    device = simulated_device(android=android)
    sent, there, back = random_file(tmp_path / "sent", _MEBI + 12345), f"{_TMP}/a name/with 'quotes'", tmp_path / "back"
    sent.chmod(0o755)
    assert adb("push", str(sent), there, serial=device.serial).returncode == 0
    digest = hashlib.sha256(sent.read_bytes()).hexdigest()
    assert adb.shell(device.serial, f'sha256sum "{there}"').split()[0] == digest
    assert adb.shell(device.serial, f'stat -c %a "{there}"').strip() == "777"
    assert adb("pull", there, str(back), serial=device.serial).returncode == 0
    assert back.read_bytes() == sent.read_bytes()
    assert adb("exec-out", f'cat "{there}"', serial=device.serial).stdout == sent.read_bytes()
    missing = adb("pull", f"{_TMP}/no such file", str(tmp_path / "nothing"), serial=device.serial)
    assert missing.returncode != 0 and not (tmp_path / "nothing").exists()


@pytest.mark.slow
@both_clients
def test_a_shell_before_android_7_tells_no_exit_codes(simulated_device: MakeDevice, adb: Adb) -> None:
    device = simulated_device(android=6)
    result = adb("shell", "echo out; echo err >&2; exit 3", serial=device.serial)
    assert (result.returncode, result.stderr) == (0, b"") and sorted(result.stdout.split()) == [b"err", b"out"]
    assert adb.shell(device.serial, "getprop ro.build.version.sdk") == "23\n"


@pytest.mark.slow
def test_storage_is_as_large_as_it_was_asked_for(simulated_device: MakeDevice, adb: Adb, tmp_path: Path) -> None:
    device = simulated_device(storage_mib=4)
    large, small = random_file(tmp_path / "large", 6 * _MEBI), random_file(tmp_path / "small", 1000)
    result = adb("push", str(large), f"{_TMP}/large", serial=device.serial)
    assert result.returncode != 0 and b"No space left on device" in result.stdout + result.stderr
    assert adb.shell(device.serial, f"ls {_TMP}") == ""
    assert adb("push", str(small), f"{_TMP}/small", serial=device.serial).returncode == 0
    full = adb("shell", f"head -c 8M /dev/zero >{_TMP}/zeros", serial=device.serial)
    assert full.returncode == 1 and b"No space left on device" in full.stderr


@pytest.mark.slow
def test_programs_run_where_a_phone_lets_them(simulated_device: MakeDevice, adb: Adb) -> None:
    device = simulated_device()
    for folder, expected in ((_TMP, (0, b"hello\n")), ("/sdcard", (126, b""))):
        command = f"cd {folder}; cp /system/bin/sh own; chmod 755 own; ./own -c 'echo hello'"
        result = adb("shell", command, serial=device.serial)
        assert (result.returncode, result.stdout) == expected
    for place, reason in (("/system/x", b"Read-only file system"), ("/proc/x", b"No such file")):
        result = adb("shell", f"touch {place}", serial=device.serial)
        assert result.returncode == 1 and reason in result.stderr


@pytest.mark.slow
@both_clients
def test_a_connection_that_drops_in_a_push_leaves_no_file(
    simulated_device: MakeDevice, adb: Adb, tmp_path: Path
) -> None:
    device = simulated_device()
    sent = random_file(tmp_path / "sent", 8 * _MEBI)
    device.drop(after_bytes=3 * _MEBI)
    assert adb("push", str(sent), f"{_TMP}/sent", serial=device.serial).returncode != 0
    wait_until(lambda: not list((device.files / _TMP[1:]).iterdir()), "the part of a file is removed")
    adb.wait(device.serial, "device")  # the server reconnects by itself
    assert adb("push", str(sent), f"{_TMP}/sent", serial=device.serial).returncode == 0
    assert (device.files / _TMP[1:] / "sent").read_bytes() == sent.read_bytes()


@pytest.mark.slow
@both_clients
def test_unplugged_it_is_away_until_it_is_plugged_in_and_what_is_detached_goes_on(
    simulated_device: MakeDevice, adb: Adb
) -> None:
    device = simulated_device()
    adb.shell(device.serial, f"(setsid sh -c 'sleep 1; echo done >{_TMP}/mark') </dev/null >/dev/null 2>&1 &")
    with adb.popen("shell", "sleep 300", serial=device.serial) as running:
        wait_until(lambda: any("sleep 300" in line for line in device.programs), "the program starts")
        device.unplug()
        running.communicate(timeout=60)
    wait_until(lambda: not any("sleep 300" in line for line in device.programs), "the program is hung up on")
    adb.wait(device.serial, "offline")
    assert adb("shell", "true", serial=device.serial).returncode != 0
    wait_until(lambda: (device.files / _TMP[1:] / "mark").exists(), "what is detached comes to its end")
    device.plug()
    adb.connect(device.serial)
    assert adb.shell(device.serial, f"cat {_TMP}/mark") == "done\n"


@pytest.mark.slow
@both_clients
def test_frozen_it_says_nothing_and_goes_on_once_thawed(simulated_device: MakeDevice, adb: Adb) -> None:
    device = simulated_device()
    device.freeze()
    assert adb.states()[device.serial] == "device"  # adb does not notice
    with pytest.raises(subprocess.TimeoutExpired):
        adb("shell", "echo never", serial=device.serial, timeout_s=1)
    device.thaw()
    assert adb.shell(device.serial, "echo again") == "again\n"


@pytest.mark.slow
def test_switched_off_it_is_offline_and_forgets(simulated_device: MakeDevice, adb: Adb) -> None:
    device = simulated_device()
    adb.shell(device.serial, f"echo kept >{_TMP}/file")
    serial = device.serial
    device.power_off()
    adb.wait(serial, "offline")
    device.power_on()
    adb.connect(device.serial)
    assert device.serial == serial and adb.shell(serial, f"ls {_TMP}") == ""


@pytest.mark.slow
@both_clients
def test_a_new_host_is_let_in_when_somebody_allows_it(simulated_device: MakeDevice, adb: Adb) -> None:
    device = simulated_device(door="ask")
    refused = adb("shell", "true", serial=device.serial)
    assert refused.returncode == 1 and b"unauthorized" in refused.stderr
    device.allow()
    adb.wait(device.serial, "device")
    assert adb.shell(device.serial, "echo in") == "in\n"
    device.drop()
    wait_until(lambda: adb("shell", "true", serial=device.serial).returncode == 0, "its key is remembered")


@pytest.mark.slow
def test_doors_are_what_their_modes_say(simulated_device: MakeDevice, adb: Adb) -> None:
    known = simulated_device(door="ask", trusted=[adb.key], connect=False)
    adb.connect(known.serial)
    states = {known.serial: "device"}
    for mode, state in (("accept", "device"), ("never", "unauthorized"), ("mute", "offline")):
        states[simulated_device(door=mode).serial] = state
    assert adb.states() == states
    with pytest.raises(AssertionError, match="nobody asks"):
        known.allow()


@pytest.mark.slow
def test_two_devices_are_apart(simulated_device: MakeDevice, adb: Adb) -> None:
    one, two = simulated_device(name="One"), simulated_device(name="Two", state="recovery")
    assert adb.states() == {one.serial: "device", two.serial: "recovery"}
    assert b"more than one device" in adb("shell", "true").stderr
    for device, name in ((one, "One"), (two, "Two")):
        assert adb.shell(device.serial, f"getprop ro.product.model; echo {name} >{_TMP}/name") == f"{name}\n"
    assert adb.shell(one.serial, f"cat {_TMP}/name") == "One\n"


@pytest.mark.slow
def test_it_tells_what_a_test_sets(simulated_device: MakeDevice, adb: Adb) -> None:
    device = simulated_device(little=1, big=1, memory_mib=3072)
    device.set_heat(status=3, cpu_celsius=88.5, skin_celsius=47.0)
    device.set_battery(level=7, celsius=44.1, charging=False)
    device.set_frequency(1, 1_100_000)
    heat = adb.shell(device.serial, "dumpsys thermalservice")
    cached, current = heat.split("Current temperatures from HAL:")
    assert "Thermal Status: 3\n" in cached and "mValue=88.5" not in cached
    assert "{mValue=88.5, mType=0, mName=CPU0, mStatus=3}" in current
    battery = adb.shell(device.serial, "dumpsys battery")
    assert "  level: 7\n" in battery and "  temperature: 441\n" in battery and "  USB powered: false\n" in battery
    cpu = "/sys/devices/system/cpu"
    files = f"{cpu}/online {cpu}/cpu?/cpufreq/scaling_cur_freq {cpu}/cpu?/cpu_capacity"
    assert adb.shell(device.serial, f"cat {files}").split() == ["0-1", "1785000", "1100000", "414", "1024"]
    assert adb.shell(device.serial, "grep part /proc/cpuinfo; head -1 /proc/meminfo").split() == [
        *("CPU", "part", ":", "0xd05", "CPU", "part", ":", "0xd0b", "MemTotal:", "3145728", "kB")
    ]


_HOLDER = """\
import sys, time
from pathlib import Path
from support.android.client import Adb
from support.android.device import SimulatedDevice
from support.waiting import wait_until
with Adb(Path(sys.argv[1]), Path(sys.argv[2])) as adb, SimulatedDevice(Path(sys.argv[4])) as device:
    adb.connect(device.serial)
    adb.shell(device.serial, "(setsid sleep 300) </dev/null >/dev/null 2>&1 &")
    if sys.argv[3] == "frozen":
        device.freeze()
    print("ready", flush=True)
    time.sleep(300)
"""


@pytest.mark.slow
@pytest.mark.parametrize("state", ["running", "frozen"])
def test_a_killed_test_leaves_nothing_behind(device_system: Path, tmp_path: Path, state: str) -> None:
    environment = {**os.environ, "PYTHONPATH": f"{_TESTS}{os.pathsep}{_TESTS.parent}"}
    command = [sys.executable, "-c", _HOLDER, str(program("adb-29")), str(tmp_path), state, str(device_system)]
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None and holder.stdout.readline() == "ready\n"
        group = descendants(holder.pid)
        assert any("sleep" in words for words in group.values()) and any("nodaemon" in w for w in group.values())
        holder.kill()
    wait_until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in group), "all processes are gone")
    assert str(device_system) not in Path("/proc/mounts").read_text()


def descendants(process: int) -> dict[int, str]:
    """What *process* has started, and what that has, with command lines."""
    parents = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            parents[int(stat.parent.name)] = int(stat.read_text().rpartition(")")[2].split()[1])
        except OSError:
            continue
    found, queue = {}, [process]
    while queue:
        parent = queue.pop()
        for child in (pid for pid, its_parent in parents.items() if its_parent == parent):
            found[child] = Path(f"/proc/{child}/cmdline").read_text().replace("\0", " ")
            queue.append(child)
    return found


@pytest.mark.system
def test_what_this_machine_lacks_is_told_in_one_line(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(AssertionError) as caught:
        system.directory()
    assert str(caught.value).startswith("a simulated device needs more on this machine: apt-get install qemu-user")
