"""Small real models for tests: exported here by the real converters, with outputs that depend on their input.

Imports torch; never import it where tensorflow is.
"""

from __future__ import annotations

import contextlib
import io
import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from support.figures import figures

from edgekit.bundle import write_bundle
from edgekit.digests import sha256
from edgekit.fidelity import agreement, max_abs_diff, snr_db
from edgekit.manifest import Manifest, Variant
from edgekit.runtime.preprocess import Preprocessing
from edgekit.tensors import Signature, TensorSpec

IMAGE = Signature((TensorSpec("image", (1, 1, 12, 12), "float32"),), (TensorSpec("output", (1, 4), "float32"),))
PAIR = Signature(
    (TensorSpec("left", (1, 4), "float32"), TensorSpec("right", (1, 6), "float32")),
    (TensorSpec("output_0", (1, 3), "float32"), TensorSpec("output_1", (1, 7), "float32")),
)
PREPROCESSING = Preprocessing(scale=1 / 255, mean=(0.5,), std=(0.25,), layout="channels-first")
LABELS = ("east", "north", "south", "west")


@dataclass(frozen=True)
class SmallModels:
    """Model files by name, and what the float models give.

    ``image.*`` is a depthwise convolutional net with the signature `IMAGE`, ``plain.pte`` the same with nothing
    delegated, ``pair.*`` two linear layers with the signature `PAIR`. ``samples`` are 32 raw uint8 images.
    """

    files: dict[str, bytes]
    samples: np.ndarray
    images: np.ndarray
    scores: np.ndarray
    pair_inputs: tuple[np.ndarray, np.ndarray]
    pair_outputs: tuple[np.ndarray, np.ndarray]


def build_models() -> SmallModels:
    import torch
    from ai_edge_quantizer import quantizer, recipe
    from torch import nn

    class ImageNet(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.features = nn.Sequential(
                nn.Conv2d(1, 8, 3, stride=2, padding=1, bias=False),
                nn.BatchNorm2d(8),
                nn.ReLU6(),
                nn.Conv2d(8, 8, 3, padding=1, groups=8, bias=False),
                nn.BatchNorm2d(8),
                nn.ReLU6(),
                nn.AdaptiveAvgPool2d(2),
                nn.Flatten(),
            )
            self.classifier = nn.Linear(32, 4)

        def forward(self, image: torch.Tensor) -> torch.Tensor:
            return self.classifier(self.features(image))

    class Pair(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.second = nn.Linear(4, 3), nn.Linear(6, 3)

        def forward(self, left: torch.Tensor, right: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
            mixed = self.first(left) - self.second(right)
            return mixed, torch.cat([mixed, left], 1)

    torch.manual_seed(0)
    samples = np.random.default_rng(0).integers(0, 256, (32, 12, 12), dtype=np.uint8)
    samples[:, 3:9, :] = (samples[:, 3:9, :] * np.linspace(0.1, 1, 32)[:, None, None]).astype(np.uint8)
    images = torch.from_numpy(PREPROCESSING.apply_batch(samples))
    net, pair = ImageNet(), Pair().eval()
    with torch.no_grad():
        net.train()
        for _ in range(20):  # moves the batch-norm statistics to those of the data
            net(images)
        net.eval()
        scores = net(images).numpy()
        pair_inputs = torch.randn(1, 4), torch.randn(1, 6)
        pair_outputs = tuple(output.numpy() for output in pair(*pair_inputs))
    example = (images[:1],)
    files = {
        "image.pte": _pte(net, example, delegate=True),
        "plain.pte": _pte(net, example, delegate=False),
        "pair.pte": _pte(pair, pair_inputs, delegate=True),
        "image.tflite": _tflite(net, example),
        "pair.tflite": _tflite(pair, pair_inputs),
        "image.ptl": _ptl(net, example),
        "pair.ptl": _ptl(pair, pair_inputs),
    }
    dynamic = quantizer.Quantizer(bytearray(files["image.tflite"]), recipe.dynamic_wi8_afp32())
    files["image-int8.tflite"] = bytes(dynamic.quantize().quantized_model)
    left, right = (tensor.numpy() for tensor in pair_inputs)
    return SmallModels(files, samples, images.numpy(), scores, (left, right), pair_outputs)  # type: ignore[arg-type]


def build_bundle(models: SmallModels, path: Path) -> Path:
    """The bundle ``small``: two formats in float, and one in int8, with its real figures."""
    from edgekit.runtime.engines import open_session

    variants, files = [], {}
    for name, source, engine in (
        ("fp32.tflite", "image.tflite", "litert"),
        ("int8-dynamic.tflite", "image-int8.tflite", "litert"),
        ("fp32.pte", "image.pte", "executorch"),
    ):
        data, format = models.files[source], source.rpartition(".")[2]
        session = open_session(engine, data, format, IMAGE, 1)
        measured = np.concatenate([session.run([image[None]])[0] for image in models.images])
        session.close()
        file = f"variants/{name}"
        files[file] = data
        variants.append(
            Variant(
                name=name,
                file=file,
                size_bytes=len(data),
                sha256=sha256(data),
                format=format,
                recipe=name.rpartition(".")[0],
                engines=(engine,),
                minimum_runtime={},
                producers={"made": "by a test"},
                **figures(
                    round(snr_db(models.scores, measured), 2),
                    recipe=name.rpartition(".")[0],
                    agreement=agreement(models.scores, measured),
                    max_abs_diff=max_abs_diff(models.scores, measured),
                ),
                delegated_share=100.0,
                undelegated_ops={},
                warnings=("slower than fp32 for convolutions",) if "int8" in name else (),
            )
        )
    for file, array in (("checks/input_0.npy", models.images[:8]), ("checks/output_0.npy", models.scores[:8])):
        buffer = io.BytesIO()
        np.save(buffer, array, allow_pickle=False)
        files[file] = buffer.getvalue()
    manifest = Manifest(
        name="small",
        target="desktop",
        signature=IMAGE,
        preprocessing=PREPROCESSING.to_json(),
        labels=LABELS,
        class_scores="output",
        variants=tuple(variants),
        recommended={"variant": "fp32.tflite", "reason": "exact"},
        source={"framework": "torch", "parameter_count": 284},
        calibration=None,
        checks={
            "inputs": {"image": "checks/input_0.npy"},
            "outputs": {"output": "checks/output_0.npy"},
            "samples": 8,
            "random": False,
        },
        producer="edgekit tests",
    )
    write_bundle(manifest, files, path)
    return path


def _pte(module: object, example: tuple[object, ...], *, delegate: bool) -> bytes:
    import torch
    from executorch.backends.xnnpack.partition.xnnpack_partitioner import XnnpackPartitioner
    from executorch.exir import to_edge_transform_and_lower

    exported = torch.export.export(module, example)
    partitioners = [XnnpackPartitioner()] if delegate else []
    return bytes(to_edge_transform_and_lower(exported, partitioner=partitioners).to_executorch().buffer)


def _tflite(module: object, example: tuple[object, ...]) -> bytes:
    import litert_torch

    with contextlib.redirect_stdout(io.StringIO()):
        return bytes(litert_torch.convert(module, example).model_content())


def _ptl(module: object, example: tuple[object, ...]) -> bytes:
    import torch

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        return bytes(torch.jit.trace(module, example)._save_to_buffer_for_lite_interpreter())
