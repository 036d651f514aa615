"""In which order a ``.tflite`` file has its inputs and outputs, which is how apps address them.

It is not always the signature's: converters sort by name, or number.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from edgekit.errors import BundleError, EdgekitError
from edgekit.runtime.contents import tflite
from edgekit.runtime.engines.interpreter import locate, signature_key
from edgekit.tensors import Signature

_ENGINE = "litert"


def in_file_order(data: bytes, signature: Signature) -> Signature:
    """*signature* with its inputs and outputs in the order of the ``.tflite`` file *data*.

    Raises:
        BundleError: ``EK-BUNDLE``: the file is none, or does not fit the signature.
    """
    try:
        model = tflite.read(data).model
        graph, keyed = model["subgraphs"][0], {each["signature_key"]: each for each in model["signature_defs"]}
        main = keyed[signature_key(_ENGINE, list(keyed), None)] if keyed else None
        if main is not None and main["subgraph_index"] != 0:
            raise ValueError("its main signature is not the first graph")
        sides = []
        for side, specs in (("inputs", signature.inputs), ("outputs", signature.outputs)):
            order = list(graph[side])
            named = sorted((each["name"], each["tensor_index"]) for each in (main or {}).get(side, ()))
            pairs: list[tuple[str | None, int]] = [*named] or [(None, index) for index in order]
            tensors = [(name, _facts(graph["tensors"][index], index)) for name, index in pairs]
            located = sorted(locate(_ENGINE, specs, tensors), key=lambda each: order.index(each.index))
            sides.append(tuple(each.spec for each in located))
    except (ValueError, TypeError, EdgekitError) as error:
        raise BundleError("EK-BUNDLE", f"the .tflite file does not fit the signature ({error})") from error
    return Signature(*sides)


def _facts(tensor: Mapping[str, Any], position: int) -> Mapping[str, Any]:
    open_shape = list(tensor["shape_signature"]) or list(tensor["shape"])
    dtype = tflite.TYPES[tensor["type"]][0]
    return {"index": position, "shape": tensor["shape"], "shape_signature": open_shape, "dtype": dtype}
