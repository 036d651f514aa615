"""What an exported file holds against what was asked for, before anything is run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from edgekit.backends import Backend
from edgekit.pipeline.readers.facts import FileFacts
from edgekit.recipes import Recipe

#: Share of a file's weights that has the recipe's type without a word about the rest.
_OWN_TYPE = 0.9
#: What quantized weights may be stored as besides: files of others have whole numbers of other kinds.
_WHOLE = frozenset({"uint8", "int4", "uint4", "int2"})
#: Values in the file against those that the exported graph computes with. Batch norm's two per channel fold into one
#: bias, which in a network of nothing but depthwise convolutions makes a tenth.
_FEWEST, _MOST = 0.85, 1.25
_MOST_EXTRA_VALUES = 4096
#: Percent of a file's work that may be multiplied and added outside of its backend without a word.
_MOST_HEAVY = 20.0
#: Bytes around the constants. Measured: digits (9,034 parameters, 9 to 16 operators) 8 to 16 kB as .pte, 17 to 26 kB
#: as .tflite, 72 kB as .ptl; EfficientNet-Lite0 (4.65 M, 65) in int8 248 kB as .pte, 628 kB as .tflite. In int8 each
#: channel has a scale and, in .tflite, a zero point of 8 bytes: once for its weights and once for its bias.
_BYTES_PER_FILE, _BYTES_PER_OPERATOR, _BYTES_PER_BIAS = 32_768, 4096, 24


def check_backend(facts: FileFacts, backend: Backend) -> tuple[str, str] | None:
    """Why a file is refused, and what to do; None when it is for *backend*, and at least a part of it."""
    if facts.backends is None:
        return None
    strange = [found for found in facts.backends if found != backend.delegate]
    if strange:
        return f"the file is for {strange[0]}, not for {backend.title}", "build it again with --fresh"
    if not facts.backends and not backend.takes_all:
        found = ", ".join(facts.undelegated_ops)
        return f"{backend.title} takes none of the model's operators ({found})", "use the .pte for the CPU"
    return None


def check_weights(facts: FileFacts, recipe: Recipe) -> tuple[str, str] | None:
    """Why the file is refused, and what to do: it has weights, and the *recipe* changed none of them."""
    if not facts.weights or not _stored(recipe).isdisjoint(facts.weight_bytes):
        return None
    held = _named(facts, recipe)
    if recipe.is_exact:
        return f"weights are not float32: {held}", "build it again with --fresh"
    return (
        f"{recipe.name} changes nothing here, no weight is of an operator that it quantizes: {held}",
        recipe.instead,
    )


def remarks(facts: FileFacts, recipe: Recipe, values: int | None, size_bytes: int, *, run: bool) -> Iterator[str]:
    """What there is to say of a file that is not refused.

    Args:
        values: How many distinct values the exported graph computes with; None where the exporter does not know.
        run: Whether the file's outputs are compared with the model's, which proves that nothing is missing.
    """
    stored = sum(each.values for each in facts.weights)
    own = sum(each.values for each in facts.weights if each.dtype in _stored(recipe))
    if own < _OWN_TYPE * stored:
        yield f"{100 * (1 - own / stored):.1f} % of the weights are not {recipe.weights}: {_named(facts, recipe)}"
    if sum(facts.heavy_ops.values()) > _MOST_HEAVY:
        named = ", ".join(
            f"{facts.undelegated_ops[name]} x {name} ({share:.0f} %)" for name, share in facts.heavy_ops.items()
        )
        yield f"multiplies and adds outside of its backend, where that takes 10 to 200 times as long: {named}"
    biases = sum(each.values for each in facts.constants if len(each.shape) < 2)
    if values is not None and not run and stored + biases < _FEWEST * values:
        yield f"holds {stored + biases:,} values, the model computes with {values:,}: compare its outputs on the device"
    if values is not None and stored > _MOST * values + _MOST_EXTRA_VALUES:
        yield f"holds {stored:,} weights, the model has {values:,}: those that two operators read are stored for each"
        return
    explained = sum(each.size_bytes for each in facts.constants)
    explained += _BYTES_PER_FILE + _BYTES_PER_OPERATOR * sum(facts.operators.values()) + _BYTES_PER_BIAS * biases
    if size_bytes > explained:
        yield f"has {size_bytes:,} bytes, of which its weights and operators explain {explained:,}"


def _stored(recipe: Recipe) -> frozenset[str]:
    return frozenset({recipe.weights}) | (_WHOLE if recipe.is_quantized else frozenset())


def _named(facts: FileFacts, recipe: Recipe) -> str:
    """The weights that are not of the recipe's type, by the operators that read them: largest first."""
    others: Counter[tuple[str, str]] = Counter()
    for each in facts.weights:
        if each.dtype not in _stored(recipe):
            others[each.reader, each.dtype] += each.values
    return ", ".join(
        f"{values:,} {dtype} in {reader}" if reader else f"{values:,} {dtype}"
        for (reader, dtype), values in others.most_common(4)
    )
