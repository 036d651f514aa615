"""What is asked of a profile, and which variants and engines of the bundles that means."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from edgekit.devices.payload.assembly import sent_formats
from edgekit.errors import UsageError, did_you_mean
from edgekit.runtime.engines import engine as find_engine
from edgekit.runtime.profiler.profile import BundleRecord
from edgekit.runtime.profiler.settings import Mode, Settings

#: How long the whole session may wait for a machine to come to rest.
WAIT_S: Mapping[Mode, float] = {"quick": 2.0, "default": 60.0, "strict": 300.0}


@dataclass(frozen=True)
class ProfileOptions:
    """How bundles are measured; see `edgekit.profiling.session.profile`.

    Raises:
        UsageError: ``EK-ARGUMENT``: there is no such mode, or no number of threads like that.
    """

    engines: tuple[str, ...] = ()
    variants: tuple[str, ...] = ()
    baselines: tuple[str, ...] = ()
    mode: Mode = "default"
    operators: bool = False
    threads: int | None = None
    cpus: tuple[int, ...] | None = None
    seed: int | None = None

    def __post_init__(self) -> None:
        if self.mode not in WAIT_S:
            raise UsageError("EK-ARGUMENT", f"there is no mode {self.mode!r}", did_you_mean(self.mode, WAIT_S))
        if self.threads is not None and self.threads < 1:
            raise UsageError("EK-ARGUMENT", f"threads must be at least 1, not {self.threads}")


@dataclass(frozen=True)
class Names:
    """Which variants and engines of *bundles* to keep to.

    Raises:
        UsageError: ``EK-ARGUMENT``, ``EK-ENGINE``: there is no such variant or engine, or nothing for it.
    """

    bundles: tuple[BundleRecord, ...]
    engines: tuple[str, ...]
    variants: tuple[str, ...]
    baselines: tuple[str, ...]

    def __post_init__(self) -> None:
        known = [variant.name for bundle in self.bundles for variant in bundle.variants]
        for name in self.variants:
            if name not in known:
                raise UsageError("EK-ARGUMENT", f"no bundle has a variant {name!r}", did_you_mean(name, known))
        for name in (*self.engines, *self.baselines):
            formats = find_engine(name).formats
            if not self._loaded_by(name):
                wanted = " or ".join(f".{format}" for format in formats)
                hint = f"edgekit build PROJECT --target desktop-x86_64 --format {formats[0]}  makes one"
                raise UsageError("EK-ARGUMENT", f"no bundle has a {wanted} file for {name}", hint)

    def for_device(self, local: bool) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Names of variants and of engines for a device; empty for all."""
        if not self.baselines:
            return self.variants, self.engines
        named = dict.fromkeys(name for bundle in self.bundles for entry in bundle.variants for name in entry.engines)
        there = [name for name in named if not is_baseline(name) and name not in self.baselines]
        engines = self.engines or tuple(there)
        if not local:
            return self.variants, engines
        variants, baselines = self.for_baselines()
        return (*self.variants, *variants) if self.variants else (), tuple(dict.fromkeys((*engines, *baselines)))

    def for_baselines(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        variants = dict.fromkeys(entry for name in self.baselines for entry in self._loaded_by(name))
        return tuple(variants), self.baselines

    def _loaded_by(self, engine: str) -> list[str]:
        formats = find_engine(engine).formats
        return [entry.name for bundle in self.bundles for entry in bundle.variants if entry.format in formats]


def words(settings: Settings) -> list[str]:
    """What *settings* are on a command line."""
    said = [] if settings.mode == "default" else [f"--{settings.mode}"]
    said += ["--per-op"] if settings.operators else []
    said += [] if settings.threads is None else ["--threads", str(settings.threads)]
    said += [] if settings.cpus is None else ["--cpus", ",".join(map(str, settings.cpus))]
    return [*said, "--seed", str(settings.seed)]


def is_baseline(engine: str) -> bool:
    """Whether no device is sent what *engine* loads."""
    return not set(find_engine(engine).formats) & set(sent_formats())
