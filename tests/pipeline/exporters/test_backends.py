"""``.pte`` files for backends that only apps have: not run here, but what is in them is known."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
import torch
from executorch.backends.apple.coreml import executorchcoreml
from executorch.backends.vulkan.patterns import fusable_patterns
from executorch.exir import to_edge_transform_and_lower
from support.torch_nets import INPUTS, Nets

from edgekit.backends import BACKENDS
from edgekit.pipeline.exporters.backends import coreml, vulkan
from edgekit.pipeline.exporters.executorch import export, lower
from edgekit.pipeline.readers.facts import FileFacts, inspect_file
from edgekit.pipeline.variants.gates import check_backend, check_weights, remarks
from edgekit.recipes import RECIPES
from edgekit.runtime.contents.pte import read
from edgekit.runtime.contents.vulkan import DTYPES

#: What convolutions of the net ``clamped`` become, whose batch norms and clamps they take in, or not.
_OPERATORS = {
    "vulkan": {
        "et_vk.conv_with_clamp.default": 3,
        "aten.mean.dim": 1,
        "aten.view_copy.default": 1,
        "aten.linear.default": 1,
    },
    "coreml": {"conv": 3, "clip": 3, "reduce_mean": 1, "reshape": 1, "linear": 1},
}
_DTYPES = {"fp32": "float32", "fp16": "float16"}


@pytest.fixture(scope="module")
def file(nets: Nets, tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, str], Path]:
    """Exports of the net ``clamped`` by backend and recipe, made as they are asked for."""

    class Files(dict[tuple[str, str], Path]):
        def __missing__(self, key: tuple[str, str]) -> Path:
            path = tmp_path_factory.mktemp("exports") / f"{key[0]}-{key[1]}.pte"
            record = export(
                source=nets.spec("clamped"), recipe=key[1], calibration=None, output=str(path), backend=key[0]
            )
            assert {"torch", "executorch"} <= record["producers"].keys()
            self[key] = path
            return path

    return Files()


@pytest.mark.parametrize(
    ("backend", "name"),
    [
        ("vulkan", "fp16"),
        ("coreml", "fp16"),
        pytest.param("coreml", "fp32", marks=pytest.mark.slow),
    ],
)
def test_a_whole_net_goes_to_the_backend_with_all_its_weights(
    nets: Nets, file: dict[tuple[str, str], Path], backend: str, name: str
) -> None:
    path = file[backend, name]
    facts = inspect_file(path, "pte")
    assert (facts.operators, facts.undelegated_ops, facts.delegated_share) == (_OPERATORS[backend], {}, 100.0)
    assert facts.weight_bytes.keys() == {_DTYPES[name]} and facts.kinds == ("convolution", "linear")
    assert check_backend(facts, BACKENDS[backend]) is None
    parameters = nets.source("clamped").parameter_count
    assert check_weights(facts, RECIPES[name]) is None
    assert not list(remarks(facts, RECIPES[name], parameters, path.stat().st_size, run=False))
    other = RECIPES["fp32" if name == "fp16" else "fp16"]
    assert check_weights(facts, other) is not None


def test_half_precision_stays_inside_vulkan(file: dict[tuple[str, str], Path]) -> None:
    """Inputs and outputs are float32 for the application: the backend converts them."""
    (part,) = read(file["vulkan", "fp16"].read_bytes()).parts
    assert part.backend == "VulkanBackend" and part.graph is not None
    graph = part.graph
    borders = [graph["values"][index]["value"] for index in (*graph["input_ids"], *graph["output_ids"])]
    types = [(each["datatype"], each["staging_datatype"]) for each in borders]
    assert [tuple(DTYPES[number][0] for number in each) for each in types] == [("float16", "float32")] * 2


def test_core_ml_reads_what_executorch_unpacks(file: dict[tuple[str, str], Path], tmp_path: Path) -> None:
    """Our reader of the package against executorch's and coremltools' own."""
    (part,) = read(file["coreml", "fp16"].read_bytes()).parts
    assert part.backend == "CoreMLBackend"
    assert executorchcoreml.unflatten_directory_contents(bytes(part.payload), str(tmp_path))
    from coremltools.proto import FeatureTypes_pb2, Model_pb2

    (path,) = tmp_path.rglob("model.mlmodel")
    model = Model_pb2.Model.FromString(path.read_bytes())
    borders = (*model.description.input, *model.description.output)
    assert {each.type.multiArrayType.dataType for each in borders} == {FeatureTypes_pb2.ArrayFeatureType.FLOAT32}
    function = model.mlProgram.functions["main"]
    operations = Counter(each.type for each in function.block_specializations[function.opset].operations)
    del operations["const"], operations["cast"]
    assert dict(operations) == _OPERATORS["coreml"]


class _Split(torch.nn.Module):
    """A net with an operator that neither backend has, between two linear layers."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = torch.nn.Linear(32, 16), torch.nn.Linear(16, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.second(torch.acosh(self.first(x)))


