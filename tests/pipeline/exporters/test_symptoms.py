"""What converters and engines say of models that they cannot take becomes one line with a cure."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import nn
from torch.fx import GraphModule

from edgekit.errors import ConversionError, EdgekitError
from edgekit.pipeline.exporters.symptoms import SYMPTOMS, explained, explaining
from edgekit.pipeline.exporters.where import layer, operator

#: What was really said, and what becomes of it; the builds in tests/cases provoke some of them.
SAID = [
    ("Unsupported ir element type: complex<f32>", "complex numbers"),
    ("Lowering not found: aten.digamma.default", "LiteRT has no operator for aten.digamma"),
    (
        "Lowering not found: mine.twice.default\n    results = self.model(",
        "mine.twice is an operator of the model's own",
    ),
    ("Missing out variants: {'mine::twice'}", "mine::twice is an operator of the model's own"),
    ("Missing out variants: {'quantized_decomposed::choose_qparams'}", "ExecuTorch has no int8 form of a layer"),
    ("Lowering not found: while_loop\n    while_loop = torch.ops", "LiteRT has no while_loop"),
    (
        "conv.cc:390 affine_quantization->zero_point->data[i] != 0 (-13 != 0)Node",
        "weights that are computed at run time",
    ),
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
        (
            "EK-RUN",
            "litert failed to run the model: kernels/div.cc:262 data[i] != zero_point was not true.Node",
            "by numbers that int8 rounds to 0",
        ),
        ("EK-RUN", "executorch failed to run: Expect input tensor to be 3-D or 4-D, but got, 5.", "one in three"),
        (
            "EK-BUNDLE",
            "model.pte is not a readable .pte file (it holds the operator 'aten::avg_pool3d.out')",
            "the runtime of this format has no kernel for avg_pool3d",
        ),
        (
            "EK-RUN",
            "litert: the model file does not fit the bundle's signature: 'y' is float32[1, 4], not float32[1, 1, 4]",
            "other tensors than the model has: 'y' is float32[1, 4]",
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


class Around(nn.Module):
    """As edgekit puts one around a model whose outputs it names."""

    __module__ = "edgekit.pipeline.sources.torch"

    def __init__(self):
        super().__init__()
        self.module = Layered()

    def forward(self, x):
        return self.module(x)


def test_layers_are_named_as_the_model_has_them() -> None:
    for model in (Layered(), Around()):
        graph_module = torch.export.export(model, (torch.ones(1, 2),)).module()
        found = {operator(node): layer(node) for node in graph_module.graph.nodes if node.op == "call_function"}
        assert found == {"aten.linear": "features.0", "aten.digamma": "features.1", "aten.add": "features.1",
                         "aten.relu": "features.2", "aten.mul": ""}  # fmt: skip


class Layered(nn.Module):
    def __init__(self):
        super().__init__()
        self.features = nn.Sequential(nn.Linear(2, 2), Net(), nn.ReLU())

    def forward(self, x):
        return self.features(x), x * 2


def _refusing(operator: object, said: str) -> Callable[[GraphModule], None]:
    """A converter that takes everything but *operator*, and does not say so."""

    def attempt(part: GraphModule) -> None:
        if any(node.target == operator for node in part.graph.nodes):
            raise RuntimeError(said)

    return attempt


@pytest.mark.parametrize(
    ("said", "message"),
    [
        (
            "loc(unknown)\nerror: something is off\nmore",
            "Some converter cannot take aten.digamma of [1, 2] (layer features.1, test_symptoms.py:{line}: "
            "return torch.digamma(x) + 1): error: something is off",
        ),
        (
            "failed to legalize operation 'mhlo.round_nearest_afz'",
            "LiteRT cannot do this round_nearest_afz (layer features.1, test_symptoms.py:{line}: "
            "return torch.digamma(x) + 1)",
        ),
        (
            "An error occurred when running the 'ConvertToLinearPass' pass",
            "executorch 1.5.1 cannot lower this model to XNNPACK (its ConvertToLinearPass fails) (layer features.1, "
            "test_symptoms.py:{line}: return torch.digamma(x) + 1)",
        ),
    ],
)
def test_an_operator_that_a_converter_does_not_name_is_looked_for(said: str, message: str) -> None:
    graph_module = torch.export.export(Layered(), (torch.ones(1, 2),)).module()
    attempt = _refusing(torch.ops.aten.digamma.default, said)
    with pytest.raises(ConversionError) as raised, explaining(graph_module, attempt, "Some converter"):
        attempt(graph_module)
    assert raised.value.message == message.format(line=Net.forward.__code__.co_firstlineno + 1)
    assert raised.value.code == "EK-UNSUPPORTED" and raised.value.hint


def test_what_fails_only_as_a_whole_is_said_to() -> None:
    graph_module = torch.export.export(Layered(), (torch.ones(1, 2),)).module()
    said = "takes every operator of this model, but not all of it: too large"
    with pytest.raises(ConversionError, match=said), explaining(graph_module, lambda part: None, "LiteRT"):
        raise RuntimeError("too large")
