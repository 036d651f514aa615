"""Inference engines, by name. What one is and does: `edgekit.runtime.engines`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgekit import builtin_runtimes
from edgekit.registry import Registry

if TYPE_CHECKING:
    from edgekit.runtime.engines.base import Engine

_ADAPTERS = "edgekit.runtime.engines"

#: Order is the order in which equals are preferred.
ENGINES: Registry[Engine] = Registry(
    "engine",
    {
        "litert": f"{_ADAPTERS}.litert:ENGINE",
        "executorch": f"{_ADAPTERS}.executorch:ENGINE",
        "tflite-runtime": f"{_ADAPTERS}.tflite_runtime:ENGINE",
        "pytorch-mobile": f"{_ADAPTERS}.pytorch_mobile:ENGINE",
        "onnxruntime": f"{_ADAPTERS}.onnxruntime:ENGINE",
        "tensorflow": f"{_ADAPTERS}.tensorflow:ENGINE",
        "torch": f"{_ADAPTERS}.torch_eager:ENGINE",
        "torch-compile": f"{_ADAPTERS}.torch_compile:ENGINE",
        "onnxruntime-cuda": f"{_ADAPTERS}.onnxruntime_cuda:ENGINE",
        "torch-cuda": f"{_ADAPTERS}.torch_device:EAGER",
        "torch-compile-cuda": f"{_ADAPTERS}.torch_device:COMPILED",
        "litert-web": f"{_ADAPTERS}.litert_web:ENGINE",
        "litert-webgpu": f"{_ADAPTERS}.litert_web:WEBGPU",
        **builtin_runtimes.engines(),
    },
    "EK-ENGINE",
)
