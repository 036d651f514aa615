"""An Android phone behind adb: the self-contained runner is sent there, and runs on the phone's processor."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path

from edgekit import display
from edgekit.bundle import Bundle
from edgekit.devices.adb import listing, phone
from edgekit.devices.adb.connection import Connection
from edgekit.devices.adb.phone import Phone
from edgekit.devices.adb.store import Store
from edgekit.devices.base import Checkup, Closing, RunRequest, RunResult, VerifyRequest
from edgekit.devices.payload import assembly
from edgekit.devices.runner import session as runner_session
from edgekit.devices.runner.inference import WithRunner
from edgekit.devices.transport.completed import Answer
from edgekit.display import Log
from edgekit.errors import UsageError
from edgekit.manifest import Variant
from edgekit.runtime.checkup import machine_lines
from edgekit.runtime.machine import Cluster, Machine
from edgekit.runtime.profiler.events import Listener, log_to
from edgekit.runtime.profiler.profile import DeviceRecord
from edgekit.runtime.profiler.readiness import marks_of
from edgekit.runtime.profiler.records import BoardState, Cell
from edgekit.runtime.profiler.settings import Request
from edgekit.runtime.verification import Verification

EXPERIMENTAL = "adb is experimental: tested with a simulated device, and not yet confirmed on a phone"


def open_phone(name: str) -> AdbDevice:
    """The device ``adb:SERIAL``; ``adb:`` alone is ``$ANDROID_SERIAL``, or the only phone. Connects when first used.

    Raises:
        UsageError: ``EK-ARGUMENT``: it is no serial number.
    """
    serial = name.partition(":")[2]
    if serial != serial.strip() or serial.startswith("-") or not serial.isprintable():
        raise UsageError("EK-ARGUMENT", f"{name!r} is not the name of a phone", "adb:SERIAL, as adb devices lists them")
    return AdbDevice(name.removesuffix(":"), serial)


class AdbDevice(Closing):
    """A phone that adb reaches, on which ``.pte`` and ``.tflite`` files run without an app."""

    emulated = False

    def __init__(self, name: str, serial: str):
        self.name = name
        self._serial = serial
        self._connection: Connection | None = None
        self._phone: Phone | None = None
        self._stores: list[Store] = []

    def phone(self) -> Phone:
        """What the phone is.

        Raises:
            DeviceError: ``EK-CONNECT``: it is out of reach; ``EK-DEVICE``: nothing of edgekit's runs on it.
        """
        if self._phone is None:
            connection = self._connected()
            self._phone = phone.read_phone(connection.device, connection.ask(phone.FACTS).output)
        return self._phone

    def state(self) -> BoardState:
        """How hot, fast and busy the phone is."""
        return phone.read_state(self._connected().ask(phone.STATE).output)

    def examine(self) -> Checkup:
        found, state = self.phone(), self.state()
        formats = {format: assembly.why_not(format, found.machine) for format in assembly.sent_formats()}
        document = {
            "device": self.name,
            "experimental": True,
            "machine": asdict(found.machine),
            "free_disk_bytes": found.free_disk_bytes,
            "state": asdict(state),
            "formats": assembly.outlook(formats),
        }
        memory = found.machine.free_memory_bytes
        lines = (
            *machine_lines(found.machine, None)[:3],
            *(f"cores     {_cluster(cluster)}" for cluster in found.machine.clusters),
            f"system    {found.machine.os}, pages of {found.machine.page_bytes >> 10} KiB",
            f"free      {display.size(found.free_disk_bytes)} of disk, {display.size(memory)} of memory",
            f"now       {_now(state)}",
            "",
            *assembly.outlook_lines(formats),
        )
        return Checkup(document, lines, (EXPERIMENTAL,))

    def run(self, bundle: Path, request: RunRequest, log: Log) -> RunResult:
        with self._runners([bundle], log) as (runner,):
            return runner.run(request)

    def verify(self, bundle: Path, request: VerifyRequest, log: Log) -> tuple[Verification, ...]:
        with self._runners([bundle], log) as (runner,):
            return runner.verify(request, log)

    def machine(self) -> Machine:
        return self.phone().machine

    def profile(
        self, bundles: Sequence[Path], request: Request, listener: Listener
    ) -> tuple[DeviceRecord, tuple[Cell, ...]]:
        with self._runners(bundles, log_to(listener)) as runners:
            return runner_session.run_session(self.name, self.machine(), runners, request, listener=listener)

    def close(self) -> None:
        """Remove what this session alone needed there."""
        for store in self._stores:
            store.tidy()
        self._stores.clear()
        self._connection = self._phone = None

    def _connected(self) -> Connection:
        if self._connection is None:
            serial = listing.find(self._serial)
            self._connection = Connection(f"adb:{serial}", serial)
        return self._connection

    @contextmanager
    def _runners(self, bundles: Sequence[Path], log: Log) -> Iterator[list[WithRunner]]:
        """The bundles with a runner that is on the phone, in their order."""
        log(EXPERIMENTAL)
        found = self.phone()
        with ExitStack() as stack:
            opened = [stack.enter_context(Bundle.open(bundle)) for bundle in bundles]
            formats = {format for bundle in opened for format in assembly.formats_of(bundle.manifest)}
            (part,) = assembly.parts_for(found.machine, sorted(formats), log=log)
            store = Store(self._connected(), found.free_disk_bytes, log)
            self._stores.append(store)
            script = store.runner(part)
            connection = self._connected()
            hosts = [
                _Host(connection.device, found.machine, connection, store, bundle, script, log) for bundle in opened
            ]
            yield [WithRunner(host, host.bundle) for host in hosts]


@dataclass
class _Host:
    """See `edgekit.devices.runner.inference.RunnerHost`."""

    device: str
    machine: Machine
    connection: Connection
    store: Store
    bundle: Bundle
    script: str
    log: Log
    models: dict[str, str] = field(default_factory=dict)
    last_look: str | None = None

    def model(self, entry: Variant) -> str:
        if entry.name not in self.models:
            self.models[entry.name] = self.store.model(self.bundle, entry)
        return self.models[entry.name]

    def workspace(self) -> str:
        return self.store.workspace()

    def put(self, file: str, data: bytes) -> None:
        self.store.put(file, data)

    def fetch(self, file: str, most_bytes: int) -> bytes:
        return self.connection.fetch(file, most_bytes)

    def execute(self, arguments: Sequence[str], timeout_s: float, most_bytes: int) -> Answer:
        # The shell that adb starts has no /bin/sh on some phones, which the script's first line would ask for.
        command = ["sh", self.script, *arguments]
        return self.connection.run(
            command, folder=self.workspace(), timeout_s=timeout_s, log=self.log, most_bytes=most_bytes
        )

    def look(self) -> BoardState | None:
        text = self.connection.ask(phone.STATE).output
        before, self.last_look = self.last_look, text
        return phone.read_state(text, before)


def _cluster(cluster: Cluster) -> str:
    """As in ``4-7: 4 x cortex-a78 up to 2.40 GHz``."""
    numbers = cluster.cpus
    whole = numbers == tuple(range(numbers[0], numbers[-1] + 1))
    shown = f"{numbers[0]}-{numbers[-1]}" if whole and len(numbers) > 1 else ",".join(map(str, numbers))
    speed = "" if cluster.frequency_hz is None else f" up to {cluster.frequency_hz / 1e9:.2f} GHz"
    return f"{shown}: {len(numbers)} x {cluster.cpu or 'unknown processor'}{speed}"


def _now(state: BoardState) -> str:
    heat = "temperature unknown" if state.temperature_celsius is None else f"{state.temperature_celsius:.1f} °C"
    power = f"on {state.power_source}" if state.power_source else "power source unknown"
    return ", ".join([heat, power, *marks_of(state, (), state)])
