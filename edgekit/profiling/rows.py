"""Rows: a profile's cells with all their figures. Every table, chart and verdict is made from rows."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import median

import numpy as np

from edgekit.metric import Metric
from edgekit.profiling.comparison import Comparison, compare, throttled
from edgekit.profiling.operators import headline
from edgekit.profiling.statistics import Summary, succeeded, summarise
from edgekit.runtime.engines import is_reference_engine
from edgekit.runtime.profiler.board import energy_mj
from edgekit.runtime.profiler.profile import Profile
from edgekit.runtime.profiler.records import MEASURED, Cell, Process, Status
from edgekit.runtime.profiler.samples import Samples


@dataclass(frozen=True)
class Row:
    """One variant of a bundle on one engine of one device. What is not known is None.

    Attributes:
        bundle: Its name.
        target: The target it was built for.
        accelerator: ``cpu``, ``cuda`` or ``webgpu``.
        build, fully_accelerated: Which build of the engine was loaded, where it has several, and whether it ran all of
            the model in its accelerated backend, where it tells.
        batch: Samples in an inference.
        status, reason: Whether it was measured, and why not.
        marks: What speaks against the figures: ``degraded: REASON``, ``throttled: REASON``.
        remarks: What else to know: how outputs differ from those of the same engine elsewhere, for example.
        headline: Whether its latency counts: it was measured, and the machine was not throttled.
        latency_ms: Of whole inferences, inputs copied in and outputs out; None for a row that failed, whatever was
            timed.
        reference: The engine of the row that it is compared with; None for that row itself.
        comparison: With the reference, which has the same device, signature of the model, and precision.
        import_ms, load_ms, load_cold_ms, load_warm_ms, first_ms: Importing the engine, loading the file (in all
            processes; in those that found it outside and in the file cache), first inference. Medians over processes.
        write_us, invoke_us, read_us: Parts of an inference, measured apart.
        preprocess_ms: The bundle's preprocessing of one sample.
        peak_rss_bytes: Of a process that only loads and runs the model, which includes the interpreter and numpy.
        anonymous_bytes, file_bytes: Of what it held in the end: its own, and pages of files.
        size_bytes, metric, accuracy, accuracy_drop, snr_db, agreement, delegated_share: As in the bundle's manifest:
            percent, and percentage points, unless the metric has another unit. None where nothing at the build could
            run the file.
        checked: Whether something at the build could: the others are exported, not run.
        is_given: Whether the file was given, and not built: its quality is not known.
        recommended: Whether the bundle recommends the variant for its target.
        guest_instructions: Of one inference on an emulated board.
        energy_mj: Of one inference, from the board's own meter; *energy_reason* says why there is none.
        operators_headline: The operators in one line; *operators_reason* says why there are none though asked for.
        operators_sum_us, operators_whole_us: All operators together, and the traced inference as a whole.
        throughput: Samples per second, at the median.
    """

    device: str
    emulated: bool
    bundle: str
    target: str
    variant: str
    engine: str
    engine_version: str | None
    format: str
    recipe: str
    accelerator: str | None
    build: str | None
    fully_accelerated: bool | None
    batch: int
    threads: int | None
    status: Status
    reason: str
    marks: tuple[str, ...]
    remarks: tuple[str, ...]
    headline: bool
    latency_ms: Summary | None
    reference: str | None
    comparison: Comparison | None
    import_ms: float | None
    load_ms: float | None
    load_cold_ms: float | None
    load_warm_ms: float | None
    first_ms: float | None
    write_us: float | None
    invoke_us: float | None
    read_us: float | None
    preprocess_ms: float | None
    peak_rss_bytes: int | None
    anonymous_bytes: int | None
    file_bytes: int | None
    size_bytes: int
    metric: Metric
    accuracy: float | None
    accuracy_drop: float | None
    snr_db: float | None
    agreement: float | None
    delegated_share: float | None
    checked: bool
    is_given: bool
    recommended: bool
    guest_instructions: int | None
    energy_mj: float | None
    energy_reason: str
    operators_headline: str | None
    operators_reason: str
    operators_sum_us: float | None
    operators_whole_us: float | None
    throughput: float | None

    @property
    def quality(self) -> float | None:
        """More is better: by the metric, or the SNR where there are no labels."""
        return self.snr_db if self.accuracy is None else self.metric.worth(self.accuracy)

    @property
    def name(self) -> str:
        """``fp32.tflite on litert``."""
        return f"{self.variant} on {self.engine}"


def rows(profile: Profile) -> tuple[Row, ...]:
    """A row for each cell of *profile*, in its order.

    Raises:
        ValueError: The samples of a process are damaged.
    """
    return tuple(_row(profile, cell, _reference(profile, cell)) for cell in profile.cells)


def _reference(profile: Profile, cell: Cell) -> Cell | None:
    """What *cell* is compared with: of what was measured with the same device, signature, precision and input, LiteRT
    (in a browser its WebAssembly), or else the first.

    Bundles do not matter: what a desktop's bundle holds is compared with the file for a board when they are of one
    signature. A cell that got another input than its own bundle's reference is held against that all the same, so that
    it is seen to be not comparable.
    """
    if cell.status != MEASURED or cell.conditions is None:
        return None
    measured = [each for each in profile.cells if each.status == MEASURED and succeeded(each.processes)]
    peers = [each for each in measured if _group(profile, each) == _group(profile, cell)]
    best = _best(peer for peer in peers if _input(peer) == _input(cell))
    if best is cell or best is None:
        best = _best(peer for peer in peers if profile.bundle(peer).name == profile.bundle(cell).name)
    return None if best is cell else best


def _best(cells: Iterable[Cell]) -> Cell | None:
    return min(cells, key=lambda cell: not is_reference_engine(cell.engine), default=None)


def _input(cell: Cell) -> str | None:
    return None if cell.conditions is None else cell.conditions.inputs_sha256


def _group(profile: Profile, cell: Cell) -> tuple[str, object, str]:
    bundle, variant = profile.bundle(cell), profile.bundle(cell).variant(cell.variant)
    signature: object = bundle.signature
    if variant.given is not None:  # converters name tensors as they like
        signature = tuple(tuple((spec.shape, spec.dtype) for spec in side) for side in vars(bundle.signature).values())
    return cell.device, signature, variant.recipe


def _row(profile: Profile, cell: Cell, reference: Cell | None) -> Row:
    device, bundle = profile.device(cell), profile.bundle(cell)
    variant = bundle.variant(cell.variant)
    processes = succeeded(cell.processes)
    latency = summarise(processes, seed=profile.settings.seed) if cell.status == MEASURED else None
    looks = [look for process in processes for look in process.during]
    memory, operators, conditions = cell.memory, cell.operators, cell.conditions
    comparison = None
    if reference is not None:
        floor = device.noise_floor_percent
        comparison = compare(reference, cell, noise_floor_percent=floor, seed=profile.settings.seed)
    batch = 1 if conditions is None else conditions.batch
    return Row(
        device=cell.device,
        emulated=device.emulated,
        bundle=bundle.name,
        target=bundle.target,
        variant=cell.variant,
        engine=cell.engine,
        engine_version=cell.engine_version,
        format=variant.format,
        recipe=variant.recipe,
        accelerator=None if conditions is None else conditions.accelerator,
        build=cell.build,
        fully_accelerated=cell.fully_accelerated,
        batch=batch,
        threads=None if conditions is None else conditions.threads,
        status=cell.status,
        reason=cell.reason,
        marks=_marks(cell.processes),
        remarks=cell.remarks,
        headline=latency is not None and not throttled(cell),
        latency_ms=latency,
        reference=None if reference is None else reference.engine,
        comparison=comparison,
        import_ms=_median(process.import_ms for process in processes),
        load_ms=_median(process.load_ms for process in processes),
        load_cold_ms=_median(process.load_ms for process in processes if process.load_cache == "cold"),
        load_warm_ms=_median(process.load_ms for process in processes if process.load_cache == "warm"),
        first_ms=_median(process.first_ms for process in processes),
        write_us=_microseconds(process.spans.write_ns for process in processes if process.spans),
        invoke_us=_microseconds(process.spans.invoke_ns for process in processes if process.spans),
        read_us=_microseconds(process.spans.read_ns for process in processes if process.spans),
        preprocess_ms=_preprocess_ms(processes),
        peak_rss_bytes=None if memory is None else memory.peak_rss_bytes,
        anonymous_bytes=None if memory is None else memory.anonymous_bytes,
        file_bytes=None if memory is None else memory.file_bytes,
        size_bytes=variant.size_bytes,
        metric=bundle.metric,
        accuracy=variant.accuracy,
        accuracy_drop=variant.accuracy_drop,
        snr_db=variant.snr_db,
        agreement=variant.agreement,
        delegated_share=variant.delegated_share,
        checked=variant.runs,
        is_given=variant.given is not None,
        recommended=bundle.recommended.get("variant") == cell.variant,
        guest_instructions=cell.guest_instructions,
        energy_mj=None if latency is None else energy_mj(looks, 1e6 * latency.mean),
        energy_reason=cell.energy,
        operators_headline=None if operators is None else headline(operators),
        operators_reason=cell.operators_reason,
        operators_sum_us=None if operators is None else sum(each.time_us for each in operators.operators),
        operators_whole_us=None if operators is None else operators.whole_us,
        throughput=None if latency is None else 1000 * batch / latency.median,
    )


def without_numbers(mark: str) -> str:
    """By what marks are told apart."""
    return re.sub(r"[0-9.]+", "", mark)


def _marks(processes: Sequence[Process]) -> tuple[str, ...]:
    """Those of all processes; what differs by its numbers alone is said once."""
    found: dict[str, str] = {}
    for process in processes:
        for mark in process.marks:
            found.setdefault(without_numbers(mark), mark)
    return tuple(found.values())


def _median(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return median(known) if known else None


def _microseconds(spans: Iterable[Samples]) -> float | None:
    """The median over processes of each one's median."""
    nanoseconds = _median(float(np.median(span.array())) for span in spans if span.count)
    return None if nanoseconds is None else nanoseconds / 1e3


def _preprocess_ms(processes: Sequence[Process]) -> float | None:
    microseconds = _microseconds(process.preprocess_ns for process in processes if process.preprocess_ns)
    return None if microseconds is None else microseconds / 1e3
