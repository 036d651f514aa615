"""The bundle: what goes down to a device.

A bundle is a directory, or the same files as one uncompressed zip (``NAME.edgekit``): ``manifest.json``,
``variants/``, ``checks/`` and whatever else the manifest lists. Nothing is handed out before its size and
SHA-256 were compared with the manifest, and the manifest with its own SHA-256 and this schema. So no byte of a
bundle can change without being noticed. That is no signature: whoever makes a whole new bundle is not found out.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from edgekit import archive, arrays, bounds, documents
from edgekit.archive import Archive, ArchiveError
from edgekit.arrays import ArrayError
from edgekit.digests import sha256 as sha256
from edgekit.errors import BundleError, EdgekitError
from edgekit.foreign import foreign
from edgekit.metric import ACCURACY, Metric
from edgekit.schema import conform
from edgekit.tensors import Signature

SCHEMA_VERSION = 1
MANIFEST = "manifest.json"
SUFFIX = ".edgekit"

#: A manifest larger than this is not read; a real one has a few kilobytes.
_MAX_MANIFEST_BYTES = 4 << 20
#: How a manifest's own SHA-256 stands in it: of the file with zeros in this place. No text holds a bare line end.
_SEAL = '\n  "sha256": "{}"'
_BLANK = "0" * 64


@dataclass(frozen=True)
class Required:
    """What a run of the check vectors has to reach on any device, in dB: over all columns, and in every one of them."""

    snr_db: float
    column_snr_db: float


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
    ``delegated_share`` is the percentage of the work (multiply-adds, values computed) inside the accelerated backend;
    None in a format that knows no such backend.
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
    backend: str = "xnnpack"

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
        methods: Signatures of further methods by name; every variant's file has them.
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

    def to_json(self) -> dict[str, Any]:
        value = asdict(self)
        value["signature"] = self.signature.to_json()
        value["methods"] = {name: signature.to_json() for name, signature in self.methods.items()}
        return value


def canonical_json(value: object) -> bytes:
    """One value, one byte string: sorted keys, two-space indent, no NaN, newline at the end."""
    return (json.dumps(value, sort_keys=True, indent=2, ensure_ascii=False, allow_nan=False) + "\n").encode()


class Bundle:
    """An opened, verified bundle. Use `open`; close it, or use it as a context manager."""

    def __init__(self, path: Path, manifest: Manifest, archive: Archive | None):
        self.path = path
        self.manifest = manifest
        self._archive = archive

    @classmethod
    def open(cls, path: str | Path) -> Bundle:
        """Open the bundle at *path* and check its manifest and the size of every file.

        Contents are hashed when they are read (`read`), or all at once (`verify`).

        Raises:
            BundleError: Not a bundle, damaged, or made for a newer edgekit.
        """
        path = Path(path)
        if path.is_dir():
            if not (path / MANIFEST).is_file():
                raise _foreign(path) or BundleError(
                    "EK-BUNDLE", f"{path} has no {MANIFEST}", "edgekit build makes a bundle"
                )
            bundle = cls(path, _PENDING, None)
        elif path.is_file():
            try:
                bundle = cls(path, _PENDING, Archive(path))
            except (ArchiveError, OSError) as error:
                raise _foreign(path) or _broken(path, f"is not a bundle ({error})") from error
        else:
            raise BundleError("EK-MISSING-FILE", f"there is no bundle at {path}", "edgekit build makes one")
        try:
            present = bundle._listing()
            bundle.manifest = bundle._read_manifest()
            bundle._check_listing(present)
        except BaseException:
            bundle.close()
            raise
        return bundle

    def __enter__(self) -> Bundle:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        if self._archive is not None:
            self._archive.close()

    def read(self, file: str) -> bytes:
        """The contents of *file*, after its size and SHA-256 were found right."""
        expected = self.manifest.files.get(file)
        if expected is None:
            raise BundleError("EK-BUNDLE", f"{self.path}: the manifest does not list {file!r}")
        data = self._raw(file, expected["size_bytes"])
        if len(data) != expected["size_bytes"] or sha256(data) != expected["sha256"]:
            raise _broken(self.path, f"is damaged: {file} does not match its hash")
        return data

    def array(self, file: str) -> np.ndarray:
        """The numpy array stored in *file* (``.npy``, never pickled objects)."""
        data = self.read(file)
        try:
            return arrays.from_npy(data)
        except ArrayError as error:
            raise _broken(self.path, f"is damaged: {file} holds no array ({error})") from error

    def check_vectors(self) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
        """Check inputs and the float reference's outputs by tensor name, samples first."""
        checks = self.manifest.checks
        inputs = {name: self.array(file) for name, file in checks["inputs"].items()}
        return inputs, {name: self.array(file) for name, file in checks["outputs"].items()}

    def verify(self) -> None:
        """Hash every file. Raises `BundleError` for the first that differs."""
        for file in self.manifest.files:
            self.read(file)

    def _raw(self, file: str, size_bytes: int) -> bytes:
        """The contents of *file*, or so much of it that it is seen to have more than *size_bytes*."""
        try:
            if self._archive is not None:
                if self._archive.entries[file].size_bytes > size_bytes:
                    raise ArchiveError(f"it has more than {size_bytes} bytes")
                return self._archive.read(file)
            with (self.path / file).open("rb") as stream:
                return stream.read(size_bytes + 1)
        except (OSError, KeyError, ValueError) as error:
            raise _broken(self.path, f"is damaged: {file} cannot be read ({error})") from error

    def _read_manifest(self) -> Manifest:
        data = self._raw(MANIFEST, _MAX_MANIFEST_BYTES)
        if len(data) > _MAX_MANIFEST_BYTES:
            raise _broken(self.path, "has a manifest of more than 4 MiB")
        try:
            return parse_manifest(data)
        except EdgekitError:
            raise
        except (ValueError, KeyError, TypeError, OverflowError, RecursionError) as error:
            raise _broken(self.path, f"has a manifest that does not fit the schema ({_brief(error)})") from error

    def _check_listing(self, present: dict[str, int]) -> None:
        """Every listed file is there in the listed size, and nothing else is there."""
        expected = {file: int(facts["size_bytes"]) for file, facts in self.manifest.files.items()}
        order = list(present)
        present.pop(MANIFEST, None)
        for file, size in expected.items():
            found = present.get(file, "none")
            if found != size:
                raise _broken(self.path, f"is damaged: {file} should have {size} bytes, has {found}")
        extra = sorted(present.keys() - expected.keys())
        if extra:
            raise _broken(self.path, f"holds a file that the manifest does not list: {extra[0]!r}")
        if self._archive is not None and order != [MANIFEST, *sorted(expected)]:
            raise _broken(self.path, "has its files in another order than a bundle")

    def _listing(self) -> dict[str, int]:
        """Size of each file there. In a directory, links and what is no file are refused."""
        if self._archive is not None:
            return {name: entry.size_bytes for name, entry in self._archive.entries.items()}
        present: dict[str, int] = {}
        for path in sorted(self.path.rglob("*")):
            name = path.relative_to(self.path).as_posix()
            if path.is_symlink():
                raise _broken(self.path, f"holds a link: {name!r}")
            if path.is_file():
                present[name] = path.stat().st_size
            elif not path.is_dir():
                raise _broken(self.path, f"holds {name!r}, which is no file")
        return present


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
    if type(version) is not int or version != SCHEMA_VERSION:
        raise BundleError(
            "EK-BUNDLE",
            f"the bundle has schema version {_brief(version)}, this edgekit reads {SCHEMA_VERSION}",
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
    if len({variant.name for variant in manifest.variants}) != len(manifest.variants) or not manifest.variants:
        raise ValueError("variants")
    if manifest.class_scores not in (None, *(spec.name for spec in manifest.signature.outputs)):
        raise ValueError("class_scores")
    manifest.variant(manifest.recommended["variant"])
    return manifest


def write_bundle(manifest: Manifest, files: Mapping[str, bytes], destination: Path) -> Manifest:
    """Write a bundle beside *destination* and rename it into place.

    The manifest's ``files`` are filled in from *files*. A reader sees the old bundle or the new one,
    never a part, and never one that cannot be opened. The same contents give the same bytes (see `edgekit.archive`).

    Raises:
        BundleError: What was written is no bundle: *manifest* and *files* do not fit the schema, or each other.
        EdgekitError: The disk is full (``EK-SPACE``), or the place cannot be written, or *files* are too large
            (``EK-WRITE``).
    """
    facts = {name: {"size_bytes": len(data), "sha256": sha256(data)} for name, data in sorted(files.items())}
    manifest = Manifest(**{**vars(manifest), "files": facts})
    entries = {MANIFEST: manifest_bytes(manifest), **dict(sorted(files.items()))}
    with replacing(destination) as temporary:
        with temporary.open("wb") as stream:
            try:
                archive.write(entries, stream)
            except ValueError as error:
                raise EdgekitError(
                    "EK-WRITE", f"cannot write {destination}: {error}", "build fewer variants"
                ) from error
        _read_back(temporary, destination)
    return manifest


def _read_back(written: Path, destination: Path) -> None:
    """Nobody is told of a bundle that cannot be read."""
    try:
        with Bundle.open(written) as bundle:
            bundle.verify()
            bundle.check_vectors()
    except BundleError as error:
        message = error.message.replace(str(written), str(destination))
        raise BundleError(
            error.code, message, "nothing was written there; the bundle that was there is as it was"
        ) from error


@contextlib.contextmanager
def replacing(destination: Path, *, parents: bool = True) -> Iterator[Path]:
    """A temporary path beside *destination* that takes its place, on the disk itself, when the block ends well.

    A link is followed: what it names is replaced, where it is a file, and not a device or a pipe.

    Args:
        parents: Whether to make the folders that are not there.

    Raises:
        EdgekitError: ``EK-SPACE`` when the disk is full, ``EK-WRITE`` for any other operating system error.
    """
    import tempfile  # only those who build need it

    temporary = None
    try:
        place = Path(os.path.realpath(destination))
        if place.exists() and not (place.is_file() or place.is_dir()):
            raise FileExistsError(errno.EEXIST, "it is a device or a pipe, and no file")
        if parents:
            place.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=".edgekit-", suffix=".part", dir=place.parent)
        os.close(handle)
        temporary = Path(name)
        yield temporary
        with temporary.open("rb+") as stream:
            os.fsync(stream.fileno())
        temporary.chmod(0o644)
        os.replace(temporary, place)
        _sync_folder(place.parent)
    except OSError as error:
        raise write_error(destination, error) from error
    finally:
        if temporary is not None:
            with contextlib.suppress(OSError):
                temporary.unlink()


