"""A model file as it is: a bundle of one variant, made where a verb or a program names the file in place of a bundle.

What stands in other bundles' manifests is read from the file itself (`Format.interface`). Check inputs are random, or
the user's; there is no float model, so that nothing is said of quality. What an engine of this machine gives for them
is kept, where it is asked for, so that other engines and devices have something to be held against.
"""

from __future__ import annotations

import io
import platform
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib import import_module
from pathlib import Path

import numpy as np

import edgekit
from edgekit.bundle import SUFFIX, write_bundle
from edgekit.digests import sha256
from edgekit.engines import ENGINES
from edgekit.errors import BundleError, UsageError
from edgekit.formats import FORMATS, Format
from edgekit.manifest import GIVEN_VERSION, Given, Manifest, Quantization, Variant
from edgekit.names import tensor_name
from edgekit.runtime.contents import checked
from edgekit.runtime.contents.refusal import Malformed
from edgekit.runtime.given import checks
from edgekit.runtime.given.interface import FileTensor, Interface, choose
from edgekit.shapes import by_input, written
from edgekit.tensors import Signature

#: What to do about a file that is refused.
_CURES = {
    "EK-CONTENTS": "ask whoever made it for a file of the format's own operators, whose weights are all inside",
    "EK-BUNDLE": "is it whole? Fetch or copy it again",
}
#: What stands where other bundles name their target.
TARGET = "as given"


@dataclass(frozen=True)
class Options:
    """What a file does not say of itself.

    Attributes:
        shapes: Sizes of open axes, by input.
        sample: A ``.npz`` or ``.npy`` with the inputs to check with, in place of random ones.
    """

    shapes: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    sample: Path | None = None


def format_of(path: Path) -> Format | None:
    """The format of the model file at *path*, by its suffix; None where it is no file that is run as it is."""
    format = FORMATS.get(path.suffix.lower().removeprefix("."))
    return format if format is not None and format.interface is not None and path.is_file() else None


def bundle_at(path: str | Path, options: Options | None = None, *, reference: bool = True) -> Path:
    """Where the bundle is that *path* names: *path* itself, or what is made of the model file there.

    That lies in a folder for temporary files, until this process ends.

    Args:
        reference: Whether an engine of this machine runs the check inputs, for others to be held against. It runs one
            of them anyway where the file does not say how large its outputs are.

    Raises:
        BundleError: ``EK-CONTENTS``, ``EK-BUNDLE``: the file holds more than data, or is damaged.
        UsageError: ``EK-ARGUMENT``: an axis stays open, or *options* do not fit the file, or are for no bundle;
            ``EK-UNSUPPORTED``: it takes or gives what no array holds.
        EdgekitError: ``EK-ENGINE``, ``EK-RUN``, ``EK-CRASHED``: the outputs' sizes are known when it has run, and it
            does not.
    """
    path, options = Path(path), options or Options()
    format = format_of(path)
    if format is None:
        if path.exists() and (options.shapes or options.sample):
            name = "--shape" if options.shapes else "--sample"
            message = f"{name} is for a model file as it is, and {path} is none"
            raise UsageError("EK-ARGUMENT", message, "a bundle has shapes and check inputs of its own")
        return path
    try:
        data = path.read_bytes()
    except OSError as error:
        message = f"{path} cannot be read: {error.strerror}"
        raise BundleError("EK-MISSING-FILE", message, "is it yours to read?") from error
    sample = b"" if options.sample is None else checks.sample_bytes(options.sample)
    key = sha256(repr((sha256(data), sha256(sample), sorted(options.shapes.items()), reference)).encode())[:16]
    destination = _folder() / key / (tensor_name(path.name, "model").replace("/", "_") + SUFFIX)
    if not destination.exists():
        made, files = _packed(path, data, format, options, reference)
        destination.parent.mkdir(exist_ok=True)
        write_bundle(made, files, destination)
    _MADE[destination] = path, options
    return destination


def named(path: Path) -> Path:
    """What the user wrote for the bundle at *path*."""
    return _MADE[path][0] if path in _MADE else path


