"""The profile: what was measured, as it was measured. Every figure in a table or report is worked out from one.

A profile is one JSON document. `Profile.from_json` reads every schema version that edgekit ever wrote.
"""

from __future__ import annotations

import base64
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from importlib import import_module
from typing import Any, Literal

import numpy as np

from edgekit import display
from edgekit.bundle import Bundle, Variant, manifest_bytes, sha256
from edgekit.errors import UsageError
from edgekit.metric import ACCURACY, Metric
from edgekit.runtime.machine import Machine
from edgekit.schema import conform

SCHEMA_VERSION = 1

Mode = Literal["quick", "default", "strict"]
#: ``not run``: nothing was tried, with the reason; ``failed``: it was, with what became of it.
Status = Literal["measured", "failed", "not run"]

MEASURED: Status = "measured"
FAILED: Status = "failed"
NOT_RUN: Status = "not run"


#: Of one process, and of what an engine recorded: several times what the longest session leaves.
_MOST_SAMPLES, _MOST_TRACE_BYTES = 8_000_000, 64 << 20


def _inflated(data: str, most_bytes: int) -> bytes:
    """What was deflated and is in *data* in base64; ValueError when it is damaged, or longer."""
    inflater = zlib.decompressobj()
    try:
        found = inflater.decompress(base64.b64decode(data, validate=True), most_bytes + 1)
    except zlib.error as error:
        raise ValueError(f"what was recorded is damaged ({error})") from error
    if len(found) > most_bytes or not inflater.eof:
        raise ValueError("what was recorded is not as long as it should be")
    return found


@dataclass(frozen=True)
class Samples:
    """Whole numbers in the order they were taken: little-endian int64, deflated, in base64."""

    count: int
    data: str

    @classmethod
    def pack(cls, values: Iterable[int] | np.ndarray) -> Samples:
        array = np.asarray(values if isinstance(values, np.ndarray) else list(values), dtype="<i8")
        return cls(array.size, base64.b64encode(zlib.compress(array.tobytes(), 6)).decode("ascii"))

    def array(self) -> np.ndarray:
        """The numbers, as int64.

        Raises:
            ValueError: What is stored is damaged.
        """
        if not 0 <= self.count <= _MOST_SAMPLES:
            raise ValueError(f"{self.count:,} samples")
        array = np.frombuffer(_inflated(self.data, 8 * self.count), dtype="<i8")
        if array.size != self.count:
            raise ValueError(f"{array.size} samples where {self.count} are due")
        return array.astype(np.int64)


@dataclass(frozen=True)
class BoardState:
    """One look at a machine. What cannot be read there is None, or empty.

    Attributes:
        at_s: When, in seconds of the machine's monotonic clock; 0 where that was not told.
        frequencies_hz: Of each core, now.
        governors: Of each core, as in ``ondemand``.
        temperature_celsius: Of the processor.
        throttled: Bits of the Raspberry Pi's firmware: 0 under-voltage, 1 frequency capped, 2 throttled, 3 soft
            temperature limit; 16 to 19 the same since the board was started.
        load_per_core: Share of the time since the look before (0 to 1) in which a core was busy, mean over cores.
        free_memory_bytes: What a program could have without swapping.
        power_source: ``mains`` or ``battery``.
        battery_percent: How full the battery is.
        power_w: What the board's own meter says it takes (Raspberry Pi 5).
        others_load_per_core: What of the load was not the measurement's own doing.
        throttle_count: How often cores and packages of an x86 processor were slowed down for their heat since the
            machine was started.
        frequency_limit_hz: What the system lets the fastest core come to now; kernels lower it for heat.
        thermal_status: Android's: 0 none, 1 light, 2 moderate, 3 severe, 4 critical, 5 emergency, 6 shutdown.
    """

    at_s: float
    frequencies_hz: tuple[int, ...] = ()
    governors: tuple[str, ...] = ()
    temperature_celsius: float | None = None
    throttled: int | None = None
    load_per_core: float | None = None
    free_memory_bytes: int | None = None
    power_source: str | None = None
    power_w: float | None = None
    others_load_per_core: float | None = None
    throttle_count: int | None = None
    frequency_limit_hz: int | None = None
    thermal_status: int | None = None
    battery_percent: float | None = None


