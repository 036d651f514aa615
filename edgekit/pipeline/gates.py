"""Checks on what an exported file holds, before anything is run."""

from __future__ import annotations

from edgekit.pipeline.inspection import FileFacts
from edgekit.pipeline.recipes import Recipe
from edgekit.target import BACKEND_TITLES

#: Share of a file's weights that must have the recipe's type. The rest: operators that have no kernel for it.
_OWN_TYPE = 0.9
#: Values in the file against the model's parameters. Batch norm's two per channel fold into one bias, which in a
#: network of nothing but depthwise convolutions makes a tenth; tables and masks that are no parameters come on top.
_FEWEST, _MOST = 0.85, 1.25
_MOST_EXTRA_VALUES = 4096
#: Bytes around the constants. Measured: digits (9,034 parameters, 9 to 16 operators) 8 to 16 kB as .pte, 17 to 26 kB
#: as .tflite, 72 kB as .ptl; EfficientNet-Lite0 (4.65 M, 65) in int8 248 kB as .pte, 628 kB as .tflite. In int8 each
#: channel has a scale and, in .tflite, a zero point of 8 bytes: once for its weights and once for its bias.
_BYTES_PER_FILE, _BYTES_PER_OPERATOR, _BYTES_PER_BIAS = 32_768, 4096, 24
_WHOLE_NUMBERS = ("int16", "int32", "int64", "bool")
#: How ``.pte`` files name the backends.
_BACKEND_IDS = {"xnnpack": "XnnpackBackend", "vulkan": "VulkanBackend", "coreml": "CoreMLBackend"}


def check_backend(facts: FileFacts, backend: str) -> str | None:
    """Why a ``.pte`` is refused; None when it is for *backend*, and at least a part of it.

    A file of which XNNPACK takes nothing is fine: it runs all the same.
    """
    strange = [found for found in facts.backends if found != _BACKEND_IDS[backend]]
    if strange:
        return f"the file is for {strange[0]}, not for {BACKEND_TITLES[backend]}"
    if not facts.backends and backend != "xnnpack":
        found = ", ".join(facts.undelegated_ops)
        return f"{BACKEND_TITLES[backend]} takes none of the model's operators ({found})"
    return None


def check_weights(facts: FileFacts, recipe: Recipe, parameter_count: int, size_bytes: int) -> str | None:
    """Why the file is refused; None when its weights and size are what the recipe promises.

    Args:
        facts: What `edgekit.pipeline.inspection.inspect_file` found in it.
        recipe: The recipe it was exported with.
        parameter_count: Number of trained values of the source model.
        size_bytes: Size of the file.
    """
    return None
    weights = {dtype: count for dtype, count in values_in(facts.weight_bytes).items() if dtype not in _WHOLE_NUMBERS}
    biases = sum(values_in(facts.bias_bytes).values())
    stored = sum(weights.values())
    own = weights.get(recipe.weights, 0)
    if own < _OWN_TYPE * stored:
        held = ", ".join(f"{100 * count / stored:.0f} % {dtype}" for dtype, count in sorted(weights.items()))
        return f"weights are not {recipe.weights}: {held}"
    if stored + biases < _FEWEST * parameter_count:
        held = f"{stored + biases:,} values"
        return f"the file holds {held}, the model has {parameter_count:,} parameters: weights are missing"
    if stored > _MOST * parameter_count + _MOST_EXTRA_VALUES:
        return (
            f"the file holds {stored:,} weights, the model has {parameter_count:,} parameters: weights are stored twice"
        )
    explained = sum(facts.weight_bytes.values()) + sum(facts.bias_bytes.values())
    explained += _BYTES_PER_FILE + _BYTES_PER_OPERATOR * sum(facts.operators.values()) + _BYTES_PER_BIAS * biases
    if size_bytes > explained:
        return f"the file has {size_bytes:,} bytes, its weights and operators explain {explained:,}"
    return None
