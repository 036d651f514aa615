"""One session of measurements: bundles on devices, with baselines on this machine beside them."""

from __future__ import annotations

import secrets
import threading
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import edgekit
from edgekit.bundle import Bundle
from edgekit.devices import open_device
from edgekit.devices.base import Measures
from edgekit.devices.kinds import LOCAL, kind_of
from edgekit.errors import EdgekitError, Interrupted, UsageError
from edgekit.profiling.options import WAIT_S, Names, ProfileOptions, words
from edgekit.runtime import given
from edgekit.runtime.engines import browser_engines, is_browser_engine
from edgekit.runtime.machine import Machine
from edgekit.runtime.profiler.events import Measured, Note, Progress
from edgekit.runtime.profiler.profile import BundleRecord, DeviceRecord, Profile
from edgekit.runtime.profiler.records import MEASURED, Cell
from edgekit.runtime.profiler.session import check_cpus, settings_for
from edgekit.runtime.profiler.settings import Mode, Request
from edgekit.target import Limits, Target, load_target, target_names


@dataclass(frozen=True)
class Failed:
    """A device cannot be measured any further."""

    error: EdgekitError


@dataclass(frozen=True)
class DeviceEvent:
    """What happened on a device."""

    device: str
    what: Note | Progress | Measured | Failed


Listener = Callable[[DeviceEvent], None]


def profile(
    bundles: str | Path | Sequence[str | Path],
    on: str | Sequence[str] = (LOCAL,),
    *,
    engines: Sequence[str] = (),
    variants: Sequence[str] = (),
    baselines: Sequence[str] = (),
    mode: Mode = "default",
    operators: bool = False,
    threads: int | None = None,
    cpus: Sequence[int] | None = None,
    seed: int | None = None,
    listener: Listener | None = None,
) -> Profile:
    """Measure every variant of *bundles* on every engine of every device.

    Args:
        bundles: Path or paths. One that was built for a desktop is measured on this machine only, beside others.
        on: Name or names of devices: ``local``, ``ssh://USER@HOST``, ``adb:SERIAL``, ``browser`` (on this machine;
            ``browser:lan`` or ``browser:https`` on a phone), ``emulator:BOARD`` (instructions, no times).
        engines, variants: Names to keep to; by default all that the bundles name, and in a browser ``litert-web``.
        baselines: Engines that only desktops have, which run on this machine whatever *engines* and *on* say;
            then no other such engine does.
        mode: ``quick`` (2 processes and at least 1 s for each variant on each engine), ``default`` (5 and 10 s) or
            ``strict`` (10 and 60 s).
        operators: Trace where the time of an inference goes, in a pass of its own.
        threads: By default one per core, at most 4; on every device the same for all engines.
        cpus: Cores to bind every process to.
        seed: Of the order of measurements; by default a random one, which the profile records.
        listener: Called with each event as it comes, from several threads.

    Raises:
        UsageError: No such device, engine or variant; or no bundle has what a baseline loads.
        BundleError: A bundle is damaged or missing.
        DeviceError: Every device failed. One that fails beside others is a line in the profile.
    """
    paths = [bundles] if isinstance(bundles, (str, Path)) else bundles
    options = ProfileOptions(
        engines=tuple(engines),
        variants=tuple(variants),
        baselines=tuple(baselines),
        mode=mode,
        operators=operators,
        threads=threads,
        cpus=None if cpus is None else tuple(cpus),
        seed=seed,
    )
    session = Session([given.bundle_at(path) for path in paths], [on] if isinstance(on, str) else on, options)
    return session.run(listener)