@dataclass(frozen=True)
class Spans:
    """The parts of an inference, call by call, in nanoseconds; taken apart from the steady state, whose calls are timed
    as a whole.

    Attributes:
        write_ns: Copying the inputs in.
        invoke_ns: The inference itself.
        read_ns: Copying the outputs out.
    """

    write_ns: Samples
    invoke_ns: Samples
    read_ns: Samples


@dataclass(frozen=True)
class Process:
    """One fresh process of a cell: one repeat. What it did not come to is None, or empty.

    Attributes:
        repeat: Which of the balanced blocks it belongs to, from 0.
        order: Its place in the order in which the block's processes were started, from 0.
        threads: Threads the engine really used.
        cpus: Cores the process was bound to; None when it was not.
        import_ms: Importing the engine's library.
        load_ms: From the file to a session that can run.
        load_cache: Whether the file was in the file cache then: ``cold`` or ``warm``; None when that cannot be told.
        first_ms: The first inference.
        warm_up_calls, warm_up_s: What came before the steady state.
        settled: Whether the warm-up ended because durations had settled, rather than by its time limit.
        elapsed_ns: Durations of whole inferences in the steady state; see *calls_per_sample*.
        round_sizes: How many of them belong to each round; the block's processes take turns, round by round, so that
            the same rounds of two processes were measured side by side.
        spans: Durations of the parts of an inference.
        preprocess_ns: Durations of the bundle's preprocessing of one sample.
        outputs_sha256: Of the outputs for the input that was timed.
        before, during, after: The machine.
        waited_s: How long the process waited for the machine to be ready.
        marks: What speaks against its figures, each ``degraded: REASON`` or ``throttled: REASON``.
        failure: Why it failed, in one line; empty when it did not.
        signal: Name of the signal that ended it.
        log: The last lines it wrote.
        calls_per_sample: Inferences that were timed together, where the timer is too coarse for one: a duration is then
            their mean.
        cpu_ns: Processor time of each inference in *elapsed_ns*, over all threads of the process. It leaves out what
            other programs took of the machine, and everything that an inference waits for; None where the system does
            not tell it finely enough.
        waits: How often the process gave up its core by itself during these inferences, to wait for another thread, an
            accelerator or a disk; None where that is not known.
    """

    repeat: int
    order: int
    threads: int | None = None
    cpus: tuple[int, ...] | None = None
    import_ms: float | None = None
    load_ms: float | None = None
    load_cache: Literal["cold", "warm"] | None = None
    first_ms: float | None = None
    warm_up_calls: int = 0
    warm_up_s: float = 0.0
    settled: bool = False
    elapsed_ns: Samples | None = None
    round_sizes: tuple[int, ...] = ()
    spans: Spans | None = None
    preprocess_ns: Samples | None = None
    outputs_sha256: str | None = None
    before: BoardState | None = None
    during: tuple[BoardState, ...] = ()
    after: BoardState | None = None
    waited_s: float = 0.0
    marks: tuple[str, ...] = ()
    failure: str = ""
    signal: str | None = None
    log: str = ""
    calls_per_sample: int = 1
    cpu_ns: Samples | None = None
    waits: int | None = None


@dataclass(frozen=True)
class Memory:
    """Of a fresh process that did nothing but load the model and run it a few times.

    Attributes:
        peak_rss_bytes: The most that was resident at a time (``VmHWM``).
        anonymous_bytes, file_bytes: What was resident at the end: its own, and pages of files.
        before_bytes: What was resident before the engine was imported.
    """

    peak_rss_bytes: int
    anonymous_bytes: int | None
    file_bytes: int | None
    before_bytes: int


