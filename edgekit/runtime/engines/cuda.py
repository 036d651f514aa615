"""Whether there is a GPU for the engines on CUDA, found out without importing any of them."""

from __future__ import annotations

import os
import re
from pathlib import Path

from edgekit.runtime.installed import package_folders

#: Where Linux has the GPUs: ``nvidia0`` and so on; ``dxg`` under Windows. Tests have another folder.
DEVICES = Path("/dev")


def why_no_device(library: str) -> str:
    """Why *library* sees no CUDA device, in one line; empty when there is one."""
    devices = [*DEVICES.glob("nvidia[0-9]*"), *DEVICES.glob("dxg")]
    if not devices:
        return f"{library} sees no CUDA device: this machine has none, or no driver for it (no {DEVICES}/nvidia0)"
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None and visible.strip() in ("", "-1"):
        return f"{library} sees no CUDA device: CUDA_VISIBLE_DEVICES hides them"
    return ""


def torch_cuda() -> str | None:
    """The version of CUDA that the installed torch was built for; None for a build without CUDA, and without torch."""
    try:
        text = "".join((folder / "version.py").read_text(encoding="utf-8") for folder in package_folders("torch"))
    except OSError:
        return None
    found = re.search(r"^cuda\b[^=\n]*=\s*'([^']+)'", text, re.MULTILINE)
    return found[1] if found else None


def onnxruntime_has_cuda() -> bool:
    """Whether the installed ONNX Runtime brings its CUDA provider: only ``onnxruntime-gpu`` does."""
    found = (folder.glob("capi/*onnxruntime_providers_cuda.*") for folder in package_folders("onnxruntime"))
    return any(map(any, found))
