"""The records of a profile: a cell for each variant on each engine, with the processes that measured it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from edgekit.runtime.profiler.samples import Samples, Spans, Trace

#: ``not run``: nothing was tried, with the reason; ``failed``: it was, with what became of it.
Status = Literal["measured", "failed", "not run"]

MEASURED: Status = "measured"
FAILED: Status = "failed"
NOT_RUN: Status = "not run"


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
