"""Static int8 for ExecuTorch's XNNPACK delegate: where values are quantized, and over which range."""

from __future__ import annotations

import operator
from collections.abc import Iterator
from dataclasses import replace

import torch
from executorch.backends.xnnpack.quantizer.xnnpack_quantizer import XNNPACKQuantizer, get_symmetric_quantization_config
from torch.fx import GraphModule, Node
from torchao.quantization.pt2e import MinMaxObserver
from torchao.quantization.pt2e.quantizer import QuantizationAnnotation, QuantizationConfig, SharedQuantizationSpec

from edgekit.pipeline.recipes.fold_pads import zero_pad
from edgekit.pipeline.recipes.open_shapes import read_by
from edgekit.pipeline.recipes.tail import Kind, Operator, tail
from edgekit.recipes import Recipe

#: By which recipes name it.
NAME = "executorch"
_ANNOTATION = "quantization_annotation"
_ATEN = torch.ops.aten
_RELU6 = (_ATEN.hardtanh.default, _ATEN.hardtanh_.default, _ATEN.relu6.default, _ATEN.relu6_.default)
_CONVOLUTIONS = (_ATEN.conv1d.default, _ATEN.conv2d.default)
#: The same operator by the name that says that one side is a number.
_WITH_NUMBERS = {_ATEN.add.Tensor: _ATEN.add.Scalar, _ATEN.mul.Tensor: _ATEN.mul.Scalar}
_CLAMPED = (*_CONVOLUTIONS, _ATEN.linear.default)
_NAMES: dict[Kind, str] = {
    "join": "cat concat concatenate stack",
    "layout": "chunk clone contiguous expand flatten getitem permute reshape select slice split split_with_sizes "
    "squeeze t transpose unbind unflatten unsqueeze view",
    "elementwise": "abs add clamp div elu exp gelu hardsigmoid hardswish hardtanh leaky_relu log maximum minimum mul "
    "neg pow prelu relu relu6 rsqrt rsub sigmoid silu softmax softplus sqrt square sub tanh",
}
_KINDS: dict[str, Kind] = {name: kind for kind, names in _NAMES.items() for name in names.split()}
#: The smallest scale that XNNPACK's requantization is made for.
_SMALLEST_SCALE = 2**-12


class FloatQuantizer(XNNPACKQuantizer):
    """ExecuTorch's XNNPACK quantizer, which leaves alone what is no float, and what the recipe's rules say.

    executorch 1.5.1 annotates sums and products of any type, and makes tensors of floats out of the numbers in them.
    Symptom: "Expected tensor for argument #1 'indices' to have one of the following scalar types: Long, Int; but got
    torch.FloatTensor" for an embedding behind one.
    """

    def __init__(self, recipe: Recipe) -> None:
        super().__init__()
        self._recipe = recipe

    def transform_for_annotation(self, model: GraphModule) -> GraphModule:
        for node in _whole_numbers(model):
            if node.target in _WITH_NUMBERS and not isinstance(node.args[1], Node):
                node.target = _WITH_NUMBERS[node.target]
        return super().transform_for_annotation(model)

    def annotate(self, model: GraphModule) -> GraphModule:
        model = super().annotate(model)
        left = (node for node in model.graph.nodes if self._recipe.keeps_float(NAME, _path(node)))
        for node in (*_whole_numbers(model), *left):
            node.meta.pop(_ANNOTATION, None)
        return model


