"""What a manifest may say: whoever made the bundle chose every word and every number in it.

Words are shown to people, and become paths and code; numbers cost whoever reads them.
"""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

from edgekit.names import is_identifier, is_label, is_tensor_name
from edgekit.schema import walk
from edgekit.tensors import DTYPES

if TYPE_CHECKING:
    from edgekit.manifest import Manifest, Variant
    from edgekit.tensors import Signature

#: What edgekit builds has some tens of variants, and models have some hundreds of tensors at most.
_MOST_VARIANTS, MOST_METHODS, _MOST_TENSORS, _MOST_AXES = 512, 64, 1024, 16
#: Of all inputs of a model, and of all outputs, for one sample.
MOST_SIDE_BYTES = 256 << 20
#: Samples in the check vectors, and in one inference.
_MOST_SAMPLES = 1 << 16
#: Of a file, or of memory.
_MOST_BYTES = 1 << 42
#: Of any text, of a sentence that is shown, of a version, and of a file's or a folder's own name.
_MOST_CHARACTERS, _MOST_SENTENCE_CHARACTERS, _MOST_VERSION_CHARACTERS, _MOST_FILE_CHARACTERS = 4000, 1000, 100, 100
#: Of a metric's name, and of its unit.
_MOST_UNIT_CHARACTERS = 60
#: Of any figure, either way: what a model of float32 may come to.
_MOST_FIGURE = 1e40


def check(manifest: Manifest) -> None:
    """Raise `ValueError`, which names the value, unless *manifest* keeps to the bounds."""
    if not 0 < len(manifest.variants) <= _MOST_VARIANTS:
        raise ValueError(f"variants: {len(manifest.variants)}")
    if len(manifest.methods) > MOST_METHODS:
        raise ValueError(f"methods: {len(manifest.methods)}")
    for where, each in walk(manifest, "manifest"):
        if isinstance(each, str) and len(each) > _MOST_CHARACTERS:
            raise ValueError(f"{where}: a text of {len(each)} characters")
        if isinstance(each, float) and not abs(each) <= _MOST_FIGURE:
            raise ValueError(f"{where}: a figure of {each:g}")
    for what, names in (("name", [manifest.name]), ("target", [manifest.target]), ("methods", manifest.methods)):
        if not all(map(is_tensor_name, names)):
            raise ValueError(what)
    for label in manifest.labels:
        if not is_label(label):
            raise ValueError(f"labels: {label[:100]!r}")
    _check_sentences(manifest)
    for signature in (manifest.signature, *manifest.methods.values()):
        _check_signature(signature)
    for variant in manifest.variants:
        _check_variant(variant)
    _check_checks(manifest.checks)
    for file in manifest.files:
        _check_file(file)


def _check_sentences(manifest: Manifest) -> None:
    if manifest.recommended.keys() - {"variant", "reason"}:
        raise ValueError("recommended")
    metric, most = manifest.metric, _MOST_SENTENCE_CHARACTERS
    for what, text, characters in (
        ("recommended.reason", manifest.recommended.get("reason", ""), most),
        ("producer", manifest.producer, most),
        ("metric.name", metric.name, _MOST_UNIT_CHARACTERS),
        ("metric.unit", metric.unit, _MOST_UNIT_CHARACTERS),
    ):
        if len(text) > characters or not text.isprintable():
            raise ValueError(what)


def _check_signature(signature: Signature) -> None:
    for specs in (signature.inputs, signature.outputs):
        if not specs or len({spec.name for spec in specs}) != len(specs):
            raise ValueError("signature: names")
        for spec in specs:
            if not is_tensor_name(spec.name):
                raise ValueError(f"signature: the name {spec.name[:100]!r}")
            if spec.dtype not in DTYPES or not all(size > 0 for size in spec.shape):
                raise ValueError(f"signature.{spec.name}")
        if len(specs) > _MOST_TENSORS or any(len(spec.shape) > _MOST_AXES for spec in specs):
            raise ValueError("signature: more tensors or axes than any model has")
        if sum(spec.size_bytes for spec in specs) > MOST_SIDE_BYTES:
            raise ValueError(f"signature: tensors of more than {MOST_SIDE_BYTES >> 20} MiB")


def _check_variant(variant: Variant) -> None:
    if not all(map(is_identifier, (variant.name, variant.format, variant.recipe, variant.backend, *variant.engines))):
        raise ValueError(f"variants.{variant.name[:100]}: names")
    samples = (variant.samples or 0, variant.samples_available or 0)
    counts = (variant.size_bytes, variant.arena_bytes or 0, *samples, *variant.undelegated_ops.values())
    if not all(0 <= count <= _MOST_BYTES for count in counts):
        raise ValueError(f"variants.{variant.name}: a size or a number that cannot be")
    if any(len(version) > _MOST_VERSION_CHARACTERS for version in variant.minimum_runtime.values()):
        raise ValueError(f"variants.{variant.name}.minimum_runtime: a version that is none")
    if not 0 < variant.batch <= _MOST_SAMPLES:
        raise ValueError(f"variants.{variant.name}.batch")


def _check_checks(checks: Any) -> None:
    """Names of files are checked where the files are known."""
    kinds: dict[str, type] = {"inputs": dict, "outputs": dict, "samples": int, "random": bool}
    for name, value in checks.items():
        if type(value) is not kinds.get(name):
            raise ValueError(f"checks.{name}")
    if not 0 < checks.get("samples", 1) <= _MOST_SAMPLES:
        raise ValueError("checks.samples")


def _check_file(name: str) -> None:
    path = PurePosixPath(name)
    inside = path.parts and ".." not in path.parts and not path.is_absolute() and path.as_posix() == name
    if not inside or "\\" in name or ":" in name:
        raise ValueError(f"{name!r} leaves the bundle")
    if not name.isprintable() or max(map(len, path.parts)) > _MOST_FILE_CHARACTERS:
        raise ValueError(f"{name[:_MOST_FILE_CHARACTERS]!r} is no name for a file")
