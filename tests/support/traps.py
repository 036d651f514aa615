"""A folder full of files that must not be run: modules and programs that leave a mark when somebody does."""

from __future__ import annotations

from pathlib import Path

#: Of Python itself, of what edgekit uses, and of what Python looks for by itself when it starts.
MODULES = (
    "_bootlocale", "ai_edge_litert", "altair", "argparse", "ast", "base64", "click", "conftest", "ctypes",
    "dataclasses", "edgekit", "encodings", "executorch", "flatbuffers", "importlib", "inspect", "io", "jinja2",
    "json", "keras", "litert_torch", "numpy", "os", "pandas", "pip", "pydantic", "re", "resource", "runpy",
    "scipy", "select", "setuptools", "signal", "sitecustomize", "site", "socket", "struct", "subprocess",
    "tempfile", "tensorflow", "test", "threading", "tomllib", "torch", "torchao", "typing", "usercustomize",
    "venv", "vl_convert", "zipfile", "zlib",
)  # fmt: skip
#: Folders that are packages.
PACKAGES = ("PIL", "aiohttp", "cryptography", "google", "onnx", "onnxruntime", "segno", "xml")
#: Everything that edgekit starts, what that starts in turn, and what libraries look for.
PROGRAMS = (
    "adb", "apt-config", "apt-get", "ar", "as", "c++", "cat", "cc", "clang", "clang++", "cmake", "collect2",
    "cp", "dpkg-deb", "env", "file", "flatc", "g++", "gcc", "getconf", "git", "ld", "ldconfig", "ldd", "lscpu",
    "ninja", "node", "npm", "nvidia-smi", "objdump", "pip", "python", "python3", "python3.10", "python3.11",
    "python3.12", "qemu-aarch64", "qemu-aarch64-static", "qemu-arm", "sh", "sftp", "ssh", "tar", "uname",
    "vcgencmd", "which",
)  # fmt: skip


def lay(folder: Path, marks: Path) -> None:
    """Fill *folder*; what is run leaves a file of its name in *marks*."""
    marks.mkdir(parents=True, exist_ok=True)
    for name in MODULES:
        (folder / f"{name}.py").write_text(_module(marks / f"{name}.py"), encoding="utf-8")
    for name in PACKAGES:
        (folder / name).mkdir()
        (folder / name / "__init__.py").write_text(_module(marks / name), encoding="utf-8")
    for name in PROGRAMS:
        program = folder / name
        program.write_text(f"#!/bin/sh\n: >'{marks / name}'\nexit 97\n", encoding="utf-8")
        program.chmod(0o755)


def _module(mark: Path) -> str:
    return f"open({str(mark)!r}, 'w').close()\n"
