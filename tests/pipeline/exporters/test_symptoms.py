"""What converters and engines say of models that they cannot take becomes one line with a cure."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from edgekit.errors import ConversionError, EdgekitError
from edgekit.pipeline.exporters.symptoms import SYMPTOMS, explained, explaining

#: What was really said, and what becomes of it; the builds in tests/cases provoke some of them.
SAID = [
    ("Unsupported ir element type: complex<f32>", "complex numbers"),
    ("Lowering not found: aten.digamma.default", "LiteRT has no operator for aten.digamma"),
    (
        "Operator torch._ops.aten.erfinv.default is not in Core ATen opset (https://pytorch.org/docs/stable/)",
        "ExecuTorch has no operator for aten.erfinv",
    ),
    (
        "Failed to export flatbuffer: \nSome ops are not supported by the native TFLite runtime\n"
        "TF Select ops: BitwiseAnd\nDetails:\n\ttf.BitwiseAnd(tensor<1x6xi32>)",
        "LiteRT has no operator for BitwiseAnd",
    ),
    ("error: failed to legalize operation 'tfl.bitwise_xor' that was explicitly marked", "cannot do this bitwise_xor"),
    ("Didn't find op for builtin opcode 'STABLEHLO_CONVOLUTION' version '1'.", "has no kernel for this CONVOLUTION"),
    ("SpecViolationError: These operators are taking Tensor inputs with mismatched dtypes:", "does not mix"),
    (
        "An error occurred when running the 'ChannelsLastTaggedReshapePass' pass after the following passes: []",
        "cannot lower this model to XNNPACK (its ChannelsLastTaggedReshapePass fails)",
    ),
    ("torch.fx.experimental.symbolic_shapes.GuardOnDataDependentSymNode: Could not guard", "branches on its input"),
]


@pytest.mark.parametrize(("text", "message"), SAID)
def test_what_a_converter_said_is_explained(text: str, message: str) -> None:
    known = explained(ValueError(text))
    assert known is not None and known.code == "EK-UNSUPPORTED"
    assert message in known.message and known.hint


@pytest.mark.parametrize(
    ("code", "text", "message"),
    [
        (
            "EK-RUN",
            "executorch failed to load the model: XNN Runtime creation failed with code: "
            "xnn_status_unsupported_parameter; XNNCompiler::compileModel failed: 0x1",
            "in int8, a layer's inputs are far larger",
        ),
        (
            "EK-RUN",
            "executorch failed to run the model: Internal Error: Propagating input shapes failed with code: "
            "xnn_status_invalid_parameter; CALL_DELEGATE execute failed at instruction 2: 0x1 (Internal)",
            "with ranges that it finds at run time",
        ),
        (
            "EK-BUNDLE",
            "int8.pte is not a readable .pte file (XNNPACK's graph has other inputs and outputs than it says)",
            "executorch makes a file of this model that is not sound",
        ),
        ("EK-RUN", "executorch failed to run: Expect input tensor to be 3-D or 4-D, but got, 5.", "one in three"),
        (
            "EK-BUNDLE",
            "model.pte is not a readable .pte file (it holds the operator 'aten::avg_pool3d.out')",
            "the runtime of this format has no kernel for avg_pool3d",
        ),
    ],
)
def test_what_an_engine_or_a_reader_said_is_explained(code: str, text: str, message: str) -> None:
    known = explained(EdgekitError(code, text, "export it again"))
    assert known is not None and message in known.message


def test_what_is_not_known_passes_as_it_is() -> None:
    assert explained(ValueError("something else")) is None
    assert explained(EdgekitError("EK-QUALITY", "Lowering not found: aten.digamma.default")) is None
    with pytest.raises(ZeroDivisionError), explaining():
        raise ZeroDivisionError


def test_every_symptom_says_what_to_do_and_blames_nobody() -> None:
    for symptom in SYMPTOMS:
        assert symptom.hint and "report" not in symptom.message + symptom.hint


class Net(nn.Module):
    def forward(self, x):
        return torch.digamma(x) + 1


def test_the_line_of_the_users_code_is_named() -> None:
    graph_module = torch.export.export(Net(), (torch.ones(2),)).module()
    with pytest.raises(ConversionError) as raised, explaining(graph_module):
        raise RuntimeError("Lowering not found: aten.digamma.default")
    line = Net.forward.__code__.co_firstlineno + 1
    assert raised.value.message.endswith(f"aten.digamma (test_symptoms.py:{line}: return torch.digamma(x) + 1)")
