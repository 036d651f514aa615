"""Targets: classes of device, as data.

A target is one TOML file. Those that edgekit ships are called by name (``rpi4``); a user's own is called by its
path (``boards/ours.toml``) and has the same keys. What a target states holds for every device of its class; what
differs between them (memory beyond the least, the exact operating system) is read from the device itself.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from edgekit import documents
from edgekit.backends import BACKENDS
from edgekit.engines import ENGINES
from edgekit.errors import UsageError, did_you_mean
from edgekit.formats import FORMATS
from edgekit.recipes import RECIPES
from edgekit.registry import Registry
from edgekit.schema import Misfit, conform

Kind = Literal["board", "phone", "desktop", "browser"]
Verdict = Literal["cannot", "slower", "discouraged"]
#: CPU features that decide which files run, and which kernels; `edgekit.runtime.machine` reads them from a device.
Feature = Literal["neon", "fp16", "dotprod", "i8mm", "bf16", "sve", "sve2", "avx2", "avx512", "vnni"]


@dataclass(frozen=True)
class Cpu:
    """The processor: architecture of the userland, core (qemu's name for it), number of cores, and features."""

    architecture: Literal["aarch64", "armv7l", "x86_64", "wasm32"]
    core: str | None = None
    cores: int | None = None
    features: tuple[Feature, ...] = ()


@dataclass(frozen=True)
class System:
    """What the operating system must bring: a Python for which the engines have wheels, and at least this glibc."""

    python: tuple[str, ...]
    glibc: str


@dataclass(frozen=True)
class Concern:
    """Why a recipe is not built unless it is asked for.

    Attributes:
        verdict: ``cannot`` (does not run), ``slower`` (than fp32) or ``discouraged`` (there is a better way).
        reason: One line.
        recipe: The recipe; None stands for every recipe of the format.
        operator: The concern holds only for models with this kind of operator; None stands for every model.
    """

    verdict: Verdict
    reason: str
    recipe: str | None = None
    operator: Literal["convolution"] | None = None


@dataclass(frozen=True)
class FormatSupport:
    """One file format on this target.

    Attributes:
        backend: What the operators are lowered to.
        engines: What can run the file there, best first.
        recipes: What is built unless the user chooses; empty when the format is built only on request.
        batches: Samples per inference: a file is built for each, of 1 for latency and of more for throughput.
    """

    format: str
    backend: str
    engines: tuple[str, ...]
    recipes: tuple[str, ...]
    avoid: tuple[Concern, ...] = ()
    batches: tuple[int, ...] = (1,)

    @property
    def runs_on_host(self) -> bool:
        """Whether a desktop can run such a file; otherwise it is exported and its structure checked, no more."""
        return BACKENDS[self.backend].on_host


@dataclass(frozen=True)
class Limits:
    """When a measurement may start, and what difference is noise (percent of the median)."""

    noise_floor_percent: float = 2.0
    start_below_load_per_core: float = 0.25
    start_below_celsius: float | None = None


@dataclass(frozen=True)
class Citation:
    """A fact of the target file and where it is from."""

    fact: str
    source: str


@dataclass(frozen=True)
class Target:
    """A class of device. ``formats`` and ``recipe_preference`` are in order of preference.

    Attributes:
        name: The name of its file, without ``.toml``.
        boards: How the device tree's model begins on such a board.
        memory_bytes: The least that a device of this class has; None where the class promises nothing.
        threads: Threads to run with; an engine takes no more than the device has cores.
        recipe_preference: Which recipe to recommend first, among variants that meet the project's limits.
    """

    name: str
    title: str
    kind: Kind
    cpu: Cpu
    threads: int
    recipe_preference: tuple[str, ...]
    formats: tuple[FormatSupport, ...]
    sources: tuple[Citation, ...]
    memory_bytes: int | None = None
    boards: tuple[str, ...] = ()
    system: System | None = None
    limits: Limits = field(default_factory=Limits)

    def support(self, format: str, recipe: str | None = None) -> FormatSupport | None:
        """How *format* is supported; where two backends share it, by the first that mentions *recipe*, or the first.

        One that the file does not name is so on request alone, where the format's engine says that it runs there.
        """
        entries = [entry for entry in self.formats if entry.format == format] or self._unnamed(format)
        mentioned = (entry for entry in entries if recipe in (*entry.recipes, *(c.recipe for c in entry.avoid)))
        return next(mentioned, entries[0] if entries else None)

    def why_not(self, format: str, recipe: str, *, operators: Iterable[str] | None = None) -> Concern | None:
        """What speaks against *recipe* in *format* here; None when nothing does.

        Args:
            operators: Kinds of operator in the model (``convolution``); None when unknown: then it has them all.
        """
        entry = self.support(format, recipe)
        if entry is None:
            known = ", ".join(dict.fromkeys(f".{entry.format}" for entry in self.formats))
            return Concern("cannot", f"no engine runs .{format} there, only {known}", recipe)
        present = None if operators is None else set(operators)
        for concern in entry.avoid:
            if concern.recipe in (None, recipe) and (
                concern.operator is None or present is None or concern.operator in present
            ):
                return concern
        return None

    def on_request(self) -> tuple[FormatSupport, ...]:
        """How the formats are supported that the file does not name, and that run there all the same."""
        named = {entry.format for entry in self.formats}
        return tuple(entry for name in FORMATS.names() if name not in named for entry in self._unnamed(name))

    def _unnamed(self, name: str) -> list[FormatSupport]:
        format, system = FORMATS.get(name), self.system
        if format is None or system is None:
            return []
        engine = ENGINES[format.engine]
        fits = any(
            platform.fits(self.cpu.architecture, system.glibc, self.cpu.features) for platform in engine.platforms
        )
        return [FormatSupport(name, format.backend, (engine.name,), ())] if fits else []

    def is_machine(self, board: str | None, architecture: str) -> bool:
        """Whether a machine with this device tree model and userland architecture is of this class."""
        return architecture == self.cpu.architecture and (board or "").startswith(self.boards)


def target_names() -> tuple[str, ...]:
    """The names of the targets that edgekit ships."""
    return tuple(sorted(path.stem for path in target_directory().glob("*.toml")))


def load_target(name: str | Path) -> Target:
    """The target called *name*, or described by the ``.toml`` file at the path *name*.

    Raises:
        UsageError: ``EK-TARGET``: unknown, or its file is wrong; ``EK-MISSING-FILE``: the file cannot be read.
    """
    path = Path(name)
    if path.suffix != ".toml":
        if name not in target_names():
            hint = f"{did_you_mean(str(name), target_names())} (or the path of a .toml file of your own)"
            raise UsageError("EK-TARGET", f"unknown target {str(name)!r}", hint)
        path = target_directory() / f"{name}.toml"
    try:
        _, value = documents.read_toml(path)
    except OSError as error:
        raise UsageError(
            "EK-MISSING-FILE", f"cannot read target file {path}: {error.strerror}", "name a .toml file"
        ) from error
    except ValueError as error:
        raise UsageError(
            "EK-TARGET", f"{path} is not a TOML file: {error}", "see https://toml.io for the syntax"
        ) from error
    if "name" in value:
        raise UsageError("EK-TARGET", f"{path}: unknown key 'name'", "the file's name is the target's; 'title' is free")
    _refuse_twice(value, "", path)
    try:
        target: Target = conform(Target, {**value, "name": path.stem})
    except Misfit as misfit:
        raise UsageError("EK-TARGET", f"{path}: {misfit.told}", misfit.hint) from misfit
    _check(target, path)
    return target


def target_directory() -> Path:
    """Where the shipped targets lie: ``edgekit/targets`` in a wheel, ``targets`` beside the package in a checkout."""
    package = Path(__file__).resolve().parent
    inside = package / "targets"
    return inside if inside.is_dir() else package.parent / "targets"


def _check(target: Target, path: Path) -> None:
    """What no type says: numbers in range, and recipes spelled alike everywhere."""
    for key, number in {
        "threads": target.threads,
        "cpu.cores": target.cpu.cores,
        "memory_bytes": target.memory_bytes,
        "limits.noise_floor_percent": target.limits.noise_floor_percent,
        "limits.start_below_load_per_core": target.limits.start_below_load_per_core,
        "limits.start_below_celsius": target.limits.start_below_celsius,
    }.items():
        if number is not None and not 0 < number < float("inf"):
            raise UsageError("EK-TARGET", f"{path}: {key!r} is {number}", "it takes a number above 0")
    if target.system is not None and not re.fullmatch(r"\d+\.\d+", target.system.glibc):
        raise UsageError("EK-TARGET", f"{path}: 'system.glibc' is {target.system.glibc!r}", 'write it as "2.34"')
    if not target.formats:
        raise UsageError("EK-TARGET", f"{path}: 'formats' is empty", "name at least one format that runs there")
    named: list[tuple[str, Registry[Any], tuple[str, ...]]] = [("recipe_preference", RECIPES, target.recipe_preference)]
    for index, entry in enumerate(target.formats):
        named += [(f"formats[{index}].format", FORMATS, (entry.format,))]
        named += [(f"formats[{index}].backend", BACKENDS, (entry.backend,))]
        named += [(f"formats[{index}].engines", ENGINES, entry.engines)]
    for key, registry, names in named:
        for name in names:
            if name not in registry:
                hint = did_you_mean(name, registry.names())
                raise UsageError("EK-TARGET", f"{path}: {key!r} is {name!r}", hint)
    for index, entry in enumerate(target.formats):
        for recipe in (*entry.recipes, *(concern.recipe for concern in entry.avoid)):
            if recipe is not None and recipe not in target.recipe_preference:
                where = f"formats[{index}] names the recipe {recipe!r}, which is not in 'recipe_preference'"
                raise UsageError("EK-TARGET", f"{path}: {where}", did_you_mean(recipe, target.recipe_preference))
        if 1 not in entry.batches or min(entry.batches) < 1:
            where = f"formats[{index}].batches is {list(entry.batches)}"
            raise UsageError("EK-TARGET", f"{path}: {where}", "it takes 1, and larger numbers beside it")


def _refuse_twice(value: object, key: str, path: Path) -> None:
    """Nothing in any list of the file says more when it stands there twice."""
    if isinstance(value, Mapping):
        for name, item in value.items():
            _refuse_twice(item, f"{key}.{name}".lstrip("."), path)
    elif isinstance(value, list):
        for index, item in enumerate(value):
            if value.count(item) > 1:
                raise UsageError("EK-TARGET", f"{path}: {key!r} has {item!r} twice", "leave one out")
            _refuse_twice(item, f"{key}[{index}]", path)
