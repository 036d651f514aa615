"""The manifest: everything a bundle says of itself, sealed with its own SHA-256."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from edgekit import bounds, documents
from edgekit.buckets import Buckets
from edgekit.digests import sha256
from edgekit.documents import canonical_json
from edgekit.errors import BundleError
from edgekit.metric import ACCURACY, Metric
from edgekit.schema import conform
from edgekit.tensors import Signature

SCHEMA_VERSION = 1
#: Of a bundle with a file that was given: what reads only the first would take it for one that nothing can run.
GIVEN_VERSION = 2
_VERSIONS = (SCHEMA_VERSION, GIVEN_VERSION)
MANIFEST = "manifest.json"

#: How a manifest's own SHA-256 stands in it: of the file with zeros in this place. No text holds a bare line end.
_SEAL = '\n  "sha256": "{}"'
_BLANK = "0" * 64


@dataclass(frozen=True)
class Required:
    """What a run of the check vectors has to reach on any device, in dB: over all columns, and in every one of them."""

    snr_db: float
    column_snr_db: float


@dataclass(frozen=True)
class Quantization:
    """What a whole number in a tensor stands for: ``scale * (number - zero_point)``."""

    scale: float
    zero_point: int


@dataclass(frozen=True)
class Given:
    """What is known of a model file that edgekit did not build: it is run as it is, and there is no float model.

    Attributes:
        inputs, outputs: What whole numbers stand for, by the names of those tensors that are quantized.
        is_stateful: Whether the file keeps values from one run to the next; they are new each time it is loaded.
        reference: The engine that gave the outputs of the check vectors, with version and machine; empty where there
            are none.
    """

    inputs: Mapping[str, Quantization]
    outputs: Mapping[str, Quantization]
    is_stateful: bool
    reference: str = ""


@dataclass(frozen=True)
class Variant:
    """One deployable file: a format and a recipe, with what was measured of it.

    ``accuracy`` is the bundle's metric on the evaluation samples, in percent unless that has another unit, and
    ``accuracy_drop`` how much worse it is than the float source model's; both are None without labels. ``snr_db``
    compares with the float source model's outputs, over all columns, ``worst_column`` (as numpy would index it) is the
    one that is furthest off (see `edgekit.fidelity`), ``agreement`` the percentage of samples with the same largest
    class score, None without class scores, ``required`` what the check vectors have to reach wherever they are run.
    ``samples`` of the evaluation samples it was run on; where more were ``samples_available``, ``margin`` is half the
    width of the 95 % interval of ``accuracy_drop``, or without labels of ``agreement``, in percentage points, and
    ``accuracy`` the source model's less the drop. ``arena_bytes`` is about what intermediate values take while it runs;
    None when unknown. ``batch`` is the number of samples that the file takes per inference: one, or several to measure
    throughput. ``backend`` is what its operators are lowered to (see `edgekit.backends.Backend`). A file for one that
    no engine of a desktop has is *exported, not run*: its structure was checked, and what is measured by running it is
    None.
    ``bucket_snr_db`` has, for a file with methods for the manifest's buckets, how near each of them came to the float
    source model at its own shape, or where it takes a range at the worst of those tried; it is empty for a file without
    any.
    ``delegated_share`` is the percentage of the work (multiply-adds, values computed) inside the accelerated backend;
    None in a format that knows no such backend. ``given`` is there when the file was given, and not built: nothing that
    compares with a float source model is.
    """

    name: str
    file: str
    size_bytes: int
    sha256: str
    format: str
    recipe: str
    engines: tuple[str, ...]
    minimum_runtime: Mapping[str, str]
    producers: Mapping[str, str]
    snr_db: float | None
    max_abs_diff: float | None
    agreement: float | None
    delegated_share: float | None
    undelegated_ops: Mapping[str, int]
    worst_column: str | None = None
    worst_column_snr_db: float | None = None
    required: Required | None = None
    accuracy: float | None = None
    accuracy_drop: float | None = None
    samples: int | None = None
    samples_available: int | None = None
    margin: float | None = None
    arena_bytes: int | None = None
    warnings: tuple[str, ...] = ()
    batch: int = 1
    bucket_snr_db: Mapping[str, float] = field(default_factory=dict)
    backend: str = "xnnpack"
    given: Given | None = None

    @property
    def runs(self) -> bool:
        """Whether an engine of edgekit's runs it, where that is there: it ran when it was built, or was given."""
        return self.checked or self.given is not None

    @property
    def checked(self) -> bool:
        """Whether it was run when it was built, and compared with the float source model."""
        return self.snr_db is not None


