"""What a device has: edgekit's wheel, numpy and ExecuTorch's libraries, but no torch, no compiler and no framework."""

from __future__ import annotations

import io
import os
import shutil
import subprocess
import sys
import zipfile
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from support.figures import figures

from edgekit.bundle import write_bundle
from edgekit.digests import sha256
from edgekit.manifest import Manifest, Variant
from edgekit.tensors import Signature

_ROOT = Path(__file__).parents[2]
_PACKED = ("edgekit", "examples", "targets", "pyproject.toml", "README.md", "LICENSE", ".gitignore")


def build_wheel(core: Path, folder: Path) -> Path:
    """edgekit's wheel with what *core*, made by ``edgekit.runtime.native.build``, holds; built in *folder*."""
    tree = folder / "tree"
    for name in _PACKED:
        source = _ROOT / name
        if source.is_dir():
            ignored = shutil.ignore_patterns("__pycache__", "build", "lib")
            shutil.copytree(source, tree / name, ignore=ignored)
        else:
            shutil.copy(source, tree / name)
    shutil.copytree(core, tree / "edgekit" / "runtime" / "native" / "lib")
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation"]
    subprocess.run([*command, "--wheel-dir", str(folder), str(tree)], check=True)
    (wheel,) = folder.glob("edgekit-*.whl")
    return wheel


class BareEnvironment:
    """A virtual environment without pip in which only edgekit, numpy and executorch can be imported."""

    def __init__(self, wheel: Path, folder: Path):
        subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder / "venv")], check=True)
        self._python = folder / "venv" / "bin" / "python"
        self._home = folder / "home"
        (packages,) = (folder / "venv" / "lib").glob("python*/site-packages")
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(packages)
        self.packages = packages
        for name in ("numpy", "executorch"):
            spec = find_spec(name)
            assert spec is not None and spec.submodule_search_locations
            place = Path(next(iter(spec.submodule_search_locations)))
            for entry in (place, place.with_name(f"{name}.libs")):
                if entry.exists():
                    (packages / entry.name).symlink_to(entry)

    def run(self, program: str, *arguments: str) -> str:
        """Standard output of a Python *program*; there is nothing on its ``PATH``."""
        environment = {"PATH": "", "EDGEKIT_HOME": str(self._home), "LANG": os.environ.get("LANG", "C.UTF-8")}
        command = [str(self._python), "-I", "-c", program, *arguments]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr[-3000:]
        return done.stdout


def pte_bundle(data: bytes, signature: Signature, inputs: np.ndarray, outputs: np.ndarray, path: Path) -> Path:
    """A bundle whose only variant is the ``.pte`` file *data*, of one input and one output."""
    files = {"variants/model.pte": data}
    for name, array in (("checks/input_0.npy", inputs), ("checks/output_0.npy", outputs)):
        buffer = io.BytesIO()
        np.save(buffer, array, allow_pickle=False)
        files[name] = buffer.getvalue()
    variant = Variant(
        name="model.pte",
        file="variants/model.pte",
        size_bytes=len(data),
        sha256=sha256(data),
        format="pte",
        recipe="fp32",
        engines=("executorch",),
        minimum_runtime={"executorch": "1.5"},
        producers={"made": "by a test"},
        **figures(),
        delegated_share=0.0,
        undelegated_ops={},
        warnings=(),
    )
    manifest = Manifest(
        name="bare",
        target="desktop",
        signature=signature,
        preprocessing=None,
        labels=(),
        variants=(variant,),
        recommended={"variant": "model.pte", "reason": "the only one"},
        source={"framework": "torch", "parameter_count": 1},
        calibration=None,
        checks={
            "inputs": {signature.inputs[0].name: "checks/input_0.npy"},
            "outputs": {signature.outputs[0].name: "checks/output_0.npy"},
            "samples": len(inputs),
            "random": True,
        },
        producer="edgekit tests",
    )
    write_bundle(manifest, files, path)
    return path
