"""PyTorch -> ``.ptl`` for PyTorch Mobile, for those who still have apps on it."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any

import torch
from torch.ao.quantization import get_default_qconfig_mapping
from torch.ao.quantization.quantize_fx import convert_fx, prepare_fx

from edgekit.errors import ConversionError
from edgekit.pipeline.exporters.executorch import example_inputs
from edgekit.pipeline.exporters.record import record
from edgekit.pipeline.exporters.samples import calibration_samples
from edgekit.pipeline.progress import emit
from edgekit.pipeline.sources import Source, SourceSpec, open_source

_RECIPES = ("fp32", "int8")
_LEGACY = "PyTorch Mobile is at its end: torch 2.13 has no XNNPACK for it, so it is slow; use .pte instead"
