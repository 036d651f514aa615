"""The profile: what was measured, as it was measured. Every figure in a table or report is worked out from one.

A profile is one JSON document. `Profile.from_json` reads every schema version that edgekit ever wrote.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

import numpy as np

from edgekit import display
from edgekit.bundle import Bundle
from edgekit.digests import sha256
from edgekit.errors import UsageError
from edgekit.manifest import Variant, manifest_bytes, variant_json
from edgekit.metric import ACCURACY, Metric
from edgekit.runtime.installed import required
from edgekit.runtime.machine import Machine
from edgekit.runtime.profiler.records import Cell
from edgekit.runtime.profiler.settings import Settings
from edgekit.schema import conform
from edgekit.tensors import Signature

SCHEMA_VERSION = 1


@dataclass(frozen=True)
class BundleRecord:
    """What a bundle said of itself."""

    name: str
    sha256: str
    target: str
    signature: Signature
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
            signature=manifest.signature,
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
        # The host's: nothing that runs on a device needs it.
        pandas = required("pandas", "tables need pandas", 'pip install "edgekit[profile]"')
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
        value = asdict(self)
        for record, bundle in zip(value["bundles"], self.bundles, strict=True):
            record["variants"] = list(map(variant_json, bundle.variants))
        return value

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
