"""The commands and programs of the README and of the pages below docs/."""

from __future__ import annotations

import os
import re
import subprocess
import sysconfig
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import onnx

from edgekit.bundle import Bundle

ROOT = Path(__file__).parent.parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
#: What commands name that take a device, or a phone: those are run in tests/devices.
_PLACES = ("ssh://", "emulator", "adb:", "phone")


#: What commands call files of somebody else's.
GIVEN = "face."


def pages() -> list[Path]:
    """The README and the pages below docs/, in the order in which docs/README.md names them.

    A command may need what one on a page before it has made.
    """
    listed = re.findall(r"^\| \[[^]]*\]\(([\w/-]+\.md)\)", (ROOT / "docs" / "README.md").read_text("utf-8"), re.M)
    ordered = [ROOT / "README.md", *(ROOT / "docs" / name for name in listed)]
    return [*ordered, *sorted(set((ROOT / "docs").rglob("*.md")) - set(ordered))]


def blocks(language: str) -> list[str]:
    """All of *language*, those that stand on several pages once; for those of docs/adding see `support.adding`."""
    told = [page.read_text(encoding="utf-8") for page in pages() if page.parent.name != "adding"]
    found = [re.findall(rf"```{language}\n(.*?)```", text, re.S) for text in told]
    return list(dict.fromkeys(block for each in found for block in each))


def programs() -> dict[str, str]:
    """The Python of each page that has some, by the page's name: what stands further down goes on from above."""
    joined = {}
    for page in pages():
        found = re.findall(r"```python\n(.*?)```", page.read_text(encoding="utf-8"), re.S)
        if found and page.parent.name != "adding":
            joined[page.name] = "\n".join(found)
    return joined


def commands(on: str | None = None) -> list[str]:
    """Those that name the device, setup or verb *on*; by default those that need none of `_PLACES`."""
    every = [line for block in blocks("sh") for line in block.splitlines() if line.strip()]
    return [line for line in every if (on in line if on else not any(place in line for place in _PLACES))]


def call(command: str, folder: Path = ROOT, environment: Mapping[str, str] | None = None) -> str:
    """Run *command* in a shell that finds this environment's programs; its standard output."""
    path = os.pathsep.join([sysconfig.get_path("scripts"), os.environ["PATH"]])
    process = subprocess.run(
        command,
        shell=True,
        cwd=folder,
        env={**os.environ, "PATH": path, **(environment or {})},
        capture_output=True,
        text=True,
        check=False,
    )
    assert process.returncode == 0, f"{command}\n{process.stderr}"
    return process.stdout


def leave_files(bundle: Path, folder: Path) -> None:
    """The files of somebody else's that commands name: a ``.tflite`` with an input, and an ``.onnx``."""
    with Bundle.open(bundle) as opened:
        (folder / "face.tflite").write_bytes(opened.read("variants/fp32.tflite"))
        (inputs,) = opened.check_vectors()[0].values()
    np.save(folder / "face.npy", inputs[:1])
    shape = list(inputs[:1].shape)
    values = [onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, shape) for name in ("x", "y")]
    graph = onnx.helper.make_graph([onnx.helper.make_node("Sigmoid", ["x"], ["y"])], "face", values[:1], values[1:])
    onnx.save(onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 18)]), folder / "face.onnx")