@dataclass(frozen=True)
class Operator:
    """One step that an engine took, as its own trace names it; or time that belongs to none of them.

    Attributes:
        name: As in the trace, made distinct: ``Convolution (NHWC, QC8) DWConv #1``.
        type: ``Convolution (NHWC, QC8) DWConv``; what is the same in every model.
        count: How often it ran in an inference.
        time_us: Of an inference: mean over the typical ones (see `Operators`).
        delegated: Whether it ran inside the accelerated backend.
        source: The layer or line of the source model, where it is known.
        node: Which node of the model file it is, where that is known: in a ``.tflite`` the name of its first output,
            in a ``.pte`` the numbers of chain and instruction (``0_3``), which all operators of a delegate share.
        min_us, median_us: Of an inference: over all that were traced. None in profiles of before they were kept.
    """

    name: str
    type: str
    count: int
    time_us: float
    delegated: bool
    source: str | None = None
    node: str | None = None
    min_us: float | None = None
    median_us: float | None = None


@dataclass(frozen=True)
class Operators:
    """Where the time of an inference goes.

    Times are means over the typical half of the traced inferences: those between the quartiles of the whole's time.
    That is as robust as a median, but what an engine rounds to whole microseconds keeps its fractions, and all
    operators together take exactly the time of the whole.

    Attributes:
        runs: Inferences that were traced.
        whole_us: Of a traced inference as a whole. Next to the latency of untraced ones, it shows the tracer's cost.
        operators: In the order in which they run.
        whole_min_us, whole_median_us: Of the whole, over all inferences that were traced. Those of the operators do not
            add up to them.
    """

    runs: int
    whole_us: float
    operators: tuple[Operator, ...]
    whole_min_us: float | None = None
    whole_median_us: float | None = None


@dataclass(frozen=True)
class Trace:
    """What an engine recorded of traced inferences, before it is decoded: ``etdump`` or ``litert`` (see
    `edgekit.profiling.operators`), deflated, in base64."""

    kind: Literal["etdump", "litert"]
    data: str

    @classmethod
    def pack(cls, kind: Literal["etdump", "litert"], recorded: bytes) -> Trace:
        return cls(kind, base64.b64encode(zlib.compress(recorded, 6)).decode("ascii"))

    def recorded(self) -> bytes:
        """What was packed.

        Raises:
            ValueError: What is stored is damaged.
        """
        return _inflated(self.data, _MOST_TRACE_BYTES)


@dataclass(frozen=True)
class Conditions:
    """What has to be the same for two cells to be compared, beside the machine.

    Attributes:
        threads: That the engine really used.
        inputs_sha256: Of the bytes that went in.
        inputs, outputs: Element type and shape of each: ``float32[1, 28, 28, 1]``.
        precision: The recipe.
        batch: Samples in an inference.
        accelerator: ``cpu``, ``cuda`` or ``webgpu``.
        cpus: Cores the processes were bound to; None when they were not.
    """

    threads: int | None
    inputs_sha256: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    precision: str
    batch: int = 1
    accelerator: str = "cpu"
    cpus: tuple[int, ...] | None = None


@dataclass(frozen=True)
class Cell:
    """One variant of a bundle on one engine of one device.

    Attributes:
        device: The device's name, as in `DeviceRecord.name`.
        bundle: SHA-256 of the bundle's manifest, as in `BundleRecord.sha256`.
        status, reason: Whether there is anything to show, and why not, in one line.
        conditions: None when nothing ran.
        processes: The repeats, failed ones among them.
        energy: Why there is no `BoardState.power_w`; empty when there is.
        operators_reason: Why there are no operators, when they were asked for.
        guest_instructions: Of one inference on an emulated board.
        remarks: What else to know of it, one line each: how its outputs differ from those of the same engine elsewhere.
        build: Which build of the engine was loaded, where it has several: ``default``, ``threaded`` or ``compat``.
        fully_accelerated: Whether all operators ran in the accelerated backend, where the engine tells.
    """

    device: str
    bundle: str
    variant: str
    engine: str
    engine_version: str | None
    status: Status
    reason: str = ""
    conditions: Conditions | None = None
    processes: tuple[Process, ...] = ()
    memory: Memory | None = None
    operators: Operators | None = None
    operators_reason: str = ""
    trace: Trace | None = None
    energy: str = ""
    guest_instructions: int | None = None
    remarks: tuple[str, ...] = ()
    build: str | None = None
    fully_accelerated: bool | None = None


