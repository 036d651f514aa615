"""Whether there is a GPU for the engines on CUDA, found out without importing any of them."""

from __future__ import annotations

import os
import re
from importlib.util import find_spec
from pathlib import Path

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
    folder = _folder("torch")
    try:
        text = "" if folder is None else (folder / "version.py").read_text(encoding="utf-8")
    except OSError:
        return None
    found = re.search(r"^cuda\b[^=\n]*=\s*'([^']+)'", text, re.MULTILINE)
    return found[1] if found else None


def onnxruntime_has_cuda() -> bool:
    """Whether the installed ONNX Runtime brings its CUDA provider: only ``onnxruntime-gpu`` does."""
    folder = _folder("onnxruntime")
    return folder is not None and any((folder / "capi").glob("*onnxruntime_providers_cuda.*"))


def _folder(package: str) -> Path | None:
    """Where *package* is installed. It is not imported."""
    spec = find_spec(package)
    return None if spec is None or spec.origin is None else Path(spec.origin).parent