def _lowered(module: torch.nn.Module, shape: tuple[int, ...], backend: str, tmp_path: Path) -> FileFacts:
    examples = (torch.zeros(shape),)
    path = tmp_path / "model.pte"
    path.write_bytes(lower(torch.export.export(module.eval(), examples).module(), examples, backend, half=True))
    return inspect_file(path, "pte")


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["vulkan", "coreml"])
def test_operators_that_the_backend_lacks_are_named(backend: str, tmp_path: Path) -> None:
    facts = _lowered(_Split(), (1, 32), backend, tmp_path)
    assert facts.undelegated_ops == {"aten::acosh": 1}
    assert facts.delegated_share == pytest.approx(100 * (32 * 16 + 16 * 4) / (32 * 16 + 16 + 16 * 4), abs=0.1)
    assert facts.weight_bytes == {"float16": 2 * (32 * 16 + 16 * 4)}, "the weights of both halves"


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["vulkan", "coreml"])
def test_mobilenet_v2_is_delegated_whole(backend: str, tmp_path: Path) -> None:
    from support.mobilenet import mobilenet_v2

    facts = _lowered(mobilenet_v2(), (1, 3, 224, 224), backend, tmp_path)
    assert (facts.delegated_share, facts.undelegated_ops) == (100.0, {})
    assert sum(count for name, count in facts.operators.items() if "conv" in name) == 52


@pytest.mark.slow
def test_stock_packages_differ_from_export_to_export(nets: Nets) -> None:
    """When the first half fails, `settled_packages` can go."""
    from executorch.backends.apple.coreml.partition import CoreMLPartitioner

    module = nets.source("dense").torch_module()
    program = torch.export.export(module, (torch.zeros(INPUTS["dense"].shape),))

    def stock() -> bytes:
        return bytes(to_edge_transform_and_lower(program, partitioner=[CoreMLPartitioner()]).to_executorch().buffer)

    def settled() -> bytes:
        with coreml.settled_packages():
            return stock()

    assert stock() != stock()
    assert settled() == settled()


@pytest.mark.slow
def test_stock_coremltools_imports_what_it_does_not_need(tmp_path: Path) -> None:
    """When this fails, `hidden` can go."""
    for name in coreml.UNNEEDED:
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text("open(__file__ + '.imported', 'w')\nraise ImportError\n")
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    subprocess.run([sys.executable, "-c", "import coremltools"], env=environment, capture_output=True, check=True)
    assert len(list(tmp_path.rglob("*.imported"))) == len(coreml.UNNEEDED)


def test_core_ml_files_are_made_without_tensorflow(file: dict[tuple[str, str], Path]) -> None:
    assert file["coreml", "fp16"].exists() and "coremltools" in sys.modules
    assert not {*coreml.UNNEEDED} & sys.modules.keys()


@pytest.mark.slow
def test_stock_vulkan_traces_rotary_embeddings_for_a_network_that_has_none(
    nets: Nets, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When this fails, `only_patterns_of` can go."""
    from executorch.backends.vulkan.partitioner.vulkan_partitioner import VulkanPartitioner

    traced: list[str] = []
    for name in vulkan.ROTARY:
        monkeypatch.setattr(fusable_patterns[name], "get_graphs_fn", lambda name=name: traced.append(name) or [])
    module = nets.source("dense").torch_module()
    program = torch.export.export(module, (torch.zeros(INPUTS["dense"].shape),))
    to_edge_transform_and_lower(program, partitioner=[VulkanPartitioner()])
    assert sorted(traced) == sorted(2 * vulkan.ROTARY)
