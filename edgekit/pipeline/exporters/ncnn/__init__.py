"""PyTorch -> ``.ncnn``, by pnnx."""

from __future__ import annotations

from edgekit.pipeline.exporters import Exporter
from edgekit.source_kinds import TORCH

EXPORTER = Exporter(
    name="ncnn",
    format="ncnn",
    hub="torch",
    recipes={"cpu": ("fp32", "fp16")},
    convert="edgekit.pipeline.exporters.ncnn.convert:export",
    family="torch",
    packages=(*TORCH, "pnnx", "keras"),
    modules=("pnnx", "ncnn"),
    install="pip install 'edgekit[ncnn]'",
)
