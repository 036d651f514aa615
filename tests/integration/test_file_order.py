"""Apps address a .tflite file's inputs and outputs by their place in it, which is not always the signature's."""

from __future__ import annotations

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter
from small_models import IMAGE, PAIR, SmallModels

from edgekit.errors import BundleError
from edgekit.integration.file_order import in_file_order
from edgekit.runtime.engines import open_session
from edgekit.tensors import Signature, TensorSpec


def turned_round(data: bytes) -> bytes:
    """The same model with its graph's inputs and outputs listed the other way round."""
    import flatbuffers

    model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(data, 0))
    graph = model.subgraphs[0]
    graph.inputs, graph.outputs = graph.inputs[::-1], graph.outputs[::-1]
    builder = flatbuffers.Builder(len(data))
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def without_signature(data: bytes) -> bytes:
    import flatbuffers

    model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(data, 0))
    model.signatureDefs = []
    builder = flatbuffers.Builder(len(data))
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


@pytest.mark.parametrize("change", [bytes, turned_round, without_signature])
def test_by_place_gives_what_the_signature_gives(small_models: SmallModels, change) -> None:  # type: ignore[no-untyped-def]
    data = change(small_models.files["pair.tflite"])
    arrays = dict(zip(("left", "right"), small_models.pair_inputs, strict=True))
    ordered = in_file_order(data, PAIR)
    interpreter = Interpreter(model_content=data)
    interpreter.allocate_tensors()
    for spec, place in zip(ordered.inputs, interpreter.get_input_details(), strict=True):
        interpreter.set_tensor(place["index"], arrays[spec.name])
    interpreter.invoke()
    by_place = {
        spec.name: interpreter.get_tensor(place["index"])
        for spec, place in zip(ordered.outputs, interpreter.get_output_details(), strict=True)
    }
    session = open_session("litert", data, "tflite", PAIR, 1)
    for spec, array in zip(PAIR.outputs, session.run(list(arrays.values())), strict=True):
        assert np.array_equal(by_place[spec.name], array)
    session.close()
    assert (ordered.inputs == PAIR.inputs) is (change is not turned_round)


def test_a_file_that_does_not_fit_is_refused(small_models: SmallModels) -> None:
    data = small_models.files["image.tflite"]
    other = Signature((TensorSpec("image", (1, 12, 12, 1), "float32"),), IMAGE.outputs)
    for wrong, signature in ((b"not a model", IMAGE), (data[:200], IMAGE), (data, PAIR), (data, other)):
        with pytest.raises(BundleError):
            in_file_order(wrong, signature)
