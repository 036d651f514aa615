"""A model's input tensors, from raw samples or files of ready arrays. Needs no engine."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from edgekit.buckets import Buckets
from edgekit.bundle import Bundle
from edgekit.errors import BundleError, UsageError
from edgekit.numbers import fit, plain
from edgekit.runtime.preprocess import Preprocessing, read_arrays, read_sample
from edgekit.tensors import Signature, TensorSpec, first_sample

#: A file with a raw sample may hold so much, unless the model's own input is larger: a photograph of 20 megapixels.
_SAMPLE_BYTES = 64 << 20
#: Of one number in it, whatever the model takes.
_MOST_ITEM_BYTES = 8


def preprocessing_of(bundle: Bundle) -> Preprocessing | None:
    """What *bundle* does to a raw sample, or None.

    Raises:
        BundleError: ``EK-BUNDLE``: the manifest describes it in no way this edgekit knows, or in none that gives the
            model's input.
    """
    described = bundle.manifest.preprocessing
    try:
        preprocessing = None if described is None else Preprocessing.from_json(described)
        if preprocessing is not None and len(bundle.manifest.signature.inputs) == 1:
            _check_resize(preprocessing, bundle.manifest.signature.inputs[0].shape[1:])
    except ValueError as error:
        what = f"{bundle.path}: the manifest does not fit the schema: {error}"
        raise BundleError("EK-BUNDLE", what, "build the bundle again") from error
    return preprocessing


def prepare(sample: Any, signature: Signature, preprocessing: Preprocessing | None) -> dict[str, np.ndarray]:
    """The input tensors of one raw sample, by name.

    Args:
        sample: An array, or the path of a file (see `edgekit.runtime.preprocess.read_sample`); for a signature
            of several inputs, a mapping from input name to either.
        preprocessing: What is done to the sample; with None, only its dtype is brought to the signature's, where
            that loses no more than precision.

    Returns:
        C-contiguous arrays of the signature's shapes and dtypes, batch axis of size 1 included; a number has none.

    Raises:
        UsageError: ``EK-INPUT``: the result does not fit the signature.
    """
    specs = signature.inputs
    if len(specs) == 1 and not isinstance(sample, Mapping):
        sample = {specs[0].name: sample}
    samples = by_name(sample, signature)
    return {spec.name: _prepared(samples[spec.name], spec, preprocessing) for spec in specs}


def check_input(bundle: Bundle) -> dict[str, np.ndarray]:
    """The first of a bundle's check inputs, by name."""
    return first_sample(bundle.manifest.signature.inputs, bundle.check_vectors()[0])


def ready_inputs(
    source: Path, signature: Signature, preprocessing: Preprocessing | None, buckets: Buckets | None = None
) -> dict[str, np.ndarray]:
    """The input tensors, by name, from the file *source*.

    Arrays in a ``.npy`` or ``.npz`` that already have the signature's shapes, and dtypes that lose nothing but
    precision, are ready; everything else is a raw sample (see `prepare`).

    Args:
        buckets: Where there are some, arrays of another number of samples, or of another length, are ready, too.

    Raises:
        UsageError: ``EK-MISSING-FILE``, ``EK-INPUT``, or ``EK-MISSING-PACKAGE`` for an image without Pillow.
    """
    specs = signature.inputs
    if source.suffix.lower() not in (".npy", ".npz"):
        return prepare(source, signature, preprocessing)
    if not source.is_file():
        raise UsageError("EK-MISSING-FILE", f"there is no file {source}", "name an .npy, .npz, .png, .jpg or .wav file")
    arrays = read_arrays(source, _most_bytes(specs))
    if len(specs) == 1 and len(arrays) == 1:
        arrays = {specs[0].name: next(iter(arrays.values()))}
    if all(spec.name in arrays and _is_ready(arrays[spec.name], spec, preprocessing, buckets) for spec in specs):
        return {spec.name: _fitted(arrays[spec.name], spec) for spec in specs}
    return prepare(arrays, signature, preprocessing)


def by_name(inputs: Any, signature: Signature) -> Mapping[str, Any]:
    """*inputs*, when it is a mapping with exactly the names of the signature's inputs.

    Raises:
        UsageError: ``EK-INPUT``: it is not.
    """
    names = [spec.name for spec in signature.inputs]
    if not isinstance(inputs, Mapping):
        raise UsageError("EK-INPUT", f"the model takes {len(names)} inputs", f"pass a dict with {', '.join(names)}")
    if set(inputs) != set(names):
        given = ", ".join(map(str, inputs)) or "none"
        raise UsageError("EK-INPUT", f"inputs are named {given}", f"the model takes {', '.join(names)}")
    return inputs


def _most_bytes(specs: Sequence[TensorSpec]) -> int:
    """What a file with a sample for *specs* may hold, in double precision at most."""
    return max(_SAMPLE_BYTES, sum(math.prod(spec.shape) * _MOST_ITEM_BYTES for spec in specs))


def _is_ready(
    array: np.ndarray, spec: TensorSpec, preprocessing: Preprocessing | None, buckets: Buckets | None
) -> bool:
    """Whether *array* is an input tensor. Where samples are preprocessed, bytes of that shape may be a raw one."""
    same = array.dtype.newbyteorder("=") == np.dtype(spec.dtype) or preprocessing is None
    shape = spec.shape
    if buckets is not None and array.ndim == len(shape):
        free = {0, (buckets.axes or {}).get(spec.name)}
        shape = tuple(array.shape[axis] if axis in free else size for axis, size in enumerate(shape))
    return array.shape == shape and same


def _fitted(array: Any, spec: TensorSpec) -> np.ndarray:
    what = f"input {spec.name!r}"
    return fit("EK-INPUT", what, plain("EK-INPUT", what, array), spec.dtype)


def _prepared(sample: Any, spec: TensorSpec, preprocessing: Preprocessing | None) -> np.ndarray:
    if isinstance(sample, (str, Path)):
        sample = read_sample(sample, _channels(spec, preprocessing), _most_bytes((spec,)))
    if preprocessing is not None:
        array = preprocessing.apply(plain("EK-INPUT", f"input {spec.name!r}", sample), len(spec.shape) - 1)
    else:
        array = plain("EK-INPUT", f"input {spec.name!r}", sample)
    if spec.shape != ():  # a number has no batch axis
        array = np.ascontiguousarray(array)[None]
    if array.shape != spec.shape:
        raise UsageError(
            "EK-INPUT",
            f"the sample became {array.dtype}{list(array.shape)}, the model takes {spec.dtype}{list(spec.shape)}",
            "a raw sample has no batch axis and the shape of the training data",
        )
    return _fitted(array, spec)


def _check_resize(preprocessing: Preprocessing, shape: Sequence[int]) -> None:
    """Refuse, before it takes memory, to scale a picture to what an input of *shape*, without batch axis, is not."""
    resize = preprocessing.resize
    if resize is not None:
        first = preprocessing.layout == "channels-first" and len(shape) == 3
        pixels = tuple(shape[1:] if first else shape[:2])
        if pixels != (resize.height, resize.width):
            raise ValueError(f"resize to {resize.height} x {resize.width}, for an input of {list(shape)}")


def _channels(spec: TensorSpec, preprocessing: Preprocessing | None) -> int | None:
    """Channels of the images this input is made from, or None when it is no image."""
    if len(spec.shape) != 4:
        return None
    return spec.shape[1 if preprocessing is not None and preprocessing.layout == "channels-first" else 3]
