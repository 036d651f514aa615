"""What a starter says of a model: its tensors, what becomes of a raw sample and of the scores, and a check."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from edgekit.bundle import Bundle
from edgekit.engines import ENGINES
from edgekit.errors import UsageError
from edgekit.formats import FORMATS
from edgekit.integration.file_order import in_file_order
from edgekit.manifest import Variant
from edgekit.recipes import RECIPES
from edgekit.runtime.check_runs import check_vectors
from edgekit.runtime.prepare import preprocessing_of
from edgekit.runtime.preprocess import Preprocessing
from edgekit.tensors import Signature, rows_of

#: Outputs may differ from the float model's by so many times what they did when the variant was checked.
_MARGIN = 1.25
#: What a file of a recipe that is unknown here may be off, in parts of the largest output.
_LEAST = 1e-2
#: The same for a file that nothing here could run: it may be computed in 16 bits.
_UNCHECKED = 0.05


@dataclass(frozen=True)
class Image:
    """The pictures that a model takes; with *resize*, others are scaled to cover ``size / crop`` and cut."""

    height: int
    width: int
    channels: int
    resize: bool
    crop: float


@dataclass(frozen=True)
class Facts:
    """What the templates of every platform are filled with.

    Attributes:
        signature: Inputs and outputs in the order of the file, batch axis of 1 included.
        preprocessing: What becomes of a raw sample; one that does nothing when the bundle has none.
        image: None when the model takes no pictures.
        scores: Name of the output that has a score for each label, or of the first.
        logits: Whether the scores are the logits of a classifier, so that a softmax makes them probabilities.
        labels: Those of the scores; empty when they do not fit.
        check: One check vector's inputs, then the float model's outputs for them: float32, little-endian, in the
            order of `signature`.
        random: Whether that input is random numbers, for want of data.
        tolerance: How far from these outputs a run may be; *largest* is the largest of them.
    """

    name: str
    variant: Variant
    signature: Signature
    preprocessing: Preprocessing
    image: Image | None
    scores: str
    logits: bool
    labels: tuple[str, ...]
    check: bytes
    random: bool
    tolerance: float
    largest: float


def facts_of(bundle: Bundle, variant: Variant) -> Facts:
    """The facts of *variant*.

    Raises:
        BundleError: ``EK-BUNDLE``: the bundle is damaged, or its parts do not fit each other.
        LimitError: ``EK-VERIFY``: the reference outputs are (near) constant and would check nothing.
    """
    manifest = bundle.manifest
    signature = manifest.signature
    ordered = (
        in_file_order(bundle.read(variant.file), signature) if FORMATS[variant.format].has_own_order else signature
    )
    vectors = check_vectors(bundle)
    if not vectors.reference:
        message = f"nothing here could run {manifest.name}, so that there is nothing for an app to check itself with"
        raise UsageError("EK-ENGINE", message, ENGINES[FORMATS[variant.format].engine].install_hint)
    labels = manifest.labels
    scores = next((spec for spec in signature.outputs if labels and np.prod(spec.shape) == len(labels)), None)
    telling = scores or signature.outputs[0]
    sample = _most_telling(vectors.reference[telling.name], rows_of(telling))
    columns = dict(zip((spec.name for spec in signature.inputs), vectors.samples[sample], strict=True))
    arrays = [columns[spec.name] for spec in ordered.inputs]
    arrays += [_sample(vectors.reference[spec.name], sample, rows_of(spec)) for spec in ordered.outputs]
    largest = max(float(np.abs(array).max()) for array in vectors.reference.values())
    preprocessing = preprocessing_of(bundle)
    return Facts(
        name=manifest.name,
        variant=variant,
        signature=ordered,
        preprocessing=preprocessing or Preprocessing(),
        image=_image(signature, preprocessing),
        scores=(scores or signature.outputs[0]).name,
        logits=scores is not None and _are_logits(bundle, vectors.reference[scores.name]),
        labels=labels if scores is not None else (),
        check=b"".join(np.ascontiguousarray(array, "<f4").tobytes() for array in arrays),
        random=bool(manifest.checks.get("random")),
        tolerance=_tolerance(variant, largest),
        largest=largest,
    )


def _are_logits(bundle: Bundle, reference: np.ndarray) -> bool:
    """Whether *reference* holds logits: the model was trained with cross-entropy, and its outputs are no probabilities.

    Of a model that came trained, nothing says what its outputs are: its scores are shown as they are.
    """
    training = bundle.manifest.source.get("training")
    rows = reference.reshape(len(reference), -1).astype(np.float64)
    probabilities = bool((rows >= 0).all() and np.allclose(rows.sum(1), 1.0, atol=1e-3))
    return isinstance(training, dict) and training.get("loss") == "cross-entropy" and not probabilities


def _image(signature: Signature, preprocessing: Preprocessing | None) -> Image | None:
    shape = signature.inputs[0].shape
    if len(signature.inputs) > 1 or len(shape) != 4 or preprocessing is None or preprocessing.layout is None:
        return None
    first = preprocessing.layout == "channels-first"
    channels, height, width = shape[1:] if first else (shape[3], *shape[1:3])
    if channels not in (1, 3):
        return None
    resize = preprocessing.resize
    return Image(height, width, channels, resize is not None, 1.0 if resize is None else resize.crop)


def _sample(stacked: np.ndarray, index: int, rows: int) -> np.ndarray:
    return stacked[index * rows : (index + 1) * rows]


def _most_telling(reference: np.ndarray, count: int) -> int:
    """The sample, of *count* rows, whose outputs are the farthest from the mean: nothing constant passes for it."""
    rows = reference.reshape(len(reference) // count, -1).astype(np.float64)
    return int(np.abs(rows - rows.mean(0)).max(1).argmax())


def _tolerance(variant: Variant, largest: float) -> float:
    if variant.max_abs_diff is None:
        return _UNCHECKED * largest
    recipe = RECIPES.get(variant.recipe)
    least = _LEAST if recipe is None else recipe.least_app_tolerance
    return max(_MARGIN * variant.max_abs_diff, least * largest)
