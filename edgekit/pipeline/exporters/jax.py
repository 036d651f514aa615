"""JAX functions to a float ``.tflite``: as StableHLO, through LiteRT's converter, without TensorFlow or PyTorch.

litert-converter 0.5 has no public names for this: those used here are what litert-torch 0.10 calls it by.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax
from jax.extend.core import jaxpr_as_fun
from litert_converter.mlir import ir, passmanager
from litert_converter.mlir._mlir_libs import converter_api_ext

from edgekit.errors import ConversionError
from edgekit.pipeline.exporters.exported import record
from edgekit.pipeline.exporters.inputs import parameter_names
from edgekit.pipeline.sources import SourceSpec, open_source
from edgekit.pipeline.sources.jax_program import rewritten
from edgekit.runtime.engines.litert import ENGINE

_SIGNATURE = "serving_default"
_MINIMUM_RUNTIME = {ENGINE.name: "2.1"}


def convert(*, source: Mapping[str, Any], output: str) -> dict[str, Any]:
    """Write *source* as a float32 ``.tflite``; a task for a worker of JAX.

    As `edgekit.pipeline.exporters.Exporter` has it.

    Raises:
        ConversionError: ``EK-UNSUPPORTED``: LiteRT's converter does not take it.
    """
    opened: Any = open_source(SourceSpec.from_json(source))
    signature = opened.signature
    structs = [jax.ShapeDtypeStruct(spec.shape, spec.dtype) for spec in signature.inputs]
    program = rewritten(opened.program, {"sort": _sort, "conv_general_dilated": _spread})
    lowered = jax.jit(jaxpr_as_fun(program)).lower(*structs)
    text = str(lowered.compiler_ir("stablehlo"))
    try:
        data = to_tflite(text, parameter_names(signature.inputs), [spec.name for spec in signature.outputs])
    except Exception as error:  # MLIR's errors are pages
        line = next((line for line in str(error).splitlines() if "error:" in line), str(error).splitlines()[0])
        message = f"LiteRT's converter does not take what JAX lowers it to: {line.strip()}"[:300]
        hint = "write that part of the model with other operators, or build --format pte; the log has all of it"
        raise ConversionError("EK-UNSUPPORTED", message, hint) from error
    Path(output).write_bytes(data)
    return record(("jax", "litert-converter"), _MINIMUM_RUNTIME)


def _sort(equation: Any, values: Sequence[Any]) -> list[Any] | None:
    """Sorting as the best of all: LiteRT 2.3 has no kernel for ``STABLEHLO_SORT``.

    litert-converter 0.5 writes that for ``top_k``, too, where nobody looks at the places.
    """
    (array, *others), axis = values, equation.params["dimension"]
    if others or not jnp.issubdtype(array.dtype, jnp.floating):
        names = "lax.sort of several arrays, or of whole numbers (jnp.argsort, jnp.median)"
        raise ConversionError("EK-UNSUPPORTED", f"LiteRT has no kernel for {names}", "lax.top_k gives places as well")
    last = jnp.moveaxis(-array, axis, -1)
    best, positions = lax.top_k(last, last.shape[-1])
    return [jnp.moveaxis(-jnp.where(positions < 0, 0, best), -1, axis)]


def _spread(equation: Any, values: Sequence[Any]) -> list[Any] | None:
    """A transposed convolution as one over an input with zeros in between.

    litert-converter 0.5 takes its padding for another: an output of 8 x 8 has 10 x 10.
    """
    params = equation.params
    if all(step == 1 for step in params["lhs_dilation"]):
        return None
    array, kernel = values
    axes = params["dimension_numbers"].lhs_spec[2:]
    for axis, step in zip(axes, params["lhs_dilation"], strict=True):
        size = array.shape[axis]
        apart = jnp.expand_dims(array, axis + 1)
        padding = [(0, 0)] * apart.ndim
        padding[axis + 1] = (0, step - 1)
        shape = (*array.shape[:axis], size * step, *array.shape[axis + 1 :])
        spread = jnp.pad(apart, padding).reshape(shape)
        array = lax.slice_in_dim(spread, 0, (size - 1) * step + 1, axis=axis)
    plain = {**params, "lhs_dilation": (1,) * len(axes)}
    return [equation.primitive.bind(array, kernel, **plain)]


def to_tflite(text: str, inputs: list[str], outputs: list[str]) -> bytes:
    """A program of StableHLO as a file with one signature, of these names."""
    context = ir.Context()
    converter_api_ext.prepare_mlir_context(context)
    with context:
        module = ir.Module.parse(text, context)
        converter_api_ext.set_signature(
            module.operation, signature_name=_SIGNATURE, input_names=inputs, output_names=outputs
        )
        config = converter_api_ext.ConvertToTFLConfig()
        config.unsafe_fuse_dynamic_shaped_broadcast = True
        config.canonicalizing_inf_as_min_max_float = True
        converter_api_ext.run_convert_to_tfl_passes(module, passmanager.PassManager(), config)
        return bytes(converter_api_ext.export_flatbuffer_to_bytes(module.operation))