def _sync_folder(folder: Path) -> None:
    """Have a new name outlast a loss of power, too; where the system cannot, it is as safe as it gets."""
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def write_error(destination: Path, error: OSError) -> EdgekitError:
    """The `EdgekitError` for an operating system error while writing *destination*."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return EdgekitError("EK-SPACE", f"no space is left to write {destination}", "free some, or write elsewhere")
    reason = error.strerror or str(error)
    return EdgekitError("EK-WRITE", f"cannot write {destination}: {reason}", "write elsewhere, or mend its rights")


def differences(first: Bundle, second: Bundle) -> list[str]:
    """What differs between two bundles, one line each: manifest fields by path, then files by name."""
    lines = list(_differences("", first.manifest.to_json(), second.manifest.to_json()))
    return [line for line in lines if not line.startswith("files.")] + [
        f"file {name} differs"
        for name in sorted(first.manifest.files.keys() | second.manifest.files.keys())
        if first.manifest.files.get(name) != second.manifest.files.get(name)
    ]


def _differences(path: str, first: Any, second: Any) -> Iterator[str]:
    if isinstance(first, Mapping) and isinstance(second, Mapping):
        for key in sorted(first.keys() | second.keys()):
            yield from _differences(f"{path}.{key}".lstrip("."), first.get(key), second.get(key))
    elif isinstance(first, (list, tuple)) and isinstance(second, (list, tuple)) and len(first) == len(second):
        for index, (one, other) in enumerate(zip(first, second, strict=True)):
            name = one["name"] if isinstance(one, Mapping) and "name" in one else index
            yield from _differences(f"{path}[{name}]", one, other)
    elif first != second:
        yield f"{path}: {_brief(first)} against {_brief(second)}"


def _brief(value: object) -> str:
    text = " ".join(str(value).split())
    return text if len(text) <= 100 else text[:97] + "..."


def _broken(path: Path, what: str) -> BundleError:
    return BundleError("EK-BUNDLE", f"{path} {what}", "copy or build the bundle again")


def _foreign(path: Path) -> BundleError | None:
    """The error for a file that is known as something else than a bundle."""
    known = foreign(path)
    if known is None or path.suffix == SUFFIX:
        return None
    return BundleError("EK-BUNDLE", f"{path} is {known.what}, not a bundle", known.hint)


_PENDING: Any = None
