"""Commands and files through the real adb, to a simulated device that is pulled out, freezes and fills up."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from support.android.client import Adb, both_clients
from support.android.device import SimulatedDevice
from support.waiting import wait_until

from edgekit.devices.adb import client, connection, job, listing
from edgekit.devices.adb.connection import Connection, _checked_move
from edgekit.devices.transport.completed import Answer, failure
from edgekit.errors import DeviceError

MakeDevice = Callable[..., SimulatedDevice]

pytestmark = pytest.mark.slow

_TMP = "/data/local/tmp"


def connected(device: SimulatedDevice) -> Connection:
    """As a new session connects: what was pulled out a moment ago is waited for."""
    return Connection("adb:phone", listing.find(device.serial))


def run(phone: Connection, *arguments: str, timeout_s: float = 60, log: Callable[[str], None] = print) -> Answer:
    return phone.run(arguments, folder=_TMP, timeout_s=timeout_s, log=log)


def runs(device: SimulatedDevice, program: str) -> bool:
    return any(program in line for line in device.programs)


def stored(device: SimulatedDevice) -> set[str]:
    return {path.name for path in (device.files / _TMP[1:]).iterdir()}


def later(seconds: float, action: Callable[[], None]) -> None:
    threading.Timer(seconds, action).start()


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A second without an answer is enough, for the phone as well."""
    monkeypatch.setattr(connection, "ANSWER_S", 1.0)
    monkeypatch.setattr(connection, "PATIENCE_S", 1.0)
    monkeypatch.setattr(job, "LEASE_S", 2)
    monkeypatch.setattr(client, "_WATCH_S", 0.5)


@both_clients
def test_commands_end_with_their_exit_code_and_files_arrive_whole(simulated_device: MakeDevice, adb: Adb) -> None:
    phone = connected(simulated_device())
    answer = phone.ask("echo out; echo err >&2; sh -c 'exit 7'")
    assert (answer.status, answer.output, answer.errors) == (7, "out\n", ("err",))
    assert str(phone.ask("sh -c 'kill -SEGV $$'").death) == "died (SIGSEGV)"
    ran = run(phone, "sh", "-c", 'echo "$0|$HOME|$TMPDIR|$LD_PRELOAD"; echo err >&2; exit 3', "a  'b'")
    assert (ran.status, ran.output, ran.errors) == (3, f"a  'b'|{_TMP}|{_TMP}|\n", ("err",))
    assert str(run(phone, "sh", "-c", "kill -SEGV $$").death) == "died (SIGSEGV)"
    with pytest.raises(DeviceError, match="No such file"):
        failed = phone.run(["true"], folder=f"{_TMP}/nothing", timeout_s=20, log=print)
        raise failure("adb:phone", failed)
    data = os.urandom(1 << 20)
    phone.put({"a name": data, "b": b""}, _TMP)
    assert (phone.fetch(f"{_TMP}/a name", 1 << 20), phone.fetch(f"{_TMP}/b", 1)) == (data, b"")
    phone.put({"b": b"again"}, _TMP)
    assert phone.fetch(f"{_TMP}/b", 5) == b"again"
    with pytest.raises(DeviceError, match=r"nothing.*No such file"):
        phone.fetch(f"{_TMP}/nothing", 1)
    with pytest.raises(DeviceError, match=r"Read-only file system|Permission denied"):
        phone.put({"file": b"1"}, "/system")


def test_what_arrives_damaged_never_gets_its_name(
    simulated_device: MakeDevice, monkeypatch: pytest.MonkeyPatch
) -> None:
    device = simulated_device()
    phone = connected(device)
    monkeypatch.setattr(connection, "_checked_move", lambda part, name, data: _checked_move(part, name, b"other"))
    with pytest.raises(DeviceError, match="adb:phone: model arrived damaged") as caught:
        phone.put({"model": b"data"}, _TMP)
    assert caught.value.code == "EK-DEVICE" and "model" not in stored(device)


@both_clients
def test_a_folder_is_there_whole_with_its_programs(simulated_device: MakeDevice, tmp_path: Path) -> None:
    device = simulated_device()
    (tmp_path / "lib").mkdir()
    (tmp_path / "lib/data").write_bytes(os.urandom(5000))
    (tmp_path / "hello").write_text("#!/bin/sh\necho hello\n")
    (tmp_path / "hello").chmod(0o755)
    phone = connected(device)
    phone.put_folder(tmp_path, f"{_TMP}/runner")
    assert phone.do(f"{_TMP}/runner/hello") == "hello\n"
    assert phone.fetch(f"{_TMP}/runner/lib/data", 5000) == (tmp_path / "lib/data").read_bytes()
    assert stored(device) == {"runner"}


@both_clients
def test_pulled_out_in_a_push_it_leaves_nothing_and_can_be_used_at_once(simulated_device: MakeDevice) -> None:
    device = simulated_device()
    data = os.urandom(8 << 20)
    device.drop(after_bytes=3 << 20)
    with pytest.raises(DeviceError, match="the connection to adb:phone broke") as caught:
        connected(device).put({"model": data}, _TMP)
    assert caught.value.code == "EK-CONNECT" and "do the same again" in (caught.value.hint or "")
    connected(device).put({"model": data}, _TMP)
    assert stored(device) == {"model"}


