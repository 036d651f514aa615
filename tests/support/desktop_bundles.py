"""A bundle as `edgekit build --target desktop-x86_64` makes it, for the small model's signature, without a build."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import onnx
from onnx import TensorProto, helper

from edgekit.bundle import Bundle, write_bundle
from edgekit.digests import sha256


def onnx_bundle(bundle: Path, into: Path) -> Path:
    """At *into*: for the same inputs and outputs as *bundle*'s, an ``fp32.onnx`` with other contents."""
    with Bundle.open(bundle) as opened:
        manifest = opened.manifest
        files = {name: opened.read(name) for name in manifest.files if name.startswith("checks/")}
    (image,), (scores,) = manifest.signature.inputs, manifest.signature.outputs
    pixels, classes = int(image.shape[-1] * image.shape[-2]), scores.shape[-1]
    graph = helper.make_graph(
        [
            helper.make_node("Flatten", [image.name], ["flat"]),
            helper.make_node("MatMul", ["flat", "weights"], [scores.name]),
        ],
        "linear",
        [helper.make_tensor_value_info(image.name, TensorProto.FLOAT, image.shape)],
        [helper.make_tensor_value_info(scores.name, TensorProto.FLOAT, scores.shape)],
        [helper.make_tensor("weights", TensorProto.FLOAT, (pixels, classes), [0.01] * (pixels * classes))],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    onnx.checker.check_model(model)
    data = model.SerializeToString()
    entry = replace(
        manifest.variants[0],
        name="fp32.onnx",
        file="variants/fp32.onnx",
        size_bytes=len(data),
        sha256=sha256(data),
        format="onnx",
        engines=("onnxruntime",),
        minimum_runtime={},
        delegated_share=None,
    )
    recommended = {"variant": entry.name, "reason": "the only one"}
    manifest = replace(manifest, target="desktop-x86_64", variants=(entry,), recommended=recommended)
    write_bundle(manifest, {**files, entry.file: data}, into)
    return into