@dataclass(frozen=True)
class BundleRecord:
    """What a bundle said of itself."""

    name: str
    sha256: str
    target: str
    signature: Mapping[str, Any]
    variants: tuple[Variant, ...]
    recommended: Mapping[str, str]
    source: Mapping[str, Any]
    random_checks: bool = False
    metric: Metric = ACCURACY

    @classmethod
    def of(cls, bundle: Bundle) -> BundleRecord:
        manifest = bundle.manifest
        return cls(
            name=manifest.name,
            sha256=sha256(manifest_bytes(manifest)),
            target=manifest.target,
            signature=manifest.signature.to_json(),
            variants=manifest.variants,
            recommended=manifest.recommended,
            source=manifest.source,
            random_checks=bool(manifest.checks.get("random")),
            metric=manifest.metric,
        )

    def variant(self, name: str) -> Variant:
        return next(variant for variant in self.variants if variant.name == name)


@dataclass(frozen=True)
class Browser:
    """A browser, as it describes itself. What it does not tell is None.

    Attributes:
        user_agent, platform, mobile, model: Who it says it is; the model of the phone, which few tell.
        cores: That it shows, which may be fewer than there are.
        memory_gib: Rounded, and never more than 8.
        secure_context, cross_origin_isolated: What threads and WebGPU, and threads and exact timers, depend on.
        relaxed_simd: Whether its WebAssembly has these instructions, which int8 gains from.
        webgpu, webgpu_adapter: Whether it has WebGPU, and on what.
        automated: Whether a program drives it, or it only poses as a phone: its figures are no phone's.
        timer_resolution_us: The least time that it can tell.
        screen: Width, height and pixel ratio: ``412x839@2``.
        litert_js: Version of the runtime.
    """

    user_agent: str
    platform: str
    mobile: bool | None
    model: str | None
    cores: int
    memory_gib: float | None
    secure_context: bool
    cross_origin_isolated: bool
    relaxed_simd: bool
    webgpu: bool
    webgpu_adapter: str | None
    automated: bool
    timer_resolution_us: float
    screen: str
    litert_js: str


@dataclass(frozen=True)
class BrowserRecord(Browser):
    """A browser that ran a page of measurements.

    Attributes:
        connection: How the page came to it: ``localhost``, ``https`` or ``http``.
        why_threads: Which threads it got and why, in the page's own words.
        started: When the measurement began by its clock, as ISO 8601.
    """

    connection: Literal["localhost", "https", "http"]
    why_threads: str
    started: str


@dataclass(frozen=True)
class DeviceRecord:
    """A device, or why there is nothing of it.

    Attributes:
        machine: None when it was not reached.
        target: Name of the target that describes it; its limits held.
        engines: Versions of what is installed there, by name.
        noise_floor_percent: Smaller differences are none.
        failure: Why it was not reached, or failed, in one line.
        browser: None where it is none.
    """

    name: str
    emulated: bool
    machine: Machine | None
    target: str | None
    engines: Mapping[str, str]
    noise_floor_percent: float = 2.0
    failure: str = ""
    browser: BrowserRecord | None = None


@dataclass(frozen=True)
class Settings:
    """How it was measured.

    Attributes:
        mode: ``quick``, ``default`` or ``strict``.
        seed: Of the orders.
        repeats: Processes for each cell.
        seconds, samples: The least of each in the steady state of a cell, over its processes.
        threads: What was asked for; None for the device's own default.
        cpus: Cores that were asked for.
        operators: Whether operators were traced.
        busy_repeats: Processes for each cell when other programs keep the machine busy and there are several cells;
            None for as many as otherwise. Devices without Python, whose processes do not take turns, have no more.
    """

    mode: Mode
    seed: int
    repeats: int
    seconds: float
    samples: int
    threads: int | None = None
    cpus: tuple[int, ...] | None = None
    operators: bool = False
    busy_repeats: int | None = None


