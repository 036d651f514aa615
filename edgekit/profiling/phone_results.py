"""What phones measure of a bundle: one profile, which has a result on disk before the phone is told that it arrived."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import edgekit
from edgekit.bundle import Bundle
from edgekit.devices.browser.result import read_result
from edgekit.errors import EdgekitError, UsageError
from edgekit.profiling import options
from edgekit.profiling import outputs as files
from edgekit.profiling.growing import GrowingProfile
from edgekit.runtime import given
from edgekit.runtime.profiler.profile import BundleRecord, DeviceRecord, Profile
from edgekit.runtime.profiler.records import Cell
from edgekit.runtime.profiler.settings import Settings

#: Called with a phone's device and its rows.
Listener = Callable[[DeviceRecord, tuple[Cell, ...]], None]


class PhoneResults(GrowingProfile):
    """Takes what phones post, for `edgekit.devices.browser.server.PhoneServer`, and holds all that was taken.

    The outputs that are profiles (``.json``) are written with each result, and all others once, by `render`. Where
    there is none but others, a profile is kept beside the first of them until they are rendered.

    Attributes:
        kept_in: The files that have every result; empty without outputs.
    """

    def __init__(
        self,
        bundle: Bundle,
        settings: Settings,
        outputs: Sequence[Path] = (),
        *,
        words: Sequence[str] = (),
        listener: Listener = lambda record, cells: None,
    ):
        """
        Args:
            settings: Those of the job.
            words: What of the command line *settings* do not say.
            listener: Called with each result that was taken, once it is on disk, on the thread that calls `receive`.

        Raises:
            UsageError: ``EK-ARGUMENT``: an output cannot be written, or results of before are in its place.
            EdgekitError: ``EK-WRITE``: nothing can be written there.
        """
        files.check(outputs, operators=False)
        profiles = [path for path in outputs if files.is_profile(path)]
        self._rendered = tuple(path for path in outputs if not files.is_profile(path))
        self._spare = _spare(self._rendered[0]) if self._rendered and not profiles else None
        self.kept_in = tuple(profiles) if self._spare is None else (self._spare,)
        self._bundle = bundle
        self._settings = settings
        self._listener = listener
        self._runs: set[str] = set()
        self._unheard: list[tuple[DeviceRecord, tuple[Cell, ...]]] = []
        head = Profile(
            created=datetime.now(UTC).isoformat(timespec="seconds"),
            producer=f"edgekit {edgekit.__version__}",
            command=("edgekit", "phone", *given.words([bundle.path]), *words, *options.words(settings)),
            settings=settings,
            bundles=(BundleRecord.of(bundle),),
            devices=(),
            cells=(),
        )
        super().__init__(head, self.kept_in)

    def receive(self, value: dict[str, Any]) -> None:
        """Take a posted result; when this returns, it is on disk. One that was taken before is not taken again.

        Raises:
            UsageError: ``EK-INPUT``: it does not fit.
            EdgekitError: ``EK-WRITE``, ``EK-SPACE``: it cannot be written; it is kept in memory, and written when it is
                posted again, with the next one, or by `write`.
            BundleError: The bundle is damaged.
        """
        run = value.get("run")
        if run not in self._runs:
            record, cells = read_result(value, self._bundle, self._settings)
            self._unheard.append(self.add(replace(record, name=_name(record)), cells))
            self._runs.add(str(run))
        self.write()

    def write(self) -> None:
        """Write what could not be written before; raises what `GrowingProfile.write` does."""
        super().write()
        self._tell()

    def close(self) -> None:
        """The last try to `write`; all that was taken is heard then."""
        try:
            super().write()
        finally:
            self._tell()

    def render(self) -> None:
        """Make the outputs that are no profiles, of all that was taken.

        Raises:
            EdgekitError: ``EK-WRITE``, ``EK-SPACE``: one cannot be written; the others are.
        """
        try:
            files.write_all(self.profile, self._rendered)
        except EdgekitError as error:
            raise EdgekitError(error.code, error.message, self.way_to_render() or error.hint) from error
        if self._spare is not None and not self.unwritten:
            self._spare.unlink(missing_ok=True)

    def way_to_render(self) -> str:
        """The command that makes of `kept_in` what `render` does; empty when there is nothing to make."""
        if not self._rendered:
            return ""
        options = [word for path in self._rendered for word in ("-o", str(path))]
        return shlex.join(["edgekit", "report", str(self.kept_in[0]), *options])

    def _tell(self) -> None:
        while self._unheard:
            self._listener(*self._unheard.pop(0))


def _spare(output: Path) -> Path:
    """Where a profile is kept for *output*, which is none."""
    spare = output.with_name(f"{output.name}.json")
    if spare.exists():
        message = f"{spare} holds results of phones that are not in {output} yet"
        hint = f"{shlex.join(['edgekit', 'report', str(spare), '-o', str(output)])}  makes it; then remove {spare.name}"
        raise UsageError("EK-ARGUMENT", message, hint)
    files.check([spare], operators=False)
    return spare


def _name(record: DeviceRecord) -> str:
    """What people call the phone: its model, where its browser tells."""
    machine = record.machine
    if machine is None:
        return record.name
    return f"{machine.os.partition(' on ')[0]} on {machine.board}" if machine.board else machine.os