class Session:
    """A call of `profile`, whose arguments it takes and checks; nothing is connected or measured before `run`."""

    def __init__(self, bundles: Sequence[Path], on: Sequence[str], options: ProfileOptions):
        paths = list(dict.fromkeys(bundles))
        if not paths or not on:
            raise UsageError("EK-ARGUMENT", f"no {'device' if paths else 'bundle'} is named", "name at least one")
        names = list(dict.fromkeys(on))
        self._only_baselines = bool(options.baselines) and LOCAL not in names
        if self._only_baselines:
            names.append(LOCAL)
        self._devices = [open_device(name, Measures) for name in names]  # refuses misspelled devices
        self._bundles = _read(paths)
        self._names = Names(tuple(self._bundles.values()), options.engines, options.variants, options.baselines)
        for device in self._devices:
            self._check_engines(device)
        if LOCAL in on:
            check_cpus(options.cpus)
        if LOCAL not in on and not options.baselines and len(self._bundles) > 1:
            for path, record in self._bundles.items():
                if _is_for_desktops(record):
                    raise UsageError("EK-ARGUMENT", f"{path} was built for desktops", "add --on local, or leave it out")
        self.settings = settings_for(
            options.mode,
            seed=secrets.randbelow(1 << 31) if options.seed is None else options.seed,
            threads=options.threads,
            cpus=options.cpus,
            operators=options.operators,
        )
        self._created = datetime.now(UTC).isoformat(timespec="seconds")
        self._lock = threading.Lock()
        self._cells: dict[tuple[str, str, str, str], Cell] = {}
        self._records: dict[str, DeviceRecord] = {}
        self._errors: list[EdgekitError] = []
        self._stopped = False

    @property
    def several(self) -> bool:
        """Whether there is more than one device."""
        return len(self._devices) > 1

    def run(self, listener: Listener | None = None) -> Profile:
        """Measure; see `profile`."""
        groups = _by_machine(self._devices)
        began = {machine: threading.Event() for machine in groups}
        failures: list[BaseException] = []

        def work(machine: str) -> None:
            try:
                for device in groups[machine]:
                    if machine == LOCAL:  # what others are sent is packed here, which would disturb
                        for other in began.keys() - {LOCAL}:
                            began[other].wait()
                    self._measure(device, began[machine], listener)
            except BaseException as failure:
                failures.append(failure)
            finally:
                began[machine].set()

        if len(groups) == 1:
            work(*groups)
        else:
            workers = [threading.Thread(target=work, args=(machine,), daemon=True) for machine in groups]
            for worker in workers:
                worker.start()
            try:
                for worker in workers:
                    worker.join()
            except KeyboardInterrupt:
                self._stopped = True  # the threads end at their next event
                for event in began.values():
                    event.set()
                raise
        for failure in failures:
            raise failure
        if len(self._errors) == len(self._devices) and not any(
            cell.status == MEASURED for cell in self._cells.values()
        ):
            raise self._errors[0]
        return self.so_far()

    def so_far(self, *notes: str) -> Profile:
        """The profile of what has been measured until now."""
        with self._lock:
            cells, records = list(self._cells.values()), dict(self._records)
        order = [device.name for device in self._devices]
        return Profile(
            created=self._created,
            producer=f"edgekit {edgekit.__version__}",
            command=self._command(),
            settings=self.settings,
            bundles=tuple(self._bundles.values()),
            devices=tuple(records[name] for name in order if name in records),
            cells=tuple(sorted((_decoded(cell) for cell in cells), key=lambda cell: order.index(cell.device))),
            notes=notes,
        )

    def _measure(self, device: Measures, began: threading.Event, listener: Listener | None) -> None:
        """One device, whose failure is a line in its record."""
        record = DeviceRecord(device.name, device.emulated, None, None, {})
        self._note(record)

        def listen(event: Note | Progress | Measured) -> None:
            if self._stopped:
                raise Interrupted("EK-INTERRUPTED", "stopped")
            if not isinstance(event, Note):
                began.set()
            if isinstance(event, Measured):
                event = Measured(replace(event.cell, device=device.name))
                if _is_elsewhere(device, event.cell):
                    return
                self._keep(event.cell)
            if listener is not None:
                listener(DeviceEvent(device.name, event))

        with ExitStack() as stack:
            stack.enter_context(device)
            try:
                machine = device.machine()
                target, limits = _limits(machine, tuple(self._bundles.values()))
                name = None if target is None else target.name
                record = replace(record, machine=machine, target=name, noise_floor_percent=limits.noise_floor_percent)
                self._note(record)
                paths, request = self._request(device, limits)
                if paths:
                    found, cells = device.profile(paths, request, listen)
                    record = replace(
                        found,
                        name=device.name,
                        target=found.target or record.target,
                        noise_floor_percent=record.noise_floor_percent,
                    )
                    for cell in cells:
                        if not _is_elsewhere(device, cell):
                            self._keep(replace(cell, device=device.name))
                self._note(record)
            except Interrupted:
                raise
            except EdgekitError as error:
                self._errors.append(error)
                self._note(replace(record, failure=error.message))
                if listener is not None:
                    listener(DeviceEvent(device.name, Failed(error)))

    def _request(self, device: Measures, limits: Limits) -> tuple[list[Path], Request]:
        """What *device* is asked to measure, of which bundles."""
        local = device.name == LOCAL
        desktop = {path for path, record in self._bundles.items() if _is_for_desktops(record)}
        paths = [path for path in self._bundles if local or path not in desktop or len(self._bundles) == 1]
        variants, engines = self._kept(device)
        return paths, Request(
            settings=self.settings,
            variants=variants,
            engines=engines,
            start_below_load_per_core=limits.start_below_load_per_core,
            start_below_celsius=limits.start_below_celsius,
            wait_s=WAIT_S[self.settings.mode],
        )

    def _kept(self, device: Measures) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Names of variants and of engines for *device*; empty for all that can be there."""
        local, browser = device.name == LOCAL, _is_browser(device)
        if browser and not self._names.engines:
            return self._names.variants, browser_engines()[:1]
        variants, engines = (
            self._names.for_baselines() if local and self._only_baselines else self._names.for_device(local)
        )
        return variants, tuple(name for name in engines if is_browser_engine(name) == browser)

    def _check_engines(self, device: Measures) -> None:
        """Refuse a device for which none of the engines that were named is."""
        named = self._names.engines
        if not named or self._kept(device)[1]:
            return
        if _is_browser(device):
            raise UsageError("EK-ARGUMENT", f"no browser has {named[0]}", f"it has {' and '.join(browser_engines())}")
        hint = "--on browser measures there, and so does  edgekit phone BUNDLE"
        raise UsageError("EK-ARGUMENT", f"{named[0]} runs in a browser, and {device.name} is none", hint)

    def _keep(self, cell: Cell) -> None:
        key = (cell.device, cell.bundle, cell.variant, cell.engine)
        with self._lock:
            self._cells.pop(key, None)  # the order of the last word on each is that of the result
            self._cells[key] = cell

    def _note(self, record: DeviceRecord) -> None:
        with self._lock:
            self._records[record.name] = record

    def _command(self) -> tuple[str, ...]:
        """What measures the same in the same order."""
        names = self._names
        line = ["edgekit", "profile", *given.words(self._bundles)]
        devices = [device.name for device in self._devices if not (self._only_baselines and device.name == LOCAL)]
        for option, values in (
            ("--on", devices),
            ("--engine", names.engines),
            ("--variant", names.variants),
            ("--baseline", names.baselines),
        ):
            line += [word for value in values for word in (option, value)]
        return (*line, *words(self.settings))


def _read(paths: Sequence[Path]) -> dict[Path, BundleRecord]:
    records: dict[Path, BundleRecord] = {}
    for path in paths:
        with Bundle.open(path) as opened:
            record = BundleRecord.of(opened)
        if record.sha256 not in [other.sha256 for other in records.values()]:  # a copy under another name
            records[path] = record
    return records


def _is_for_desktops(bundle: BundleRecord) -> bool:
    target = _target(bundle)
    return target is not None and target.kind == "desktop"


def _target(bundle: BundleRecord) -> Target | None:
    try:
        return load_target(bundle.target)
    except UsageError:  # a target of the user's own, which may lie elsewhere
        return None


def _limits(machine: Machine | None, bundles: Sequence[BundleRecord]) -> tuple[Target | None, Limits]:
    """What is asked of a machine before it is measured on: the limits of the target that describes it, or of the first
    bundle's target that has its architecture."""
    if machine is None:
        return None, Limits()
    for name in target_names():
        target = load_target(name)
        if target.is_machine(machine.board, machine.architecture):
            return target, target.limits
    for bundle in bundles:
        meant = _target(bundle)
        if meant is not None and meant.cpu.architecture == machine.architecture:
            return meant, meant.limits
    return None, Limits()


def _is_browser(device: Measures) -> bool:
    return kind_of(device.name).browser


def _is_elsewhere(device: Measures, cell: Cell) -> bool:
    """Whether bundles name an engine for browsers, and *device* is none: that is no row of it."""
    return is_browser_engine(cell.engine) and not _is_browser(device)


def _by_machine(devices: Sequence[Measures]) -> dict[str, list[Measures]]:
    """Devices that may not be worked on at the same time, together: emulated boards are this machine, and so are
    browsers, which may run here, and whose files are sent and outputs judged here. They come first, since somebody
    stands by."""
    groups: dict[str, list[Measures]] = {}
    for device in sorted(devices, key=lambda device: not _is_browser(device)):
        here = kind_of(device.name).here
        groups.setdefault(LOCAL if here else device.name.rpartition("@")[2], []).append(device)
    return groups


def _decoded(cell: Cell) -> Cell:
    """The operators of a trace in place of the trace."""
    if cell.trace is None:
        return cell
    from edgekit.profiling.operators import decode

    try:
        return replace(cell, operators=decode(cell.trace), trace=None)
    except EdgekitError as error:
        return replace(cell, trace=None, operators_reason=error.message)