@dataclass(frozen=True)
class Request:
    """What a device is asked to measure.

    Attributes:
        variants, engines: Names to keep to; empty for all that the bundle names.
        start_below_load_per_core, start_below_celsius: The machine is ready when it is below both.
        wait_s: How long the whole session may wait for that; then what it measures is marked ``degraded``.
        cell_timeout_s: How long one process of one cell may take before it is ended as hanging, beside the time that
            it is asked to measure for.
        memory_bytes: What one process may take before it is ended; None for all but a reserve of what is free.
    """

    settings: Settings
    variants: tuple[str, ...] = ()
    engines: tuple[str, ...] = ()
    start_below_load_per_core: float = 0.25
    start_below_celsius: float | None = None
    wait_s: float = 60.0
    cell_timeout_s: float = 300.0
    memory_bytes: int | None = None

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True)
class Profile:
    """One session of measurements.

    Attributes:
        created: When it began: ISO 8601, UTC.
        producer: ``edgekit 0.1.0``.
        command: What repeats it.
    """

    created: str
    producer: str
    command: tuple[str, ...]
    settings: Settings
    bundles: tuple[BundleRecord, ...]
    devices: tuple[DeviceRecord, ...]
    cells: tuple[Cell, ...]
    kind: str = "edgekit profile"
    schema_version: int = SCHEMA_VERSION
    notes: tuple[str, ...] = field(default=())

    def bundle(self, cell: Cell) -> BundleRecord:
        return next(bundle for bundle in self.bundles if bundle.sha256 == cell.bundle)

    def device(self, cell: Cell) -> DeviceRecord:
        return next(device for device in self.devices if device.name == cell.device)

    def to_dataframe(self) -> Any:
        """Every inference of the steady state as a row of a `pandas.DataFrame`.

        Columns: ``device``, ``bundle`` (its name), ``variant``, ``engine``, ``repeat``, ``round``, ``elapsed_ms``.
        Processes that failed are left out. What was timed several at a time has one row for each mean (see
        `Process.calls_per_sample`).

        Raises:
            UsageError: ``EK-MISSING-PACKAGE``: pandas is not installed.
        """
        try:
            pandas = import_module("pandas")  # the host's: nothing that runs on a device needs it
        except ImportError as error:
            raise UsageError("EK-MISSING-PACKAGE", "tables need pandas", 'pip install "edgekit[profile]"') from error
        columns: dict[str, list[Any]] = {name: [] for name in ("device", "bundle", "variant", "engine", "repeat")}
        lengths, rounds, elapsed_ms = [], [np.empty(0, np.int64)], [np.empty(0)]
        for cell in self.cells:
            for process in cell.processes:
                if process.failure or process.elapsed_ns is None:
                    continue
                names = (cell.device, self.bundle(cell).name, cell.variant, cell.engine, process.repeat)
                for column, value in zip(columns.values(), names, strict=True):
                    column.append(value)
                lengths.append(process.elapsed_ns.count)
                rounds.append(np.repeat(np.arange(len(process.round_sizes)), process.round_sizes))
                elapsed_ms.append(process.elapsed_ns.array() / 1e6)
        whole = {name: np.repeat(np.array(values, object), lengths) for name, values in columns.items()}
        whole["repeat"] = whole["repeat"].astype(np.int64)
        return pandas.DataFrame({**whole, "round": np.concatenate(rounds), "elapsed_ms": np.concatenate(elapsed_ms)})

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, value: object) -> Profile:
        """The profile that `to_json` described.

        Raises:
            UsageError: ``EK-ARGUMENT``: it is no profile, or one of a newer edgekit.
        """
        if not isinstance(value, dict) or value.get("kind") != "edgekit profile":
            raise UsageError("EK-ARGUMENT", "this is no profile", "edgekit profile BUNDLE -o FILE.json writes one")
        if value.get("schema_version") != SCHEMA_VERSION:
            version = value.get("schema_version")
            raise UsageError("EK-ARGUMENT", f"the profile has schema version {version!r}", "update edgekit to read it")
        try:
            profile: Profile = conform(cls, display.values(value))
        except ValueError as error:
            raise UsageError("EK-ARGUMENT", f"the profile does not fit the schema: {error}") from error
        return profile