@both_clients
def test_a_connection_lost_for_a_moment_costs_a_run_nothing(simulated_device: MakeDevice) -> None:
    """adb 29 answers exit code 0 here."""
    device, said = simulated_device(), list[str]()
    later(0.7, device.drop)
    ran = run(connected(device), "sh", "-c", f"echo began >>{_TMP}/log; sleep 3; cat {_TMP}/log", log=said.append)
    assert (ran.status, ran.output) == (0, "began\n"), "it ran once, to its end"
    assert said == ["the connection to adb:phone broke: waiting for it, what runs there goes on"]
    assert stored(device) == {"log"}


@both_clients
@pytest.mark.usefixtures("impatient")
def test_pulled_out_in_a_run_it_is_an_error_and_the_program_ends(simulated_device: MakeDevice) -> None:
    device = simulated_device()
    phone = connected(device)
    later(0.7, device.unplug)
    with pytest.raises(DeviceError, match="the connection to adb:phone broke") as caught:
        run(phone, "sleep", "300")
    assert caught.value.code == "EK-CONNECT"
    wait_until(lambda: not runs(device, "sleep 300"), "the program ends, though no host can tell it to")
    device.plug()
    wait_until(
        lambda: (device.serial, "device") in {(each.serial, each.state) for each in listing.phones()}, "it is back"
    )
    assert connected(device).do("echo works") == "works\n"


@both_clients
@pytest.mark.usefixtures("impatient")
def test_a_frozen_phone_is_not_waited_for(simulated_device: MakeDevice) -> None:
    device = simulated_device()
    phone = connected(device)
    later(1.0, device.freeze)
    with pytest.raises(DeviceError, match="gave no answer") as in_run:
        run(phone, "sleep", "300")
    for attempt in (lambda: phone.do("true", timeout_s=1), lambda: phone.put({"file": bytes(8 << 20)}, _TMP)):
        with pytest.raises(DeviceError, match="gave no answer") as caught:
            attempt()
        assert caught.value.code == in_run.value.code == "EK-CONNECT"
    device.thaw()
    wait_until(lambda: not runs(device, "sleep 300"), "the program ends")
    assert connected(device).do("echo works") == "works\n"


def test_a_program_that_takes_too_long_is_ended_and_the_phone_is_not_blamed(simulated_device: MakeDevice) -> None:
    device = simulated_device()
    phone = connected(device)
    with pytest.raises(DeviceError, match="no result after 1 s") as caught:
        run(phone, "sleep", "300", timeout_s=1)
    assert caught.value.code == "EK-DEVICE"
    wait_until(lambda: not runs(device, "sleep 300"), "the program ends")
    assert phone.do("echo works") == "works\n"


@both_clients
def test_a_full_disk_is_named_and_not_kept_full(simulated_device: MakeDevice) -> None:
    device = simulated_device(storage_mib=4)
    phone = connected(device)
    with pytest.raises(DeviceError, match="adb:phone: the disk is full") as caught:
        phone.put({"model": os.urandom(8 << 20)}, _TMP)
    assert caught.value.code == "EK-DEVICE" and stored(device) == set()
    phone.put({"small": b"fits"}, _TMP)


@both_clients
@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"door": "never"}, "has not allowed this computer"),
        ({"door": "mute"}, "is offline"),
        ({"state": "recovery"}, "'recovery'"),
    ],
)
def test_a_phone_that_is_not_ready_is_told_from_others(
    simulated_device: MakeDevice, monkeypatch: pytest.MonkeyPatch, options: dict[str, str], message: str
) -> None:
    monkeypatch.setattr(listing, "_PATIENCE_S", 0.5)
    device = simulated_device(**options)
    with pytest.raises(DeviceError, match=message) as caught:
        connected(device)
    assert caught.value.code == "EK-CONNECT" and caught.value.hint


def test_somebody_taps_allow_and_it_works(simulated_device: MakeDevice) -> None:
    device = simulated_device(door="ask")
    later(0.5, device.allow)
    assert connected(device).do("echo works") == "works\n"


def test_one_of_several_is_chosen_by_name_or_as_adb_users_do(
    simulated_device: MakeDevice, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = simulated_device(), simulated_device(name="Other")
    with pytest.raises(DeviceError, match="2 phones are connected"):
        listing.find("")
    assert listing.find(first.serial) == first.serial
    monkeypatch.setenv("ANDROID_SERIAL", second.serial)
    assert listing.find("") == second.serial and listing.find(first.serial) == first.serial


def test_an_interruption_ends_what_runs_on_the_phone(
    simulated_device: MakeDevice, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(sign: str) -> None:
        raise KeyboardInterrupt

    device = simulated_device()
    phone = connected(device)
    monkeypatch.setattr(client, "_WATCH_S", 0.5)
    monkeypatch.setattr(phone, "_look", interrupt)
    with pytest.raises(KeyboardInterrupt):
        run(phone, "sleep", "300")
    wait_until(lambda: not runs(device, "sleep 300"), "the program ends")