@dataclass(frozen=True)
class Manifest:
    """Everything a bundle says of itself.

    Attributes:
        name: The project's name.
        target: The target's name.
        signature: Names, shapes and dtypes of inputs and outputs for one sample, the same for every variant.
        preprocessing: What turns a raw sample into the input tensor (see `edgekit.runtime.preprocess`), or None.
        labels: The class names, in output order; empty without labels.
        variants: The deployable files, in the order they were asked for.
        recommended: Name of the variant to use on the target, and why.
        source: Framework, parameter count and accuracy of the float source model, and how it was trained.
        calibration: Where calibration samples came from, and how many; None when nothing was calibrated.
        checks: Input and output files of the check vectors, their number, and whether inputs were random.
        files: Size and SHA-256 of every file but the manifest.
        methods: Signatures of further methods by name; every variant's file has them, but for those of buckets, which
            the variants with ``bucket_snr_db`` have.
        buckets: The batch sizes and lengths that these take; None where they take one sample of one length. A variant
            has all the methods of those without ranges, or all that leave sizes open.
        class_scores: The output whose largest value is the model's answer; None where there are no classes to choose.
        metric: How to read ``accuracy`` and ``accuracy_drop``.
    """

    name: str
    target: str
    signature: Signature
    preprocessing: Mapping[str, Any] | None
    labels: tuple[str, ...]
    variants: tuple[Variant, ...]
    recommended: Mapping[str, str]
    source: Mapping[str, Any]
    calibration: Mapping[str, Any] | None
    checks: Mapping[str, Any]
    producer: str
    files: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    methods: Mapping[str, Signature] = field(default_factory=dict)
    buckets: Buckets | None = None
    class_scores: str | None = None
    metric: Metric = ACCURACY
    schema_version: int = SCHEMA_VERSION

    def variant(self, name: str) -> Variant:
        """The variant called *name*; `BundleError` lists the others."""
        for variant in self.variants:
            if variant.name == name:
                return variant
        known = ", ".join(variant.name for variant in self.variants)
        raise BundleError("EK-NO-VARIANT", f"the bundle has no variant {name!r}", f"it has: {known}")

    def buckets_of(self, variant: Variant) -> Buckets | None:
        """What *variant* takes besides one sample of the signature; None for nothing."""
        if self.buckets is None or not variant.bucket_snr_db:
            return None
        leaves_open = variant.bucket_snr_db.keys() == {method.name for method in self.buckets.open_methods()}
        return self.buckets if leaves_open else self.buckets.closed

    @property
    def is_given(self) -> bool:
        """Whether its files were given, and not built."""
        return any(variant.given is not None for variant in self.variants)

    def to_json(self) -> dict[str, Any]:
        value = asdict(self)
        value["signature"] = self.signature.to_json()
        value["methods"] = {name: signature.to_json() for name, signature in self.methods.items()}
        value["variants"] = list(map(variant_json, self.variants))
        if self.buckets is not None:  # as before there were ranges, where there is none
            ranges = [name for name in ("batch_range", "length_range") if value["buckets"][name] is None]
            for name in ranges:
                del value["buckets"][name]
        return value


def variant_json(variant: Variant) -> dict[str, Any]:
    """*variant* as JSON has it: what edgekit built is written as before files could be given."""
    value = asdict(variant)
    if variant.given is None:
        del value["given"]
    return value


def manifest_bytes(manifest: Manifest) -> bytes:
    """The file ``manifest.json``."""
    return seal(manifest.to_json())


def seal(value: Mapping[str, Any]) -> bytes:
    """Canonical JSON of *value* with its own SHA-256 in it."""
    blank = canonical_json({**value, "sha256": _BLANK})
    return blank.replace(_SEAL.format(_BLANK).encode(), _SEAL.format(sha256(blank)).encode(), 1)