class StaticQuantizer(FloatQuantizer):
    """ExecuTorch's XNNPACK quantizer: int8 per channel, min/max ranges, and three workarounds.

    Ranges come from `MinMaxObserver`: as accurate as the stock ``HistogramObserver`` here, and calibration takes
    a fraction of the time.

    The tail of the graph stays float (see `edgekit.pipeline.recipes.tail`).

    The workarounds, all for executorch 1.5.1:

    - **ReLU6.** The stock patterns join a convolution with ReLU, but not with ReLU6 (hardtanh): a quantizer stays
      between the two, and int8 has to span everything that ReLU6 is about to cut off. Symptom: EfficientNet-Lite0
      falls from 17 to 5 dB. Here the quantizer moves behind the activation.
    - **Pads.** The stock patterns quantize on both sides of a zero pad, which keeps XNNPACK from merging it into the
      convolution that reads it. Symptom: one pad and two converts more per strided convolution, a quarter of
      Lite0's time. Here the quantizer between pad and convolution goes; ExecuTorch then makes the pad int8 by itself.
      A pad that is read by anything else gets the same quantizer on both sides: without it, a file with such a pad
      behind an int8 operator does not load ("Failed to create StaticConstantPad node").
    - **Layers that are called more than once**, as a head on every level of a pyramid. The stock patterns leave an
      operator alone whose weights another one has been annotated with, and XNNPACK's backend keeps a bias once, with
      the scale of the first input. Symptom: the file does not load ("Failed to create convolution node"), or its values
      are wrong. Here each call has weights and a bias of its own; the file holds equal weights once.
    """

    #: Patterns of quantization-aware training match nothing here, and building them takes 3 s.
    SUPPORTED_PATTERNS = tuple(pattern for pattern in XNNPACKQuantizer.SUPPORTED_PATTERNS if not pattern.is_qat)

    def __init__(self, recipe: Recipe) -> None:
        super().__init__(recipe)
        self.set_global(_configuration())

    def transform_for_annotation(self, model: GraphModule) -> GraphModule:
        """Give each reader of a zero pad its own, so that every convolution's can merge into it; and of weights."""
        model = super().transform_for_annotation(model)
        for node in list(model.graph.nodes):
            if zero_pad(node) is not None:
                each_its_own(model, node)
            elif node.op == "get_attr":
                for copy in each_its_own(model, node):
                    _own_constant(model, copy)
        model.recompile()
        return model

    def annotate(self, model: GraphModule) -> GraphModule:
        model = super().annotate(model)
        for node in model.graph.nodes:
            if node.target in _RELU6:
                self._quantize_behind(node)
            elif zero_pad(node) is not None:
                self._quantize_before(node)
        for node in _tail(model):
            node.meta.pop(_ANNOTATION, None)
        return model

    def _quantize_behind(self, activation: Node) -> None:
        """Move the output quantizer of a convolution or linear layer behind its ReLU6."""
        producer = activation.args[0]
        assert isinstance(producer, Node)
        if producer.target in _CLAMPED and len(producer.users) == 1 and _ANNOTATION in producer.meta:
            producer.meta[_ANNOTATION].output_qspec = None
            activation.meta[_ANNOTATION] = QuantizationAnnotation(
                output_qspec=self._config.output_activation, _annotated=True
            )

    def _quantize_before(self, pad: Node) -> None:
        """Quantize what goes into a pad; what comes out too, unless a convolution reads it."""
        source = pad.args[0]
        (reader,) = pad.users
        assert isinstance(source, Node)
        annotation = reader.meta.get(_ANNOTATION) if reader.target in _CONVOLUTIONS else None
        rides = annotation is not None and annotation.input_qspec_map.pop(pad, None) is not None
        pad.meta[_ANNOTATION] = QuantizationAnnotation(
            input_qspec_map={source: self._config.input_activation},
            output_qspec=None if rides else SharedQuantizationSpec((source, pad)),
            _annotated=True,
        )

    @property
    def _config(self) -> QuantizationConfig:
        assert self.global_config is not None
        return self.global_config


def _tail(model: GraphModule) -> Iterator[Node]:
    nodes = [node for node in model.graph.nodes if node.op == "call_function"]
    operators = [Operator(_KINDS.get(_name(node)), tuple(node.all_input_nodes), (node,)) for node in nodes]
    return (nodes[index] for index in tail(operators, model.graph.output_node().all_input_nodes))


def each_its_own(model: GraphModule, node: Node) -> list[Node]:
    """Give each reader of *node* but the first a copy of it. Returns the copies."""
    copies = []
    for user in list(node.users)[1:]:
        with model.graph.inserting_after(node):
            copies.append(model.graph.node_copy(node))
        user.replace_input_with(node, copies[-1])
    return copies


def _own_constant(model: GraphModule, node: Node) -> None:
    """Have *node* read a copy of its constant."""
    value = operator.attrgetter(str(node.target))(model).detach().clone()
    node.target = f"{node.name}_of_its_own"
    model.register_buffer(node.target, value)


def _whole_numbers(model: GraphModule) -> Iterator[Node]:
    """Operators that read or give anything but floats."""
    for node in model.graph.nodes:
        tensors = [each.meta.get("val") for each in (node, *node.all_input_nodes)]
        if any(isinstance(tensor, torch.Tensor) and not tensor.is_floating_point() for tensor in tensors):
            yield node


def _path(node: Node) -> str:
    """Of the module that an operator is from."""
    stack = node.meta.get("nn_module_stack") or {}
    return next((str(path) for path, _ in reversed(stack.values())), "")


def _name(node: Node) -> str:
    """Of an operator, without its overload or the underscore of one that works in place."""
    packet = getattr(node.target, "overloadpacket", node.target)
    return str(packet.__name__).rstrip("_")


def dynamic_quantizer(recipe: Recipe) -> XNNPACKQuantizer:
    """int8 weights per channel; activation ranges are found at run time. Depthwise convolutions stay in float.

    So do convolutions that read a pad. executorch 1.5.1 would quantize, export and load them without a word, and fail
    at the first execution ("Propagating input shapes failed with code: xnn_status_invalid_parameter").
    """
    configuration = get_symmetric_quantization_config(is_per_channel=True, is_dynamic=True)
    return FloatQuantizer(recipe).set_global(configuration).set_filter_function(lambda node: not _reads_a_pad(node))


def _reads_a_pad(node: Node) -> bool:
    return node.target in _CONVOLUTIONS and zero_pad(read_by(node)) is not None


def _configuration() -> QuantizationConfig:
    stock = get_symmetric_quantization_config(is_per_channel=True)
    activation = replace(
        stock.input_activation, observer_or_fake_quant_ctr=MinMaxObserver.with_args(eps=_SMALLEST_SCALE)
    )
    return replace(stock, input_activation=activation, output_activation=activation)
