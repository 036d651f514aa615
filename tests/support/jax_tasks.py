"""What tests ask of JAX's converter, in a process of its own: nothing but JAX and LiteRT is imported there."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np

from edgekit.errors import EdgekitError
from edgekit.pipeline.sources import SourceSpec, open_source
from edgekit.tensors import TensorSpec

MODELS = Path(__file__).with_name("jax_models.py")
STEPS = (TensorSpec("steps", (1, 5, 4), "float32"),)


def spec(name: str) -> SourceSpec:
    return SourceSpec("jax", str(MODELS), name, inputs=STEPS if name == "recurrent" else ())


def convert(name: str, folder: Path) -> dict[str, Any]:
    from edgekit.pipeline.exporters.jax import convert
    from edgekit.runtime.engines import open_session

    source = open_source(spec(name))
    try:
        convert(source=spec(name).to_json(), output=str(folder / name))
    except EdgekitError as error:
        return {"error": error.message}
    session = open_session("litert", (folder / name).read_bytes(), "tflite", source.signature, 1)
    found = session.run(list(source.example))
    expected = source.predict({s.name: a for s, a in zip(source.signature.inputs, source.example, strict=True)})
    differences = {
        key: float(np.abs(np.float64(value) - np.float64(other)).max())
        for (key, value), other in zip(expected.items(), found, strict=True)
    }
    return {"differences": differences}


def stock(name: str) -> str:
    """What comes of a model where LiteRT's converter gets it as it is."""
    import jax
    from ai_edge_litert.interpreter import Interpreter
    from jax.extend.core import jaxpr_as_fun

    from edgekit.pipeline.exporters.jax import to_tflite

    source: Any = open_source(spec(name))
    structs = [jax.ShapeDtypeStruct(each.shape, each.dtype) for each in source.signature.inputs]
    text = str(jax.jit(jaxpr_as_fun(source.program)).lower(*structs).compiler_ir("stablehlo"))
    try:
        interpreter = Interpreter(model_content=to_tflite(text, ["x"], [s.name for s in source.signature.outputs]))
        interpreter.allocate_tensors()
    except (RuntimeError, ValueError) as error:
        return str(error)
    return json.dumps([each["shape"].tolist() for each in interpreter.get_output_details()])


def main() -> None:
    task, folder, *names = sys.argv[1:]
    made = {name: convert(name, Path(folder)) if task == "convert" else stock(name) for name in names}
    foreign = sorted({"torch", "tensorflow", "keras"} & sys.modules.keys())
    print(json.dumps({"made": made, "foreign": foreign}))


if __name__ == "__main__":
    main()
