"""An emulated board as a device: its engines in processes under qemu, this machine's beside them for comparison."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path

from edgekit.bundle import Bundle
from edgekit.devices.base import Checkup, Closing, RunRequest, RunResult, VerifyRequest
from edgekit.devices.emulator import board, condition, counter, guest, qemu
from edgekit.display import Log
from edgekit.errors import UsageError
from edgekit.manifest import Variant
from edgekit.runtime.check_runs import CheckVectors, check_vectors, run_checks
from edgekit.runtime.contents import read_variant
from edgekit.runtime.engines import available, is_browser_engine
from edgekit.runtime.profiler.events import Listener, Measured, log_to
from edgekit.runtime.profiler.profile import BundleRecord, DeviceRecord
from edgekit.runtime.profiler.records import FAILED, MEASURED, NOT_RUN, Cell
from edgekit.runtime.profiler.settings import Request
from edgekit.runtime.remote import Server
from edgekit.runtime.selection import choices, choose, why_not
from edgekit.runtime.verification import Verification, compared, judge, not_run
from edgekit.target import Target

#: Threads unless the user says otherwise: waiting threads are emulated as well. MobileNetV2 on a desktop of two cores
#: takes half as long again with four, and gives the same bits.
DEFAULT_THREADS = 1


def open_board(name: str) -> EmulatedDevice:
    """The device called *name*: ``emulator:`` and a target's name, or the path of a target file.

    Raises:
        UsageError: ``EK-ARGUMENT``, ``EK-TARGET``: there is no such target, or it cannot be emulated.
    """
    return EmulatedDevice(name, guest.target_of(name))


class EmulatedDevice(Closing):
    """A board of *target* under emulation. Outputs and instruction counts are real; times would mean nothing."""

    emulated = True

    def __init__(self, name: str, target: Target, core: board.Core | None = None):
        """Nothing is started. *core* stands in for what the board's files say of its core. Raises `UsageError`
        ``EK-TARGET``: *target* cannot be emulated."""
        self.name = name
        self._target = target
        self._system = guest.SYSTEMS[target.cpu.architecture]
        self._emulated_core = board.core_of(target)
        self._shown_core = core
        self._folder: tempfile.TemporaryDirectory[str] | None = None

    def run(self, bundle: Path, request: RunRequest, log: Log) -> RunResult:
        self._start(log)
        with Bundle.open(bundle) as opened:
            machine = self._guest.machine
            choice = choose(
                choices(opened.manifest, machine, request.variant, request.engine, installed=self._versions)
            )
            chosen, name = opened.manifest.variant(choice.variant), choice.engine
            data = bytes(read_variant(opened, chosen).data)
            signature = opened.manifest.signature
        log(f"{chosen.name} on {name}")
        with Server.start(name, self._command()) as server:
            session = server.open(data, chosen.format, signature, request.threads or DEFAULT_THREADS)
            arrays = session.run([request.inputs[spec.name] for spec in signature.inputs])
        outputs = {spec.name: array for spec, array in zip(signature.outputs, arrays, strict=True)}
        return RunResult(chosen.name, name, session.threads, outputs)

    def verify(self, bundle: Path, request: VerifyRequest, log: Log) -> tuple[Verification, ...]:
        """As `edgekit.devices.base.Runs.verify`; every engine that has what it takes runs on this machine as well."""
        return self._verify(bundle, request, log)

    def count(self, bundle: Path, request: VerifyRequest, log: Log) -> tuple[Verification, ...]:
        return self._verify(bundle, request, log, instructions=True)

    def _verify(
        self, bundle: Path, request: VerifyRequest, log: Log, instructions: bool = False
    ) -> tuple[Verification, ...]:
        threads = request.threads or DEFAULT_THREADS
        if instructions and threads != 1:
            raise UsageError("EK-ARGUMENT", "instructions are counted with one thread", "leave out --threads")
        self._start(log)
        if instructions:
            counter.plugin(self._qemu)  # what it lacks is said before the slow part
        with Bundle.open(bundle) as opened:
            opened.verify()
            vectors = check_vectors(opened)
            pairs = [
                (entry, name)
                for entry in opened.manifest.variants
                if request.variant in (None, entry.name)
                for name in self._engines_for(entry)
            ]
            refused = {
                (entry.name, name): why_not(opened.manifest, entry, name, self._guest.machine, installed=self._versions)
                for entry, name in pairs
            }
            runnable = [(entry, name) for entry, name in pairs if not refused[entry.name, name]]
            command = self._command()
            runs = run_checks(opened, vectors, runnable, threads=threads, command=lambda _: command, log=log)
            here = [(entry, name) for entry, name in runnable if name in available(entry.format)]
            host = run_checks(opened, vectors, here, threads=threads)
            rows = []
            for entry, name in pairs:
                key = entry.name, name
                if key not in runs:
                    rows.append(not_run(entry, name, refused[key]))
                    continue
                row = compared(judge(entry, name, vectors, runs[key]), entry, runs[key], host.get(key))
                if instructions and runs[key].outputs is not None:
                    log(f"{entry.name} on {name}: counting instructions")
                    row = replace(row, guest_instructions=self._count(opened, entry, name, vectors))
                rows.append(row)
        return tuple(rows)

    def examine(self) -> Checkup:
        usual = self._system is guest.system_of("emulator")
        return condition.examine(self.name, self._system, "emulator" if usual else self.name)

    def machine(self) -> None:
        """Nothing that is measured here depends on the machine."""

    def profile(
        self, bundles: Sequence[Path], request: Request, listener: Listener
    ) -> tuple[DeviceRecord, tuple[Cell, ...]]:
        """Count the instructions of an inference, with one thread; times would mean nothing, and there are none."""
        cells = []
        for bundle in bundles:
            with Bundle.open(bundle) as opened:
                sha256 = BundleRecord.of(opened).sha256
                names = [entry.name for entry in opened.manifest.variants]
            for name in request.variants or (None,):
                if name is not None and name not in names:
                    continue
                rows = self.count(bundle, VerifyRequest(name, threads=1), log_to(listener))
                for row in rows:
                    if not request.engines or row.engine in request.engines:
                        cells.append(self._cell(sha256, row))
                        listener(Measured(cells[-1]))
        record = DeviceRecord(self.name, True, self._guest.machine, self._target.name, self._versions)
        return record, tuple(cells)

    def _cell(self, bundle: str, row: Verification) -> Cell:
        status = {"passed": MEASURED, "failed": FAILED}.get(row.status, NOT_RUN)
        return Cell(
            self.name,
            bundle,
            row.variant,
            row.engine,
            self._versions.get(row.engine),
            status,
            row.reason,
            guest_instructions=row.guest_instructions,
        )

    def close(self) -> None:
        if self._folder is not None:
            self._folder.cleanup()
            self._folder = None

    @cached_property
    def _qemu(self) -> qemu.Qemu:
        return qemu.require(self._system.architecture)

    @cached_property
    def _versions(self) -> dict[str, str]:
        return guest.engines(self._system)

    def _start(self, log: Log) -> None:
        """Lay out the board, after all that could be missing was looked for."""
        if self._folder is None:
            _ = self._qemu, self._versions
            parts = guest.unpack(self._system, log)
            self._folder = tempfile.TemporaryDirectory(prefix="edgekit-board-")
            root = Path(self._folder.name, "root")
            root.mkdir()
            self._guest = guest.Guest(self._system, parts, self._target, root, self._shown_core)

    def _command(self, *options: str) -> list[str]:
        """The command line that runs `edgekit.runtime.remote_child` on the board."""
        emulator = [self._qemu.program, "-cpu", self._emulated_core.name, *options]
        return self._guest.command(emulator, "-m", "edgekit.runtime.remote_child")

    def _count(self, bundle: Bundle, variant: Variant, engine: str, vectors: CheckVectors) -> int:
        """Instructions of one inference, in a process that does nothing else: what ran before shifts the heap, and
        a copy of memory costs more or less by its address."""
        assert self._folder is not None
        marks = Path(self._folder.name, "marks")
        marks.unlink(missing_ok=True)
        command = self._command("-seed", "1", "-plugin", f"{counter.plugin(self._qemu)},out={marks}")
        with Server.start(engine, command) as server:
            session = server.open(bundle.read(variant.file), variant.format, vectors.signature, 1)
            return counter.count(session, vectors.samples[0], marks)

    def _engines_for(self, variant: Variant) -> tuple[str, ...]:
        """What such a board would run *variant* on; where it has nothing, what the bundle names."""
        support = self._target.support(variant.format, variant.recipe)
        engines = support.engines if support else variant.engines
        return tuple(name for name in engines if not is_browser_engine(name))
