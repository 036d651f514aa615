"""The JSON documents that edgekit writes for programs, as types: what stands in the code as one, and what verbs put
together of it. `tests/test_reference.py` holds real documents against them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from edgekit.errors import CODES
from edgekit.manifest import Manifest, Variant
from edgekit.metric import Metric
from edgekit.pipeline.variants.plan import Skipped
from edgekit.profiling.advice import Advice
from edgekit.profiling.policy import Policy
from edgekit.profiling.regression import Outcome
from edgekit.profiling.rows import Row
from edgekit.runtime import checkup
from edgekit.runtime.profiler.profile import SCHEMA_VERSION as PROFILE_VERSION
from edgekit.runtime.profiler.profile import DeviceRecord, Profile
from edgekit.runtime.profiler.settings import Settings
from edgekit.runtime.timing import Latency
from edgekit.runtime.verification import Verification
from edgekit.target import Target


@dataclass(frozen=True)
class Error:
    """What went wrong.

    Attributes:
        kind: The class of the error, which its exit code depends on.
        code: See docs/reference/errors.md.
        message, hint: What happened and what to do about it, in one line each.
        log: The file that holds the full story, if there is one.
    """

    kind: str
    code: Literal[tuple(CODES)]  # type: ignore[valid-type]
    message: str
    hint: str | None
    log: str | None


@dataclass(frozen=True)
class Failed:
    """A command that has no results."""

    error: Error


@dataclass(frozen=True, kw_only=True)
class Printed:
    """What verbs print.

    Attributes:
        error: Why the exit code is not 0; only there when it is not.
    """

    error: Error = None  # type: ignore[assignment]


@dataclass(frozen=True)
class ManifestFile(Printed, Manifest):
    """Everything a bundle says of itself.

    Attributes:
        sha256: Of the file with zeros in this place; in the file only.
    """

    sha256: str = ""


@dataclass(frozen=True)
class TargetFile(Printed, Target):
    """A class of device. ``formats`` and ``recipe_preference`` are in order of preference."""


@dataclass(frozen=True)
class Host:
    """One quick run on the machine that builds."""

    engine: str
    engine_version: str
    threads: int
    latency_ms: Latency
    load_ms: float


@dataclass(frozen=True)
class Built(Variant):
    """A variant that was built; but for *status* and *host*, what the manifest says of it.

    Attributes:
        host: None where nothing here can run it.
    """

    status: Literal["ok", "exported, not run"] = "ok"
    host: Host | None = None


@dataclass(frozen=True)
class NotBuilt:
    """A variant that failed."""

    name: str
    format: str
    recipe: str
    status: Literal["failed"]
    error: Error


@dataclass(frozen=True)
class Recommended:
    """What to ship on the target, and why."""

    variant: str
    reason: str


@dataclass(frozen=True)
class Build(Printed):
    """What a build for one target gave.

    Attributes:
        bundle: Its path; None when none was written.
        accuracy: The metric of the float model.
        random_inputs: Whether the check inputs are random, for want of data.
        unmet_limits: Each missed limit as one line.
        unproven: Variants that no limit could be held against, because they were exported, not run.
        unchanged: Whether the bundle was there already, byte for byte.
    """

    bundle: str | None
    target: str | None
    accuracy: float | None
    metric: Metric
    parameter_count: int
    random_inputs: bool
    variants: tuple[Built | NotBuilt, ...]
    skipped: tuple[Skipped, ...]
    unmet_limits: tuple[str, ...]
    unproven: tuple[str, ...]
    recommended: Recommended | None
    unchanged: bool
    seconds: float


@dataclass(frozen=True)
class Value:
    """One value of an output, with its label where there is one for each."""

    index: int
    score: float | int | bool
    label: str = ""


@dataclass(frozen=True)
class Output:
    """One output; *top* has its largest values."""

    shape: tuple[int, ...]
    dtype: str
    top: tuple[Value, ...]


@dataclass(frozen=True)
class Run(Printed):
    """One inference. *output* is the file that the outputs were written to."""

    bundle: str
    input: str | None
    device: str
    emulated: bool
    variant: str
    engine: str
    threads: int
    outputs: Mapping[str, Output]
    output: str | None


@dataclass(frozen=True, kw_only=True)
class Verified(Verification):
    """One variant on one engine of one device against the float reference."""

    device: str
    emulated: bool


@dataclass(frozen=True)
class Lost:
    """A device that failed."""

    device: str
    error: Error


@dataclass(frozen=True)
class Verify(Printed):
    """A bundle's variants on every device named."""

    bundle: str
    rows: tuple[Verified, ...]
    devices_failed: tuple[Lost, ...]