def words(paths: Iterable[Path]) -> list[str]:
    """What the user wrote for the bundles at *paths*, on a command line."""
    said, options = [], dict[str, None]()
    for path in paths:
        said.append(str(named(path)))
        shapes = _MADE[path][1].shapes if path in _MADE else {}
        options |= dict.fromkeys(written(name, shape).partition(" ")[2] for name, shape in shapes.items())
    return [*said, *(word for shape in options for word in ("--shape", shape))]


def describe(data: bytes, format: Format, name: str) -> Interface:
    """The interface of a file, which was checked as data before.

    Raises:
        BundleError: ``EK-CONTENTS``, ``EK-BUNDLE``: as `edgekit.runtime.contents.checked`.
        UsageError: ``EK-UNSUPPORTED``: it takes or gives what no array holds.
    """
    try:
        checked(data, format.name, name)
    except BundleError as error:
        raise BundleError(error.code, error.message, _CURES[error.code]) from error
    assert format.interface is not None
    try:
        found: Interface = import_module(format.interface).describe(data)
    except Malformed as error:
        hint = "edgekit runs models that take and give arrays of numbers"
        raise UsageError("EK-UNSUPPORTED", f"{name} cannot be run: {error}", hint) from error
    return found


@cache
def _folder() -> Path:
    folder = tempfile.TemporaryDirectory(prefix="edgekit-given-")
    _KEPT.append(folder)
    return Path(folder.name)


#: The folder, which goes when this process ends.
_KEPT: list[tempfile.TemporaryDirectory[str]] = []
#: What was made, of which file, with which options.
_MADE: dict[Path, tuple[Path, Options]] = {}


def _packed(
    path: Path, data: bytes, format: Format, options: Options, reference: bool
) -> tuple[Manifest, dict[str, bytes]]:
    """The manifest of the bundle, and its files."""
    found = describe(data, format, path.name)
    asked = by_input(options.shapes, [each.name for each in found.main.inputs])
    chosen = choose(found.main, checks.sizes(options.sample, found.main) | dict(asked))
    samples = checks.samples(chosen.inputs, found, options.sample)
    run = checks.run(data, format.name, chosen, samples, reference=reference)
    signature = Signature(chosen.inputs, run.outputs)
    file = f"variants/as-given.{format.name}"
    files = {file: data}
    sides: dict[str, dict[str, str]] = {"inputs": {}, "outputs": {}}
    for side, arrays in (("inputs", checks.stacked(chosen.inputs, samples)), ("outputs", run.reference)):
        for number, (name, array) in enumerate(arrays.items()):
            sides[side][name] = f"checks/{side}/{number}.npy"
            files[sides[side][name]] = _npy(array)
    entry = Variant(
        name=f"as-given.{format.name}",
        file=file,
        size_bytes=len(data),
        sha256=sha256(data),
        format=format.name,
        recipe=found.recipe,
        engines=checks.engines_of(format),
        minimum_runtime={},
        producers={},
        snr_db=None,
        max_abs_diff=None,
        agreement=None,
        delegated_share=None,
        undelegated_ops={},
        backend=found.backend,
        given=Given(
            _quantized(found.main.inputs), _quantized(found.main.outputs), found.is_stateful, _described(run.engine)
        ),
    )
    manifest = Manifest(
        name=tensor_name(path.name, "model"),
        target=TARGET,
        signature=signature,
        preprocessing=None,
        labels=(),
        variants=(entry,),
        recommended={"variant": entry.name, "reason": "the file that was given"},
        source={"framework": TARGET, "file": path.name},
        calibration=None,
        checks={**sides, "samples": len(samples), "random": options.sample is None},
        producer=f"edgekit {edgekit.__version__}",
        methods=_methods(found),
        schema_version=GIVEN_VERSION,
    )
    return manifest, files


def _methods(found: Interface) -> dict[str, Signature]:
    """Those that need no more than the file says."""
    signatures = {}
    for name, method in found.methods.items():
        try:
            chosen = choose(method, {})
        except UsageError:
            continue
        if chosen.outputs is not None:
            signatures[name] = Signature(chosen.inputs, chosen.outputs)
    return signatures


def _quantized(tensors: Iterable[FileTensor]) -> dict[str, Quantization]:
    return {each.name: each.quantization for each in tensors if each.quantization is not None}


def _described(engine: str) -> str:
    return f"{engine} {ENGINES[engine].version()} on {platform.machine()}" if engine else ""


def _npy(array: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=False)
    return buffer.getvalue()