def parse_manifest(data: bytes) -> Manifest:
    """The manifest in *data*; raises on anything that does not fit the schema, or not its own SHA-256."""
    value = documents.parse(data)
    version = value["schema_version"]
    if type(version) is not int or version not in _VERSIONS:
        raise BundleError(
            "EK-BUNDLE",
            f"the bundle has schema version {brief(repr(version))}, this edgekit reads {GIVEN_VERSION}",
            "install the edgekit that built it, or build it again",
        )
    given = str(value.pop("sha256", None))
    blank = data.replace(_SEAL.format(given).encode(), _SEAL.format(_BLANK).encode(), 1)
    if given != sha256(blank):
        raise ValueError("it was changed after it was written")
    manifest: Manifest = conform(Manifest, value)
    bounds.check(manifest)
    for file, facts in manifest.files.items():
        if facts.keys() != {"size_bytes", "sha256"} or type(facts["size_bytes"]) is not int or facts["size_bytes"] < 0:
            raise ValueError(f"files.{file}")
    listed = {variant.file for variant in manifest.variants}
    for key in ("inputs", "outputs"):
        listed |= set(conform(Mapping[str, str], manifest.checks[key], f"checks.{key}").values())
    missing = sorted(listed - manifest.files.keys())
    if missing:
        raise ValueError(f"{missing[0]} is not among the files")
    for variant in manifest.variants:
        if manifest.files[variant.file] != {"size_bytes": variant.size_bytes, "sha256": variant.sha256}:
            raise ValueError(f"variants.{variant.name}: size or hash")
        measured = (variant.snr_db, variant.max_abs_diff, variant.worst_column_snr_db, variant.required)
        if len({value is None for value in measured}) > 1:
            raise ValueError(f"variants.{variant.name}: some of what a run gives is missing")
        if variant.given is not None:
            _check_given(variant, manifest)
    if len({variant.name for variant in manifest.variants}) != len(manifest.variants) or not manifest.variants:
        raise ValueError("variants")
    if manifest.class_scores not in (None, *(spec.name for spec in manifest.signature.outputs)):
        raise ValueError("class_scores")
    if manifest.buckets is not None:
        _check_buckets(manifest, manifest.buckets)
    manifest.variant(manifest.recommended["variant"])
    return manifest


def _check_given(variant: Variant, manifest: Manifest) -> None:
    assert variant.given is not None
    if manifest.schema_version != GIVEN_VERSION or variant.checked or variant.batch != 1:
        raise ValueError(f"variants.{variant.name}: it was built, or it was given")
    sides = ((variant.given.inputs, manifest.signature.inputs), (variant.given.outputs, manifest.signature.outputs))
    for found, specs in sides:
        if not found.keys() <= {spec.name for spec in specs if "int" in spec.dtype}:
            raise ValueError(f"variants.{variant.name}: what is quantized is none of its whole numbers")
        if not all(each.scale > 0 for each in found.values()):
            raise ValueError(f"variants.{variant.name}: a scale that is none")


def _check_buckets(manifest: Manifest, buckets: Buckets) -> None:
    buckets.check(manifest.signature)
    closed, opened = buckets.closed.names(), frozenset(method.name for method in buckets.open_methods())
    had = [variant for variant in manifest.variants if variant.bucket_snr_db]
    for variant in had:
        if variant.bucket_snr_db.keys() not in (closed, opened) or variant.batch != 1:
            raise ValueError(f"variants.{variant.name}.bucket_snr_db")
    needed = frozenset[str]().union(*(variant.bucket_snr_db for variant in had)) or closed or opened
    if not needed <= manifest.methods.keys():
        raise ValueError(f"methods: no {min(needed - manifest.methods.keys())}")
    largest = {name: bucket for bucket in buckets.all() if (name := buckets.closed.method(*bucket)) is not None}
    for method in buckets.open_methods():
        largest[method.name] = method.batch[-1], None if method.length is None else method.length[-1]
    for name in needed:
        _check_bucket(name, manifest, buckets, *largest[name])


def _check_bucket(name: str, manifest: Manifest, buckets: Buckets, batch: int, length: int | None) -> None:
    """Raise unless the method *name* takes *batch* samples of *length*, and gives what the main one does of each."""
    own, main = manifest.methods[name], manifest.signature
    given = [spec if length is None else buckets.at(spec, length) for spec in main.inputs]
    if own.inputs != Signature(tuple(given), ()).batched(batch).inputs:
        raise ValueError(f"methods.{name}")
    outputs, known = ([(spec.name, spec.dtype) for spec in side.outputs] for side in (own, main))
    if outputs != known or any(spec.shape[:1] != (batch,) for spec in own.outputs):
        raise ValueError(f"methods.{name}")


def brief(value: object) -> str:
    text = " ".join(str(value).split())
    return text if len(text) <= 100 else text[:97] + "..."
