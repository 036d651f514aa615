"""Small ``.pte`` files that try what the ExecuTorch core has to take: element types, scalars, methods, layouts.

Imports torch; never import it where tensorflow is.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from edgekit.tensors import Signature, TensorSpec

#: Of ``dtypes.pte``, which gives each input back, doubled (the bool negated).
DTYPES = ("int32", "int64", "uint8", "int8", "bool", "float16", "float32", "float64")
DTYPES_SIGNATURE = Signature(
    tuple(TensorSpec(f"in_{dtype}", (2, 3), dtype) for dtype in DTYPES),
    tuple(TensorSpec(f"out_{dtype}", (2, 3), dtype) for dtype in DTYPES),
)
#: Of ``scalars.pte``: a tensor, and a number of each kind that was fixed at export; then the sum, and the number 3.
SCALARS_SIGNATURE = Signature(
    (
        TensorSpec("x", (1, 2), "float32"),
        TensorSpec("count", (), "int64"),
        TensorSpec("scale", (), "float64"),
        TensorSpec("negate", (), "bool"),
    ),
    (TensorSpec("sum", (1, 2), "float32"), TensorSpec("number", (), "int64")),
)
#: Of the two methods of ``methods.pte``: ``encode`` halves and cuts off the last column, ``decode`` adds one back.
ENCODE = Signature((TensorSpec("x", (1, 4), "float32"),), (TensorSpec("code", (1, 3), "float32"),))
DECODE = Signature((TensorSpec("code", (1, 3), "float32"),), (TensorSpec("x", (1, 4), "float32"),))
#: Of ``channels_last.pte`` and ``unplanned.pte``: the input, rolled by one along its last axis, plus one.
ROLLED = Signature((TensorSpec("x", (1, 3, 2, 4), "float32"),), (TensorSpec("y", (1, 3, 2, 4), "float32"),))
#: Of ``zero_d.pte``: the square of a number.
SQUARE = Signature((TensorSpec("x", (), "float32"),), (TensorSpec("y", (), "float32"),))
#: Of ``nonzero.pte``, whose output has as many rows as the input has elements other than 0.
NONZERO = Signature((TensorSpec("x", (4,), "float32"),), (TensorSpec("places", (4, 1), "int64"),))
#: Of ``tiny.pte``: a network of 803 parameters.
TINY = Signature((TensorSpec("x", (1, 16), "float32"),), (TensorSpec("y", (1, 3), "float32"),))
#: Of ``open.pte``, which takes 1 to 4 samples of 1 to 6 steps: each step of x twice and y, and the sum of the steps.
#: ``open_one.pte`` doubles x.
OPEN = Signature(
    (TensorSpec("x", (4, 6, 3), "float32"), TensorSpec("y", (4, 6, 1), "float32")),
    (TensorSpec("steps", (4, 6, 3), "float32"), TensorSpec("sum", (4, 3), "float32")),
)
#: Of ``conv.pte`` and ``delegated.pte``, one convolutional net without XNNPACK and with it.
CONV = Signature((TensorSpec("x", (1, 3, 16, 16), "float32"),), (TensorSpec("y", (1, 5), "float32"),))
#: Of ``wide.pte``: one layer of 307 KB, not delegated.
WIDE = Signature((TensorSpec("x", (1, 256), "float32"),), (TensorSpec("y", (1, 300), "float32"),))


@dataclass(frozen=True)
class NativeModels:
    folder: Path

    def __getitem__(self, name: str) -> bytes:
        return (self.folder / f"{name}.pte").read_bytes()

    @property
    def images(self) -> np.ndarray:
        """Inputs of the convolutional net, images first."""
        images: np.ndarray = np.load(self.folder / "images.npy")
        return images

    @property
    def scores(self) -> np.ndarray:
        """What the net gives for them in PyTorch."""
        scores: np.ndarray = np.load(self.folder / "scores.npy")
        return scores


def random_inputs(signature: Signature) -> list[np.ndarray]:
    """One array per input, small whole numbers so that every element type can hold their double."""
    random = np.random.default_rng(1)
    return [random.integers(0, 50, spec.shape).astype(spec.dtype) for spec in signature.inputs]


def build_native_models(folder: Path) -> None:
    _build_shapes_and_types(folder)
    _build_networks(folder)
    _build_open(folder)
    _build_confused(folder)


def _build_shapes_and_types(folder: Path) -> None:
    import torch
    from executorch.exir import to_edge_transform_and_lower
    from executorch.exir.passes import MemoryPlanningPass

    class Dtypes(torch.nn.Module):
        def forward(self, *tensors: torch.Tensor) -> tuple[torch.Tensor, ...]:
            return tuple(~tensor if tensor.dtype == torch.bool else tensor + tensor for tensor in tensors)

    class Scalars(torch.nn.Module):
        def forward(self, x: torch.Tensor, count: int, scale: float, negate: bool) -> tuple[torch.Tensor, int]:
            return (-1 if negate else 1) * x * scale + count, count

    class Encode(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x[:, :3] / 2

    class Decode(torch.nn.Module):
        def forward(self, code: torch.Tensor) -> torch.Tensor:
            return torch.cat([code * 2, code[:, :1]], 1)

    class Rolled(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            x = x.to(memory_format=torch.contiguous_format)
            return torch.cat([x[..., 3:], x[..., :3]], 3) + 1

    class Square(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x * x

    class Nonzero(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.nonzero(x)

    _save(folder / "dtypes.pte", Dtypes(), *map(torch.from_numpy, random_inputs(DTYPES_SIGNATURE)))
    _save(folder / "scalars.pte", Scalars(), torch.ones(1, 2), 3, 0.5, True)
    image = torch.rand(1, 3, 2, 4)
    _save(folder / "channels_last.pte", Rolled(), image.to(memory_format=torch.channels_last))
    planning = MemoryPlanningPass(alloc_graph_input=False, alloc_graph_output=False)
    _save(folder / "unplanned.pte", Rolled(), image, memory_planning_pass=planning)
    _save(folder / "zero_d.pte", Square(), torch.tensor(3.0))
    _save(folder / "nonzero.pte", Nonzero(), torch.ones(4))
    methods = {
        "encode": torch.export.export(Encode(), (torch.ones(1, 4),)),
        "decode": torch.export.export(Decode(), (torch.ones(1, 3),)),
    }
    (folder / "methods.pte").write_bytes(to_edge_transform_and_lower(methods).to_executorch().buffer)


def _build_networks(folder: Path) -> None:
    import torch
    from torch import nn

    torch.manual_seed(0)
    tiny = nn.Sequential(nn.Linear(16, 40), nn.ReLU(), nn.Linear(40, 3))
    _save(folder / "tiny.pte", tiny, torch.rand(1, 16), delegate=True)
    net = nn.Sequential(
        nn.Conv2d(3, 8, 3, stride=2, padding=1),
        nn.ReLU(),
        nn.Conv2d(8, 8, 3, padding=1, groups=8),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(2),
        nn.Flatten(),
        nn.Linear(32, 5),
    )
    images = torch.rand(4, 3, 16, 16) * torch.tensor([0.1, 1, 3, 9])[:, None, None, None]
    with torch.no_grad():
        np.save(folder / "scores.npy", net(images).numpy())
    np.save(folder / "images.npy", images.numpy())
    _save(folder / "conv.pte", net, images[:1])
    _save(folder / "delegated.pte", net, images[:1], delegate=True)
    _save(folder / "wide.pte", nn.Linear(256, 300), torch.rand(1, 256))


def _build_open(folder: Path) -> None:
    import torch
    from executorch.exir import to_edge_transform_and_lower
    from torch.export import Dim

    class Steps(torch.nn.Module):
        def forward(self, x: torch.Tensor, y: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
            return x * 2 + y, x.sum(1)

    class Double(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x * 2

    shape = {0: Dim("batch", min=1, max=4), 1: Dim("length", min=1, max=6)}
    example = torch.rand(2, 3, 3), torch.rand(2, 3, 1)
    for name, module, inputs in (("open", Steps(), example), ("open_one", Double(), example[:1])):
        program = torch.export.export(module, inputs, dynamic_shapes=(shape,) * len(inputs))
        (folder / f"{name}.pte").write_bytes(to_edge_transform_and_lower(program).to_executorch().buffer)


def _build_confused(folder: Path) -> None:
    """``confused.pte``: a sum whose operator is told that a tensor is a number.

    ExecuTorch does not notice when it loads the file, and gives up in the middle of a run.
    """
    import torch

    class Plus(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x + x

    path = folder / "confused.pte"
    _save(path, Plus(), torch.tensor(3.0))
    data = bytearray(path.read_bytes())
    # aten::add.out takes x, y, alpha, and its output twice: a vector of 5 numbers of values.
    (place,) = (
        place
        for place in range(0, len(data) - 24, 4)
        for count, x, y, alpha, out, result in [struct.unpack_from("<6i", data, place)]
        if count == 5 and x == y and out == result and sorted((x, alpha, out)) == [0, 1, 2]
    )
    struct.pack_into("<i", data, place + 12, struct.unpack_from("<i", data, place + 4)[0])
    path.write_bytes(data)


def _save(path: Path, module: object, *example: object, delegate: bool = False, **config: object) -> None:
    import torch
    from executorch.backends.xnnpack.partition.xnnpack_partitioner import XnnpackPartitioner
    from executorch.exir import ExecutorchBackendConfig, to_edge_transform_and_lower

    assert isinstance(module, torch.nn.Module)
    exported = torch.export.export(module.eval(), example)
    lowered = to_edge_transform_and_lower(exported, partitioner=[XnnpackPartitioner()] if delegate else [])
    path.write_bytes(lowered.to_executorch(ExecutorchBackendConfig(**config)).buffer)  # type: ignore[arg-type]