@dataclass(frozen=True)
class Findings(Printed):
    """What a profile comes to.

    Attributes:
        summary: What to ship on each device, and why.
        outputs: The files that were written.
    """

    created: str
    producer: str
    command: tuple[str, ...]
    settings: Settings
    devices: tuple[DeviceRecord, ...]
    rows: tuple[Row, ...]
    summary: tuple[Advice, ...]
    notes: tuple[str, ...]
    outputs: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Compared(Outcome):
    """One row of two profiles. *verdict* is its outcome in one line."""

    verdict: str


@dataclass(frozen=True)
class Compare(Printed):
    """A new profile against an older one. *failures* and *undecided* are one line each."""

    base: str
    new: str
    policy: Policy
    rows: tuple[Compared, ...]
    failures: tuple[str, ...]
    undecided: tuple[str, ...]


@dataclass(frozen=True)
class Targets(Printed):
    """The targets that edgekit ships."""

    targets: tuple[Target, ...]


@dataclass(frozen=True, kw_only=True)
class Doctor(Printed, checkup.Findings):
    """What this machine can build and run, and what is missing."""


@dataclass(frozen=True)
class SentPart:
    """A part of a release, which is one archive with the SHA-256 *digest*; *sent* where the device did not have it."""

    name: str
    digest: str
    size_bytes: int
    sent: bool


@dataclass(frozen=True)
class Deploy(Printed):
    """What a deployment did.

    Attributes:
        app: The bundle's name on the device.
        release, previous: Names of the current release and of the one before.
        changed: Whether another release was current before.
        path: Of the current release on the device: stays the same when another one is deployed.
        has_python: Whether the release runs in Python there; otherwise by its own runner.
    """

    device: str
    app: str
    release: str
    previous: str | None
    changed: bool
    sent_bytes: int
    parts: tuple[SentPart, ...]
    path: str
    has_python: bool
    warnings: tuple[str, ...]


@dataclass(frozen=True)
class RolledBack(Printed):
    """A rollback: *release* is current now, *previous* was."""

    device: str
    app: str
    release: str
    previous: str


@dataclass(frozen=True)
class Init(Printed):
    """A project that was written; *requires* is what to install for it."""

    directory: str
    files: tuple[str, ...]
    requires: tuple[str, ...]


@dataclass(frozen=True)
class Integrate(Printed):
    """A starter for an app that was written; *files* in its *folder*."""

    bundle: str
    platform: str
    variant: str
    library: str
    folder: str
    files: tuple[str, ...]


@dataclass(frozen=True)
class Document:
    """One kind of document.

    Attributes:
        title: What it is, and who writes it.
        constants: See `support.json_schema.schema`.
        gaps: Whether any number may be null.
    """

    kind: Any
    title: str
    constants: Mapping[str, Any] | None = None
    gaps: bool = False


#: By the names of their files.
DOCUMENTS = {
    "manifest": Document(
        ManifestFile,
        "manifest.json of a bundle, and what edgekit inspect --json prints; its schema_version is 2 where a file was "
        "given and not built",
    ),
    "profile": Document(
        Profile,
        "what edgekit profile -o FILE.json writes: everything that was measured",
        {"kind": "edgekit profile", "schema_version": PROFILE_VERSION},
    ),
    "build": Document(
        Build | tuple[Build | Failed, ...], "what edgekit build --json prints: a list where there are several targets"
    ),
    "run": Document(Run, "what edgekit run --json prints", gaps=True),
    "verify": Document(Verify, "what edgekit verify --json prints", gaps=True),
    "findings": Document(Findings, "what edgekit profile --json and edgekit report --json print", gaps=True),
    "compare": Document(Compare, "what edgekit compare --json prints", gaps=True),
    "target": Document(TargetFile, "what edgekit targets NAME --json prints; its file has the same keys as TOML"),
    "targets": Document(Targets, "what edgekit targets --json prints"),
    "doctor": Document(Doctor, "what edgekit doctor --json and edgekit doctor TARGET --json print"),
    "deploy": Document(Deploy, "what edgekit deploy --json prints"),
    "rollback": Document(RolledBack, "what edgekit rollback --json prints"),
    "init": Document(Init, "what edgekit init DIRECTORY --json prints"),
    "integrate": Document(Integrate, "what edgekit integrate --json prints"),
    "error": Document(Failed, "what every verb prints with --json when it fails and has no results"),
}
