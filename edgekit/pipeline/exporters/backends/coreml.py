"""Core ML: Apple's runtime for the CPU, GPU and Neural Engine of an iPhone. It is lowered to on Linux, too."""

from __future__ import annotations

import json
import sys
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from typing import Any
from unittest.mock import patch

from executorch.backends.apple.coreml import executorchcoreml
from executorch.exir.backend.partitioner import Partitioner
from torch.export import ExportedProgram

from edgekit.pipeline import rewrites

RULES = rewrites.COMMON
PRODUCERS = ("coremltools",)
HALVES_GRAPH = False

#: What coremltools imports where it is installed, and needs not.
UNNEEDED = ("tensorflow", "sklearn")


@contextmanager
def lowering(program: ExportedProgram, half: bool) -> Iterator[Partitioner]:
    """The partitioner for *program*.

    The model is made for iOS 15, Core ML's earliest that takes such programs: from iOS 16 on its outputs would be of
    half precision, too, where it computes so.
    """
    with hidden(*UNNEEDED):
        import coremltools
        from executorch.backends.apple.coreml.compiler import CoreMLBackend
        from executorch.backends.apple.coreml.partition import CoreMLPartitioner

    specs = CoreMLBackend.generate_compile_specs(
        minimum_deployment_target=coremltools.target.iOS15,
        compute_precision=coremltools.precision.FLOAT16 if half else coremltools.precision.FLOAT32,
    )
    with settled_packages():
        yield CoreMLPartitioner(compile_specs=specs)


@contextmanager
def hidden(*packages: str) -> Iterator[None]:
    """Let those of *packages* that are not imported yet seem not to be installed.

    coremltools 9.0 imports TensorFlow and scikit-learn where they are, to note which versions they are of. Symptom: ten
    seconds, and TensorFlow in one process with torch.
    """
    modules: dict[str, Any] = sys.modules  # None stands for a module that cannot be imported
    absent = [name for name in packages if name not in modules]
    modules.update(dict.fromkeys(absent))
    try:
        yield
    finally:
        for name in absent:
            del modules[name]


@contextmanager
def settled_packages() -> Iterator[None]:
    """Name packages by what is in them.

    executorch 1.5.1 and coremltools 9.0 give every package, and each part of it, a random UUID, and write the entries
    of protobuf's maps in any order. Symptom: no two exports of a model are alike. On a phone, ExecuTorch keeps the
    compiled model under the package's name, so that it must differ from model to model.

    What only ExecuTorch's profiler on a Mac reads, the origin of every operation, is left out: half of a small file.
    """
    stock = executorchcoreml.flatten_directory_contents

    def flatten(path: str) -> bytes | None:
        _settle(Path(path))
        flat: bytes | None = stock(path)
        return flat

    with patch.object(executorchcoreml, "flatten_directory_contents", flatten):
        yield


def _settle(folder: Path) -> None:
    from coremltools.proto import Model_pb2

    package = folder / "model.mlpackage"
    for debugging in (folder / "debug_info.json", package / "executorch_debug_handle_mapping.json"):
        debugging.unlink(missing_ok=True)
    contents = package / "Data" / "com.apple.CoreML"
    model = contents / "model.mlmodel"
    model.write_bytes(Model_pb2.Model.FromString(model.read_bytes()).SerializeToString(deterministic=True))

    manifest = json.loads((package / "Manifest.json").read_text())
    names = {
        old: str(uuid.uuid5(uuid.NAMESPACE_URL, item["path"])) for old, item in manifest["itemInfoEntries"].items()
    }
    manifest["itemInfoEntries"] = {names[old]: item for old, item in manifest["itemInfoEntries"].items()}
    manifest["rootModelIdentifier"] = names[manifest["rootModelIdentifier"]]
    (package / "Manifest.json").write_text(json.dumps(manifest, indent=4, sort_keys=True))

    digest = sha256(b"".join(path.read_bytes() for path in sorted(contents.rglob("*")) if path.is_file())).digest()
    metadata = json.loads((folder / "metadata.json").read_text())
    metadata["identifier"] = f"executorch_{uuid.UUID(bytes=digest[:16], version=5)}"
    (folder / "metadata.json").write_text(json.dumps(metadata))
